#!/usr/bin/env bash
# EER of CF and CM by number of spatial differentiations, for filters of several bandwidths, on the
# corpus of run.sh: the table in docs/differentiation.md. Run it after run.sh, or after its stages 0
# and 1. Models are trained on train + dev, as in run.sh. A bandwidth takes about a minute.
cd "$(dirname "$0")" || exit 1
. ./cmd.sh
. ./path.sh

scales=1,4,8,12,16 # bandwidths in units of half the distance between a filter's neighbours
orders=0,2,4,6
nj=2
help_message="Usage: $0 [--scales 1,4,8,12,16] [--orders 0,2,4,6] [--nj N] [--cmd launcher]
Example: $0 --scales 1,12"
. utils/parse_options.sh
set -euo pipefail
fail() { echo "$0: $*" >&2; exit 1; }
[ $# = 0 ] || fail "unexpected arguments '$*'. Give options only, see $0 --help."
[ -s data/eval/utt2label ] || fail "data/eval is missing. Run ./run.sh --stop-stage 1 first."

systems=
for feature in cf cm; do
  for order in ${orders//,/ }; do systems+=" ${feature}_sd$order"; done
done
head="| bandwidth |" rule="|---|"
for system in $systems; do
  feature=${system%_*}
  head+=" ${feature^^} ${system#*_sd} SD |" rule+="---|"
done
printf '%s\n' "$head" "$rule"
for scale in ${scales//,/ }; do
  data=data/bandwidth_$scale exp=exp/bandwidth_$scale
  mkdir -p $exp
  { cat conf/feats.conf && echo "--bandwidth-scale=$scale"; } >$exp/feats.tmp
  # a file that has not changed keeps its date, so that finished jobs are not run again
  cmp -s $exp/feats.tmp $exp/feats.conf || cp $exp/feats.tmp $exp/feats.conf
  for set in train dev eval; do
    local/make_feats.sh --cmd "$cmd" --nj $nj --feats-config $exp/feats.conf --orders $orders \
      data/$set $data >&2
  done
  scores=()
  for system in $systems; do
    scores+=("$exp/$system/scores/eval.txt")
    local/train_gmm.sh --cmd "$cmd" $data/$system/train $data/$system/dev $exp/$system >&2
    local/score_gmm.sh --cmd "$cmd" --nj $nj $data/$system/eval $exp/$system \
      $exp/$system/scores/eval.txt >&2
  done
  sd-eval-scores data/eval/utt2label "${scores[@]}" >$exp/eval.txt 2>$exp/eval.log ||
    { cat $exp/eval.log >&2; exit 1; }
  echo "| $scale |" $(awk 'NR > 1 {print $4, "|"}' $exp/eval.txt)
done
