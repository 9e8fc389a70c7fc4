#!/usr/bin/env bash
# Features of a data directory, in one pass over the audio: a Kaldi data directory with feats.scp for each feature and order.
nj=2
cmd=utils/run.py
features=cf,cm
orders=0,2,4,6
feats_config=
compress=false
help_message="Usage: $0 [options] <data-dir> <out-dir>
Writes <out-dir>/<system>/<name of data-dir>/ for each system: a whole data directory, with utt2num_frames, utt2dur, frame_shift and
conf/feats.conf. What --features takes, the systems that come of it, and the file of options if --feats-config names none:
  some of cf,cm,cfcm   <feature>_sd<order>   conf/feats.conf        cmtri  cmtri_sd<order>  conf/tri.conf (CM, triangular filters)
  some of mcf,mse,stcc <feature>             conf/modulation.conf   cqcc   cqcc             conf/cqcc.conf
                                                                    tc     tc               conf/tc.conf
  --nj N --cmd launcher --orders 0,2,4,6 --feats-config file --compress false|true (16-bit matrices, half the disk)
Example: $0 --nj 2 data/train data"
. ./path.sh
. utils/parse_options.sh
set -euo pipefail
[ $# = 2 ] || { echo "$0: arguments: got $#, need <data-dir> <out-dir>. See $0 --help" >&2; exit 1; }
data=$1 out=$2 name=$(basename "$1")
. local/check_words.sh
check_words "$PWD" "$data" "$out" "$features" "$orders" "$feats_config"

[ -s "$data/wav.scp" ] || { echo "$0: $data/wav.scp: got no such file or an empty one, need recordings. Make the data directory first" >&2; exit 1; }
[ ! -e "$data/segments" ] || { echo "$0: $data/segments: got one, need whole recordings as utterances. Cut the recordings first" >&2; exit 1; }
case $features in # {feature} and {order} in the name of a system are for the command to fill in
  cqcc | tc) command=sd-compute-$features-feats config=$features.conf system=$features ;;
  cmtri) command="sd-compute-feats --bank=triangular --features=cm --orders=$orders" config=tri.conf system=cmtri_sd{order} ;;
  mcf* | mse* | stcc*) command="sd-compute-modulation-feats --features=$features" config=modulation.conf system={feature} ;;
  *) command="sd-compute-feats --features=$features --orders=$orders" config=feats.conf system={feature}_sd{order} ;;
esac
systems=()
for feature in ${features//,/ }; do
  name_of_system=${system//"{feature}"/$feature}
  if [[ $system != *"{order}"* ]]; then systems+=("$name_of_system"); continue; fi
  for order in ${orders//,/ }; do systems+=("${name_of_system//"{order}"/$order}"); done
done
num_utts=$(awk 'END {print NR}' "$data/wav.scp")
[ "$nj" -le "$num_utts" ] || nj=$num_utts
split=$data/split${nj}utt
utils/split_data.py --per-utt "$data" "$nj"
for each in "${systems[@]}"; do mkdir -p "$out/$each/$name/data"; done
ark=$PWD/$out/$system/$name/data/raw_$system.JOB
[ "${out:0:1}" != / ] || ark=${ark#"$PWD/"}
[[ $ark != *,* ]] || { echo "$0: $ark: got a comma, need none in the names of archives. Move or rename the folder" >&2; exit 1; }
log=$out/log/make_feats_${name}_${features//,/_}
tables=$out/${systems[0]}/$name/data # where each job says how long its utterances are, once for all systems
outputs=()
for each in "${systems[@]}"; do outputs+=("$out/$each/$name/data/raw_$each.JOB".{ark,scp,ark.conf}); done
# named for a launcher that resumes: archives that are gone, or that another pass has written over, are computed again
$cmd JOB=1:"$nj" "$log.JOB.log" env OUTPUTS="$(IFS=, && echo "${outputs[*]}")" \
  $command --config="${feats_config:-conf/$config}" --compress="$compress" \
  --write-num-frames="ark,t:$tables/utt2num_frames.JOB" --write-utt2dur="ark,t:$tables/utt2dur.JOB" \
  "scp:$split/JOB/wav.scp" "ark,scp:$ark.ark,$ark.scp"
of_all_jobs=()
for ((job = 1; job <= nj; job++)); do of_all_jobs+=("${outputs[@]//JOB/$job}" "$tables"/utt2{num_frames,dur}."$job"); done
utils/wait_for.sh "${of_all_jobs[@]}"

merge() { # the parts of all jobs, in order, as one file
  local part=$1 parts=() job
  for ((job = 1; job <= nj; job++)); do parts+=("${part//JOB/$job}"); done
  cat "${parts[@]}" >"$2.tmp" && mv "$2.tmp" "$2"
}
for each in "${systems[@]}"; do
  dir=$out/$each/$name
  for table in "$dir"/{utt2*,spk2*,wav.scp}; do # those that the data directory has no more
    case ${table##*/} in utt2num_frames | utt2dur) continue ;; esac
    [ ! -f "$table" ] || [ -e "$data/${table##*/}" ] || rm "$table"
  done
  for table in "$data"/*; do
    case ${table##*/} in feats.scp | vad.scp | cmvn.scp | utt2num_frames | frame_shift) continue ;; esac # of other features
    [ ! -f "$table" ] || cmp -s "$table" "$dir/$(basename "$table")" || cp "$table" "$dir"
  done
  mkdir -p "$dir/conf" && cp "$dir/data/raw_$each.1.ark.conf" "$dir/conf/feats.conf"
  sed -n 's/^--frame-shift-ms=//p' "$dir/conf/feats.conf" | awk '{print $1 / 1000}' >"$dir/frame_shift"
  merge "$dir/data/raw_$each.JOB.scp" "$dir/feats.scp"
  merge "$tables/utt2num_frames.JOB" "$dir/utt2num_frames"
  [ -e "$data/utt2dur" ] || merge "$tables/utt2dur.JOB" "$dir/utt2dur"
  num_feats=$(wc -l <"$dir/feats.scp")
  [ "$num_feats" = "$num_utts" ] || { echo "$0: $dir/feats.scp: got $num_feats utterances, need $num_utts as in $data/wav.scp: --max-skip left some out. Take their lines away and run utils/fix_data_dir.py $data" >&2; exit 1; }
done
