#!/usr/bin/env bash
# Score-level fusion of systems by logistic regression: trained on dev, applied to dev and eval.
cmd=utils/run.py
data=data
fusion_config=conf/fusion.conf
help_message="Usage: $0 [options] <fusion-dir> <system-dir>...
Reads <system-dir>/scores/{dev,eval}.txt.
Writes <fusion-dir>/fusion.json and <fusion-dir>/scores/{dev,eval}.txt.
  --cmd launcher --data dir-with-dev/utt2label --fusion-config file
Example: $0 exp/fusion exp/cf_sd6 exp/cm_sd6"
. ./path.sh
. utils/parse_options.sh
set -euo pipefail
if [ $# -lt 2 ]; then
  echo "$0: arguments: expected <fusion-dir> <system-dir>..., found $#. See $0 --help." >&2
  exit 1
fi
. local/check_words.sh
check_words "$@" "$data" "$fusion_config"
dir=$1
shift

mkdir -p "$dir/scores"
$cmd "$dir/log/train_fusion.log" sd-train-fusion --config="$fusion_config" \
  "$data/dev/utt2label" "${@/%//scores/dev.txt}" "$dir/fusion.json"
for set in dev eval; do
  $cmd "$dir/log/apply_fusion_$set.log" sd-apply-fusion \
    "$dir/fusion.json" "${@/%//scores/$set.txt}" "$dir/scores/$set.txt"
done
