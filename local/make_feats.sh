#!/usr/bin/env bash
# CF and CM of a data directory, all features and orders in one pass: a Kaldi data directory with feats.scp for each.
nj=2
cmd=utils/run.py
features=cf,cm
orders=0,2,4,6
feats_config=conf/feats.conf
help_message="Usage: $0 [options] <data-dir> <out-dir>
Writes <out-dir>/<feature>_sd<order>/<name of data-dir>/ for each feature and order: a whole data directory, with utt2num_frames,
utt2dur, frame_shift and conf/feats.conf.
  --nj N --cmd launcher --features cf,cm,cfcm --orders 0,2,4,6 --feats-config file
Example: $0 --nj 2 data/train data"
. ./path.sh
. utils/parse_options.sh
set -euo pipefail
[ $# = 2 ] || { echo "$0: arguments: got $#, need <data-dir> <out-dir>. See $0 --help" >&2; exit 1; }
data=$1 out=$2 name=$(basename "$1")

[ -s "$data/wav.scp" ] || { echo "$0: $data/wav.scp: got no such file or an empty one, need recordings. Make the data directory first" >&2; exit 1; }
[ ! -e "$data/segments" ] || { echo "$0: $data/segments: got one, need whole recordings as utterances. Cut the recordings first" >&2; exit 1; }
num_utts=$(wc -l <"$data/wav.scp")
[ "$nj" -le "$num_utts" ] || nj=$num_utts
split=$data/split${nj}utt
utils/split_data.py --per-utt "$data" "$nj"
for feature in ${features//,/ }; do
  for order in ${orders//,/ }; do mkdir -p "$out/${feature}_sd$order/$name/data"; done
done
ark=$PWD/$out/{feature}_sd{order}/$name/data/raw_{feature}_sd{order}.JOB
[ "${out:0:1}" != / ] || ark=${ark#"$PWD/"}
log=$out/log/make_feats_${name}_${features//,/_}
tables=$out/${features%%,*}_sd${orders%%,*}/$name/data # where each job says how long its utterances are, once for all systems
for ((job = 1; job <= nj; job++)); do # a launcher that resumes cannot see these outputs in the command
  outputs=("$tables"/utt2{num_frames,dur}."$job")
  for feature in ${features//,/ }; do
    for order in ${orders//,/ }; do outputs+=("$out/${feature}_sd$order/$name/data/raw_${feature}_sd$order.$job".{ark,scp}); done
  done
  for output in "${outputs[@]}"; do [ -s "$output" ] || rm -f "$log.$job.log.done"; done
done
$cmd JOB=1:"$nj" "$log.JOB.log" \
  sd-compute-feats --config="$feats_config" --features="$features" --orders="$orders" \
  --write-num-frames="ark,t:$tables/utt2num_frames.JOB" --write-utt2dur="ark,t:$tables/utt2dur.JOB" \
  "scp:$split/JOB/wav.scp" "ark,scp:$ark.ark,$ark.scp"

merge() { # the parts of all jobs, in order, as one file
  local part=$1 parts=() job
  for ((job = 1; job <= nj; job++)); do parts+=("${part//JOB/$job}"); done
  cat "${parts[@]}" >"$2.tmp" && mv "$2.tmp" "$2"
}
for feature in ${features//,/ }; do
  for order in ${orders//,/ }; do
    dir=$out/${feature}_sd$order/$name
    for table in "$data"/*; do
      case ${table##*/} in feats.scp | vad.scp | cmvn.scp | utt2num_frames | frame_shift) continue ;; esac # of other features
      [ ! -f "$table" ] || cmp -s "$table" "$dir/$(basename "$table")" || cp "$table" "$dir"
    done
    mkdir -p "$dir/conf" && cp "$dir/data/raw_${feature}_sd$order.1.ark.conf" "$dir/conf/feats.conf"
    sed -n 's/^--frame-shift-ms=//p' "$dir/conf/feats.conf" | awk '{print $1 / 1000}' >"$dir/frame_shift"
    merge "$dir/data/raw_${feature}_sd$order.JOB.scp" "$dir/feats.scp"
    merge "$tables/utt2num_frames.JOB" "$dir/utt2num_frames"
    [ -e "$data/utt2dur" ] || merge "$tables/utt2dur.JOB" "$dir/utt2dur"
    num_feats=$(wc -l <"$dir/feats.scp")
    [ "$num_feats" = "$num_utts" ] || { echo "$0: $dir/feats.scp: got $num_feats utterances, need $num_utts as in $data/wav.scp" >&2; exit 1; }
  done
done
