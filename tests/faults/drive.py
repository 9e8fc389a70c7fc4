"""Runs commands in a process that may crash, hang or fill memory without harm to the tests."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from threading import Timer
from types import SimpleNamespace

MAX_BYTES = (
    8 << 30
)  # of address space, most of which the threads of libraries reserve and never touch
CHILD = """
import importlib, json, os, resource, runpy, sys, traceback
hard_limit = resource.getrlimit(resource.RLIMIT_AS)[1]
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[1]), hard_limit))
answers = os.fdopen(int(sys.argv[2]), "w")
for line in sys.stdin:
    argv, folder, files, patience_sec = json.loads(line)
    os.chdir(folder)
    for descriptor, path in zip((1, 2), files):
        opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(opened, descriptor)
        os.close(opened)
    for name in ("input", "output"):
        importlib.import_module("sdtools.tables." + name).FIFO_PATIENCE_SEC = patience_sec
    try:
        if argv[0].endswith(".py"):
            sys.argv = argv
            sys.path.insert(0, os.path.dirname(argv[0]))  # as Python does for a script
            runpy.run_path(argv[0], run_name="__main__")
            status = 0
        else:
            status = importlib.import_module("sdtools.bin." + argv[0]).main(argv[1:])
    except SystemExit as end:
        status = 1 if isinstance(end.code, str) else end.code or 0
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr, flush=True)
    except BaseException:
        traceback.print_exc()
        status = 70
    sys.stdout.flush()
    print(json.dumps(status), file=answers, flush=True)
"""


class Commands:
    """`call("compute_feats", ...)` gives status, stdout, stderr and whether it was killed.

    The process is kept for the next call.
    """

    def __init__(self, timeout_sec=60):
        self.timeout_sec, self.process, self.hung = timeout_sec, None, False
        self.folder = tempfile.TemporaryDirectory()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self._end()
        self.folder.cleanup()

    def call(self, name, *argv, cwd, patience_sec=0.3):
        """Run one command, by the name of its module, or a script, by its path, in a folder."""
        if self.process is None or self.process.poll() is not None:
            self._start()
        files = [os.path.join(self.folder.name, stream) for stream in ("out", "err")]
        self.hung = False
        timer = Timer(self.timeout_sec, self._kill)
        timer.start()
        try:
            self.process.stdin.write(
                json.dumps([[name, *map(str, argv)], str(cwd), files, patience_sec]) + "\n"
            )
            self.process.stdin.flush()
            answer = self.answers.readline()
        finally:
            timer.cancel()
        status = json.loads(answer) if answer else f"died with {self.process.wait()}"
        out, err = (Path(file).read_text(errors="backslashreplace") for file in files)
        return SimpleNamespace(status="hung" if self.hung else status, out=out, err=err)

    def _start(self):
        self._end()
        read_end, write_end = os.pipe()
        words = [sys.executable, "-c", CHILD, str(MAX_BYTES), str(write_end)]
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, text=True, pass_fds=[write_end]
        )
        os.close(write_end)
        self.answers = os.fdopen(read_end)

    def _kill(self):
        self.hung = True
        self.process.kill()

    def _end(self):
        if self.process is not None:
            self.process.stdin.close()
            self.process.kill()
            self.process.wait()
            self.answers.close()
