"""Objects of Kaldi's archives as numpy arrays, numbers and words: one object from bytes, one object to bytes."""

import re
import struct
import warnings
from io import BytesIO

import numpy as np

from sdtools.streams import TableError

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
STORED = {  # tag: kind, header down to the sizes, type of the data
    b"FM ": ("matrix", struct.Struct("<xixi"), np.dtype("<f4")),
    b"DM ": ("matrix", struct.Struct("<xixi"), np.dtype("<f8")),
    b"FV ": ("vector", struct.Struct("<xi"), np.dtype("<f4")),
    b"DV ": ("vector", struct.Struct("<xi"), np.dtype("<f8")),
    b"CM ": ("matrix", struct.Struct("<ffii"), None),
    b"CM2": ("matrix", struct.Struct("<xffii"), None),
    b"CM3": ("matrix", struct.Struct("<xffii"), None),
}
INT_ITEM = np.dtype([("width", "i1"), ("value", "<i4")])
MAX_OVERHANG = 3  # rows past the end, from which Kaldi refuses a range instead of clipping it


def is_word(text):
    """Whether a text can be a key or a token: printable, not empty, no blanks."""
    return text.isprintable() and " " not in text and text != ""


def _wrong_object(source, kind, head):
    """Error that names what lies there and what was asked for."""
    found = KINDS[STORED[head[:3]][0]] if head[:3] in STORED else f"{head[:20]!r}"
    if head[:3] == b"PKL":
        found = "a pickled Python object, which can run any program when it is opened"
    return TableError(f"{source.where}: object: got {found}, need {KINDS[kind]}. Name another table, or read this one as what it is")


def _read_binary_floats(source, kind):
    """Matrix or vector of floats after its binary mark."""
    tag = source.read(3)
    stored_kind, header, dtype = STORED.get(tag, (None, None, None))
    if stored_kind != kind:
        raise _wrong_object(source, kind, tag)
    head = source.read(header.size)
    shape = header.unpack(head)[-NUM_DIMS[kind] :]
    is_marked = not head[::5].strip(b"\4") if dtype else (tag + head)[-17:-16] == b" "
    if not is_marked or min(shape) < 0 or (0 in shape and any(shape)):
        raise TableError(f"{source.where}: size of a {kind}: got {shape}, need 4-byte counts, all positive or all 0; the file is damaged")
    if dtype:
        return source.read_array(dtype, shape)
    rows, cols = shape
    if not rows:
        if any(source.read(4)):  # Kaldi ends an empty compressed matrix with four zero bytes
            source.fail_short("other", "4 zero bytes")
        return np.empty(shape, np.float32)
    from kaldiio.matio import read_matrix_or_vector  # the codec; it only sees bytes whose number was checked

    body = source.read_array(np.dtype("u1"), ({b"CM ": (rows + 8) * cols, b"CM2": 2 * rows * cols, b"CM3": rows * cols}[tag],))
    with np.errstate(all="ignore"):
        array = read_matrix_or_vector(BytesIO(b"\0B" + tag + head + body.tobytes()))
    if not np.isfinite(array).all():
        raise TableError(f"{source.where}: compressed matrix: got infinite values, need finite ones; the file is damaged. Write it again")
    return np.ascontiguousarray(array, np.float32)


def _read_text_floats(source, kind, first):
    """Matrix or vector of floats in Kaldi's text layout, as float32."""
    lines = [first + source.file.readline()]
    if not lines[0].lstrip().startswith(b"["):
        raise _wrong_object(source, kind, lines[0])
    while b"]" not in lines[-1]:
        lines.append(source.file.readline())
        if not lines[-1]:
            source.fail_short(sum(map(len, lines)), "a ] at their end")
    text = b"".join(lines)
    body, _, rest = text.lstrip()[1:].partition(b"]")
    if kind == "vector" and re.search(rb"[\n;]", body):
        raise _wrong_object(source, kind, b"FM ")
    rows = [row.split() for row in re.split(rb"[\n;]", body) if row.strip()]
    try:
        if rest.strip() or b"_" in body:
            raise ValueError
        with np.errstate(over="raise"):
            array = np.array([[float(x) for x in row] for row in rows]).astype(np.float32)
    except (ValueError, FloatingPointError):
        raise TableError(f"{source.where}: text {kind}: got {body[:40]!r}, need equally many numbers a row. Correct the text") from None
    source.position += len(text) - len(first)
    return array.ravel() if kind == "vector" else array if rows else array.reshape(0, 0)


