#!/usr/bin/env bash
# healthy.sh PORT PATH: succeeds when a GET of this path here is answered with 200. bash alone, since
# a Python or curl for every check of every container would cost more than the services at rest.
set -euo pipefail
exec 3<>"/dev/tcp/127.0.0.1/$1"
printf 'GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n' "$2" >&3
read -r -t 3 _ status _ <&3
[ "$status" = 200 ]
