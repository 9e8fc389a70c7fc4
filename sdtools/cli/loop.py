"""The loop over the entries of a command: threads, order and progress."""

from __future__ import annotations

import contextlib
import sys
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Item = TypeVar("Item")
REPORT_SEC = 60.0  # between two lines about the progress in a log


@contextlib.contextmanager
def one_blas_thread() -> Iterator[None]:
    """Let matrix products use the thread that calls them: more would wait for each other."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield


def computed(
    entries: Iterable[Any], compute: Callable[[Any], Any], num_threads: int
) -> Generator[tuple[Any, Any, Exception | None], None, None]:
    """Entry, value and error of each entry, in order; BLAS uses one thread.

    At most two entries per thread are held.
    """

    def one(entry: Any) -> tuple[Any, Any, Exception | None]:
        try:
            return entry, compute(entry), None
        except (ValueError, OSError, ArithmeticError) as error:
            return entry, None, error

    with one_blas_thread():
        if num_threads == 1:
            yield from map(one, entries)
            return
        pool, waiting = ThreadPoolExecutor(num_threads), deque[Any]()
        try:
            for entry in entries:
                waiting.append(pool.submit(one, entry))
                if len(waiting) == 2 * num_threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def with_bar(items: Iterable[Item], total: int | None, name: str) -> Iterable[Item]:
    """The items, with a bar on the terminal that shows number, rate and time left."""
    from tqdm import tqdm

    return tqdm(items, total=total, unit="utt", desc=name, file=sys.stderr, leave=False)


def with_reports(
    items: Iterable[Item], total: int | None, report: Callable[[str], None]
) -> Iterator[Item]:
    """The items, with a line every `REPORT_SEC` that gives time, number, rate and time left."""
    start = last = time.monotonic()
    for number, item in enumerate(items):
        now = time.monotonic()
        if number and now - last >= REPORT_SEC:
            report(progress_line(number, total, now - start))
            last = now
        yield item


def progress_line(number: int, total: int | None, elapsed_sec: float) -> str:
    """Date and time, how much is done, how fast, and how long the rest takes.

    Examples
    --------
    >>> progress_line(1200, 100000, 60)[20:]
    '1200 of 100000, 20 a second, 1:22:20 left'
    """
    stamp = time.strftime("%Y-%m-%d %H:%M:%S")
    rate = number / elapsed_sec
    whole, left = "", ""
    if total is not None:
        minutes, seconds = divmod(round((total - number) / rate), 60)
        whole = f" of {total}"
        left = f", {minutes // 60}:{minutes % 60:02d}:{seconds:02d} left"
    return f"{stamp} {number}{whole}, {rate:.3g} a second{left}"
