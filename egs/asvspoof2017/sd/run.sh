#!/usr/bin/env bash
# Tables 1 and 2 of Wickramasinghe et al., "Auditory Inspired Spatial Differentiation for Replay
# Spoofing Attack Detection", every row with our figures beside the paper's, and the EER by
# environment, device, phrase and speaker, on ASVspoof 2017 Version 2.0.
# Corpus: https://datashare.ed.ac.uk/handle/10283/3055 (ODC-BY), the four archives unpacked; 18,030
# utterances, 15.6 h, 1.9 GB.
# Time and disk on two cores, on a made corpus of that size: at most 1 h 30 min and 21 GB; with
# --systems cf,cm,cfcm,fusion --orders 6 (S1, S2 and both fusions) 11 min and 5.4 GB. README.md says
# what of it was run whole. Expected figures: the paper's, which exp/RESULTS.md shows beside ours;
# ours are not known, see RESULTS.md.
# Relative paths in options are relative to this folder. sbatch runs a copy of this file elsewhere.
[ ! -e "$(dirname "$0")/path.sh" ] || cd "$(dirname "$0")" || exit 1
. ./cmd.sh && . ./path.sh ||
  { echo "$0: $PWD is no recipe's folder. Go to the recipe's folder first." >&2; exit 1; }

stage=0
stop_stage=100
nj=2             # jobs of stages 2 and 4; the results do not depend on it
train_nj=1       # jobs for each class and EM pass of stage 3 (local/train_gmm.sh --help)
corpus=          # folder of the unpacked corpus (local/prepare_asvspoof2017.py --help)
systems=all      # or some rows of the tables, such as cf,cm,fusion (local/plan_systems.py --help)
orders=0,2,4,6   # of differentiation; Table 2 takes the highest
deploy=          # systems that become models of sd-detect, or none; default: the last fusion, or
                 # without fusions each system of the highest order
compress=false   # or true: features of 16 bits, half the disk
num_components=  # of each GMM, instead of the paper's 512 in conf/gmm.conf
help_message="Usage: $0 --corpus dir [--stage N] [--stop-stage M] [--nj N] [--train-nj N]
    [--cmd launcher] [--systems all|cf,cm,fusion] [--orders 0,2,4,6] [--num-components N]
    [--deploy fusion,cf_sd6] [--compress true]
Example: $0 --corpus /corpora/ASVspoof2017_V2 --systems cf,cm,fusion --nj 2"
. utils/parse_options.sh
. local/stages.sh

if run 0; then
  log "Stage 0: make data directories of the corpus $corpus"
  [ -n "$corpus" ] || fail "--corpus is missing: the folder of ASVspoof 2017. See $0 --help."
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
  make_models "Trained on train and dev of ASVspoof 2017."
fi

if run 6; then
  log "Stage 6: evaluate dev (exp/dev.txt) and eval (exp/eval.txt, exp/results.json," \
    "exp/RESULTS.md, exp/report/)"
  rm -rf exp/dev.txt exp/eval.txt exp/results.json exp/RESULTS.md exp/report
  evaluate="sd-eval-scores --print-args=false --eer=interp,rocch"
  # without fusions, whose dev scores are scores of their training data
  $evaluate data/dev/utt2label $(score_files dev.txt $gmms) >exp/evaluation.tmp
  mv exp/evaluation.tmp exp/dev.txt
  if [ ! -e data/eval/utt2label ]; then
    log "eval has no labels: scores are in exp/*/scores/eval.txt, and there is no EER"
    exit
  fi
  by=
  for column in env playback recorder phrase spk; do
    [ ! -e data/eval/utt2$column ] || by+=${by:+,}$column
  done
  $evaluate --by="$by" --json=exp/results.json data/eval/utt2label \
    $(score_files eval.txt $gmms $fused) >exp/evaluation.tmp
  mv exp/evaluation.tmp exp/eval.txt
  trained=$(sed -n 's/^--num-components=/--num-components /p' "exp/${gmms%% *}/genuine.gmm.conf")
  made_by="./run.sh --corpus DIR --systems $systems --orders $orders$compressed $trained"
  local/paper_tables.py --paper --command "$made_by" exp/results.json exp/RESULTS.md
  sd-report --print-args=false exp exp/report
  log "Page with plots: exp/report/index.html"
  show_models
fi
