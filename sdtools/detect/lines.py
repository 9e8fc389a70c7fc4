"""Judgements as lines: words, JSON or Kaldi's scores; and where the lines of a stopped run end."""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import re
from collections.abc import Iterator
from typing import BinaryIO

from sdtools.detect.detection import Judgement, sentence
from sdtools.detect.recordings import Recording
from sdtools.errors import SdError, printable, warn

FORMATS = ("text", "jsonl", "kaldi")


def line_of(judgement: Judgement, form: str) -> str:
    """One line in a format; empty if Kaldi's has none, because there is no score."""
    if form == "jsonl":
        return json.dumps(judgement.to_json(), allow_nan=False)
    if form == "kaldi":
        return "" if judgement.llr is None else f"{_kaldi_key(judgement)} {judgement.llr!r}"
    return printable(sentence(judgement))


def _kaldi_key(judgement: Judgement) -> str:
    """The utterance, and channel and hundredths of seconds if there are several segments.

    Examples of the forms: `u1`, `u1-ch0`, `u1-0000000-0003000`, `u1-ch1-0003000-0006000`.
    """
    segment, (start_sec, end_sec) = judgement.segment, judgement.span_sec
    key = segment.recording.key
    if segment.channel is not None:
        key += f"-ch{segment.channel}"
    if not judgement.is_whole:
        key += f"-{round(100 * start_sec):07d}-{round(100 * end_sec):07d}"
    return key


def belongs(line: str, recording: Recording, form: str) -> bool:
    """Whether a line in this format is about this recording."""
    if form == "jsonl":
        try:
            record = json.loads(line)
        except ValueError:
            return False
        return isinstance(record, dict) and (record.get("file"), record.get("utt")) == recording
    if form == "kaldi":
        name, rest = recording.key, r"(-ch\d+)?(-\d+-\d+)? \S+"
    else:
        name, rest = printable(recording.name), r"( \[channel \d+\])?( [\d:.]+-[\d:.]+)?: .*"
    return line.startswith(name) and re.fullmatch(rest, line[len(name) :]) is not None


class Lines:
    """Lines in one format, written to standard output or to the end of a file.

    Parameters
    ----------
    form
        One of `FORMATS`.
    path
        A file, perhaps of a run that was stopped; standard output if it is empty.

    Attributes
    ----------
    num_done
        Recordings that `skip_done` has skipped.
    num_without_line
        How many of these have no line in the file.

    Raises
    ------
    SdError
        If the file is no regular one, or another process is writing it.
    """

    def __init__(self, form: str, path: str = ""):
        self.form, self.path = form, path
        self.num_done = self.num_without_line = 0
        self.file = _open_alone(path) if path else None
        self._known: list[bytes] = []  # lines of the last recording, which is judged again
        self._is_at_end = True

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, exc_type: type[BaseException] | None, *exc: object) -> None:
        if self.file:
            if exc_type is None:
                self._cut()
            self.file.close()

    def write(self, line: str) -> None:
        """Write a line at once."""
        if self.file is None:
            print(line, flush=True)
            return
        data = line.encode() + b"\n"
        if self._known:
            known = self._known.pop(0)
            if known == data:
                self.file.seek(len(data), os.SEEK_CUR)
                return
            self._known = []
            before = known.decode(errors="replace").strip()
            who, hint = self.path, "If the model or the options have changed, start a new file"
            warn(
                who,
                "the last recording has another line than before",
                got=line,
                need=before,
                hint=hint,
            )
        self._cut()
        self.file.write(data)
        self.file.flush()

    def _cut(self) -> None:
        """Cut off what follows, if a run was stopped within a line."""
        if self.file and not self._is_at_end:
            self.file.truncate()
            self._is_at_end = True

    def skip_done(self, recordings: Iterator[Recording]) -> Iterator[Recording]:
        """The recordings that are still to be judged.

        The first is the last one of the file, which may lack lines. Lines are in the order of the
        recordings, so those without a line before it had no result.

        Raises
        ------
        SdError
            If a line belongs to no recording, or the file has no whole line.
        """
        if self.file is None:
            return recordings
        current, start = None, 0
        num_tried = num_with_line = 0
        for number, data in enumerate(self.file, 1):
            if not data.endswith(b"\n"):
                break
            line = data[:-1].decode(errors="replace")
            if current is None or not belongs(line, current, self.form):
                start += sum(map(len, self._known))
                self._known = []
                count, current = _find(line, recordings, self.form)
                num_tried, num_with_line = num_tried + count, num_with_line + 1
                if current is None:
                    what = "the line belongs to no recording of the list, or not in this order"
                    hint = "Give the list and the --format of the stopped run, or another file"
                    raise SdError(f"{self.path}:{number}", what, got=repr(line[:60]), hint=hint)
            self._known.append(data)
        if current is None:
            if self.file.seek(0, os.SEEK_END):
                hint = "Remove the file to start again"
                raise SdError(self.path, "the file has no whole line", hint=hint)
            return recordings
        self.file.seek(start)
        self._is_at_end = False
        self.num_done, self.num_without_line = num_tried - 1, num_tried - num_with_line
        return itertools.chain([current], recordings)


def _open_alone(path: str) -> BinaryIO:
    """Open a file to read and write, which no other process may do."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise SdError(path, "this is no regular file", hint="Name a file")

    def opener(name: str, flags: int) -> int:
        return os.open(name, flags | os.O_CREAT, 0o666)

    file = open(path, "r+b", opener=opener)  # noqa: SIM115 - closed by Lines
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        hint = "Wait until it ends, or stop it"
        raise SdError(path, "another run is writing this file", hint=hint) from None
    except OSError:  # this file system has no locks
        pass
    return file


def _find(line: str, recordings: Iterator[Recording], form: str) -> tuple[int, Recording | None]:
    """The next recording to which a line belongs, and how many were looked at."""
    count = 0
    for recording in recordings:
        count += 1
        if belongs(line, recording, form):
            return count, recording
    return count, None
