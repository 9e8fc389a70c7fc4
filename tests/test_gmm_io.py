import os
import re
import struct
import tracemalloc

import kaldi_native_io
import numpy as np
import pytest

from sdtools import gmm_io
from sdtools.gmm import DiagGmm, log_likelihood
from sdtools.gmm_io import read_gmm, write_gmm

# weights 1/4 and 3/4, means (1, -2) and (3, 0), variances (0.5, 2) and (1, 4): all values are exact in float32
GMM = DiagGmm([0.25, 0.75], [[1.0, -2.0], [3.0, 0.0]], [[0.5, 2.0], [1.0, 4.0]])
CONSTANTS = [
    np.log(0.25) - np.log(2 * np.pi) + 0.5 * (np.log(2) - np.log(2)) - 0.5 * (2 + 2),
    np.log(0.75) - np.log(2 * np.pi) + 0.5 * (0 - np.log(4)) - 0.5 * (9 + 0),
]


def binary(begin=b"<DiagGMM> ", end=b"</DiagGMM> ", letter=b"F", constants=True, rows=2, columns=2):
    """The model above, laid out by hand."""
    number = "f" if letter == b"F" else "d"
    parts = [b"\0B", begin]
    if constants:
        parts += [b"<GCONSTS> ", letter, b"V ", struct.pack(f"<bi2{number}", 4, 2, *CONSTANTS)]
    parts += [b"<WEIGHTS> ", letter, b"V ", struct.pack(f"<bi2{number}", 4, 2, 0.25, 0.75)]
    parts += [b"<MEANS_INVVARS> ", letter, b"M ", struct.pack(f"<bibi4{number}", 4, 2, 4, 2, 2, -1, 3, 0)]
    parts += [b"<INV_VARS> ", letter, b"M ", struct.pack(f"<bibi4{number}", 4, rows, 4, columns, 2, 0.5, 1, 0.25), end]
    return b"".join(parts)


TEXT = """<DiagGMM>
<GCONSTS>  [ -5.224171 -7.318705 ]
<WEIGHTS>  [ 0.25 0.75 ]
<MEANS_INVVARS>  [
  2 -1
  3 0 ]
<INV_VARS>  [
  2 0.5
  1 0.25 ]
</DiagGMM>
"""


def assert_is_the_model(gmm):
    for name in ("weights", "means", "variances"):
        np.testing.assert_array_equal(getattr(gmm, name), getattr(GMM, name))


def random_gmm(num_components=16, dim=10, offset=0.0):
    rng = np.random.default_rng(0)
    weights = rng.random(num_components)
    return DiagGmm(weights / weights.sum(), offset + rng.standard_normal((num_components, dim)), rng.random((num_components, dim)) + 0.1)


# Closed form


def test_written_bytes_are_those_laid_out_by_hand(tmp_path):
    write_gmm(tmp_path / "gmm", GMM)
    assert (tmp_path / "gmm").read_bytes() == binary()


@pytest.mark.parametrize(
    "data",
    [
        binary(),
        binary(letter=b"D"),
        binary(constants=False),
        binary(b"<DiagGMMBegin> ", b"<DiagGMMEnd> "),
        TEXT.encode(),
        TEXT.replace("<DiagGMM>", "<DiagGMMBegin>").replace("</DiagGMM>", "<DiagGMMEnd>").encode(),
        re.sub("<GCONSTS>.*\n", "", TEXT).encode(),
        TEXT.replace("2 -1\n", "2 -1 ; ").encode(),
    ],
)
def test_reads_every_form(tmp_path, data):
    (tmp_path / "gmm").write_bytes(data)
    assert_is_the_model(read_gmm(tmp_path / "gmm"))


# Property


@pytest.mark.parametrize("offset", [0.0, 300.0])
@pytest.mark.parametrize("text", [False, True])
def test_what_is_written_is_read(tmp_path, text, offset):
    gmm = random_gmm(offset=offset)
    write_gmm(tmp_path / "gmm", gmm, text)
    got = read_gmm(tmp_path / "gmm")
    for name in ("weights", "means", "variances"):
        np.testing.assert_allclose(getattr(got, name), getattr(gmm, name), rtol=1e-6 if text else 2e-7)
    frames = (offset + np.random.default_rng(1).standard_normal((50, 10))).astype(np.float32)
    np.testing.assert_allclose(log_likelihood(got, frames), log_likelihood(gmm, frames), atol=1e-4 if offset == 0 else 2e-3)


def test_binary_and_text_hold_the_same_values(tmp_path):
    write_gmm(tmp_path / "binary", random_gmm())
    write_gmm(tmp_path / "text", random_gmm(), text=True)
    np.testing.assert_allclose(read_gmm(tmp_path / "text").means, read_gmm(tmp_path / "binary").means, rtol=1e-6)


# Second implementation


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize(
    ("name", "reader", "expected"),
    [
        ("GCONSTS", kaldi_native_io.FloatVector, CONSTANTS),
        ("WEIGHTS", kaldi_native_io.FloatVector, GMM.weights),
        ("MEANS_INVVARS", kaldi_native_io.FloatMatrix, GMM.means / GMM.variances),
        ("INV_VARS", kaldi_native_io.FloatMatrix, 1 / GMM.variances),
    ],
)
def test_kaldi_reads_the_arrays(tmp_path, text, name, reader, expected):
    write_gmm(tmp_path / "gmm", GMM, text)
    data = (tmp_path / "gmm").read_bytes()
    start = data.index(f"<{name}> ".encode()) + len(name) + 3
    (tmp_path / "array").write_bytes(data[start:] if text else b"\0B" + data[start:])
    np.testing.assert_allclose(reader.read(str(tmp_path / "array")).numpy(), expected, rtol=5e-7 if text else 1e-7)


