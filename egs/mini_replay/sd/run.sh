#!/usr/bin/env bash
# Table 1 and Table 2 of Wickramasinghe et al., "Auditory Inspired Spatial Differentiation for Replay Spoofing Attack Detection",
# on a small corpus that stage 0 makes: synthetic speech, simulated replay, speakers and devices of dev and eval unseen in training.
# Rows: CF and CM at 0, 2, 4, 6 differentiations, S1, S2 and both fusions; with --systems all, also triangular filters and the baselines
# B1, B2, B3. Needs nothing but this project; two to four minutes and 600 MB on two cores, with --systems all four to seven minutes and 800 MB.
# Expected figures: RESULTS.md. They say that the chain works, nothing about ASVspoof 2017.
[ ! -e "$(dirname "$0")/path.sh" ] || cd "$(dirname "$0")" || exit 1 # relative paths in options are relative to here; sbatch runs a copy
. ./cmd.sh && . ./path.sh || { echo "$0: $PWD: got no recipe, need its folder. Go there first" >&2; exit 1; }

stage=0
stop_stage=100
nj=2             # jobs of stages 0, 2 and 4; the results do not depend on it
corpus_opts=     # options of local/prepare_mini_replay.py, e.g. "--seed 1 --num-spoof 120,60,400"
speech_dir=      # a folder of recordings to use instead of synthetic speech, one speaker a file-name prefix up to '-'
corpus=corpus
systems=cf,cm,cfcm,fusion # rows of the tables: all, or some of cf,cm,cmtri,cfcm,fusion,cqcc,tc,b3
orders=0,2,4,6   # of differentiation; Table 2 takes the highest
compress=false   # or true: features of 16 bits, half the disk
help_message="Usage: $0 [--stage N] [--stop-stage M] [--nj N] [--cmd launcher] [--speech-dir dir] [--corpus dir]
    [--corpus-opts options] [--systems all|cf,cm,cmtri,cfcm,fusion,cqcc,tc,b3] [--orders 0,2,4,6] [--compress true]
Example: $0 --systems all --nj 2"
. utils/parse_options.sh
. local/stages.sh

if run 0; then
  log "Stage 0: make the corpus $corpus and its data directories"
  local/prepare_mini_replay.py --nj $nj $corpus_opts ${speech_dir:+--speech-dir "$speech_dir"} "$corpus"
  local/prepare_asvspoof2017.py "$corpus" data
fi

if run 1; then
  log "Stage 1: validate the data directories"
  validate_data
fi

if run 2; then
  log "Stage 2: compute features:" $features
  compute_features
fi

if run 3; then
  log "Stage 3: train genuine and spoof GMMs, on train for dev scores, on train + dev for eval scores"
  train_gmms
fi

if run 4; then
  log "Stage 4: compute log-likelihood ratios of dev and eval"
  score_gmms
fi

if run 5; then
  log "Stage 5: train on dev the score-level fusions and apply them:" $fused "; make models for sd-detect"
  fuse_systems
  local/make_models.py --note "Trained on a made corpus of synthetic speech and simulated replay: what it says of real recordings means nothing." data exp $gmms $fused
fi

if run 6; then
  log "Stage 6: print Tables 1 and 2"
  sd-eval-scores --print-args=false --by=env,playback,recorder,phrase,spk --json=exp/results.json data/eval/utt2label $(score_files eval.txt $gmms $fused) >exp/eval.txt.tmp
  mv exp/eval.txt.tmp exp/eval.txt
  made_by="./run.sh --systems $systems --orders $orders$compressed${corpus_opts:+ --corpus-opts \"$corpus_opts\"}${speech_dir:+ --speech-dir $speech_dir}"
  local/paper_tables.py --command "$made_by" exp/results.json exp/RESULTS.md
  sd-report --print-args=false exp exp/report
  log "With plots: exp/report/index.html. All systems: exp/eval.txt, exp/results.json. Tables: exp/RESULTS.md. Scores: exp/*/scores/eval.txt"
fi
