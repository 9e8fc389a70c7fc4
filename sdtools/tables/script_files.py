"""Lines of text, and script files: a key and an extended file name in each line."""

from __future__ import annotations

import codecs
import itertools
from collections.abc import Iterator

from sdtools.errors import SdError
from sdtools.tables.input import open_input


def text_lines(data: bytes) -> list[bytes]:
    r"""Return the lines of a text, without UTF-8 byte order marks and without a blank last line.

    Editors write both. A mark may also begin a later line, where files were joined.

    Examples
    --------
    >>> text_lines(b"\xef\xbb\xbfa 1\nb 2\n\n")
    [b'a 1', b'b 2']
    """
    lines = data.removesuffix(b"\n").split(b"\n")
    if codecs.BOM_UTF8 in data:
        lines = [line.removeprefix(codecs.BOM_UTF8) for line in lines]
    return lines if lines[-1].strip() else lines[:-1]


def read_scp(rxfilename: str) -> list[tuple[str, str]]:
    """Return key and value of every line of a script file.

    Raises
    ------
    SdError
        If a line lacks a key or a value.
    """
    with open_input(rxfilename) as source:
        lines = text_lines(source.read_all())
    try:
        pairs = (line.split(None, 1) for line in lines)
        return [(key.decode(), value.rstrip().decode()) for key, value in pairs]
    except ValueError:
        for number, line in enumerate(lines, 1):
            _check_pair(f"{source.name}:{number}", line)
        raise


def iter_scp(rxfilename: str) -> Iterator[tuple[str, str]]:
    """Yield what `read_scp` returns line by line, so that memory does not grow with the file."""
    with open_input(rxfilename) as source:
        for number in itertools.count(1):
            line = source.read_line().removeprefix(codecs.BOM_UTF8)
            if not line.strip() and not source.peek():  # the end, or a blank last line
                return
            yield _check_pair(f"{source.name}:{number}", line.removesuffix(b"\n"))


def _check_pair(where: str, line: bytes) -> tuple[str, str]:
    """Key and value of a line."""
    try:
        key, value = line.split(None, 1)
        return key.decode(), value.rstrip().decode()
    except ValueError:
        need, hint = "a key and a value in UTF-8", "Complete or remove the line"
        raise SdError(where, "line", got=repr(line[:40]), need=need, hint=hint) from None


def index_pairs(pairs: list[tuple[str, str]], name: str) -> dict[str, str]:
    """Return the pairs of a script file as a dict, in the order of its lines.

    Raises
    ------
    SdError
        If a key occurs twice.
    """
    table = dict(pairs)
    if len(table) < len(pairs):
        first: dict[str, int] = {}
        for number, (key, _) in enumerate(pairs, 1):
            if key in first:
                got = f"{key} again, first on line {first[key]}"
                need, hint = "every key once", "Remove one of the lines"
                raise SdError(f"{name}:{number}", "key", got=got, need=need, hint=hint)
            first[key] = number
    return table
