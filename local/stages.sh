# Sourced by a recipe after parse_options.sh: what $systems, rows of Tables 1 and 2, and $orders, columns of Table 1, stand for, and the
# stages that all recipes share. Takes data/{train,dev,eval}; $cmd, $nj, $compress, and if the recipe has them $train_nj, $num_components.
# Sets orders (ascending), top (the order of Table 2), features ("features:orders" for make_feats.sh, one word a pass over the audio),
# gmms (the systems with GMMs of their own), fused (fusion and b3: those made of them) and compressed (what the command line said of it).
set -euo pipefail
[ $# = 0 ] || { echo "$0: arguments: got '$*', need options only. See $0 --help" >&2; exit 1; }
command -v ${cmd%% *} >/dev/null || { echo "$0: --cmd: got '$cmd', need a launcher that exists. Look at cmd.sh" >&2; exit 1; }
command -v sd-eval-scores >/dev/null || { echo "$0: sd-eval-scores: got no such command, need the toolkit installed. Run make .venv/ready in its root" >&2; exit 1; }
. local/check_words.sh
check_words "$PWD"
[[ $PWD != *[,:]* ]] || { echo "$0: $PWD: got a comma or a colon, need none in the name of the recipe's folder. Rename it" >&2; exit 1; }
[[ $orders =~ ^(0|[1-9][0-9]*)(,(0|[1-9][0-9]*))*$ ]] || { echo "$0: --orders: got '$orders', need numbers such as 0,2,4,6. Correct it" >&2; exit 1; }

mkdir -p exp
[ "${SDTOOLS_ALONE:-}" = "$PWD" ] || SDTOOLS_ALONE=$PWD exec alone.py exp/.lock ./run.sh ${given_words[@]+"${given_words[@]}"} # one run at a time

once() { tr -s ', ' '\n\n' | awk 'NF && !seen[$0]++'; }
orders=$(once <<<"$orders" | sort -n | paste -sd ,)
top=${orders##*,} features= gmms= fused=
[ "$systems" = all ] && rows=cf,cm,cmtri,cfcm,fusion,cqcc,tc,b3 || rows=$systems
for row in $(once <<<"$rows"); do
  case $row in
    cf | cm) features+=" cf,cm:$orders" gmms+=" ${row}_sd${orders//,/ ${row}_sd}" ;;
    cmtri) features+=" cmtri:$orders" gmms+=" cmtri_sd${orders//,/ cmtri_sd}" ;;
    cfcm) features+=" cfcm:$top" gmms+=" cfcm_sd$top" ;;
    fusion) features+=" cf,cm:$orders" gmms+=" cf_sd$top cm_sd$top" fused+=" fusion" ;;
    cqcc | tc) features+=" $row:" gmms+=" $row" ;;
    b3) features+=" mcf,mse,stcc:" gmms+=" mcf mse stcc" fused+=" b3" ;;
    *) echo "$0: --systems: got '$row', need all, or some of cf,cm,cmtri,cfcm,fusion,cqcc,tc,b3. Correct it" >&2; exit 1 ;;
  esac
done
features=$(tr ' ' '\n' <<<"$features" | awk 'NF && !seen[$0]++')
if [ "$orders" = "$top" ] && [[ $features == *cf,cm:*cfcm:* || $features == *cfcm:*cf,cm:* ]]; then # the same orders: one pass
  features=$(sed '/^cfcm:/d; s/^cf,cm:/cf,cm,cfcm:/' <<<"$features")
fi
gmms=$(once <<<"$gmms")
[ -n "$gmms" ] || { echo "$0: --systems: got none, need all or some. See $0 --help" >&2; exit 1; }
case $compress in
  true) compressed=" --compress true" ;;
  false) compressed= ;;
  *) echo "$0: --compress: got '$compress', need true or false. Correct it" >&2; exit 1 ;;
esac

log() { echo "$(date '+%H:%M:%S') $*"; }
run() { [ "$stage" -le "$1" ] && [ "$stop_stage" -ge "$1" ]; } # whether a stage is asked for

validate_data() {
  local set
  for set in train dev eval; do utils/validate_data_dir.py --no-feats --no-text data/$set; done
}

compute_features() {
  local set pass
  for set in train dev eval; do
    for pass in $features; do
      local/make_feats.sh --cmd "$cmd" --nj "$nj" --compress "$compress" --features "${pass%:*}" --orders "${pass#*:}" data/$set data
    done
  done
}

train_gmms() { # on train for dev scores, on train + dev for eval scores
  local system options=(--cmd "$cmd" --nj "${train_nj:-1}" --num-components "${num_components:-}")
  for system in $gmms; do
    local/train_gmm.sh "${options[@]}" data/"$system"/train exp/"$system"/train
    local/train_gmm.sh "${options[@]}" data/"$system"/train data/"$system"/dev exp/"$system"
  done
}

score_gmms() {
  local system
  for system in $gmms; do
    local/score_gmm.sh --cmd "$cmd" --nj "$nj" data/"$system"/dev exp/"$system"/train exp/"$system"/scores/dev.txt
    local/score_gmm.sh --cmd "$cmd" --nj "$nj" data/"$system"/eval exp/"$system" exp/"$system"/scores/eval.txt
  done
}

fuse_systems() { # trained on dev, applied to dev and eval
  local fusion members
  for fusion in $fused; do
    case $fusion in
      fusion) members=(cf_sd"$top" cm_sd"$top") ;;
      b3) members=(mcf mse stcc) ;;
    esac
    local/fuse_scores.sh --cmd "$cmd" exp/"$fusion" "${members[@]/#/exp/}"
  done
}

score_files() { printf 'exp/%s/scores/%s\n' $(for system in "${@:2}"; do echo "$system" "$1"; done); } # a name, and the systems
