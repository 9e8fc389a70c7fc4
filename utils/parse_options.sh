# Source this after the default values of a script: the words "--some-name value" at the start of
# the command line set the variable some_name and are removed.
#
#   nj=4; resume=false               # what "--nj 8 --resume true" may change
#   help_message="Usage: $0 [--nj N] [--resume true|false] <data>"
#   . utils/parse_options.sh
#
# A variable that is true or false stays one of both, and a whole number stays a whole number.
# "--config FILE" sources FILE before all other options, wherever it stands. given_words keeps all
# words of the command line. Values are never evaluated. For bash, also with "set -euo pipefail".

_po_fail() {
  echo "$0: $*" >&2
  exit 1
}

_po_words=("$@")
_po_previous=
for _po_word in "$@"; do
  if [ "$_po_previous" = --config ]; then
    if [ -d "$_po_word" ] || [ ! -r "$_po_word" ]; then
      _po_fail "--config: '$_po_word' is not a file that can be read. Check the path."
    fi
    case $_po_word in
      */*) . "$_po_word" ;;
      *) . "./$_po_word" ;; # not from PATH
    esac
  fi
  _po_previous=$_po_word
done

while [ $# -gt 0 ]; do
  case $1 in
    --help | -h)
      printf '%b\n' "${help_message-$0: no help. See the variables in the script}"
      exit 0
      ;;
    --*=*)
      _po_fail "$1: the value must be a word of its own. Write '${1%%=*} ${1#*=}'."
      ;;
    --*) ;;
    *) break ;;
  esac
  _po_name=${1#--}
  _po_name=${_po_name//-/_}
  # Only a plain name may reach ${!...} and printf -v, because an index such as a[$(...)] would be
  # evaluated.
  if [[ ! $_po_name =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] ||
    { [ "$_po_name" != config ] && [ -z "${!_po_name+set}" ]; }; then
    _po_fail "$1: this script has no such option. See $0 --help"
  fi
  [ $# -ge 2 ] || _po_fail "$1: the value is missing. Write '$1 <value>'."
  if [ "$_po_name" != config ]; then
    case ${!_po_name}:$2 in
      true:true | true:false | false:true | false:false) ;;
      true:* | false:*) _po_fail "$1: value: expected true or false, found '$2'. Correct it." ;;
    esac
    if [[ ${!_po_name} =~ ^-?[0-9]+$ && ! $2 =~ ^-?[0-9]+$ ]]; then
      _po_fail "$1: value: expected a whole number, found '$2'. Correct it."
    fi
    printf -v "$_po_name" %s "$2" || exit 1
  fi
  shift 2
done

if [ -n "${cmd+set}" ] && [ -z "$cmd" ]; then
  _po_fail "--cmd: the launcher is missing, for example run.py. Check cmd.sh."
fi
given_words=(${_po_words[@]+"${_po_words[@]}"})
unset _po_previous _po_word _po_words _po_name
unset -f _po_fail
