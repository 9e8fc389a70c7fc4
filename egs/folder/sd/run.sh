#!/usr/bin/env bash
# The systems of Wickramasinghe et al., "Auditory Inspired Spatial Differentiation for Replay
# Spoofing Attack Detection", trained and tried on your own recordings, and a model for sd-detect.
# Corpus: a folder of live and a folder of replayed recordings, or a CSV that lists them
# (docs/own-data.md). An hour of sound takes about four minutes on two cores, and 900 MB.
# Expected figures: none are known for your recordings; exp/report/index.html has yours, with
# intervals.
# Relative paths in options are relative to this folder. sbatch runs a copy of this file elsewhere.
[ ! -e "$(dirname "$0")/path.sh" ] || cd "$(dirname "$0")" || exit 1
. ./cmd.sh && . ./path.sh ||
  { echo "$0: $PWD is no recipe's folder. Go to the recipe's folder first." >&2; exit 1; }

stage=0
stop_stage=100
nj=2             # jobs of stages 2 and 4; the results do not depend on it
genuine=         # folder of live recordings
replayed=        # folder of replayed recordings
csv=             # or a table of both; local/prepare_folder.py --help describes it
split=50,20,30   # percent of the recordings for train, dev and eval
codecs=          # train also on copies after these: mp3,ogg,opus,8k,g711
systems=cf,cm,cfcm,fusion # rows of the tables (local/plan_systems.py --help), or all
orders=0,2,4,6   # of differentiation; Table 2 takes the highest
deploy=          # systems that become models of sd-detect, or none; default: the last fusion, or
                 # without fusions each system of the highest order
compress=false   # or true: features of 16 bits, half the disk
num_components=  # of each GMM, instead of those in conf/gmm.conf (the paper: 512 for four hours)
help_message="Usage: $0 --genuine dir --replayed dir | --csv file [--split 50,20,30]
    [--codecs mp3,opus] [--stage N] [--stop-stage M] [--nj N] [--cmd launcher]
    [--systems all|cf,cm,fusion] [--orders 0,2,4,6] [--num-components N] [--deploy fusion,cf_sd6]
    [--compress true]
Paths are relative to $PWD.
Example: $0 --genuine recordings/live --replayed recordings/replayed"
. utils/parse_options.sh
. local/stages.sh

if run 0; then
  log "Stage 0: make data directories of the recordings"
  local/prepare_folder.py --split "$split" ${csv:+--csv "$csv"} \
    ${genuine:+--genuine "$genuine"} ${replayed:+--replayed "$replayed"} data
  [ -z "$codecs" ] || local/augment_codecs.py --codecs "$codecs" data/train data/dev
fi

if run 1; then
  log "Stage 1: validate the data directories"
  validate_data
fi

if run 2; then
  log "Stage 2: compute features: $passes"
  compute_features
fi

if run 3; then
  log "Stage 3: train GMMs, on train for dev scores, on train + dev for eval scores"
  train_gmms
fi

if run 4; then
  log "Stage 4: compute log-likelihood ratios of dev and eval"
  score_gmms
fi

if run 5; then
  log "Stage 5: train the fusions on dev and apply them: $fused; make models: $deployed"
  fuse_systems
  make_models "Trained on your own recordings, data/train and data/dev."
fi

if run 6; then
  log "Stage 6: print the tables"
  # the conditions of the CSV
  by=$(ls data/eval | sed -n -e '/^utt2\(label\|spk\)$/d' -e 's/^utt2//p' | paste -sd ,)
  sd-eval-scores --print-args=false --by="$by" --json=exp/results.json data/eval/utt2label \
    $(score_files eval.txt $gmms $fused) >exp/eval.txt.tmp
  mv exp/eval.txt.tmp exp/eval.txt
  local/paper_tables.py --command "./run.sh --systems $systems --orders $orders$compressed" \
    exp/results.json exp/RESULTS.md
  sd-report --print-args=false exp exp/report
  log "Page with plots: exp/report/index.html"
  [ -z "$deployed" ] ||
    log "To judge a recording: sd-detect $PWD/exp/${deployed%% *}/model <sound-file>"
  show_models
fi
