"""Tables both ways against kaldi_native_io, Kaldi's own table code, and hostile tables.

A seeded share of random tables is read and written. More of them:

    SD_NUM_TABLES=10000 pytest tests/unit/tables/test_interchange.py

Mutated archives are in tests/faults/test_fuzz.py.
"""

import os
import re
import tempfile
import tracemalloc
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import kaldi_native_io as kaldi
import kaldiio
import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sdtools.errors import SdError
from sdtools.tables.random_table import open_random_table
from sdtools.tables.table import open_table, open_writer

NUM_TABLES = int(os.environ.get("SD_NUM_TABLES", "150"))
METHODS = list(kaldi.CompressionMethod.__members__.values())


def many(share):
    """Settings for so much of the number of random tables, the same ones in every run."""
    checks = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
    return settings(
        max_examples=max(1, int(NUM_TABLES * share)),
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=checks,
    )


# In text, Kaldi reads neither its own -inf, nor all doubles that are larger or smaller than these.
FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
DOUBLES = st.floats(-1e37, 1e37).map(lambda x: x if abs(x) > 1e-30 else 0.0)
WORDS = st.text(
    st.characters(codec="ascii", min_codepoint=33, max_codepoint=126), min_size=1, max_size=8
) | st.text("äß-λ9", min_size=1, max_size=4)
INTS = st.integers(-(2**31), 2**31 - 1)
SHAPES = st.tuples(st.integers(1, 12), st.integers(1, 5)) | st.just((0, 0))


def matrices(dtype, elements):
    return SHAPES.flatmap(lambda shape: arrays(dtype, shape, elements=elements))


def vectors(dtype, elements):
    return arrays(dtype, st.integers(0, 9), elements=elements)


class Type(NamedTuple):
    """Our kind, values, Kaldi's writer and readers, and what Kaldi's writer is given."""

    kind: str
    values: Any
    writer: Any
    reader: Any
    random: Any
    given: Any = lambda value: value


TYPES = {
    "matrix": Type(
        "matrix",
        matrices(np.float32, FLOATS),
        kaldi.FloatMatrixWriter,
        kaldi.SequentialFloatMatrixReader,
        kaldi.RandomAccessFloatMatrixReader,
    ),
    "double matrix": Type(
        "matrix",
        matrices(np.float64, DOUBLES),
        kaldi.DoubleMatrixWriter,
        kaldi.SequentialDoubleMatrixReader,
        kaldi.RandomAccessDoubleMatrixReader,
    ),
    "vector": Type(
        "vector",
        vectors(np.float32, FLOATS),
        kaldi.FloatVectorWriter,
        kaldi.SequentialFloatVectorReader,
        kaldi.RandomAccessFloatVectorReader,
    ),
    "double vector": Type(
        "vector",
        vectors(np.float64, DOUBLES),
        kaldi.DoubleVectorWriter,
        kaldi.SequentialDoubleVectorReader,
        kaldi.RandomAccessDoubleVectorReader,
    ),
    "int": Type(
        "int", INTS, kaldi.Int32Writer, kaldi.SequentialInt32Reader, kaldi.RandomAccessInt32Reader
    ),
    "float": Type(
        "float",
        FLOATS,
        kaldi.FloatWriter,
        kaldi.SequentialFloatReader,
        kaldi.RandomAccessFloatReader,
    ),
    "int_vector": Type(
        "int_vector",
        st.lists(INTS, max_size=5).map(lambda items: np.array(items, np.int32)),
        kaldi.Int32VectorWriter,
        kaldi.SequentialInt32VectorReader,
        kaldi.RandomAccessInt32VectorReader,
        list,
    ),
    "token": Type(
        "token",
        WORDS,
        kaldi.TokenWriter,
        kaldi.SequentialTokenReader,
        kaldi.RandomAccessTokenReader,
    ),
    "tokens": Type(
        "tokens",
        st.lists(WORDS, max_size=4),
        kaldi.TokenVectorWriter,
        kaldi.SequentialTokenVectorReader,
        kaldi.RandomAccessTokenVectorReader,
    ),
}
TABLES = st.sampled_from(list(TYPES)).flatmap(
    lambda name: st.tuples(
        st.just(TYPES[name]), st.dictionaries(WORDS, TYPES[name].values, min_size=1, max_size=4)
    )
)
KINDS = st.sampled_from(list(TYPES))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Change into a folder, in memory where there is one: thousands of files are synced."""
    shared = Path("/dev/shm")
    parent = shared if os.access(shared, os.W_OK) else tmp_path_factory.getbasetemp()
    with tempfile.TemporaryDirectory(dir=parent) as folder, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


def write(wspecifier, table, kind="matrix", **options):
    with open_writer(wspecifier, kind, **options) as writer:
        for key, value in table.items():
            writer.write(key, value)


def read(rspecifier, kind="matrix"):
    with open_table(rspecifier, kind) as table:
        return {entry.key: entry.load() for entry in table}


def copied(value):
    """A value of Kaldi's reader, which owns its memory."""
    return np.array(value) if isinstance(value, np.ndarray) else value


