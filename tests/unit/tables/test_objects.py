import re
import struct
import subprocess
import sys
import warnings

import numpy as np
import pytest
from fields import fails
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sdtools.errors import SdError, SdWarning
from sdtools.tables.input import Input
from sdtools.tables.objects import KINDS, apply_range, encode, read_object

MATRIX = np.array([[1.5, -2], [np.inf, 1e-7], [3e38, 123456.789]], np.float32)
VALUES = {
    "matrix": MATRIX,
    "vector": MATRIX[:, 1],
    "int": -7,
    "float": 1.25,
    "int_vector": np.array([3, -1, 2**31 - 1], np.int32),
    "token": "päng",
    "tokens": ["a", "b-c", "d"],
}


@pytest.fixture(scope="module")
def decode(tmp_path_factory):
    path = tmp_path_factory.mktemp("objects") / "object"

    def decode(data, kind):
        path.write_bytes(data)
        source = Input(str(path))
        try:
            return read_object(source, kind)
        finally:
            source.close()

    return decode


def equal(got, want):
    if not isinstance(want, np.ndarray):
        return got == want and type(got) is type(want)
    return got.dtype == want.dtype and np.array_equal(got, want, equal_nan=True)


@pytest.mark.parametrize(
    ("value", "kind", "binary", "text"),
    [
        (
            np.array([[1, 2], [3, 4.5]], np.float32),
            "matrix",
            b"\0BFM \4\2\0\0\0\4\2\0\0\0" + struct.pack("<4f", 1, 2, 3, 4.5),
            b" [\n  1 2 \n  3 4.5 ]\n",
        ),
        (
            np.array([[0.1]]),
            "matrix",
            b"\0BDM \4\1\0\0\0\4\1\0\0\0" + struct.pack("<d", 0.1),
            b" [\n  0.10000000000000001 ]\n",
        ),
        (
            np.array([[7]]),
            "matrix",
            b"\0BFM \4\1\0\0\0\4\1\0\0\0" + struct.pack("<f", 7),
            b" [\n  7 ]\n",
        ),
        (np.empty((0, 80), np.float32), "matrix", b"\0BFM \4\0\0\0\0\4\0\0\0\0", b" [ ]\n"),
        (
            np.array([1 / 3]),
            "vector",
            b"\0BDV \4\1\0\0\0" + struct.pack("<d", 1 / 3),
            b" [ 0.33333333333333331 ]\n",
        ),
        (
            np.array([1, 1 / 3], np.float32),
            "vector",
            b"\0BFV \4\2\0\0\0" + struct.pack("<2f", 1, 1 / 3),
            b" [ 1 0.3333333 ]\n",
        ),
        (np.array([], np.float32), "vector", b"\0BFV \4\0\0\0\0", b" [ ]\n"),
        (98, "int", b"\0B\4b\0\0\0", b"98 \n"),
        (0.5, "float", b"\0B\4\0\0\0?", b"0.5 \n"),
        ([1, -1], "int_vector", b"\0B\4\2\0\0\0\4\1\0\0\0\4\xff\xff\xff\xff", b"1 -1 \n"),
        ([], "int_vector", b"\0B\4\0\0\0\0", b"\n"),
        ("word", "token", b"word\n", b"word\n"),
        (["two", "words"], "tokens", b"two words\n", b"two words\n"),
        ([], "tokens", b"\n", b"\n"),
    ],
)
def test_bytes_are_those_of_the_format(value, kind, binary, text):
    assert encode(value, kind, text=False) == binary
    assert encode(value, kind, text=True) == text


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_round_trip(decode, kind, text):
    got = decode(encode(VALUES[kind], kind, text), kind)
    if text and kind in ("matrix", "vector"):
        np.testing.assert_allclose(got, VALUES[kind], rtol=1e-6)
    else:
        assert equal(got, VALUES[kind])


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_cut_at_any_byte_is_an_error_or_exact(decode, kind, text):
    data = encode(VALUES[kind], kind, text)
    whole = decode(data, kind)
    for end in range(len(data)):
        try:
            assert equal(decode(data[:end], kind), whole)
        except SdError:
            continue
        assert text and data[end:] == b"\n"  # only the newline after ] may be absent


