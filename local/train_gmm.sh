#!/usr/bin/env bash
# Train the genuine and the spoof GMM on data directories with features and labels.
cmd=utils/run.py
nj=1
gmm_config=conf/gmm.conf
num_components=
help_message="Usage: $0 [options] <data-dir>... <exp-dir>
Writes <exp-dir>/genuine.gmm and <exp-dir>/spoof.gmm, trained on all data directories together.
  --cmd <launcher>
  --gmm-config <file>    options of sd-init-gmm or, with one job, of sd-train-gmm
  --num-components <N>   instead of the number in the file
  --nj <N>   1: one job per class, which keeps the frames in memory.
             More: N jobs per class and EM pass. The models are the same. Each pass starts N
             processes of about a second each, so use it only if a pass takes minutes. --max-skip
             in the file of options then counts in each job. <exp-dir>/passes/ keeps the model of
             each pass. A launcher that resumes continues after the last one.
Example: $0 --nj 8 data/cf_sd6/train data/cf_sd6/dev exp/cf_sd6"
. ./path.sh
. utils/parse_options.sh
set -euo pipefail
fail() {
  echo "$0: $*" >&2
  exit 1
}
[ $# -ge 2 ] || fail "$# arguments are too few. Give <data-dir>... <exp-dir>; see $0 --help."
[[ $nj =~ ^[1-9][0-9]{0,5}$ ]] || fail "--nj: expected 1 to 999999 jobs, found '$nj'. Correct it."
dir=${*: -1}
. local/check_words.sh
check_words "$@" "$gmm_config" "$num_components"
utils/split_by_label.py "$@"

pids=()
# jobs in the background ignore Ctrl-C
trap 'kill "${pids[@]}" 2>/dev/null; wait; exit 130' INT TERM
both() { # run a function, which becomes a launcher, for each class, side by side
  local pid failed=0
  pids=()
  for class in genuine spoof; do "$1" & pids+=($!); done
  for pid in "${pids[@]}"; do wait "$pid" || failed=1; done
  [ $failed = 0 ] || exit 1
}
options=(--config="$gmm_config" ${num_components:+--num-components="$num_components"})
train() {
  exec $cmd "$dir/log/train_$class.log" \
    sd-train-gmm "${options[@]}" "scp:$dir/$class.scp" "$dir/$class.gmm"
}
if [ "$nj" = 1 ]; then
  both train
  exit
fi

# The functions below work on $class in pass number $pass, from the model $pass.gmm.
init() {
  local passes=$dir/passes/$class
  mkdir -p "$passes"
  exec $cmd "$dir/log/init_$class.log" sd-init-gmm "${options[@]}" \
    --write-schedule="$passes/schedule" "scp:$dir/$class.scp" "$passes/0.gmm"
}
is_done() { # 0.gmm is new if anything has changed
  [ "$dir/passes/$class/$((pass + 1)).gmm" -nt "$dir/passes/$class/0.gmm" ]
}
num_jobs() { awk -v most="$nj" 'END {print NR < most ? NR : most}' <"$dir/$class.scp"; }
outputs() { # of all jobs; a glob would find those of another number of jobs, too
  local job num
  num=$(num_jobs)
  for ((job = 1; job <= num; job++)); do echo "$dir/passes/$class/$pass.$job.$1"; done
}
acc() {
  ! is_done || exit 0
  local num part passes=$dir/passes/$class
  num=$(num_jobs) && part="awk 'NR % $num == JOB % $num' <'$dir/$class.scp' |"
  exec $cmd JOB=1:"$num" "$dir/log/acc_$class.$pass.JOB.log" \
    sd-acc-gmm --subsample=$subsample $post_options $input_options \
    --write-log-likelihood="$passes/$pass.JOB.loglike" \
    "$passes/$pass.gmm" "scp:$part" "$passes/$pass.JOB.acc"
}
progress() { # log-likelihood per frame
  local files
  if is_done; then
    echo "done before"
    return
  fi
  mapfile -t files < <(outputs loglike)
  utils/wait_for.sh "${files[@]}"
  cat "${files[@]}" | awk '{sum += $1; num += $2} END {printf "%.4f\n", sum / num}'
}
est() {
  ! is_done || exit 0
  local files passes=$dir/passes/$class
  mapfile -t files < <(outputs acc)
  utils/wait_for.sh "${files[@]}"
  exec $cmd "$dir/log/est_$class.$pass.log" \
    sd-est-gmm --variance-floor="$(setting variance-floor)" --split="$split" \
    "$passes/$pass.gmm" "${files[@]}" "$passes/$((pass + 1)).gmm"
}
copy() {
  exec $cmd "$dir/log/copy_$class.log" \
    sd-copy-gmm "$dir/passes/$class/$pass.gmm" "$dir/$class.gmm"
}
setting() { sed -n "s/^--$1=//p" "$settings"; }

both init
settings=$dir/passes/genuine/0.gmm.conf schedule=$dir/passes/genuine/schedule
utils/wait_for.sh "$dir"/passes/{genuine,spoof}/0.gmm "$settings" "$schedule"
most=$(setting num-components)
post_options=$(grep -vE '^--(variance-floor|num-components|final-iters|subsample)=' "$settings")
input_flags='^[[:blank:]]*--(max[-_]skip|allow[-_]pipes)(=[^#]*)?'
# without a byte order mark, which an editor may have written
input_options=$(LC_ALL=C sed '1s/^\xef\xbb\xbf//' "$gmm_config" | grep -ioE "$input_flags" || true)
pass=0
while read -r -u 3 size number numbers subsample split; do
  both acc
  genuine=$(class=genuine progress)
  spoof=$(class=spoof progress)
  echo "$(date +%T) $size of $most components, pass $number of $numbers:" \
    "log-likelihood per frame $genuine genuine, $spoof spoof"
  both est
  rm -f "$dir"/passes/*/"$pass".*.{acc,loglike}
  pass=$((pass + 1))
done 3<"$schedule"
both copy
