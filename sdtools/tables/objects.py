"""Objects of Kaldi's archives as numpy arrays, numbers and words: one object from bytes, one object to bytes."""

import re
import struct
import warnings
from array import array

import numpy as np

from sdtools.errors import SdError
from sdtools.tables.compression import compress, expand, layout

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
STORED = {  # mark and tag: kind, header behind them, type of the data
    b"\0BFM ": ("matrix", struct.Struct("<bibi"), np.dtype("<f4")),
    b"\0BDM ": ("matrix", struct.Struct("<bibi"), np.dtype("<f8")),
    b"\0BFV ": ("vector", struct.Struct("<bi"), np.dtype("<f4")),
    b"\0BDV ": ("vector", struct.Struct("<bi"), np.dtype("<f8")),
    b"\0BCM ": ("matrix", struct.Struct("<ffii"), None),
    b"\0BCM2": ("matrix", struct.Struct("<cffii"), None),
    b"\0BCM3": ("matrix", struct.Struct("<cffii"), None),
}
TAG_BYTES, HEAD_BYTES = 5, 22
FLOAT_MATRIX = struct.Struct("<5sbibi")
F4 = np.dtype("<f4")
U1 = np.dtype("u1")
INT_ITEM = np.dtype([("width", "i1"), ("value", "<i4")])
ROW, BLANK = re.compile(rb"[^\n;]+"), re.compile(rb"\s")
PIECE_BYTES = 1 << 16  # of text split at once: a word takes many times its letters
LONG_NUMBER = re.compile(rb"[1-9](\.?[0-9]){7}")  # more than the 7 digits that Kaldi writes
MAX_OVERHANG = 3  # rows past the end, from which Kaldi refuses a range instead of clipping it


def is_word(text):
    """Whether a text can be a key or a token: printable, not empty, no blanks."""
    return text.isprintable() and " " not in text and text != ""


def _wrong_object(where, kind, head):
    """Error that names what lies there and what was asked for."""
    stored = STORED.get(b"\0B" + head[:3])
    found = KINDS[stored[0]] if stored else f"{head[:20]!r}"
    if head[:3] == b"PKL":
        found = "a pickled Python object, which can run any program when it is opened"
    return SdError(
        f"{where}: object: got {found}, need {KINDS[kind]}. Name another table, or read this one as what it is"
    )


def _read_binary_floats(source, kind, head):
    """Matrix or vector of floats that begins with the bytes of head."""
    stored_kind, header, dtype = STORED.get(head[:TAG_BYTES], (None, None, None))
    if stored_kind != kind:
        raise _wrong_object(source.where, kind, head[2:])
    head_bytes = TAG_BYTES + header.size
    if len(head) < head_bytes:
        source.fail_short(f"{len(head)} bytes", f"{head_bytes} bytes")
    fields = header.unpack_from(head, TAG_BYTES)
    if dtype is None:
        *blank, start, extent, rows, cols = fields
        shape, is_marked = (rows, cols), blank in ([], [b" "])
    else:
        shape, is_marked = fields[1::2], fields[::2] in ((4,), (4, 4))
    if not is_marked or (min(shape) <= 0 and any(shape)):
        raise SdError(
            f"{source.where}: size of a {kind}: got {shape}, need 4-byte counts, all positive or all 0; the file is damaged"
        )
    source.position += head_bytes
    return (
        source.read_array(dtype, shape)
        if dtype
        else _read_codes(source, head[2:TAG_BYTES], start, extent, shape)
    )


def _read_codes(source, tag, start, extent, shape):
    """Matrix behind the header of a compressed one."""
    if not any(shape):
        if tail := source.read(4).strip(
            b"\0"
        ):  # Kaldi ends an empty compressed matrix with four zero bytes
            raise SdError(
                f"{source.where}: empty compressed matrix: got {bytes(tail)} behind it, need 4 zero bytes. Write it again"
            )
        return np.empty(shape, np.float32)
    codes = [source.read_array(*part) for part in layout(tag, *shape)]
    with np.errstate(all="ignore"):
        matrix = expand(start, extent, codes)
    if not np.isfinite(matrix).all():
        raise SdError(
            f"{source.where}: compressed matrix: got infinite values, need finite ones; the file is damaged. Write it again"
        )
    return matrix


