# Sourced by a script after it has set its defaults and, if it likes, help_message: the words "--some-name value" at the start of the
# command line set its variable some_name and are shifted away.
#
#   nj=4; resume=false                       # what "--nj 8 --resume true" may change
#   help_message="Usage: $0 [--nj N] [--resume true|false] <data>"
#   . utils/parse_options.sh
#
# A variable that is true or false stays true or false, a whole number a whole number. "--config FILE" sources FILE, before all other options wherever it stands.
# given_words keeps all words of the command line. Values are never evaluated. For bash, with or without "set -euo pipefail".

_po_words=("$@")
_po_previous=
for _po_word in "$@"; do
  if [ "$_po_previous" = --config ]; then
    if [ -d "$_po_word" ] || [ ! -r "$_po_word" ]; then
      echo "$0: --config: got '$_po_word', need a file that can be read. Check the path" >&2
      exit 1
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
      printf '%b\n' "${help_message-$0: no help; the options are the variables that it sets before parse_options.sh}"
      exit 0
      ;;
    --*=*)
      echo "$0: $1: got one word, need options of the form --name value. Write '${1%%=*} ${1#*=}'" >&2
      exit 1
      ;;
    --*) ;;
    *) break ;;
  esac
  _po_name=${1#--}
  _po_name=${_po_name//-/_}
  # Only a plain name may reach ${!...} and printf -v: an index such as a[$(...)] would be evaluated.
  if [[ ! $_po_name =~ ^[A-Za-z_][A-Za-z0-9_]*$ ]] || { [ "$_po_name" != config ] && [ -z "${!_po_name+set}" ]; }; then
    echo "$0: $1: got an invalid option, need one of this script's. See $0 --help" >&2
    exit 1
  fi
  if [ $# -lt 2 ]; then
    echo "$0: $1: got no value, need one. Write '$1 <value>'" >&2
    exit 1
  fi
  if [ "$_po_name" != config ]; then
    case ${!_po_name}:$2 in
      true:true | true:false | false:true | false:false) ;;
      true:* | false:*)
        echo "$0: $1: got '$2', need true or false. Correct the value" >&2
        exit 1
        ;;
    esac
    if [[ ${!_po_name} =~ ^-?[0-9]+$ && ! $2 =~ ^-?[0-9]+$ ]]; then
      echo "$0: $1: got '$2', need a whole number. Correct the value" >&2
      exit 1
    fi
    printf -v "$_po_name" %s "$2" || exit 1
  fi
  shift 2
done

if [ -n "${cmd+set}" ] && [ -z "$cmd" ]; then
  echo "$0: --cmd: got an empty value, need a launcher such as run.py. Check cmd.sh" >&2
  exit 1
fi
given_words=(${_po_words[@]+"${_po_words[@]}"})
unset _po_previous _po_word _po_words _po_name
