#!/bin/sh
# serve.sh BENTO: serves the Bento's one model. One that was not published is tried, and says so.
set -eu
models=$1/models/credit_card_clusters
yaml=$models/$(cat "$models/latest")/model.yaml
# It is written last; without it BentoML tells of a missing key, in forty lines.
if ! grep -q "^creation_time: '.*'$" "$yaml"; then
    echo "$yaml is not whole: pack the model again (make image-model)." >&2
    exit 2
fi
if [ -e "$1/src/tried" ]; then
    CREDIT_CARD_MODEL_TAG=$(cat "$1/src/tried")
    export CREDIT_CARD_MODEL_TAG
fi
exec bentoml serve --host 0.0.0.0 --port 8001 "$1"
