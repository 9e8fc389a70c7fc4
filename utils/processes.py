"""Child processes that end with the script that started them, and the signals that end a script."""

import os
import signal
import subprocess
from contextlib import suppress


def hold_signals() -> tuple[set[int], set[int]]:
    """Block the signals that end a script, so that it can take them at a safe point.

    Signals that are ignored, as under nohup, stay ignored. Returns the blocked signals and the
    previous mask.
    """
    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    held = {signum for signum in ending if signal.getsignal(signum) is not signal.SIG_IGN}
    return held, signal.pthread_sigmask(signal.SIG_BLOCK, held)


def send(process: subprocess.Popen, signum: int) -> bool:
    """Send a signal (0: none) to the group of a child; returns whether any of it was left."""
    process.poll()
    # PermissionError: on macOS, if only a zombie is left
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signum)
        return True
    return False


class Children:
    """Processes that this script starts. Even if SIGKILL ends the script, they end with it."""

    def __init__(self) -> None:
        held, self._mask = hold_signals()
        self.signals = {*held, signal.SIGCHLD}
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.pthread_sigmask(signal.SIG_BLOCK, self.signals)
        self._watchdog, self._pipe = _start_watchdog()

    def start(self, argv: list, **options) -> subprocess.Popen:
        """Start a command as the leader of its own session and process group."""

        def prepare() -> None:
            # in the child, so that the watchdog knows every child that runs
            os.write(self._pipe, b"+%d\n" % os.getpid())
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

        return subprocess.Popen(argv, start_new_session=True, preexec_fn=prepare, **options)

    def wait(self, timeout_sec: float | None = None) -> signal.Signals | None:
        """Wait for a signal; None if a child may have ended or the time is over."""
        if timeout_sec is None:
            signum = signal.sigwait(self.signals)
        else:
            received = signal.sigtimedwait(self.signals, timeout_sec)
            signum = received.si_signo if received else signal.SIGCHLD
        return None if signum == signal.SIGCHLD else signal.Signals(signum)

    def ended(self, process: subprocess.Popen) -> None:
        """Tell the watchdog that a child has ended: its number may soon be another process's."""
        os.write(self._pipe, b"-%d\n" % process.pid)

    def close(self) -> None:
        """End the watchdog, which kills the children that have not ended."""
        os.close(self._pipe)
        os.waitpid(self._watchdog, 0)


def _start_watchdog() -> tuple[int, int]:
    """A process that reads the groups of children from a pipe, and the write end of the pipe.

    When the pipe closes, because this script is gone, the process kills the groups that are left.
    """
    read_end, write_end = os.pipe()
    if process := os.fork():
        os.close(read_end)
        return process, write_end
    os.setsid()  # to survive a SIGKILL of the script's group; other signals are blocked
    os.close(write_end)
    for descriptor in (0, 1, 2):
        os.dup2(os.open(os.devnull, os.O_RDWR), descriptor)
    groups = set()
    with os.fdopen(read_end) as pipe:
        for line in pipe:
            (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)
    os._exit(0)
