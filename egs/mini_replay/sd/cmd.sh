# How jobs are run: on this machine; any launcher with the command line of Kaldi's run.pl, queue.pl or slurm.pl will do.
# --resume true: jobs that finished with the same command and inputs are not run again.
export cmd="utils/run.py --resume true"
