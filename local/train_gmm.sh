#!/usr/bin/env bash
# The genuine and the spoof GMM of one or more data directories with features and utt2label.
cmd=utils/run.py
nj=1
gmm_config=conf/gmm.conf
num_components=
help_message="Usage: $0 [options] <data-dir>... <exp-dir>
Writes <exp-dir>/genuine.gmm and <exp-dir>/spoof.gmm from all the data directories together.
  --cmd launcher --gmm-config file (options of sd-init-gmm, or with one job of sd-train-gmm) --num-components N (instead of the file's)
  --nj N   1: one job a class, which keeps the frames in memory; more: N jobs a class and EM pass, to the same models. A pass starts N
           processes of about a second: worth it only when a pass takes minutes. --max-skip in the file of options then counts in each job;
           <exp-dir>/passes/ keeps the model of every pass, and a launcher that resumes goes on from the last one
Example: $0 --nj 8 data/cf_sd6/train data/cf_sd6/dev exp/cf_sd6"
. ./path.sh
. utils/parse_options.sh
set -euo pipefail
[ $# -ge 2 ] || { echo "$0: arguments: got $#, need <data-dir>... <exp-dir>. See $0 --help" >&2; exit 1; }
[[ $nj =~ ^[1-9][0-9]{0,5}$ ]] || { echo "$0: --nj: got '$nj', need a number of jobs from 1 to 999999. Correct the value" >&2; exit 1; }
data=("${@:1:$#-1}") dir=${*: -1}
. local/check_words.sh
check_words "$@" "$gmm_config" "$num_components"
[[ $* != *=* ]] || { echo "$0: $*: got a =, need none in the names of folders, or awk takes them for settings. Rename them" >&2; exit 1; }

for data_dir in "${data[@]}"; do
  [ -s "$data_dir/feats.scp" ] || { echo "$0: $data_dir/feats.scp: got no such file or an empty one, need features. Compute them first" >&2; exit 1; }
done
mkdir -p "$dir"
for class in genuine spoof; do
  list=$dir/$class.scp inputs=("${data[@]/%//utt2label}" "${data[@]/%//feats.scp}")
  awk -v class=$class -v script="$0" '
    {sub(/\r$/, "")}
    !NF {next}
    FILENAME ~ /utt2label$/ {label[$1] = $2; next}
    $1 in place {
      printf "%s: %s: got it in %s and %s, need each utterance once. Remove a line\n", script, $1, place[$1], FILENAME >"/dev/stderr"
      exit 1
    }
    {place[$1] = FILENAME}
    label[$1] == class' "${inputs[@]}" >"$list.tmp"
  [ -s "$list.tmp" ] || { echo "$0: ${data[*]}: got no utterance labelled $class, need one or more. Look at utt2label" >&2; exit 1; }
  if cmp -s "$list.tmp" "$list"; then rm "$list.tmp"; else mv "$list.tmp" "$list"; fi
done

pids=()
trap 'kill "${pids[@]}" 2>/dev/null; wait; exit 130' INT TERM # bash makes jobs in the background deaf to Ctrl-C
both() { # the launchers that a function becomes for each class, side by side
  local pid failed=0
  pids=()
  for class in genuine spoof; do "$1" & pids+=($!); done
  for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
  [ $failed = 0 ] || exit 1
}
options=(--config="$gmm_config" ${num_components:+--num-components="$num_components"})
train() { exec $cmd "$dir/log/train_$class.log" sd-train-gmm "${options[@]}" "scp:$dir/$class.scp" "$dir/$class.gmm"; }
if [ "$nj" = 1 ]; then
  both train
  exit
fi

init() {
  mkdir -p "$dir/passes/$class"
  exec $cmd "$dir/log/init_$class.log" sd-init-gmm "${options[@]}" "scp:$dir/$class.scp" "$dir/passes/$class/0.gmm"
}
progress() { # of a class in this pass
  if is_done; then echo "done before"; return; fi
  for ((job = 1; job <= $(num_jobs); job++)); do cat "$dir/log/acc_$class.$pass.$job.log" 2>/dev/null; done |
    awk '/ components: .* per frame of [0-9]+$/ {sum += $(NF - 4) * $NF; num += $NF} END {print num ? sprintf("%.4f", sum / num) : "unknown"}'
}
is_done() { [ "$dir/passes/$class/$((pass + 1)).gmm" -nt "$dir/passes/$class/0.gmm" ]; } # which is new if anything that matters is
num_jobs() { awk -v most="$nj" 'END {print NR < most ? NR : most}' "$dir/$class.scp"; }
acc() {
  ! is_done || exit 0
  local num part
  num=$(num_jobs) && part="awk 'NR % $num == JOB % $num' '$dir/$class.scp' |"
  exec $cmd JOB=1:"$num" "$dir/log/acc_$class.$pass.JOB.log" \
    sd-acc-gmm --subsample=$step $post_options $input_options "$dir/passes/$class/$pass.gmm" "scp:$part" "$dir/passes/$class/$pass.JOB.acc"
}
est() {
  ! is_done || exit 0
  local job accs=() # by name: a glob would take those of another number of jobs, too
  for ((job = 1; job <= $(num_jobs); job++)); do accs+=("$dir/passes/$class/$pass.$job.acc"); done
  utils/wait_for.sh "${accs[@]}"
  exec $cmd "$dir/log/est_$class.$pass.log" sd-est-gmm --variance-floor="$(setting variance-floor)" --split=$split \
    "$dir/passes/$class/$pass.gmm" "${accs[@]}" "$dir/passes/$class/$((pass + 1)).gmm"
}
copy() { exec $cmd "$dir/log/copy_$class.log" sd-copy-gmm "$dir/passes/$class/$pass.gmm" "$dir/$class.gmm"; }
setting() { sed -n "s/^--$1=//p" "$dir/passes/genuine/0.gmm.conf"; }

both init
em_passes=(1 2 4 4 4 4 6 6 10 10 15) # at 1, 2, 4, ... components, as in sd-train-gmm
num_components=$(setting num-components) subsample=$(setting subsample) final_iters=$(setting final-iters)
post_options=$(grep -vE '^--(variance-floor|num-components|final-iters|subsample)=' "$dir/passes/genuine/0.gmm.conf")
input_options=$(grep -ioE '^[[:blank:]]*--(max[-_]skip|allow[-_]pipes)(=[^#]*)?' "$gmm_config" || true)
pass=0
for ((level = 1; 2 ** level <= num_components; level++)); do
  iters=${em_passes[level < 10 ? level : 10]} step=1
  [ $((2 ** level)) != "$num_components" ] || iters=$final_iters
  [ $((2 ** (level + 1))) -ge "$num_components" ] || step=$subsample
  for ((iter = 1; iter <= iters; iter++)); do
    split=false
    [ "$iter" != "$iters" ] || [ $((2 ** level)) = "$num_components" ] || split=true
    both acc
    echo "$(date +%T) $((2 ** level)) of $num_components components, pass $iter of $iters: log-likelihood per frame" \
      "$(class=genuine progress) genuine, $(class=spoof progress) spoof"
    both est
    rm -f "$dir"/passes/*/"$pass".*.acc
    pass=$((pass + 1))
  done
done
both copy