@given(
    data=st.binary(max_size=60) | st.text("[] \n.1-e;PKLnaif\t").map(str.encode),
    kind=st.sampled_from(list(KINDS)),
    mark=st.booleans(),
)
@example(data=b"CM2 " + struct.pack("<ffii", 0, 1, -1, -1), kind="matrix", mark=True)
@example(data=b"DM \4\1\0\0\0\1\1\0\0\0" + bytes(99), kind="matrix", mark=True)
def test_any_bytes_are_an_error_or_a_value_of_the_kind(decode, data, kind, mark):
    try:
        value = decode(b"\0B" * mark + data, kind)
    except SdError as e:
        assert len(str(e).splitlines()) == 1
        return
    shapes = {"matrix": 2, "vector": 1, "int_vector": 1}
    assert (
        np.ndim(value) == shapes[kind]
        if kind in shapes
        else isinstance(value, {"int": int, "float": float, "token": str, "tokens": list}[kind])
    )


def test_double_and_single_precision_are_read_as_stored(decode):
    x = np.random.default_rng(0).standard_normal((3, 4))
    head = b"\4\3\0\0\0\4\4\0\0\0"
    assert equal(decode(b"\0BDM " + head + x.tobytes(), "matrix"), x)
    assert equal(decode(b"\0BDV \4\3\0\0\0" + x[:, 0].tobytes(), "vector"), x[:, 0].copy())
    assert decode(b"\0B\x08" + struct.pack("<d", 1 / 3), "float") == 1 / 3
    assert decode(encode(x, "matrix", False), "matrix").flags.writeable


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        (b" [ 1 2 ; 3 4 ]\n", "matrix", [[1, 2], [3, 4]]),
        (b"[1 2\r\n3 4]\r\n", "matrix", [[1, 2], [3, 4]]),
        (b" [ 1 2 ]\n", "matrix", [[1, 2]]),
        (b" []\n", "matrix", np.empty((0, 0))),
        (b" [ nan -inf 1e-3 ]\n", "vector", [np.nan, -np.inf, 1e-3]),
        (b"\t[ 1 ]", "vector", [1]),
    ],
)
def test_text_layouts_that_kaldi_reads(decode, text, kind, value):
    assert equal(decode(text, kind), np.array(value, np.float32))


@pytest.mark.parametrize(
    ("words", "dtype"),
    [
        ("1.234567e-05 -123456.7 0.5 1e-40 inf nan 0", np.float32),  # Kaldi's 7 digits
        # More digits, all of which float32 gives back.
        ("0.12345679 0.10000000149011612 16777216 1e+07", np.float32),
        ("1 16777217", np.float64),
        ("0.5 0.12345678901", np.float64),
        ("1.5 1e39 -inf nan", np.float64),
        ("1e-60", np.float64),
        ("123456789", np.float64),
    ],
)
@pytest.mark.parametrize("kind", ["vector", "matrix"])
def test_text_is_single_precision_only_where_that_keeps_its_digits(decode, words, dtype, kind):
    want = np.array(words.split(), dtype)
    assert equal(decode(f" [ {words} ]\n".encode(), kind), want if kind == "vector" else want[None])


@given(values=arrays(np.float32, st.integers(1, 9)) | arrays(np.float64, st.integers(1, 9)))
@example(values=np.array([1.17549435e-38]))  # nine digits, which single precision has too
@example(values=np.array([2.0**-14]))  # ten, but exactly
@example(values=np.array([1.175494351e-38]))  # ten, which single precision happens to give back
def test_text_comes_back_with_its_type_and_float64_with_all_its_digits(decode, values):
    got = decode(encode(values, "vector", text=True), "vector")
    if values.dtype == np.float32:
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, values, rtol=1e-6, atol=1e-45)
    else:
        assert np.array_equal(got, values.astype(got.dtype), equal_nan=True)
        for x, single in zip(values.tolist(), got.tolist(), strict=True):
            num_digits = len(re.sub(r"e.*|[-.]", "", f"{x:.17g}").lstrip("0"))
            assert single == x or np.isnan(x) or float(f"{single:.{num_digits}g}") == x


def test_long_numbers_in_a_range_are_refused():
    with fails(who="x", what="range", got=f"[0:{'9' * 38}]", need=re.compile(r"^\[first:last\]")):
        apply_range(np.zeros((10, 2), np.float32), "0:" + "9" * 5000, "x")


