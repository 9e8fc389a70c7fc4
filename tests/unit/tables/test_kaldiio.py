"""What kaldiio does differently from Kaldi, or lacks, and sdtools/tables therefore does itself.

Every test shows kaldiio's behaviour, beside ours or Kaldi's. When one of them fails, kaldiio has
mended something: then our code for it, and the test, can go.
"""

import io
import pickle
import warnings

import kaldi_native_io as kaldi
import kaldiio
import numpy as np
import pytest
from kaldiio.compression_header import GlobalHeader
from kaldiio.matio import (
    _convert_to_slice,
    read_ascii_mat,
    read_int32vector,
    read_kaldi,
    read_matrix_or_vector,
    write_array,
    write_array_ascii,
)

from sdtools.errors import SdError
from sdtools.tables.compression import compress, expand
from sdtools.tables.input import Input, open_input
from sdtools.tables.objects import apply_range, encode, read_object
from sdtools.tables.specifiers import parse_rspecifier
from sdtools.tables.table import open_table

RNG = np.random.default_rng(0)
FEATS = RNG.standard_normal((50, 7)).astype(np.float32)


def decode(data, kind, tmp_path):
    (tmp_path / "object").write_bytes(data)
    with open_input(str(tmp_path / "object")) as source:
        return read_object(source, kind)


def written_by_kaldiio(matrix, method):
    file = io.BytesIO()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        write_array(file, matrix, compression_method=method)
    return file.getvalue()


def read_by_kaldi(data, tmp_path):
    (tmp_path / "x.ark").write_bytes(b"a " + data)
    with kaldi.SequentialFloatMatrixReader(f"ark:{tmp_path}/x.ark") as table:
        return np.array(next(iter(table))[1])


# ---- compression


@pytest.mark.parametrize(("method", "too_much"), [(4, 40000.0), (6, 300.0), (7, 1.5)])
def test_values_outside_of_the_extent_wrap_around(tmp_path, method, too_much):
    matrix = np.array([[0, too_much]], np.float32)
    ours = read_by_kaldi(encode(matrix, "matrix", False, method), tmp_path)
    assert ours[0, 1] == pytest.approx({4: 32767, 6: 255, 7: 1}[method], rel=1e-6)
    assert read_by_kaldi(written_by_kaldiio(matrix, method), tmp_path)[0, 1] < 0.8 * ours[0, 1]


def test_some_codes_differ():
    """It adds 0.499 and 0.5 in single precision: one code of 300000, up to one of 500."""
    matrix = (np.random.default_rng(0).standard_normal((300, 1000)) * 100).astype(np.float32)
    for method, most in ((2, 300), (3, 1000), (5, 30)):
        ours = np.frombuffer(encode(matrix, "matrix", False, method), "u1")
        theirs = np.frombuffer(written_by_kaldiio(matrix, method), "u1")
        assert 0 < (ours != theirs).sum() < most, method


@pytest.mark.parametrize("method", [2, 3, 5])
def test_last_bits_of_decoded_values_differ(tmp_path, method):
    data = encode(FEATS, "matrix", False, method)
    by_kaldi = read_by_kaldi(data, tmp_path)
    assert np.array_equal(decode(data, "matrix", tmp_path), by_kaldi)
    by_kaldiio = read_matrix_or_vector(io.BytesIO(data))
    assert not np.array_equal(by_kaldiio, by_kaldi)
    np.testing.assert_allclose(by_kaldiio, by_kaldi, atol=1e-5)


def test_constant_matrix_gets_another_extent():
    """It rounds the greatest value twice."""
    matrix = np.full((2, 2), 8.71806890e-02, np.float32)
    assert GlobalHeader.compute(matrix, 3).range != compress(matrix, 3)[0].range


def test_least_value_is_the_zero_with_the_other_sign():
    zeros = np.array([[0.0, -0.0]], np.float32)
    assert np.signbit(GlobalHeader.compute(zeros, 3).min_value)
    assert not np.signbit(compress(zeros, 3)[0].min_value)


@pytest.mark.parametrize("num_rows", [1, 2, 3])
def test_few_rows_get_other_corners(num_rows):
    """It raises an absent corner by 1, not by one step."""
    matrix = FEATS[:num_rows]
    assert written_by_kaldiio(matrix, 2) != encode(matrix, "matrix", False, 2)


def test_corners_meet_where_the_extent_is_small():
    """It writes them by way of their values, so that corners one step apart become one."""
    matrix = np.column_stack([1e6 + FEATS, np.full(50, 1e6)]).astype(np.float32)
    ours, theirs = (
        np.frombuffer(data, "<u2", 4, 21 + 7 * 8)
        for data in (encode(matrix, "matrix", False, 2), written_by_kaldiio(matrix, 2))
    )
    assert (np.diff(ours.astype(int)) == 1).all()
    assert not (np.diff(theirs.astype(int)) == 1).all()


def test_expansion_takes_many_times_the_memory():
    """Of ten times the bytes of a file, which docs/reliability.md promises."""
    import tracemalloc

    header, codes = compress(RNG.random((300, 3000)).astype(np.float32), 2)
    file = io.BytesIO()
    file.write(b"\0B")
    header.write(file)
    file.write(b"".join(part.tobytes() for part in codes))

    def peak(function, *args):
        tracemalloc.start()
        try:
            function(*args)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    file.seek(0)
    assert peak(read_matrix_or_vector, file) > 15 * codes[1].nbytes
    assert peak(expand, header, codes) < 10 * codes[1].nbytes