def _read_binary_numbers(source, kind):
    """Int, float or int vector after its binary mark."""
    width = source.read(1)
    if width == b"\4" or (width == b"\x08" and kind == "float"):
        code = {b"\4": "<f", b"\x08": "<d"}[width] if kind == "float" else "<i"
        (number,) = struct.unpack(code, source.read(width[0]))
        if kind != "int_vector":
            return number
        items = source.read_array(INT_ITEM, (max(number, 0),))
        if number >= 0 and (items["width"] == 4).all():
            return np.ascontiguousarray(items["value"])
    raise _wrong_object(source, kind, width + source.file.peek(2)[:2])


def _read_text_line(source, kind, first):
    """Int, float, int vector, token or tokens: the rest of the line."""
    line = first if first == b"\n" else first + source.read_line()
    try:
        if kind in ("token", "tokens"):
            words = [word.decode() for word in line.split()]
            if all(map(is_word, words)) and (kind == "tokens" or len(words) == 1):
                return words if kind == "tokens" else words[0]
        elif b"_" not in line:
            numbers = [(float if kind == "float" else int)(word) for word in line.split()]
            if kind == "int_vector":
                return np.array(numbers, np.int32)
            (number,) = numbers
            if kind == "float" or -(2**31) <= number < 2**31:
                return number
    except (ValueError, OverflowError):
        pass
    raise _wrong_object(source, kind, line)


def read_object(source, kind):
    r"""Return the object at an Input's position: binary after ``\0B``, else text."""
    first = source.read(1)
    is_float = kind in ("matrix", "vector")
    if first != b"\0":
        return (_read_text_floats if is_float else _read_text_line)(source, kind, first)
    if source.read(1) != b"B" or kind in ("token", "tokens"):
        raise _wrong_object(source, kind, first)
    return (_read_binary_floats if is_float else _read_binary_numbers)(source, kind)


def apply_range(value, bounds, where):
    """Return the part of a matrix or vector that a range such as ``0:9,3:5`` names: from 0, both ends count."""
    parts = bounds.split(",")
    num_dims = value.ndim if isinstance(value, np.ndarray) and value.dtype.kind == "f" else 0
    if len(parts) > num_dims or not all(re.fullmatch(r"[0-9]+:[0-9]+|:", part) for part in parts):
        raise TableError(f"{where}: range: got [{bounds}], need [first:last] or, of a matrix, [first:last,first:last]. Correct the line")
    for axis, part in enumerate(parts):
        size = value.shape[axis]
        first, last = (0, size - 1) if part == ":" else map(int, part.split(":"))
        if not (first <= last and first < size and last < size + (MAX_OVERHANG if axis == 0 else 0)):
            raise TableError(f"{where}: range: got {part}, need first <= last < {size}. Correct the line")
        if last >= size:
            warnings.warn(f"{where}: range: {part} is clipped to the last row, {size - 1}", stacklevel=2)
        value = value[first : last + 1] if axis == 0 else value[:, first : last + 1]
    return value


def encode(value, kind, text):
    """Bytes of a value as Kaldi writes it behind the key; ValueError or its like where the value is of another kind."""
    if kind in ("token", "tokens"):
        words = [value] if kind == "token" else list(value)
        if isinstance(value, str) != (kind == "token") or not all(map(is_word, words)):
            raise ValueError
        return " ".join(words).encode() + b"\n"
    array, is_int = np.asarray(value), kind.startswith("int")
    if array.ndim != NUM_DIMS.get(kind, 0) or (array.size and array.dtype.kind not in ("iu" if is_int else "iuf")):
        raise ValueError
    if is_int and array.size and not -(2**31) <= array.min() <= array.max() < 2**31:
        raise ValueError
    with np.errstate(over="raise"):
        array = array.astype("<i4" if is_int else "<f4", copy=False)
    if text:
        rows = ["".join(map(("{} " if is_int else "{:.7g} ").format, row)) for row in np.atleast_2d(array).tolist() if row]
        if kind == "matrix":
            return (" [" + ("".join("\n  " + row for row in rows) or " ") + "]\n").encode()
        return ((" [ {}]\n" if kind == "vector" else "{}\n").format("".join(rows))).encode()
    if kind in ("matrix", "vector"):
        sizes = array.shape if array.size else (0,) * array.ndim
        return b"\0BF" + kind[:1].upper().encode() + b" " + b"".join(b"\4" + struct.pack("<i", n) for n in sizes) + array.tobytes()
    if kind == "int_vector":
        items = np.full(array.shape, 4, INT_ITEM)
        items["value"] = array
        return b"\0B\4" + struct.pack("<i", array.size) + items.tobytes()
    return b"\0B\4" + array.tobytes()
