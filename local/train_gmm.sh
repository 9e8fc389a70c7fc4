#!/usr/bin/env bash
# The genuine and the spoof GMM of one or more data directories with features and utt2label.
cmd=utils/run.py
gmm_config=conf/gmm.conf
help_message="Usage: $0 [options] <data-dir>... <exp-dir>
Writes <exp-dir>/genuine.gmm and <exp-dir>/spoof.gmm from all the data directories together.
  --cmd launcher --gmm-config file
Example: $0 data/cf_sd6/train data/cf_sd6/dev exp/cf_sd6"
. ./path.sh
. utils/parse_options.sh
set -euo pipefail
[ $# -ge 2 ] || { echo "$0: arguments: got $#, need <data-dir>... <exp-dir>. See $0 --help" >&2; exit 1; }
data=("${@:1:$#-1}") dir=${*: -1}

for data_dir in "${data[@]}"; do
  [ -s "$data_dir/feats.scp" ] || { echo "$0: $data_dir/feats.scp: got no such file or an empty one, need features. Compute them first" >&2; exit 1; }
done
mkdir -p "$dir"
pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait; exit 130' INT TERM # bash makes jobs in the background deaf to Ctrl-C
for class in genuine spoof; do
  list=$dir/$class.scp inputs=("${data[@]/%//utt2label}" "${data[@]/%//feats.scp}")
  awk -v class=$class 'FILENAME ~ /utt2label$/ {label[$1] = $2} FILENAME ~ /feats.scp$/ && label[$1] == class' "${inputs[@]}" >"$list.tmp"
  [ -s "$list.tmp" ] || { echo "$0: ${data[*]}: got no utterance labelled $class, need one or more. Look at utt2label" >&2; exit 1; }
  if cmp -s "$list.tmp" "$list"; then rm "$list.tmp"; else mv "$list.tmp" "$list"; fi
  $cmd "$dir/log/train_$class.log" sd-train-gmm --config="$gmm_config" "scp:$list" "$dir/$class.gmm" &
  pids+=($!)
done
for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
exit ${failed:-0}
