#!/bin/sh
# serve.sh BENTO: serves the Bento's one model. One that was not published is tried, and says so.
set -eu
if [ -e "$1/src/tried" ]; then
    CREDIT_CARD_MODEL_TAG=$(cat "$1/src/tried")
    export CREDIT_CARD_MODEL_TAG
fi
exec bentoml serve --host 0.0.0.0 --port 8001 "$1"