@pytest.mark.parametrize("text", [False, True])
def test_reads_arrays_that_kaldi_wrote(tmp_path, text):
    parts = [b"<DiagGMM> " if text else b"\0B<DiagGMM> "]
    for name, values in (("WEIGHTS", GMM.weights), ("MEANS_INVVARS", GMM.means / GMM.variances), ("INV_VARS", 1 / GMM.variances)):
        kind = kaldi_native_io.FloatVector if values.ndim == 1 else kaldi_native_io.FloatMatrix
        kind(values.astype(np.float32)).write(str(tmp_path / "array"), binary=not text)
        parts += [f"<{name}> ".encode(), (tmp_path / "array").read_bytes().removeprefix(b"\0B")]
    (tmp_path / "gmm").write_bytes(b"".join([*parts, b"</DiagGMM> "]))
    assert_is_the_model(read_gmm(tmp_path / "gmm"))


# Limits and errors


def test_weight_of_zero(tmp_path):
    write_gmm(tmp_path / "gmm", DiagGmm([1.0, 0.0], GMM.means, GMM.variances))
    assert read_gmm(tmp_path / "gmm").weights.tolist() == [1.0, 0.0]


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    write_gmm(tmp_path / "gmm", GMM)

    def no_space(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(ValueError, match="gmm: write: got 'No space left on device'"):
        write_gmm(tmp_path / "gmm", random_gmm())
    assert os.listdir(tmp_path) == ["gmm"]
    assert_is_the_model(read_gmm(tmp_path / "gmm"))


def test_values_beyond_float32(tmp_path):
    with pytest.raises(ValueError, match=r"write_gmm: .*gmm: got a least variance of 1e-40, need 1 / variance and mean / variance within"):
        write_gmm(tmp_path / "gmm", DiagGmm([1.0], [[0.0]], [[1e-40]]))
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("data", [binary(), binary(constants=False), TEXT.rstrip().encode()])
def test_truncated_anywhere_is_one_line_with_the_path(tmp_path, data):
    path = tmp_path / "gmm"
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(ValueError, match=rf"^read_gmm: {re.escape(str(path))}: [^\n]*; a truncated [^\n]*$"):
            read_gmm(path)


@pytest.mark.parametrize("data", [binary() + b"\n", binary() + binary(), TEXT.encode() + b"x", TEXT.encode() * 2, binary()[2:]])
def test_anything_after_or_around_the_model(tmp_path, data):
    (tmp_path / "gmm").write_bytes(data)
    with pytest.raises(ValueError, match="read_gmm: .*truncated file or another kind of file. Train the model again"):
        read_gmm(tmp_path / "gmm")


@pytest.mark.parametrize("sizes", [(2**31 - 1, 2), (2**31 - 1, 2**31 - 1), (-1, 2), (4, 2)])
def test_claimed_size_is_refused_before_memory_is_taken(tmp_path, sizes):
    (tmp_path / "gmm").write_bytes(binary(rows=sizes[0], columns=sizes[1]))
    tracemalloc.start()
    with pytest.raises(ValueError, match=rf"read_gmm: .*<INV_VARS>: got sizes \[{sizes[0]}, {sizes[1]}\], need at most \d+ values"):
        read_gmm(tmp_path / "gmm")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e6


def test_file_too_large_for_a_model(tmp_path, monkeypatch):
    (tmp_path / "gmm").write_bytes(binary())
    monkeypatch.setattr(gmm_io, "MAX_BYTES", 100)
    with pytest.raises(ValueError, match=r"read_gmm: .*size: got \d+ bytes, need at most 100; an archive, not a model"):
        read_gmm(tmp_path / "gmm")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0.25 0.75", "0.25 0.25", "DiagGmm: weights: got a sum of 0.5"),
        ("0.25 0.75", "0.25 0.5 0.25", r"DiagGmm: shapes: got \(\(3,\), \(2, 2\), \(2, 2\)\)"),
        ("3 0 ]", "]", r"sizes: got \(1, 2\) and \(2, 2\), need equal ones"),
        ("3 0 ]", "3 ]", "numbers: got rows of unequal length or a word"),
        ("3 0 ]", "3 zero ]", "numbers: got rows of unequal length or a word"),
        ("1 0.25 ]", "1 0 ]", "DiagGmm: means: got nan or inf"),
        ("1 0.25 ]", "1 -4 ]", "DiagGmm: variances: got -0.25, need more than 0"),
        ("3 0 ]", "1e50 0 ]", "DiagGmm: means: got nan or inf"),
        ("1 0.25 ]", "1 nan ]", "DiagGmm: means: got nan or inf"),
    ],
)
def test_values_that_make_no_model(tmp_path, old, new, message):
    assert old in TEXT
    (tmp_path / "gmm").write_text(TEXT.replace(old, new))
    with pytest.raises(ValueError, match=f"read_gmm: .*gmm: {message}"):
        read_gmm(tmp_path / "gmm")
