#!/usr/bin/env bash
# EER of CF and CM by number of spatial differentiations, for filters of several bandwidths, on the corpus of run.sh: the table in
# docs/differentiation.md. After run.sh, or its stages 0 and 1; models of train + dev, as run.sh has them. About a minute a bandwidth.
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
[ $# = 0 ] || { echo "$0: arguments: got '$*', need options only. See $0 --help" >&2; exit 1; }
[ -s data/eval/utt2label ] || { echo "$0: data/eval: got no labels, need the data directories. Run ./run.sh --stop-stage 1 first" >&2; exit 1; }

systems=$(for feature in cf cm; do for order in ${orders//,/ }; do echo ${feature}_sd$order; done; done)
echo "| bandwidth |" $(for system in $systems; do feature=${system%_*} && echo "${feature^^} ${system#*_sd} SD |"; done)
echo "|---|$(for system in $systems; do printf -- '---|'; done)"
for scale in ${scales//,/ }; do
  data=data/bandwidth_$scale exp=exp/bandwidth_$scale
  mkdir -p $exp
  { cat conf/feats.conf && echo "--bandwidth-scale=$scale"; } >$exp/feats.tmp
  cmp -s $exp/feats.tmp $exp/feats.conf || cp $exp/feats.tmp $exp/feats.conf # an old date lets finished jobs stand
  for set in train dev eval; do
    local/make_feats.sh --cmd "$cmd" --nj $nj --feats-config $exp/feats.conf --orders $orders data/$set $data >&2
  done
  for system in $systems; do
    local/train_gmm.sh --cmd "$cmd" $data/$system/train $data/$system/dev $exp/$system >&2
    local/score_gmm.sh --cmd "$cmd" --nj $nj $data/$system/eval $exp/$system $exp/$system/scores/eval.txt >&2
  done
  sd-eval-scores data/eval/utt2label $(printf "$exp/%s/scores/eval.txt " $systems) >$exp/eval.txt 2>$exp/eval.log || { cat $exp/eval.log >&2; exit 1; }
  echo "| $scale |" $(awk 'NR > 1 {print $4, "|"}' $exp/eval.txt)
done