def _is_single(word, single):
    """Whether a number comes back from float32 with as many digits as it has."""
    num_digits = len(word.lower().partition(b"e")[0].replace(b".", b"").lstrip(b"+-0"))
    return float(f"{single:.{num_digits}g}") == float(word)


def _words(text):
    """The words of a text, of which no more than a piece is split at once."""
    start = 0
    while start < len(text):
        blank = BLANK.search(text, start + PIECE_BYTES)
        stop = blank.start() if blank else len(text)
        yield from text[start:stop].split()
        start = stop


def _parse_floats(body):
    """Array of the rows of words of a text, float32 where that keeps all their digits, else float64."""
    numbers, widths = array("d"), set()
    for row in ROW.finditer(body):
        before = len(numbers)
        numbers.extend(map(float, _words(row[0])))
        widths.add(len(numbers) - before)
    widths.discard(0)
    if len(widths) > 1:
        raise ValueError
    values = np.frombuffer(numbers).reshape(-1, *widths)
    words = (word for row in ROW.finditer(body) for word in _words(row[0]))
    if np.isinf(values).any() and any(
        np.isinf(float(word)) and not word.strip(b"+-").isalpha() for word in words
    ):
        raise ValueError
    with np.errstate(all="ignore"):
        single = values.astype(np.float32)
    in_range = ((single == 0) == (values == 0)).all() and (
        np.isinf(single) == np.isinf(values)
    ).all()
    words = (word for row in ROW.finditer(body) for word in _words(row[0]))
    if in_range and (not LONG_NUMBER.search(body) or all(map(_is_single, words, single.flat))):
        return single
    return values


def _read_text_floats(source, kind, head):
    """Matrix or vector of floats in Kaldi's text layout."""
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
        values = (
            _parse_floats(body) if body.strip(b" \t\r\n\v\f;") else np.empty((0, 0), np.float32)
        )
    except ValueError:
        raise SdError(
            f"{where}: text {kind}: got {body[:40]!r}, need equally many numbers a row. Correct the text"
        ) from None
    return values.ravel() if kind == "vector" else values


def _read_binary_numbers(source, kind):
    """Int, float or int vector with its binary mark."""
    width = bytes(source.read(3)[2:])
    if width == b"\4" or (width == b"\x08" and kind == "float"):
        code = {b"\4": "<f", b"\x08": "<d"}[width] if kind == "float" else "<i"
        (number,) = struct.unpack(code, source.read(width[0]))
        if kind != "int_vector":
            return number
        items = source.read_array(U1, (max(number, 0), INT_ITEM.itemsize)).view(INT_ITEM).ravel()
        if number >= 0 and (items["width"] == 4).all():
            return np.ascontiguousarray(items["value"])
    raise _wrong_object(source.where, kind, width + source.peek(2, 2))


def _read_text_line(source, kind):
    """Int, float, int vector, token or tokens: the rest of the line."""
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
                (number,) = map(float if kind == "float" else int, line.split())
                if kind == "float" or -(2**31) <= number < 2**31:
                    return number
    except (ValueError, OverflowError):
        pass
    raise _wrong_object(where, kind, line)


def read_object(source, kind):
    r"""Return the object at an Input's position: binary after ``\0B``, else text.

    A binary matrix or vector has its type. One in text is float32 if that gives back every number with the digits that stand there,
    or to 7 digits, which is how Kaldi writes; if one number needs more, or the range of float64, it is float64.
    """
    if kind == "matrix" and (
        fields := source.peek_struct(FLOAT_MATRIX)
    ):  # short cut for what most archives hold
        tag, width, rows, last_width, cols = fields
        if tag == b"\0BFM " and width == last_width == 4 and rows > 0 and cols > 0:
            source.position += FLOAT_MATRIX.size
            return source.read_array(F4, (rows, cols))
    head = source.peek(HEAD_BYTES, HEAD_BYTES)
    is_binary = head[:2] == b"\0B"
    if kind in ("matrix", "vector"):
        return (_read_binary_floats if is_binary else _read_text_floats)(source, kind, head)
    if head[:1] == b"\0" and (kind in ("token", "tokens") or not is_binary):
        raise _wrong_object(source.where, kind, head)
    return (_read_binary_numbers if is_binary else _read_text_line)(source, kind)


