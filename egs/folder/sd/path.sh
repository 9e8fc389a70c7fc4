# Sourced by run.sh, by the scripts in local/ and by jobs, from the recipe's directory.
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../../.." && pwd)
export PATH=$PWD/utils:$PWD/local:$root/.venv/bin:$PATH
export LC_ALL=C
export PYTHONUNBUFFERED=1