SIZES = "4-byte counts, all positive or all 0"
DAMAGED = "The file is damaged: write it again"


@pytest.mark.parametrize(
    ("data", "kind", "fields"),
    [
        (encode(VALUES["vector"], "vector", False), "matrix", {"got": "a vector"}),
        (encode(MATRIX, "matrix", False), "vector", {"got": "a matrix"}),
        (encode(MATRIX, "matrix", True), "vector", {"got": "a matrix"}),
        (b"\0BCM2 ", "vector", {"got": "a matrix"}),
        (encode(MATRIX, "matrix", False), "int", {"got": "a matrix"}),
        (encode(MATRIX, "matrix", False), "int_vector", {"got": "a matrix"}),
        (encode(MATRIX, "matrix", False), "token", {"what": "object"}),
        (encode(7, "int", False), "matrix", {"got": r"b'\x04\x07\x00\x00\x00'"}),
        (b"RIFF....", "matrix", {"got": "b'RIFF....'"}),
        (b"\0B\4\xff\xff\xff\xff", "int_vector", {"what": "object"}),
        (b"\0B\4\1\0\0\0\3\1\0\0\0", "int_vector", {"what": "object"}),
        (b" " * 30 + b"x [ 1 ]\n", "vector", {"got": f"b'{' ' * 20}'"}),
        (b"1.5 \n", "int", {"got": r"b'1.5 \n'"}),
        (b"2147483648 \n", "int", {"what": "object"}),
        (b"2147483648 \n", "int_vector", {"what": "object"}),
        (b"1_0 \n", "int", {"what": "object"}),
        (b"1 2 \n", "float", {"what": "object"}),
        (b"a b\n", "token", {"what": "object"}),
        (b"\xff\n", "token", {"what": "object"}),
        (b"a\x07\n", "tokens", {"what": "object"}),
    ],
)
def test_objects_of_another_kind_are_named(decode, data, kind, fields):
    with fails(need=KINDS[kind], hint=re.compile("another table"), **fields):
        decode(data, kind)


@pytest.mark.parametrize(
    ("data", "kind", "fields"),
    [
        (
            b"\0BFM \4\2\0\0\0\4\0\0\0\0",
            "matrix",
            {"what": "size of a matrix", "got": (2, 0), "need": SIZES, "hint": DAMAGED},
        ),
        (b"\0BFM \4\xff\xff\xff\xff\4\xff\xff\xff\xff", "matrix", {"got": (-1, -1)}),
        (b"\0BFM \3\2\0\0\0\4\2\0\0\0" + bytes(16), "matrix", {"got": (2, 2), "need": SIZES}),
        (
            b"\0BCM2\xff" + struct.pack("<ffii", 0, 1, 1, 1) + bytes(2),
            "matrix",
            {"got": (1, 1), "need": SIZES},
        ),
        (
            b"\0BCM " + bytes(16) + b"abcd",
            "matrix",
            {"what": "end of an empty compressed matrix", "got": "b'abcd'", "need": "4 zero bytes"},
        ),
        (
            b"\0BCM2 " + struct.pack("<ffii", np.nan, 1, 1, 1) + bytes(2),
            "matrix",
            {"what": "a compressed matrix has infinite values", "hint": DAMAGED},
        ),
        (
            b" [ 1 2\n 3 ]\n",
            "matrix",
            {"what": "text matrix", "got": r"b' 1 2\n 3 '", "need": re.compile("every row")},
        ),
        (b" [ 1 x ]\n", "vector", {"what": "text vector", "hint": "Correct the text"}),
        (b" [ 1_0 ]\n", "vector", {"what": "text vector"}),
        (b" [ 1e999 ]\n", "vector", {"what": "text vector"}),
        (b" [ 1 ] 2\n", "vector", {"what": "text vector"}),
        (b" [ 1 2\n", "matrix", {"what": "data", "got": "7 bytes", "need": "a ] at the end"}),
        (b"\0B\4\1\0\0\0\4\1", "int_vector", {"got": "9 bytes", "need": "12 bytes"}),
    ],
)
def test_damage_is_named(decode, data, kind, fields):
    with fails(**fields):
        decode(data, kind)