def read_by_kaldi(reader, rspecifier):
    with reader(rspecifier) as table:
        return {key: copied(value) for key, value in table}


def same(a, b, rtol=0.0):
    if list(a) != list(b):
        return False
    if not all(isinstance(value, (np.ndarray, float)) for value in b.values()):
        return all(np.array_equal(a[key], b[key]) for key in b)
    return all(
        np.shape(a[key]) == np.shape(b[key]) and np.allclose(a[key], b[key], rtol, atol=0)
        for key in b
    )


@many(1)
@given(table=TABLES, option=st.sampled_from(["", ",t"]))
def test_random_tables_have_kaldis_bytes_and_values_both_ways(folder, table, option):
    kind, values = table[0].kind, table[1]
    write(f"ark,scp{option}:ours.ark,ours.scp", values, kind)
    with table[0].writer(f"ark,scp{option}:kaldi.ark,kaldi.scp") as writer:
        for key, value in values.items():
            writer.write(key, table[0].given(value))
    theirs = read_by_kaldi(table[0].reader, "scp:ours.scp")
    if option and table[0] in (TYPES["double matrix"], TYPES["double vector"]):
        assert same(theirs, values)  # we write all digits
        for key, got in read("scp:ours.scp", kind).items():
            # Text has no type: single precision where that has all the digits.
            assert np.array_equal(got, values[key].astype(got.dtype))
            for x in values[key][got != values[key]]:
                assert len(re.sub(r"e.*|[-.]", "", f"{x:.17g}").lstrip("0")) <= 9
    else:
        assert Path("ours.ark").read_bytes() == Path("kaldi.ark").read_bytes()
        assert Path("ours.scp").read_text() == Path("kaldi.scp").read_text().replace(
            "kaldi.ark", "ours.ark"
        )
    is_rounded = option and kind in ("matrix", "vector", "float")
    for rspecifier in ("ark:kaldi.ark", "scp:kaldi.scp"):
        ours = read(rspecifier, kind)
        assert same(ours, theirs, rtol=1e-6 if is_rounded else 0)  # text of 7 digits
        assert same(ours, values, rtol=1e-6 if is_rounded else 0)
    with (
        open_random_table("ark:kaldi.ark", kind) as by_key,
        table[0].random("scp:ours.scp") as by_kaldi,
    ):
        for key in sorted(values, reverse=True):
            assert key in by_kaldi
            assert same(
                {key: by_key[key]}, {key: copied(by_kaldi[key])}, rtol=1e-6 if is_rounded else 0
            )


COMPRESSIBLE = SHAPES.filter(all).flatmap(
    lambda shape: (
        arrays(np.float32, shape, elements=st.floats(-100, 100, width=32))
        | arrays(np.float32, shape, elements=st.floats(-(2.0**100), 2.0**100, width=32))
        | arrays(np.float32, shape, elements=st.integers(-40000, 40000))
        | arrays(np.float32, shape, elements=st.floats(0, 1, width=32), fill=st.just(0.5))
        | st.floats(-1e6, 1e6, width=32).map(lambda value: np.full(shape, value, np.float32))
    )
)


@many(0.5)
@given(
    table=st.dictionaries(WORDS, COMPRESSIBLE, min_size=1, max_size=3),
    method=st.integers(1, 7),
    option=st.sampled_from(["", ",t"]),
)
def test_compressed_tables_have_kaldis_bytes_and_values(folder, table, method, option):
    write(f"ark,scp{option}:ours.ark,ours.scp", table, compression_method=method)
    with kaldi.CompressedMatrixWriter(f"ark{option}:kaldi.ark") as writer:
        for key, value in table.items():
            writer.write(key, value, METHODS[method - 1])
    assert Path("ours.ark").read_bytes() == Path("kaldi.ark").read_bytes()
    theirs = read_by_kaldi(kaldi.SequentialFloatMatrixReader, "scp:ours.scp")
    assert same(read("ark:kaldi.ark"), theirs, rtol=1e-6 if option else 0)
    assert all(value.dtype == np.float32 for value in theirs.values())


