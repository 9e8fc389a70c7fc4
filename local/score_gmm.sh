#!/usr/bin/env bash
# One log-likelihood ratio an utterance of a data directory, from the GMMs that train_gmm.sh left.
nj=2
cmd=utils/run.py
help_message="Usage: $0 [options] <data-dir> <gmm-dir> <scores-out>
  --nj N --cmd launcher
Example: $0 --nj 2 data/cf_sd6/eval exp/cf_sd6 exp/cf_sd6/scores/eval.txt"
. ./path.sh
. utils/parse_options.sh
set -euo pipefail
[ $# = 3 ] || { echo "$0: arguments: got $#, need <data-dir> <gmm-dir> <scores-out>. See $0 --help" >&2; exit 1; }
data=$1 gmms=$2 scores=$3
. local/check_words.sh
check_words "$@"

[ -s "$data/feats.scp" ] || { echo "$0: $data/feats.scp: got no such file or an empty one, need features. Compute them first" >&2; exit 1; }
num_utts=$(wc -l <"$data/feats.scp")
[ "$nj" -le "$num_utts" ] || nj=$num_utts
utils/split_data.py --per-utt "$data" "$nj"
parts=$(dirname "$scores")/parts name=$(basename "$scores" .txt)
mkdir -p "$parts"
$cmd JOB=1:"$nj" "$(dirname "$scores")/log/$name.JOB.log" \
  sd-score-gmm "$gmms/genuine.gmm" "$gmms/spoof.gmm" "scp:$data/split${nj}utt/JOB/feats.scp" "$parts/$name.JOB.txt"
outputs=()
for ((job = 1; job <= nj; job++)); do outputs+=("$parts/$name.$job.txt"); done
utils/wait_for.sh "${outputs[@]}"
cat "${outputs[@]}" >"$scores.tmp"
mv "$scores.tmp" "$scores"
