"""Objects of Kaldi's archives: matrices, vectors, numbers and words from bytes and to bytes.

kaldiio decodes and encodes binary matrices and vectors, and writes text. It gets only what has
been checked: it takes memory for any size that a header claims, and unpickles (`read_kaldi`, not
used here). What it lacks or does differently from Kaldi is done here and in `compression`; each
such thing has a test in tests/unit/tables/test_kaldiio.py.
"""

from __future__ import annotations

import io
import re
import struct
from array import array as number_array
from collections.abc import Iterator
from typing import Any

import numpy as np
from kaldiio.matio import (
    read_int32vector,
    read_matrix_or_vector,
    write_array,
    write_array_ascii,
)

from sdtools.errors import SdError, warn
from sdtools.tables.compression import compress, expand, read_codes
from sdtools.tables.input import Input

KINDS = {
    "matrix": "a matrix",
    "vector": "a vector",
    "int": "an integer",
    "float": "a number",
    "int_vector": "a vector of integers",
    "token": "a word",
    "tokens": "words",
}
NUM_DIMS = {"matrix": 2, "vector": 1, "int_vector": 1}
MATRIX_SIZE, VECTOR_SIZE = struct.Struct("<bibi"), struct.Struct("<bi")
HEADS = {  # mark and tag: kind, and the header after them
    b"\0BFM ": ("matrix", MATRIX_SIZE),
    b"\0BDM ": ("matrix", MATRIX_SIZE),
    b"\0BFV ": ("vector", VECTOR_SIZE),
    b"\0BDV ": ("vector", VECTOR_SIZE),
    b"\0BCM ": ("matrix", struct.Struct("<ffii")),
    b"\0BCM2": ("matrix", struct.Struct("<cffii")),
    b"\0BCM3": ("matrix", struct.Struct("<cffii")),
}
TAG_BYTES, HEAD_BYTES = 5, 22
ROW, BLANK = re.compile(rb"[^\n;]+"), re.compile(rb"\s")
PIECE_BYTES = 1 << 16  # of text split at once: a word takes many times its letters
LONG_NUMBER = re.compile(rb"[1-9](\.?[0-9]){7}")  # more than the 7 digits that Kaldi writes
MAX_OVERHANG = 3  # Kaldi clips a range that ends at most so many rows past the last row


def is_word(text: str) -> bool:
    """Whether a text can be a key or a token: printable, not empty, no blanks."""
    return text.isprintable() and " " not in text and text != ""


def _wrong_object(where: str, kind: str, head: bytes) -> SdError:
    """The error for an object of another kind, by its first bytes after the binary mark."""
    stored = HEADS.get(b"\0B" + head[:3])
    found = KINDS[stored[0]] if stored else f"{head[:20]!r}"
    if head[:3] == b"PKL":
        found = "a pickled Python object, which could run any program"
    hint = "Name another table, or use a command for this kind of table"
    return SdError(where, "object", got=found, need=KINDS[kind], hint=hint)


def _read_binary_floats(source: Input, kind: str, head: bytes) -> np.ndarray:
    """Matrix or vector of floats that begins with the bytes of `head`."""
    tag = head[:TAG_BYTES]
    stored_kind, header = HEADS.get(tag, ("", VECTOR_SIZE))
    if stored_kind != kind:
        raise _wrong_object(source.where, kind, head[2:])
    head_bytes = TAG_BYTES + header.size
    if len(head) < head_bytes:
        source.fail_short(f"{len(head)} bytes", f"{head_bytes} bytes")
    fields = header.unpack_from(head, TAG_BYTES)
    is_compressed = tag[2:4] == b"CM"
    if is_compressed:
        shape, is_marked = fields[-2:], fields[:-4] in ((), (b" ",))
    else:
        shape, is_marked = fields[1::2], fields[::2] in ((4,), (4, 4))
    if not is_marked or (min(shape) <= 0 and any(shape)):
        need, hint = "4-byte counts, all positive or all 0", "The file is damaged: write it again"
        raise SdError(source.where, f"size of a {kind}", got=shape, need=need, hint=hint)
    return _read_compressed(source) if is_compressed else read_matrix_or_vector(source)