@pytest.mark.parametrize("option", ["", ",t"])
@pytest.mark.parametrize("method", range(1, 8))
def test_empty_matrix_among_compressed_ones_harms_nothing(folder, method, option):
    x = np.random.default_rng(method).random((10, 3)).astype(np.float32)
    table = {"a": x, "b": np.empty((0, 0), np.float32), "c": x}
    write(f"ark,scp{option}:ours.ark,ours.scp", table, compression_method=method)
    with kaldi.CompressedMatrixWriter(f"ark,scp{option}:kaldi.ark,kaldi.scp") as writer:
        for key, value in table.items():
            writer.write(key, value, METHODS[method - 1])
    got = read("ark:ours.ark")
    assert [value.shape for value in got.values()] == [(10, 3), (0, 0), (10, 3)]
    for rspecifier in ("scp:ours.scp", "ark:kaldi.ark", "scp:kaldi.scp"):
        assert same(read(rspecifier), got)
    for rspecifier in ("ark:ours.ark", "scp:ours.scp"):
        assert same(
            read_by_kaldi(kaldi.SequentialFloatMatrixReader, rspecifier),
            got,
            rtol=1e-6 if option else 0,
        )


PARTS = st.tuples(st.integers(0, 8), st.integers(0, 12)).map(
    lambda ends: f"{ends[0]}:{ends[1]}"
) | st.sampled_from([":", "", "3", "0:4:2", ":3", "2:", "-1:3", "a:b", "00:01"])


@many(1)
@given(
    value=arrays(
        np.float32, st.tuples(st.integers(1, 6), st.integers(1, 4)), elements=st.integers(-9, 9)
    ),
    parts=st.lists(PARTS, min_size=1, max_size=3),
    is_vector=st.booleans(),
)
def test_ranges_are_cut_and_refused_as_in_kaldi(folder, value, parts, is_vector):
    kind, name = ("vector", "FloatVector") if is_vector else ("matrix", "FloatMatrix")
    write("ark,scp:range.ark,range.scp", {"a": value[:, 0] if is_vector else value}, kind)
    Path("range.scp").write_text(f"{Path('range.scp').read_text().strip()}[{','.join(parts)}]\n")
    theirs = None
    with (
        getattr(kaldi, f"RandomAccess{name}Reader")("scp,p:range.scp") as table,
        suppress(RuntimeError),
    ):
        if "a" in table:
            # Of a vector, Kaldi also cuts nothing behind its end.
            theirs = copied(table["a"]) if table["a"].size else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # rows past the end are clipped with a warning
        try:
            ours = read("scp:range.scp", kind)["a"]
        except SdError:
            ours = None
    assert (ours is None) == (theirs is None)
    assert ours is None or np.array_equal(ours, theirs)


def answers(table, keys):
    """What a table answers to questions, up to the first that it refuses."""
    got = []
    for key in keys:
        try:
            got.append(int(table[key]) if key in table else None)
        except (SdError, RuntimeError):
            return [*got, "refused"]
    return got


LETTERS = st.sampled_from("abcdef")


# Kaldi's reader stumbles over what it could not open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@many(1)
@given(
    keys=st.lists(LETTERS, unique=True).map(sorted) | st.lists(LETTERS, max_size=5),
    asked=st.lists(LETTERS, max_size=6).map(sorted) | st.lists(LETTERS, max_size=6),
    options=st.lists(
        st.sampled_from(["o", "s", "cs", "p", "bg", "no", "ns", "ncs", "np"]), max_size=4
    ),
    form=st.sampled_from(["ark", "scp"]),
)
def test_questions_are_answered_and_refused_as_in_kaldi(folder, keys, asked, options, form):
    assume(keys)
    if "o" in options:
        assume(len(set(keys)) == len(keys))
        # What a second question gets depends in Kaldi on what was read; we refuse it.
        asked = list(dict.fromkeys(asked))
    body = "".join(f"{key} {ord(key)} \n" for key in keys).encode()
    Path("ask.ark").write_bytes(body)
    Path("value").write_bytes(b"7 \n")
    Path("ask.scp").write_text("".join(f"{key} value\n" for key in keys))
    specifier = f"{','.join([form, *options])}:ask.{form}"
    theirs = ours = "refused"
    try:
        with kaldi.RandomAccessInt32Reader(specifier) as table:
            theirs = answers(table, asked)
    except (RuntimeError, AttributeError):
        pass
    try:
        with open_random_table(specifier, "int") as table:
            ours = answers(table, asked)
    except SdError:
        pass
    assert ours == theirs


