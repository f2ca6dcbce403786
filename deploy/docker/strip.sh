#!/bin/sh
# Removes from python:3.11-slim what no service runs: installers, Perl, documentation, build tools.
# A later stage copies what is left into an empty image, since deleting alone makes no layer smaller.
set -eu
python=/usr/local/lib/python3.11
rm -rf $python/ensurepip $python/idlelib $python/lib2to3 $python/tkinter $python/turtledemo \
    $python/pydoc_data $python/test $python/site-packages /usr/local/include /usr/local/bin/pip* \
    /usr/local/bin/idle* /usr/local/bin/pydoc* /usr/local/bin/2to3*
rm -rf /usr/bin/perl* /usr/share/perl* /usr/lib/*-linux-gnu/perl* /usr/lib/*-linux-gnu/libperl* \
    /usr/lib/*-linux-gnu/gconv
rm -rf /usr/bin/apt* /usr/lib/apt /usr/lib/*-linux-gnu/libapt-* /var/lib/apt /var/cache /var/log/* \
    /usr/share/doc /usr/share/man /usr/share/info /usr/share/locale /root/.cache /etc/pip.conf
mkdir $python/site-packages