def _read_compressed(source: Input) -> np.ndarray:
    """Compressed matrix with a header that has been checked."""
    header, codes = read_codes(source)
    hint = "The file is damaged: write it again"
    if not header.rows:
        if (tail := source.read(4)) != bytes(4):  # Kaldi ends an empty one with four zero bytes
            what, got = "end of an empty compressed matrix", repr(bytes(tail))
            raise SdError(source.where, what, got=got, need="4 zero bytes", hint=hint)
        return np.empty((0, 0), np.float32)
    with np.errstate(all="ignore"):
        matrix = expand(header, codes)
    if not np.isfinite(matrix).all():
        raise SdError(source.where, "a compressed matrix has infinite values", hint=hint)
    return matrix


def _is_single(word: bytes, single: float) -> bool:
    """Whether float32 keeps all digits of a number."""
    num_digits = len(word.lower().partition(b"e")[0].replace(b".", b"").lstrip(b"+-0"))
    return float(f"{single:.{num_digits}g}") == float(word)


def _words(text: bytes) -> Iterator[bytes]:
    """Words of a text, which is split a piece at a time."""
    start = 0
    while start < len(text):
        blank = BLANK.search(text, start + PIECE_BYTES)
        stop = blank.start() if blank else len(text)
        yield from text[start:stop].split()
        start = stop


def _parse_floats(body: bytes) -> np.ndarray:
    """Array of the rows of words of a text.

    float32 if that keeps all their digits, else float64.
    """

    def words() -> Iterator[bytes]:
        return (word for row in ROW.finditer(body) for word in _words(row[0]))

    numbers, widths = number_array("d"), set()
    for row in ROW.finditer(body):
        before = len(numbers)
        numbers.extend(map(float, _words(row[0])))
        widths.add(len(numbers) - before)
    widths.discard(0)
    if len(widths) > 1:
        raise ValueError
    values = np.frombuffer(numbers).reshape(-1, *widths)
    if np.isinf(values).any() and any(
        np.isinf(float(word)) and not word.strip(b"+-").isalpha() for word in words()
    ):
        raise ValueError
    with np.errstate(all="ignore"):
        single = values.astype(np.float32)
    is_in_range = ((single == 0) == (values == 0)) & (np.isinf(single) == np.isinf(values))
    if not is_in_range.all():
        return values
    has_all_digits = not LONG_NUMBER.search(body) or all(map(_is_single, words(), single.flat))
    return single if has_all_digits else values


def _read_text_floats(source: Input, kind: str, head: bytes) -> np.ndarray:
    """Matrix or vector of floats in Kaldi's text layout.

    kaldiio takes the type from the first number: `[ 1 2.5 ]` is an error, float64 loses digits.
    """
    if head.strip() and not head.lstrip().startswith(b"["):
        raise _wrong_object(source.where, kind, head)
    where, line = source.where, source.read_line()
    text = bytearray(line)
    while b"]" not in line:
        line = source.read_line()
        text += line
        if not line:
            source.fail_short(f"{len(text)} bytes", "a ] at the end")
    blank, _, rest = bytes(text).partition(b"[")
    del text
    if blank.strip():
        raise _wrong_object(where, kind, blank)
    body, _, rest = rest.partition(b"]")
    if kind == "vector" and re.search(rb"[\n;]", body):
        raise _wrong_object(where, kind, b"FM ")
    try:
        if rest.strip() or b"_" in body:
            raise ValueError
        is_empty = not body.strip(b" \t\r\n\v\f;")
        values = np.empty((0, 0), np.float32) if is_empty else _parse_floats(body)
    except ValueError:
        need, hint = "numbers, equally many in every row", "Correct the text"
        got = repr(body[:40])
        raise SdError(where, f"text {kind}", got=got, need=need, hint=hint) from None
    return values.ravel() if kind == "vector" else values