# ---- tables that mean harm


def small_archives():
    """Bytes of a two-entry archive of every type, as written, with our kind and its values."""
    rng = np.random.default_rng(7)
    matrix, words = rng.standard_normal((9, 3)).astype(np.float32), ["a", "b-c", "päng"]
    values = {
        "matrix": [matrix, matrix[:1]],
        "double matrix": [matrix.astype(np.float64), np.empty((0, 0))],
        "vector": [matrix[0], matrix[:, 0]],
        "double vector": [matrix[0].astype(np.float64), np.empty(0)],
        "int": [3, -70000],
        "float": [0.5, -1e10],
        "int_vector": [np.array([1, -2, 70000]), np.array([], int)],
        "token": ["ab", "λ"],
        "tokens": [words, []],
    }
    cases = [
        (TYPES[name].kind, option, 0, dict(zip("ab", pair)))
        for name, pair in values.items()
        for option in ("", ",t")
    ]
    return cases + [
        ("matrix", "", method, {"a": matrix, "b": matrix[:3]}) for method in range(1, 8)
    ]


@pytest.mark.parametrize(("kind", "option", "method", "table"), small_archives())
def test_archive_of_every_type_cut_at_any_byte_is_an_error_or_exact(
    folder, kind, option, method, table
):
    write(f"ark,scp{option}:cut.ark,cut.scp", table, kind, compression_method=method)
    data = Path("cut.ark").read_bytes()
    whole = read("ark:cut.ark", kind)
    second = int(Path("cut.scp").read_text().rsplit(":")[-1]) - 2
    for end in range(len(data)):
        Path("cut.ark").write_bytes(data[:end])
        for rspecifier in ("ark:cut.ark", "scp:cut.scp"):
            got = {}
            try:
                with open_table(rspecifier, kind) as reader:
                    for entry in reader:
                        got[entry.key] = entry.load()
            except SdError as e:
                assert len(str(e).splitlines()) == 1
            else:
                assert len(got) == 2 or (
                    rspecifier[:3] == "ark" and end in (0, second - (option != ""), second)
                )
            assert same(got, {key: whole[key] for key in got})


@pytest.mark.parametrize("rspecifier", ["ark:big.ark", "scp:big.scp", "ark:cat big.ark |"])
@pytest.mark.parametrize(
    "body",
    [
        b"FM \4\xff\xff\xff\x7f\4\xff\xff\xff\x7f",
        b"DM \4\xff\xff\xff\x7f\4\1\0\0\0",
        b"CM \0\0\0\0\0\0\x80?\xff\xff\xff\x7f\1\0\0\0",
        b"CM2 \0\0\0\0\0\0\x80?\xff\xff\xff\x7f\1\0\0\0",
        b"CM3 \0\0\0\0\0\0\x80?\1\0\0\0\xff\xff\xff\x7f",
    ],
)
def test_matrix_of_two_thousand_million_rows_takes_no_memory(folder, rspecifier, body):
    Path("big.ark").write_bytes(b"a \0B" + body + bytes(1000))
    Path("big.scp").write_text("a big.ark:2\n")
    tracemalloc.start()
    try:
        with pytest.raises(
            SdError,
            match="data: expected [0-9]{10,} bytes, found [0-9]+ bytes. The file is cut short",
        ):
            read(rspecifier)
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("method", range(8))
def test_kaldiio_reads_what_we_write(tmp_path, method):
    rng = np.random.default_rng(method)
    values = {f"a-{i}": (rng.random((20 - i, 3)) * 200).astype(np.float32) for i in range(3)}
    name = f"{tmp_path}/a.ark,{tmp_path}/a.scp"
    with open_writer(f"ark,scp:{name}", compression_method=method) as table:
        for key, value in values.items():
            table.write(key, value)
    with open_table(f"scp:{tmp_path}/a.scp") as table:
        ours = {entry.key: entry.load() for entry in table}
    for theirs in (
        dict(kaldiio.load_ark(f"{tmp_path}/a.ark")),
        kaldiio.load_scp(f"{tmp_path}/a.scp"),
    ):
        assert list(theirs) == list(values)
        for key in values:
            # Method 4 has single precision around -32768.
            np.testing.assert_allclose(theirs[key], ours[key], rtol=1e-5, atol=0.01)