def test_pickles_are_refused_and_never_run(decode, tmp_path):
    payload = b"cos\nsystem\n(S'touch %s/ran'\ntR." % str(tmp_path).encode()
    pickled = re.compile("a pickled Python object, which could run any program")
    for kind in list(KINDS)[:5]:
        for data in (b"PKL" + payload, b"\0BPKL" + payload, payload):
            is_named = b"PKL" in data and kind in ("matrix", "vector")
            with fails(what="object", got=pickled if is_named else re.compile("")):
                decode(data + b"\n", kind)
    assert not (tmp_path / "ran").exists()


def test_python_without_assert_statements_is_refused():
    code = (
        "from sdtools.tables.objects import read_object\n"
        "try: read_object(None, 'matrix')\n"
        "except ValueError as e: print(e)"
    )
    command = [sys.executable, "-O", "-c", code]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.startswith("python -O: ")


@given(
    rows=st.integers(1, 8),
    cols=st.integers(1, 4),
    r=st.tuples(st.integers(0, 12), st.integers(0, 12)),
    c=st.tuples(st.integers(0, 5), st.integers(0, 5)),
)
def test_range_is_the_slice_with_both_ends(rows, cols, r, c):
    x = np.arange(rows * cols, dtype=np.float32).reshape(rows, cols)
    fits = r[0] <= r[1] <= rows + 2 and r[0] < rows and c[0] <= c[1] < cols
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            got = apply_range(x, f"{r[0]}:{r[1]},{c[0]}:{c[1]}", "x")
        except SdError:
            assert not fits
            return
    assert fits
    assert np.array_equal(got, x[r[0] : r[1] + 1, c[0] : c[1] + 1])
    assert np.array_equal(apply_range(x, f":,{c[0]}:{c[1]}", "x"), x[:, c[0] : c[1] + 1])


def test_range_past_the_last_row_is_clipped_with_a_warning():
    x = np.zeros((10, 2), np.float32)
    with pytest.warns(SdWarning) as caught:
        assert apply_range(x, "8:12", "x").shape == (2, 2)
    (warning,) = (w.message for w in caught)
    assert (warning.who, warning.what) == ("x", "range 8:12 is clipped to the last row, 9")
    need, hint = "first <= last < 10", "Correct the line"
    with fails(who="x", what="range", got="8:13", need=need, hint=hint):
        apply_range(x, "8:13", "x")
    with fails(got="0:2", need="first <= last < 2"):
        apply_range(x, ":,0:2", "x")


@pytest.mark.parametrize("bounds", ["3", "0:9:2", ",0:1", "0:3,", "", "0:", "-1:3", "0:1,0:1,0:1"])
def test_other_ranges_are_refused(bounds):
    need = "[first:last] or, of a matrix, [first:last,first:last]"
    with fails(who="x", what="range", got=f"[{bounds}]", need=need):
        apply_range(np.zeros((10, 2), np.float32), bounds, "x")


@pytest.mark.parametrize("value", [np.zeros(10, np.int32), 3, ["a", "b"]])
def test_only_floats_have_ranges(value):
    with fails(what="range"):
        apply_range(value, "0:1", "x")


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (np.zeros(3), "matrix"),
        (np.zeros((3, 1)), "vector"),
        (np.zeros((3, 1, 1)), "matrix"),
        (np.array([[1e39]], np.longdouble), "matrix"),
        (np.array([[1j]]), "matrix"),
        (np.array([["a"]]), "matrix"),
        ([[1], [1, 2]], "matrix"),
        (None, "vector"),
        (2**31, "int"),
        (1.0, "int"),
        (True, "int"),
        ([1], "int"),
        ("1", "float"),
        (1e39, "float"),
        (np.array([1, 2**31]), "int_vector"),
        ("a b", "token"),
        ("", "token"),
        (3, "token"),
        (["a", "b\n"], "tokens"),
        ("word", "tokens"),
    ],
)
def test_values_of_another_kind_are_not_encoded(value, kind):
    hint = "Write a table of its kind"
    with fails(who="value", need=f"{KINDS[kind]} in range", hint=hint):
        encode(value, kind, text=False)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_only_finite_values_are_compressed(value):
    with fails(who="value", what="only finite values can be compressed"):
        encode(np.array([[value]]), "matrix", text=False, compression_method=1)
    with fails(who="value", got="shape (2, 1) of float64"):
        encode(np.array([[3e38], [-3e38]]), "matrix", text=False, compression_method=1)