def _read_binary_numbers(source: Input, kind: str) -> Any:
    """Int, float or int vector with its binary mark. kaldiio has only the last."""
    head = source.peek(7, 7)
    width = head[2:3]
    if kind == "int_vector":
        count = int.from_bytes(head[3:], "little", signed=True)
        if width == b"\4" and len(head) < 7:
            source.fail_short(f"{len(head)} bytes", "7 bytes")
        if width == b"\4" and count >= 0:
            where, data = source.where, io.BytesIO(source.read(7 + 5 * count))
            try:
                return read_int32vector(data)
            except AssertionError:
                raise _wrong_object(where, kind, head[2:]) from None
    elif width == b"\4" or (width == b"\x08" and kind == "float"):
        form = "<i" if kind == "int" else "<f" if width == b"\4" else "<d"
        return struct.unpack(form, source.read(3 + width[0])[3:])[0]
    raise _wrong_object(source.where, kind, head[2:])


def _read_text_line(source: Input, kind: str) -> Any:
    """Int, float, int vector, token or tokens: the rest of the line. kaldiio has none of them."""
    where, line = source.where, source.read_line()
    if not line.endswith(b"\n"):
        source.fail_short(f"{len(line)} bytes", "a newline at the end")
    try:
        if kind in ("token", "tokens"):
            words = [word.decode() for word in line.split()]
            if all(map(is_word, words)) and (kind == "tokens" or len(words) == 1):
                return words if kind == "tokens" else words[0]
        elif b"_" not in line:
            if kind == "int_vector":
                numbers = np.fromiter(map(int, _words(line)), np.int64)
                if ((numbers >= -(2**31)) & (numbers < 2**31)).all():
                    return numbers.astype(np.int32)
            else:
                (word,) = line.split()
                number = float(word) if kind == "float" else int(word)
                if kind == "float" or -(2**31) <= number < 2**31:
                    return number
    except (ValueError, OverflowError):
        pass
    raise _wrong_object(where, kind, line)


def read_object(source: Input, kind: str) -> Any:
    r"""Return the object at the position of an input: binary after `\0B`, else text.

    A binary matrix or vector keeps its type. A text one is float32 if float32 gives back every
    number with the digits that it has, or to 7 digits, which is how Kaldi writes; else float64.

    Raises
    ------
    SdError
        If the object is of another kind, damaged, or larger than the file.
    """
    if not __debug__:
        hint = "Run Python without -O, and without PYTHONOPTIMIZE"
        raise SdError("python -O", "kaldiio needs assert statements to read", hint=hint)
    head = source.peek(HEAD_BYTES, HEAD_BYTES)
    is_binary = head[:2] == b"\0B"
    if kind in ("matrix", "vector"):
        return (_read_binary_floats if is_binary else _read_text_floats)(source, kind, head)
    if head[:1] == b"\0" and (kind in ("token", "tokens") or not is_binary):
        raise _wrong_object(source.where, kind, head)
    return (_read_binary_numbers if is_binary else _read_text_line)(source, kind)


def apply_range(value: Any, bounds: str, where: str) -> np.ndarray:
    """Return the part of a matrix or vector that a range such as `0:9,3:5` names.

    Numbers count from 0, and both ends belong to the range. kaldiio also takes `3`, `0:9:2`,
    `-1:3` and ends past the last row, in silence.

    Raises
    ------
    SdError
        If `bounds` is not a range, or exceeds the value.
    """
    parts = bounds.split(",")
    num_dims = value.ndim if isinstance(value, np.ndarray) and value.dtype.kind == "f" else 0
    is_form = all(re.fullmatch(r"[0-9]{1,18}:[0-9]{1,18}|:", part) for part in parts)
    hint = "Correct the line"
    if len(parts) > num_dims or not is_form:
        need = "[first:last] or, of a matrix, [first:last,first:last]"
        raise SdError(where, "range", got=f"[{bounds[:40]}]", need=need, hint=hint)
    for axis, part in enumerate(parts):
        size = value.shape[axis]
        first, last = (0, size - 1) if part == ":" else map(int, part.split(":"))
        end = size + (MAX_OVERHANG if axis == 0 else 0)
        if not (first <= last < end and first < size):
            need = f"first <= last < {size}"
            raise SdError(where, "range", got=part, need=need, hint=hint)
        if last >= size:
            what = f"range {part} is clipped to the last row, {size - 1}"
            warn(where, what)
        value = value[first : last + 1] if axis == 0 else value[:, first : last + 1]
    return value


