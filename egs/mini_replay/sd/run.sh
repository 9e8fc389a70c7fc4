#!/usr/bin/env bash
# Tables 1 and 2 of Wickramasinghe et al., "Auditory Inspired Spatial Differentiation for Replay
# Spoofing Attack Detection", on a small corpus that stage 0 makes: synthetic speech, simulated
# replay; speakers and devices of dev and eval are not in train.
# Rows: CF and CM at 0, 2, 4, 6 differentiations, S1, S2 and both fusions; with --systems all also
# triangular filters, LFCC and the baselines B1, B2, B3. Needs nothing but this project: two to four
# minutes and 600 MB on two cores, with --systems all four to seven minutes and 800 MB.
# Expected figures: RESULTS.md. They show that the chain works and say nothing of ASVspoof 2017.
# Relative paths in options are relative to this folder. sbatch runs a copy of this file elsewhere.
[ ! -e "$(dirname "$0")/path.sh" ] || cd "$(dirname "$0")" || exit 1
. ./cmd.sh && . ./path.sh ||
  { echo "$0: $PWD is no recipe's folder. Go to the recipe's folder first." >&2; exit 1; }

stage=0
stop_stage=100
nj=2             # jobs of stages 0, 2 and 4; the results do not depend on it
corpus_opts=     # options of local/prepare_mini_replay.py: "--seed 1 --num-spoof 120,60,400"
speech_dir=      # recordings to use instead of synthetic speech; speaker = name up to the first '-'
corpus=corpus
systems=cf,cm,cfcm,fusion # rows of the tables (local/plan_systems.py --help), or all
orders=0,2,4,6   # of differentiation; Table 2 takes the highest
deploy=          # systems that become models of sd-detect, or none; default: the last fusion, or
                 # without fusions each system of the highest order
compress=false   # or true: features of 16 bits, half the disk
help_message="Usage: $0 [--stage N] [--stop-stage M] [--nj N] [--cmd launcher] [--speech-dir dir]
    [--corpus dir] [--corpus-opts options] [--systems all|cf,cm,fusion] [--orders 0,2,4,6]
    [--deploy fusion,cf_sd6] [--compress true]
Example: $0 --systems all --nj 2"
. utils/parse_options.sh
. local/stages.sh

if run 0; then
  log "Stage 0: make the corpus $corpus and its data directories"
  local/prepare_mini_replay.py --nj $nj $corpus_opts \
    ${speech_dir:+--speech-dir "$speech_dir"} "$corpus"
  local/prepare_asvspoof2017.py "$corpus" data
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
  make_models "Trained on a made corpus of synthetic speech and simulated replay:\
 its decisions about real recordings mean nothing."
fi

if run 6; then
  log "Stage 6: print Tables 1 and 2"
  sd-eval-scores --print-args=false --by=env,playback,recorder,phrase,spk \
    --json=exp/results.json data/eval/utt2label $(score_files eval.txt $gmms $fused) \
    >exp/eval.txt.tmp
  mv exp/eval.txt.tmp exp/eval.txt
  made_by="./run.sh --systems $systems --orders $orders$compressed"
  made_by+="${corpus_opts:+ --corpus-opts \"$corpus_opts\"}${speech_dir:+ --speech-dir $speech_dir}"
  local/paper_tables.py --command "$made_by" exp/results.json exp/RESULTS.md
  sd-report --print-args=false exp exp/report
  log "Page with plots: exp/report/index.html. Tables: exp/RESULTS.md. All systems: exp/eval.txt," \
    "exp/results.json. Scores: exp/*/scores/eval.txt."
  show_models
fi
