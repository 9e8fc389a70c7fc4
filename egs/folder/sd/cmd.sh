# How jobs are run: on this machine; Kaldi's run.pl will do too.
# --resume true (ours only): jobs that finished with the same command and inputs are not run again.
export cmd="utils/run.py --resume true"