def encode(value: Any, kind: str, text: bool, compression_method: int = 0) -> bytes:
    """Return the bytes of a value as Kaldi writes them after the key.

    Matrices and vectors of float64 stay so, with 17 digits in text. Compressed ones
    (`compression_method` 1 to 7, Kaldi's) and all others are float32, with 7 digits in text.

    Raises
    ------
    SdError
        If the value is of another kind, too large for its type, or not finite and to be
        compressed.
    """
    try:
        if kind in ("token", "tokens"):
            words = [value] if kind == "token" else list(value)
            if isinstance(value, str) == (kind == "token") and all(map(is_word, words)):
                return " ".join(words).encode() + b"\n"
        else:
            array = _array_of(value, kind, bool(compression_method))
            return _encode_array(array, kind, text, compression_method)
    except SdError:
        raise
    except (ValueError, TypeError, AttributeError, ArithmeticError):
        pass
    is_array = isinstance(value, np.ndarray)
    got = f"shape {value.shape} of {value.dtype}" if is_array else repr(value)[:40]
    hint = "Write a table of its kind"
    raise SdError("value", got=got, need=f"{KINDS[kind]} in range", hint=hint)


def _array_of(value: Any, kind: str, is_compressed: bool) -> np.ndarray:
    """A value as an array of the type that is written; ValueError if it is of another kind."""
    array, is_int = np.asarray(value), kind.startswith("int")
    has_type = not array.size or array.dtype.kind in ("iu" if is_int else "iuf")
    if array.ndim != NUM_DIMS.get(kind, 0) or not has_type:
        raise ValueError
    if is_int:
        if array.size and not -(2**31) <= array.min() <= array.max() < 2**31:
            raise ValueError
        return array.astype("<i4", copy=False)
    if array.ndim and array.dtype == np.float64 and not is_compressed:
        return array
    with np.errstate(over="raise"):
        return array.astype("<f4", copy=False)


def _encode_array(array: np.ndarray, kind: str, text: bool, compression_method: int) -> bytes:
    """Bytes of an array of the right type."""
    file = io.BytesIO()
    if compression_method and array.size:
        if not np.isfinite(array).all():
            what = "only finite values can be compressed"
            raise SdError("value", what, hint="Look at the features")
        with np.errstate(over="raise"):
            header, codes = compress(array, compression_method)
            if not text:
                file.write(b"\0B")
                header.write(file)
                return file.getvalue() + b"".join(part.tobytes() for part in codes)
            array = expand(header, codes)
    if kind in ("matrix", "vector"):
        if not array.size:  # kaldiio keeps the number of columns, and leaves out a blank in text
            array = array.reshape((0, 0) if kind == "matrix" and not text else 0)
        if text:
            write_array_ascii(file, array, ".17g" if array.dtype == np.float64 else ".7g")
        else:
            write_array(file, array)
        return file.getvalue()
    if text:  # kaldiio writes vectors of integers as those of floats, and no numbers
        form = "{:.7g} " if kind == "float" else "{} "
        return "".join(map(form.format, np.atleast_1d(array).tolist())).encode() + b"\n"
    if kind == "int_vector":
        write_array(file, array)
        return file.getvalue()
    return b"\0B\4" + array.tobytes()
