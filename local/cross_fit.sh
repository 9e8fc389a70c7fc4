#!/usr/bin/env bash
# Cross-fitted scores of train and dev: each by GMMs that were trained on other speakers. What is
# deployed is calibrated on them, because its GMMs, trained on train and dev, meet new speakers.
cmd=utils/run.py
nj=1
gmm_config=conf/gmm.conf
num_components=
help_message="Usage: $0 [options] <data-dir> <exp-dir>
Reads <data-dir>/{train,dev} with features and labels.
Writes <exp-dir>/folds/<fold>/{genuine,spoof}.gmm and <exp-dir>/scores/cross_fit.txt.
  --cmd <launcher> --nj <N> --gmm-config <file> --num-components <N>   as for local/train_gmm.sh
Example: $0 --nj 1 data/cf_sd6 exp/cf_sd6"
. ./path.sh
. utils/parse_options.sh
set -euo pipefail
if [ $# != 2 ]; then
  echo "$0: arguments: expected <data-dir> <exp-dir>, found $#. See $0 --help." >&2
  exit 1
fi
data=$1 dir=$2 folds=$2/folds
. local/check_words.sh
check_words "$@" "$gmm_config" "$num_components"

num_folds=$(local/make_folds.py "$data" "$folds")
for ((fold = 1; fold <= num_folds; fold++)); do
  local/train_gmm.sh --cmd "$cmd" --nj "$nj" --gmm-config "$gmm_config" \
    --num-components "$num_components" "$folds/$fold" "$folds/$fold"
done
mkdir -p "$dir/scores"
$cmd JOB=1:"$num_folds" "$dir/scores/log/cross_fit.JOB.log" \
  sd-score-gmm "$folds/JOB/genuine.gmm" "$folds/JOB/spoof.gmm" \
  "scp:$folds/JOB/held_out.scp" "$folds/JOB/scores.txt"
outputs=()
for ((fold = 1; fold <= num_folds; fold++)); do outputs+=("$folds/$fold/scores.txt"); done
utils/wait_for.sh "${outputs[@]}"
cat "${outputs[@]}" >"$dir/scores/cross_fit.txt.tmp"
mv "$dir/scores/cross_fit.txt.tmp" "$dir/scores/cross_fit.txt"
