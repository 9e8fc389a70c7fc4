"""Made-up sbatch, squeue, qsub, ... on PATH for slurm.py and queue.py."""

import os

import pytest

# A scheduler of one line: the array runs in the background of the submission, task after task.
SUBMIT = """#!/bin/bash
printf '%s\\n' "$@" >>$FAKE/submitted; echo -- >>$FAKE/submitted
if [ -e $FAKE/busy ]; then
  rm $FAKE/busy
  echo "Unable to contact qmaster: commlib error" >&2
  exit 1
fi
[ ! -e $FAKE/refuse ] || { echo "no such partition" >&2; echo "giving up" >&2; exit 1; }
id=$((100 + $(grep -c -- ^--$ $FAKE/submitted)))
last=$(printf '%s\\n' "$@" | sed -nE 's/^(--array=)?1-([0-9]+)(%.*)?$/\\2/p')
[ -e $FAKE/hold ] || (
  for ((i = 1; i <= last; i++)); do
    SLURM_ARRAY_TASK_ID=$i SGE_TASK_ID=$i setsid bash "${@: -2:1}" "${@: -1}"
  done
) >$FAKE/output 2>&1 &
cat $FAKE/banner 2>/dev/null
echo $id
"""
FAKES = {
    **dict.fromkeys(("sbatch", "qsub"), SUBMIT),
    "squeue": """#!/bin/bash
[ ! -e $FAKE/silent ] || exit 1
case $* in
  *--name*) [ ! -e $FAKE/left ] || cat $FAKE/left ;;
  *%r*) echo Resources here ;;
  *) cat $FAKE/states ;;
esac
""",
    "scontrol": "#!/bin/bash\necho MaxArraySize = 5\n",
    "qconf": "#!/bin/bash\necho max_aj_tasks 4\n",
    "qacct": "#!/bin/bash\ncat $FAKE/accounts\n",
    "qstat": """#!/bin/bash
[ ! -e $FAKE/silent ] || exit 1
case $* in
  *-qs*) cat $FAKE/unknown ;;
  -xml*) [ -s $FAKE/states ] && cat $FAKE/states || echo "<job_info/>" ;;
  -j\\ [0-9]*) cat $FAKE/explain ;;
  *) [ -e $FAKE/left ] || { echo "Following jobs do not exist" >&2; exit 1; } ;;
esac
""",
    **dict.fromkeys(("scancel", "qdel"), '#!/bin/bash\necho "$@" >>$FAKE/cancelled\n'),
}
EMPTY = {"accounts": "", "unknown": "<job_info/>", "explain": ""}


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Directory that steers the made-up schedulers."""
    folder = tmp_path / "fake"
    folder.mkdir()
    (folder / "states").touch()
    for name, text in FAKES.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    for name, text in EMPTY.items():
        (folder / name).write_text(text)
    monkeypatch.setenv("FAKE", str(folder))
    monkeypatch.setenv("SDTOOLS_GRACE_SEC", "0.5")
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    return folder
