"""What the benchmarks share: the machine's name, and rounds that take what is compared in turn."""

import os
import platform
import time
from pathlib import Path


def machine():
    """Processor, its vector instructions and number of cores."""
    path = Path("/proc/cpuinfo")
    info = path.read_text() if path.exists() else ""
    model = next(
        (line.split(":")[1].strip() for line in info.splitlines() if line.startswith("model name")),
        platform.processor(),
    )
    vectors = next((name for name in ("AVX512", "AVX2") if name.lower() in info), "no AVX2")
    return f"{model}, {vectors}, {os.cpu_count()} cores"


def best_of_rounds(functions, num_rounds, clock=time.process_time):
    """Least time of each function by name.

    The rounds take the functions in turn, so that a slow spell of the machine meets all of them.

    Other work on the machine disturbs processor time, the default, least. Use
    `time.perf_counter` for two threads.
    """
    best = dict.fromkeys(functions, float("inf"))
    for _ in range(num_rounds):
        for name, function in functions.items():
            start = clock()
            function()
            best[name] = min(best[name], clock() - start)
    return best
