"""How much is tried: all of it, or with SDTOOLS_FAULTS=quick what fits into every landing."""

import os

IS_FULL = os.environ.get("SDTOOLS_FAULTS") != "quick"
