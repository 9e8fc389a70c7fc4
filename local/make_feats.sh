#!/usr/bin/env bash
# Features of a data directory, in one pass over the audio: a Kaldi data directory with feats.scp
# for each system.
nj=2
cmd=utils/run.py
features=cf,cm
orders=0,2,4,6
feats_config=
compress=false
help_message="Usage: $0 [options] <data-dir> <out-dir>
Writes <out-dir>/<system>/<name of data-dir>/ for each system: a whole data directory, with
utt2num_frames, utt2dur, frame_shift and conf/feats.conf.
  --features cf,cm         features of one front end (local/plan_systems.py --help)
  --orders 0,2,4,6         of differentiation, where the front end takes them: <feature>_sd<order>
  --feats-config file      options of the front end; default: its own file in conf/
  --compress false|true    16-bit matrices, half the disk
  --nj N --cmd launcher
Example: $0 --nj 2 data/train data"
. ./path.sh
. utils/parse_options.sh
set -euo pipefail
fail() { echo "$0: $*" >&2; exit 1; }
[ $# = 2 ] || fail "$# arguments given, but <data-dir> <out-dir> needed. See $0 --help."
data=$1 out=$2 name=$(basename "$1")
. local/check_words.sh
check_words "$PWD" "$data" "$out" "$features" "$orders" "$feats_config"

[ -s "$data/wav.scp" ] ||
  fail "$data/wav.scp: the file does not exist or is empty. Make the data directory first."
[ ! -e "$data/segments" ] ||
  fail "$data/segments: segments are not supported. Cut the recordings first."
plan=$(local/plan_systems.py --features "$features" --orders "$orders")
config=$(sed -n 's/^config //p' <<<"$plan")
flags=$(sed -n 's/^flags *//p' <<<"$plan")
systems=$(sed -n 's/^system //p' <<<"$plan")
num_utts=$(awk 'NF {num++} END {print num + 0}' "$data/wav.scp")
[ "$nj" -le "$num_utts" ] || nj=$num_utts
split=$data/split${nj}utt
utils/split_data.py --per-utt "$data" "$nj"
for system in $systems; do mkdir -p "$out/$system/$name/data"; done
ark=$PWD/$out/{system}/$name/data/raw_{system}.JOB # sd-compute-feats fills {system} in
[ "${out:0:1}" != / ] || ark=${ark#"$PWD/"}
[[ $ark != *,* ]] || fail "$ark: an archive's name must not hold a comma. Rename the folder."
log=$out/log/make_feats_${name}_${features//,/_}
tables=$out/${systems%%$'\n'*}/$name/data # lengths of utterances, once for all systems
outputs=()
for system in $systems; do
  outputs+=("$out/$system/$name/data/raw_$system.JOB".{ark,scp,ark.conf})
done
# with --resume, a launcher runs a job again if a file named in OUTPUTS is gone or has changed
$cmd JOB=1:"$nj" "$log.JOB.log" env OUTPUTS="$(IFS=, && echo "${outputs[*]}")" \
  sd-compute-feats --config="${feats_config:-conf/$config}" $flags --compress="$compress" \
  --write-num-frames="ark,t:$tables/utt2num_frames.JOB" \
  --write-utt2dur="ark,t:$tables/utt2dur.JOB" \
  "scp:$split/JOB/wav.scp" "ark,scp:$ark.ark,$ark.scp"
of_all_jobs=()
for ((job = 1; job <= nj; job++)); do
  of_all_jobs+=("${outputs[@]//JOB/$job}" "$tables"/utt2{num_frames,dur}."$job")
done
utils/wait_for.sh "${of_all_jobs[@]}"

merge() { # the parts of all jobs, in order, as one file
  local part=$1 parts=() job
  for ((job = 1; job <= nj; job++)); do parts+=("${part//JOB/$job}"); done
  cat "${parts[@]}" >"$2.tmp" && mv "$2.tmp" "$2"
}
for system in $systems; do
  dir=$out/$system/$name
  for table in "$dir"/{utt2*,spk2*,wav.scp}; do # tables that are gone from the data directory
    case ${table##*/} in utt2num_frames | utt2dur) continue ;; esac
    [ ! -f "$table" ] || [ -e "$data/${table##*/}" ] || rm "$table"
  done
  for table in "$data"/*; do # except those of other features
    case ${table##*/} in
      feats.scp | vad.scp | cmvn.scp | utt2num_frames | frame_shift) continue ;;
    esac
    [ ! -f "$table" ] || cmp -s "$table" "$dir/$(basename "$table")" || cp "$table" "$dir"
  done
  mkdir -p "$dir/conf" && cp "$dir/data/raw_$system.1.ark.conf" "$dir/conf/feats.conf"
  sed -n 's/^--frame-shift-ms=//p' "$dir/conf/feats.conf" |
    awk '{print $1 / 1000}' >"$dir/frame_shift"
  merge "$dir/data/raw_$system.JOB.scp" "$dir/feats.scp"
  merge "$tables/utt2num_frames.JOB" "$dir/utt2num_frames"
  [ -e "$data/utt2dur" ] || merge "$tables/utt2dur.JOB" "$dir/utt2dur"
  num_feats=$(wc -l <"$dir/feats.scp")
  [ "$num_feats" = "$num_utts" ] ||
    fail "$dir/feats.scp: $num_feats utterances, but $data/wav.scp has $num_utts: --max-skip" \
      "left some out. Remove their lines and run utils/fix_data_dir.py $data."
done