# ---- text


@pytest.mark.parametrize("text", [b" [ 1 2.5 ]\n", b" [ 1e-05 2 ]\n", b" [ nan 1.5 ]\n"])
def test_type_of_text_comes_from_its_first_number(tmp_path, text):
    assert decode(text, "vector", tmp_path).dtype == np.float32
    with pytest.raises(ValueError):
        read_ascii_mat(io.BytesIO(text))


def test_text_of_double_precision_loses_digits(tmp_path):
    text = b" [ 0.12345678901 ]\n"
    assert decode(text, "vector", tmp_path)[0] == 0.12345678901
    assert read_ascii_mat(io.BytesIO(text)).dtype == np.float32


def test_rows_may_not_end_with_a_semicolon(tmp_path):
    text = b" [ 1.5 2 ; 3 4 ]\n"
    assert decode(text, "matrix", tmp_path).tolist() == [[1.5, 2], [3, 4]]
    with pytest.raises(ValueError):
        read_ascii_mat(io.BytesIO(text))


def test_vector_of_integers_in_text_looks_like_one_of_floats(tmp_path):
    file = io.BytesIO()
    write_array_ascii(file, np.array([1, 2], np.int32))
    assert file.getvalue() == b" [ 1 2 ]\n"
    assert encode([1, 2], "int_vector", text=True) == b"1 2 \n"


def test_empty_matrix_has_other_bytes():
    """Kaldi's empty matrix has no columns, and in text one blank."""
    empty = np.empty((0, 3), np.float32)
    for write, text in ((write_array, False), (write_array_ascii, True)):
        file = io.BytesIO()
        write(file, empty)
        assert file.getvalue() != encode(empty, "matrix", text)


# ---- what may stand in an archive


@pytest.mark.parametrize(
    "read", [read_kaldi, lambda file: next(kaldiio.load_ark(io.BytesIO(b"a " + file.read())))]
)
def test_pickles_are_run(tmp_path, read):
    class Payload:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    opened = read(io.BytesIO(b"PKL" + pickle.dumps(Payload())))
    (opened[1] if isinstance(opened, tuple) else opened).close()
    assert (tmp_path / "ran").exists()


def test_memory_is_taken_for_any_claim(monkeypatch):
    claim = []
    monkeypatch.setattr(np, "empty", lambda size, dtype: claim.append(size) or [0])
    with pytest.raises(Exception):  # noqa: B017 - it has taken the memory before
        read_int32vector(io.BytesIO(b"\0B\4\xff\xff\xff\x7f\4\0\0\0\0"))
    assert claim == [2**31 - 1]


def test_sizes_are_not_checked(tmp_path):
    data = b"\0BFM \4\2\0\0\0\4\0\0\0\0"
    assert read_matrix_or_vector(io.BytesIO(data)).shape == (2, 0)
    with pytest.raises(SdError):
        decode(data, "matrix", tmp_path)


# ---- specifiers, ranges, pipes


@pytest.mark.parametrize("bounds", ["3", "0:9:2", "-1:3", "5:2", "8:99", ",0:1"])
def test_other_ranges_are_taken_in_silence(bounds):
    matrix = np.zeros((10, 2), np.float32)
    matrix[_convert_to_slice(bounds)]
    with pytest.raises(SdError):
        apply_range(matrix, bounds, "x")


@pytest.mark.parametrize("option", ["bg", "b", "np", "ns", "no", "ncs"])
def test_options_are_unknown(option):
    with pytest.raises(ValueError):
        kaldiio.parse_specifier(f"ark,{option}:x")
    assert parse_rspecifier(f"ark,{option}:x")[1] == {option}


def test_exit_status_of_a_command_is_ignored(tmp_path):
    kaldiio.save_ark(f"{tmp_path}/x.ark", {"a": FEATS})
    command = f"ark:cat {tmp_path}/x.ark; exit 3 |"
    with kaldiio.ReadHelper(command) as table:
        assert [key for key, _ in table] == ["a"]
    with pytest.raises(SdError), open_table(command) as table:
        assert [entry.key for entry in table] == ["a"]


def test_permissive_ends_at_the_first_bad_entry(tmp_path):
    kaldiio.save_ark(f"{tmp_path}/x.ark", {"a": FEATS, "c": FEATS}, scp=f"{tmp_path}/x.scp")
    first, last = (tmp_path / "x.scp").read_text().splitlines()
    (tmp_path / "x.scp").write_text(f"{first}\nb absent.ark:3\n{last}\n")
    with kaldiio.ReadHelper(f"scp,p:{tmp_path}/x.scp") as table:
        assert [key for key, _ in table] == ["a"]
    with pytest.warns(UserWarning), open_table(f"scp,p:{tmp_path}/x.scp") as table:
        assert [entry.key for entry in table] == ["a", "c"]


def test_numbers_and_words_are_no_objects(tmp_path):
    for data, kind in ((b"\0B\4\7\0\0\0", "int"), (b"\0B\4\0\0\0?", "float"), (b"ab\n", "token")):
        with pytest.raises(Exception):  # noqa: B017 - each fails in its own way
            read_kaldi(io.BytesIO(data))
        decode(data, kind, tmp_path)


def test_input_serves_kaldiio(tmp_path):
    """Our checked input is the file that kaldiio reads from."""
    (tmp_path / "x").write_bytes(encode(FEATS, "matrix", False))
    source = Input(str(tmp_path / "x"))
    assert np.array_equal(read_matrix_or_vector(source), FEATS)
    source.close()
