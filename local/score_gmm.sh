#!/usr/bin/env bash
# Write one log-likelihood ratio per utterance of a data directory, with the GMMs of train_gmm.sh.
nj=2
cmd=utils/run.py
help_message="Usage: $0 [options] <data-dir> <gmm-dir> <scores-out>
  --nj <N>
  --cmd <launcher>
Example: $0 --nj 2 data/cf_sd6/eval exp/cf_sd6 exp/cf_sd6/scores/eval.txt"
. ./path.sh
. utils/parse_options.sh
set -euo pipefail
fail() {
  echo "$0: $*" >&2
  exit 1
}
[ $# = 3 ] || fail "$# arguments are not 3. Give <data-dir> <gmm-dir> <scores-out>; see $0 --help."
data=$1 gmms=$2 scores=$3
. local/check_words.sh
check_words "$@"

[ -s "$data/feats.scp" ] || fail "$data/feats.scp does not exist or is empty. Compute the features."
num_utts=$(awk 'NF {num++} END {print num + 0}' "$data/feats.scp")
[ "$nj" -le "$num_utts" ] || nj=$num_utts
utils/split_data.py --per-utt "$data" "$nj"
parts=$(dirname "$scores")/parts name=$(basename "$scores" .txt)
mkdir -p "$parts"
$cmd JOB=1:"$nj" "$(dirname "$scores")/log/$name.JOB.log" \
  sd-score-gmm "$gmms/genuine.gmm" "$gmms/spoof.gmm" \
  "scp:$data/split${nj}utt/JOB/feats.scp" "$parts/$name.JOB.txt"
outputs=()
for ((job = 1; job <= nj; job++)); do outputs+=("$parts/$name.$job.txt"); done
utils/wait_for.sh "${outputs[@]}"
cat "${outputs[@]}" >"$scores.tmp"
num_scores=$(wc -l <"$scores.tmp")
[ "$num_scores" = "$num_utts" ] ||
  fail "$scores: $num_scores scores, but $data/feats.scp has $num_utts utterances." \
    "Run utils/validate_data_dir.py --no-text $data."
mv "$scores.tmp" "$scores"
