#!/usr/bin/env bash
# CF and CM of a data directory, all features and orders in one pass: a Kaldi data directory with feats.scp for each.
nj=2
cmd=utils/run.py
features=cf,cm
orders=0,2,4,6
feats_config=conf/feats.conf
help_message="Usage: $0 [options] <data-dir> <out-dir>
Writes <out-dir>/<feature>_sd<order>/<name of data-dir>/ for each feature and order.
  --nj N --cmd launcher --features cf,cm,cfcm --orders 0,2,4,6 --feats-config file
Example: $0 --nj 2 data/train data"
. ./path.sh
. utils/parse_options.sh
set -euo pipefail
[ $# = 2 ] || { echo "$0: arguments: got $#, need <data-dir> <out-dir>. See $0 --help" >&2; exit 1; }
data=$1 out=$2 name=$(basename "$1")

[ -s "$data/wav.scp" ] || { echo "$0: $data/wav.scp: got no such file or an empty one, need recordings. Make the data directory first" >&2; exit 1; }
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
for ((job = 1; job <= nj; job++)); do # a launcher that resumes cannot see these outputs in the command
  for feature in ${features//,/ }; do
    for order in ${orders//,/ }; do
      [ -s "$out/${feature}_sd$order/$name/data/raw_${feature}_sd$order.$job.ark" ] || rm -f "$log.$job.log.done"
    done
  done
done
$cmd JOB=1:"$nj" "$log.JOB.log" \
  sd-compute-feats --config="$feats_config" --features="$features" --orders="$orders" "scp:$split/JOB/wav.scp" "ark,scp:$ark.ark,$ark.scp"

for feature in ${features//,/ }; do
  for order in ${orders//,/ }; do
    dir=$out/${feature}_sd$order/$name
    scps=$(for ((job = 1; job <= nj; job++)); do echo "$dir/data/raw_${feature}_sd$order.$job.scp"; done)
    for table in "$data"/*; do
      [ ! -f "$table" ] || cmp -s "$table" "$dir/$(basename "$table")" || cp "$table" "$dir"
    done
    awk -F = '$1 == "--frame-shift-ms" {print $2 / 1000}' "$dir/data/raw_${feature}_sd$order.1.ark.conf" >"$dir/frame_shift"
    cat $scps >"$dir/.feats.scp" && mv "$dir/.feats.scp" "$dir/feats.scp"
    num_feats=$(wc -l <"$dir/feats.scp")
    [ "$num_feats" = "$num_utts" ] || { echo "$0: $dir/feats.scp: got $num_feats utterances, need $num_utts as in $data/wav.scp" >&2; exit 1; }
  done
done
