#!/usr/bin/env bash
# Draws the figures of docs/differentiation.md into a folder, docs/figures if none is given.
set -euo pipefail
folder=${1:-$(dirname "$0")/figures}
for scale in 12 1; do
  sd-filterbank --print-args=false --bandwidth-scale=$scale --filters=55 --orders=0,3,6 \
    --plot="$folder/filter_55_scale_$scale.svg"
done
