"""One file for each command: parse, open, loop by key, count, return."""

import os
import sys

from sdtools.cli.process import prepare

prepare(os.path.basename(sys.argv[0]))