def apply_range(value, bounds, where):
    """Return the part of a matrix or vector that a range such as ``0:9,3:5`` names: from 0, both ends count."""
    parts = bounds.split(",")
    num_dims = value.ndim if isinstance(value, np.ndarray) and value.dtype.kind == "f" else 0
    if len(parts) > num_dims or not all(
        re.fullmatch(r"[0-9]{1,18}:[0-9]{1,18}|:", part) for part in parts
    ):
        raise SdError(
            f"{where}: range: got [{bounds[:40]}], need [first:last] or, of a matrix, [first:last,first:last]. Correct the line"
        )
    for axis, part in enumerate(parts):
        size = value.shape[axis]
        first, last = (0, size - 1) if part == ":" else map(int, part.split(":"))
        if not (
            first <= last and first < size and last < size + (MAX_OVERHANG if axis == 0 else 0)
        ):
            raise SdError(
                f"{where}: range: got {part}, need first <= last < {size}. Correct the line"
            )
        if last >= size:
            warnings.warn(
                f"{where}: range: {part} is clipped to the last row, {size - 1}", stacklevel=2
            )
        value = value[first : last + 1] if axis == 0 else value[:, first : last + 1]
    return value


def encode(value, kind, text, compression_method=0):
    """Bytes of a value as Kaldi writes it behind the key; ValueError or its like where the value is of another kind.

    Matrices and vectors of float64 stay so, with 17 digits in text; compressed ones (``compression_method`` 1 to 7, Kaldi's) and all
    others are float32, with Kaldi's 7 digits in text.
    """
    if kind in ("token", "tokens"):
        words = [value] if kind == "token" else list(value)
        if isinstance(value, str) != (kind == "token") or not all(map(is_word, words)):
            raise ValueError
        return " ".join(words).encode() + b"\n"
    array, is_int = np.asarray(value), kind.startswith("int")
    if array.ndim != NUM_DIMS.get(kind, 0) or (
        array.size and array.dtype.kind not in ("iu" if is_int else "iuf")
    ):
        raise ValueError
    if is_int and array.size and not -(2**31) <= array.min() <= array.max() < 2**31:
        raise ValueError
    with np.errstate(over="raise"):
        if is_int:
            array = array.astype("<i4", copy=False)
        elif array.ndim == 0 or array.dtype != np.float64 or compression_method:
            array = array.astype("<f4", copy=False)
        if compression_method and array.size:
            if not np.isfinite(array).all():
                raise SdError("finite values, which alone can be compressed. Look at the features")
            tag, start, extent, codes = compress(array, compression_method)
            if not text:
                head = (
                    b"\0B" + tag.rstrip() + b" " + struct.pack("<ffii", start, extent, *array.shape)
                )
                return head + b"".join(part.tobytes() for part in codes)
            array = expand(start, extent, codes)
    if text:
        form = "{} " if is_int else "{:.17g} " if array.dtype == np.float64 else "{:.7g} "
        rows = ["".join(map(form.format, row)) for row in np.atleast_2d(array).tolist() if row]
        if kind == "matrix":
            return (" [" + ("".join("\n  " + row for row in rows) or " ") + "]\n").encode()
        return ((" [ {}]\n" if kind == "vector" else "{}\n").format("".join(rows))).encode()
    if kind in ("matrix", "vector"):
        tag = (
            b"\0B"
            + (b"F" if array.dtype == np.float32 else b"D")
            + kind[:1].upper().encode()
            + b" "
        )
        sizes = array.shape if array.size else (0,) * array.ndim
        return tag + b"".join(b"\4" + struct.pack("<i", n) for n in sizes) + array.tobytes()
    if kind == "int_vector":
        items = np.full(array.shape, 4, INT_ITEM)
        items["value"] = array
        return b"\0B\4" + struct.pack("<i", array.size) + items.tobytes()
    return b"\0B\4" + array.tobytes()
