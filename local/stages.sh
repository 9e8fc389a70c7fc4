# Sourced by a recipe after parse_options.sh: the stages that all recipes share, and the systems
# that $systems and $orders stand for (local/plan_systems.py). Takes data/{train,dev,eval}; $cmd,
# $nj, $compress, $deploy, and if the recipe has them $train_nj, $num_components.
# Sets passes ("features:orders", one word for each pass over the audio), gmms (systems with GMMs of
# their own), fused (names of fusions), members (of each fusion), deployed (systems and fusions that
# become models), cross_fitted (the systems that these take) and compressed (that option as it was
# given).
set -euo pipefail
fail() { echo "$0: $*" >&2; exit 1; }
[ $# = 0 ] || fail "unexpected arguments '$*'. Give options only, see $0 --help."
command -v ${cmd%% *} >/dev/null || fail "--cmd: no such launcher: '$cmd'. Look at cmd.sh."
command -v sd-eval-scores >/dev/null ||
  fail "the toolkit is not installed. Run make .venv/ready in its root."
. local/check_words.sh
check_words "$PWD"
[[ $PWD != *[,:]* ]] || fail "$PWD: a recipe's folder must not hold a comma or colon. Rename it."
plan=$(local/plan_systems.py --systems "$systems" --orders "$orders" --deploy "$deploy")
case $compress in
  true) compressed=" --compress true" ;;
  false) compressed= ;;
  *) fail "--compress: expected true or false, found '$compress'." ;;
esac

mkdir -p exp
if [ "${SDTOOLS_ALONE:-}" != "$PWD" ]; then # one run at a time
  SDTOOLS_ALONE=$PWD exec alone.py exp/.lock ./run.sh ${given_words[@]+"${given_words[@]}"}
fi

passes= gmms= fused= deployed= cross_fitted=
declare -A members
while read -r what name rest; do
  case $what in
    pass) passes+="${passes:+ }$name:$rest" ;;
    gmm) gmms+="${gmms:+ }$name" ;;
    fusion) fused+="${fused:+ }$name" members[$name]=$rest ;;
    deploy) deployed+="${deployed:+ }$name" cross_fitted+="${cross_fitted:+ }$rest" ;;
  esac
done <<<"$plan"

log() { echo "$(date '+%H:%M:%S') $*"; }
run() { [ "$stage" -le "$1" ] && [ "$stop_stage" -ge "$1" ]; } # whether stage $1 is to run

validate_data() {
  local set
  for set in train dev eval; do
    utils/validate_data_dir.py --no-feats --no-text data/$set
  done
}

compute_features() {
  local set pass
  for set in train dev eval; do
    for pass in $passes; do
      local/make_feats.sh --cmd "$cmd" --nj "$nj" --compress "$compress" \
        --features "${pass%:*}" --orders "${pass#*:}" data/$set data
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
  local system scores
  for system in $gmms; do
    scores=exp/$system/scores
    local/score_gmm.sh --cmd "$cmd" --nj "$nj" data/"$system"/dev exp/"$system"/train \
      $scores/dev.txt
    local/score_gmm.sh --cmd "$cmd" --nj "$nj" data/"$system"/eval exp/"$system" $scores/eval.txt
  done
}

fuse_systems() { # trained on dev, applied to dev and eval
  local fusion dirs
  for fusion in $fused; do
    read -ra dirs <<<"${members[$fusion]}"
    local/fuse_scores.sh --cmd "$cmd" exp/"$fusion" "${dirs[@]/#/exp/}"
  done
}

make_models() { # of the note; for sd-detect
  local system
  [ -n "$deployed" ] || return 0
  for system in $(printf '%s\n' $cross_fitted | sort -u); do
    local/cross_fit.sh --cmd "$cmd" --nj "${train_nj:-1}" --num-components "${num_components:-}" \
      data/"$system" exp/"$system"
  done
  local/make_models.py --note "$1" data exp $deployed
}

show_models() { # what the decisions of the models cost
  local system
  for system in $deployed; do
    if [ -e exp/"$system"/model/model.json ]; then
      local/show_model.py exp/"$system"/model
    else
      log "exp/$system/model does not exist. Run stage 5 to make it."
    fi
  done
}

score_files() { # of a set, and the systems
  local system
  for system in "${@:2}"; do echo "exp/$system/scores/$1"; done
}
