import os
import re
import struct
import tracemalloc
import zipfile

import kaldi_native_io
import numpy as np
import pytest
from fields import fails
from hypothesis import given, settings
from hypothesis import strategies as st

from sdtools.errors import SdError
from sdtools.gmm import io as gmm_io
from sdtools.gmm.io import read_gmm, read_stats, write_gmm, write_stats
from sdtools.gmm.mixture import DiagGmm, log_likelihood
from sdtools.gmm.statistics import GmmStats

# weights 1/4 and 3/4, means (1, -2) and (3, 0), variances (0.5, 2) and (1, 4): exact in float32
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
    parts += [
        b"<MEANS_INVVARS> ",
        letter,
        b"M ",
        struct.pack(f"<bibi4{number}", 4, 2, 4, 2, 2, -1, 3, 0),
    ]
    parts += [
        b"<INV_VARS> ",
        letter,
        b"M ",
        struct.pack(f"<bibi4{number}", 4, rows, 4, columns, 2, 0.5, 1, 0.25),
        end,
    ]
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


# occupancies 3 and 1, sums of x (3, -6) and (2, 0.5), sums of x² (4, 13) and (4, 0.25)
STATS = GmmStats(
    np.array([3.0, 1.0]),
    np.array([[3.0, -6.0], [2.0, 0.5]]),
    np.array([[4.0, 13.0], [4.0, 0.25]]),
    -7.0,
    4,
)


def binary_stats(
    letter=b"D",
    flags=b"\xfe\x07\x00",
    num_components=2,
    rows=2,
    begin=b"<GMMACCS> ",
    occupancy=(3, 1),
):
    """The statistics above, laid out by hand."""
    number = "f" if letter == b"F" else "d"
    parts = [
        b"\0B",
        begin,
        b"<VECSIZE> ",
        struct.pack("<bi", 4, 2),
        b"<NUMCOMPONENTS> ",
        struct.pack("<bi", 4, num_components),
    ]
    parts += [
        b"<FLAGS> ",
        flags,
        b"<OCCUPANCY> ",
        letter,
        b"V ",
        struct.pack(f"<bi2{number}", 4, 2, *occupancy),
    ]
    parts += [
        b"<MEANACCS> ",
        letter,
        b"M ",
        struct.pack(f"<bibi4{number}", 4, 2, 4, 2, 3, -6, 2, 0.5),
    ]
    parts += [
        b"<DIAGVARACCS> ",
        letter,
        b"M ",
        struct.pack(f"<bibi4{number}", 4, rows, 4, 2, 4, 13, 4, 0.25),
        b"</GMMACCS> ",
    ]
    return b"".join(parts)


TEXT_STATS = """<GMMACCS> <VECSIZE> 2 <NUMCOMPONENTS> 2 <FLAGS> 7 <OCCUPANCY>  [ 3 1 ]
<MEANACCS>  [
  3 -6
  2 0.5 ]
<DIAGVARACCS>  [
  4 13
  4 0.25 ]
</GMMACCS> """


def random_stats(seed):
    rng = np.random.default_rng(seed)
    return GmmStats(
        100 * rng.random(5), 1e5 * rng.standard_normal((5, 3)), 1e9 * rng.random((5, 3)), -1.0, 250
    )


def assert_are_the_statistics(stats):
    for name in ("occupancy", "first", "second"):
        np.testing.assert_array_equal(getattr(stats, name), getattr(STATS, name))
    assert stats.num_frames == 4


def assert_is_the_model(gmm):
    for name in ("weights", "means", "variances"):
        np.testing.assert_array_equal(getattr(gmm, name), getattr(GMM, name))


def random_gmm(num_components=16, dim=10, offset=0.0):
    rng = np.random.default_rng(0)
    weights = rng.random(num_components)
    return DiagGmm(
        weights / weights.sum(),
        offset + rng.standard_normal((num_components, dim)),
        rng.random((num_components, dim)) + 0.1,
    )


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


def test_doubles_are_laid_out_like_kaldis(tmp_path):
    write_gmm(tmp_path / "gmm", GMM, double=True)
    got, expected = (tmp_path / "gmm").read_bytes(), binary(letter=b"D")
    start = expected.index(b"<WEIGHTS>")  # the logarithms of GCONSTS may differ in the last bit
    assert got[start:] == expected[start:] and got[: start - 16] == expected[: start - 16]


@pytest.mark.parametrize("text", [False, True])
def test_written_statistics_are_those_laid_out_by_hand(tmp_path, text):
    write_stats(tmp_path / "acc", STATS, text)
    got = (tmp_path / "acc").read_bytes()
    assert got == (
        TEXT_STATS.replace("\n  4 13\n", "\n  4 13 \n").replace("  3 -6\n", "  3 -6 \n").encode()
        if text
        else binary_stats()
    )


@pytest.mark.parametrize(
    "data",
    [
        binary_stats(),
        binary_stats(b"F"),
        TEXT_STATS.encode(),
        TEXT_STATS.replace("3 -6\n", "3 -6 ; ").encode(),
    ],
)
def test_reads_every_form_of_statistics(tmp_path, data):
    (tmp_path / "acc").write_bytes(data)
    assert_are_the_statistics(read_stats(tmp_path / "acc"))


def test_models_and_statistics_through_pipes(tmp_path):
    write_gmm(f"| gzip > {tmp_path}/gmm.gz", GMM)
    write_stats(f"| gzip > {tmp_path}/acc.gz", STATS)
    assert_is_the_model(read_gmm(f"gunzip -c {tmp_path}/gmm.gz |"))
    assert_are_the_statistics(read_stats(f"gunzip -c {tmp_path}/acc.gz |"))
    with pytest.raises(ValueError, match="^cat .*exit status of the command: expected 0, found 3"):
        read_gmm(f"cat {tmp_path}/gmm.gz; exit 3 |")


# Property


@pytest.mark.parametrize("offset", [0.0, 300.0])
@pytest.mark.parametrize("text", [False, True])
def test_what_is_written_is_read(tmp_path, text, offset):
    gmm = random_gmm(offset=offset)
    write_gmm(tmp_path / "gmm", gmm, text)
    got = read_gmm(tmp_path / "gmm")
    for name in ("weights", "means", "variances"):
        np.testing.assert_allclose(
            getattr(got, name), getattr(gmm, name), rtol=1e-6 if text else 2e-7
        )
    frames = (offset + np.random.default_rng(1).standard_normal((50, 10))).astype(np.float32)
    np.testing.assert_allclose(
        log_likelihood(got, frames), log_likelihood(gmm, frames), atol=1e-4 if offset == 0 else 2e-3
    )


@settings(max_examples=20, deadline=None)
@given(
    seed=st.integers(0, 2**16),
    form=st.sampled_from(["gmm", "text", "gmm.npz"]),
    offset=st.sampled_from([0.0, 3000.0, 1e6]),
)
def test_a_model_is_the_same_after_a_way_through_a_file(tmp_path_factory, seed, form, offset):
    rng = np.random.default_rng(seed)
    gmm = DiagGmm(
        rng.dirichlet(np.ones(5)),
        offset + rng.standard_normal((5, 7)),
        10 ** rng.uniform(-3, 5, (5, 7)),
    )
    path = tmp_path_factory.mktemp("forms") / form
    write_gmm(path, gmm, text=form == "text", double=True)
    got = read_gmm(path)
    for name in ("weights", "means", "variances"):
        np.testing.assert_array_equal(getattr(got, name), getattr(gmm, name))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 2**16), text=st.booleans())
def test_statistics_are_the_same_after_a_way_through_a_file(tmp_path_factory, seed, text):
    stats = random_stats(seed)
    path = tmp_path_factory.mktemp("forms") / "acc"
    write_stats(path, stats, text)
    got = read_stats(path)
    for name in ("occupancy", "first", "second"):
        np.testing.assert_array_equal(getattr(got, name), getattr(stats, name))
    assert got.num_frames == round(stats.occupancy.sum()) and np.isnan(got.log_likelihood)


def test_npz_holds_the_arrays_under_their_names(tmp_path):
    write_gmm(tmp_path / "gmm.npz", GMM)
    with np.load(tmp_path / "gmm.npz") as arrays:
        assert sorted(arrays) == ["means", "variances", "weights"]
        np.testing.assert_array_equal(arrays["variances"], GMM.variances)
    np.savez_compressed(
        tmp_path / "other.npz",
        weights=np.float32([0.25, 0.75]),
        means=GMM.means,
        variances=GMM.variances,
    )
    assert_is_the_model(read_gmm(tmp_path / "other.npz"))


def test_binary_and_text_hold_the_same_values(tmp_path):
    write_gmm(tmp_path / "binary", random_gmm())
    write_gmm(tmp_path / "text", random_gmm(), text=True)
    np.testing.assert_allclose(
        read_gmm(tmp_path / "text").means, read_gmm(tmp_path / "binary").means, rtol=1e-6
    )


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
    np.testing.assert_allclose(
        reader.read(str(tmp_path / "array")).numpy(), expected, rtol=5e-7 if text else 1e-7
    )


@pytest.mark.parametrize("text", [False, True])
def test_reads_arrays_that_kaldi_wrote(tmp_path, text):
    parts = [b"<DiagGMM> " if text else b"\0B<DiagGMM> "]
    for name, values in (
        ("WEIGHTS", GMM.weights),
        ("MEANS_INVVARS", GMM.means / GMM.variances),
        ("INV_VARS", 1 / GMM.variances),
    ):
        kind = kaldi_native_io.FloatVector if values.ndim == 1 else kaldi_native_io.FloatMatrix
        kind(values.astype(np.float32)).write(str(tmp_path / "array"), binary=not text)
        parts += [f"<{name}> ".encode(), (tmp_path / "array").read_bytes().removeprefix(b"\0B")]
    (tmp_path / "gmm").write_bytes(b"".join([*parts, b"</DiagGMM> "]))
    assert_is_the_model(read_gmm(tmp_path / "gmm"))


@pytest.mark.parametrize("text", [False, True])
@pytest.mark.parametrize(
    ("name", "reader", "expected"),
    [
        ("OCCUPANCY", kaldi_native_io.FloatVector, STATS.occupancy),
        ("OCCUPANCY", kaldi_native_io.DoubleVector, STATS.occupancy),
        ("MEANACCS", kaldi_native_io.FloatMatrix, STATS.first),
        ("DIAGVARACCS", kaldi_native_io.DoubleMatrix, STATS.second),
    ],
)
def test_kaldi_reads_the_statistics_as_float_and_as_double(tmp_path, text, name, reader, expected):
    write_stats(tmp_path / "acc", STATS, text)
    data = (tmp_path / "acc").read_bytes()
    start = data.index(f"<{name}> ".encode()) + len(name) + 3
    (tmp_path / "array").write_bytes(data[start:] if text else b"\0B" + data[start:])
    np.testing.assert_array_equal(reader.read(str(tmp_path / "array")).numpy(), expected)


# Limits and errors


def test_weights_that_do_not_sum_to_one(tmp_path):
    """As by Kaldi's least weight, and its rounding: read as they are, written back the same."""
    data = binary().replace(struct.pack("<2f", 0.25, 0.75), struct.pack("<2f", 0.25, 1.0))
    (tmp_path / "gmm").write_bytes(data)
    gmm = read_gmm(tmp_path / "gmm")
    assert gmm.weights.tolist() == [0.25, 1.0]
    write_gmm(tmp_path / "copy", gmm)
    start = data.index(b"<WEIGHTS>")
    assert (tmp_path / "copy").read_bytes()[start:] == data[start:]


def test_weight_of_zero(tmp_path):
    write_gmm(tmp_path / "gmm", DiagGmm([1.0, 0.0], GMM.means, GMM.variances))
    assert read_gmm(tmp_path / "gmm").weights.tolist() == [1.0, 0.0]


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    write_gmm(tmp_path / "gmm", GMM)

    def no_space(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", no_space)
    with pytest.raises(ValueError, match="gmm: cannot write: No space left on device"):
        write_gmm(tmp_path / "gmm", random_gmm())
    assert os.listdir(tmp_path) == ["gmm"]
    assert_is_the_model(read_gmm(tmp_path / "gmm"))


def test_values_beyond_float32(tmp_path):
    need = "1 / variance and mean / variance within float32"
    with fails(who=f"{tmp_path}/gmm", got="a least variance of 1e-40", need=need):
        write_gmm(tmp_path / "gmm", DiagGmm([1.0], [[0.0]], [[1e-40]]))
    assert not os.listdir(tmp_path)


def assert_is_cut_short(path, read):
    """One line with the path and the place."""
    where = re.compile(rf"^{re.escape(str(path))}: (byte \d+|<\w+>)$")
    with fails(who=where, hint=re.compile("is cut short or")) as info:
        read(path)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize("data", [binary(), binary(constants=False), TEXT.rstrip().encode()])
def test_truncated_anywhere_is_one_line_with_the_path(tmp_path, data):
    path = tmp_path / "gmm"
    for length in range(len(data)):
        path.write_bytes(data[:length])
        assert_is_cut_short(path, read_gmm)


@pytest.mark.parametrize("data", [binary_stats(), binary_stats(b"F"), TEXT_STATS.rstrip().encode()])
def test_statistics_truncated_anywhere(tmp_path, data):
    path = tmp_path / "acc"
    for length in range(len(data)):
        path.write_bytes(data[:length])
        assert_is_cut_short(path, read_stats)


END = "</GMMACCS> and the end of the file"
DAMAGED_VALUES = "nan, inf or a negative number of frames"


@pytest.mark.parametrize(
    ("data", "who", "fields"),
    [
        (binary(), "byte 2", {"need": "<GMMACCS>"}),
        (binary_stats(begin=b"<GMMACC> "), "byte 2", {"need": "<GMMACCS>"}),
        (
            binary_stats(flags=b"\xfe\x03\x00"),
            "<FLAGS>",
            {"got": 3, "need": "7: means, variances and weights"},
        ),
        (binary_stats(flags=b"\x04\x07\x00\x00\x00")[:-1], "byte 212", {"need": END}),
        (binary_stats(num_components=3), "<OCCUPANCY>", {"got": (2,), "need": (3,)}),
        (binary_stats(num_components=-1), "<OCCUPANCY>", {"got": (2,), "need": (-1,)}),
        (
            binary_stats(rows=2**31 - 1),
            "<DIAGVARACCS>",
            {"got": (2**31 - 1, 2), "need": re.compile(r"^at most \d+ values$")},
        ),
        (binary_stats(occupancy=(np.nan, 1)), "values", {"got": DAMAGED_VALUES}),
        (binary_stats(occupancy=(-3, 1)), "values", {"got": DAMAGED_VALUES}),
        (binary_stats() + b"\n", "byte 210", {"need": END}),
        (TEXT_STATS.replace("4 13", "inf 13").encode(), "values", {"got": DAMAGED_VALUES}),
        (
            TEXT_STATS.replace("3 -6", "3").encode(),
            "<MEANACCS>",
            {"got": re.compile("rows of unequal length")},
        ),
        (
            TEXT_STATS.replace("<VECSIZE> 2", "<VECSIZE> 2_0").encode(),
            "byte 20",
            {"need": "<VECSIZE>"},
        ),
    ],
)
def test_bytes_that_are_no_statistics(tmp_path, data, who, fields):
    (tmp_path / "acc").write_bytes(data)
    with fails(who=f"{tmp_path}/acc: {who}", **fields):
        read_stats(tmp_path / "acc")


class Bomb:
    """Pickled, it would make a file."""

    def __reduce__(self):
        return (open, ("bomb", "w"))


def npz(folder, **arrays):
    np.savez(
        folder / "gmm.npz",
        **{"weights": GMM.weights, "means": GMM.means, "variances": GMM.variances, **arrays},
    )
    return folder / "gmm.npz"


@pytest.mark.parametrize(
    ("arrays", "who", "got"),
    [
        ({"weights": np.array([Bomb(), 1.0], dtype=object)}, "npz", r"weights\.npy of object"),
        ({"weights": np.array(["0.5", "0.5"])}, "npz", r"weights\.npy of <U3"),
        ({"means": np.array([[1, 2], [3, 4]])}, "npz", r"means\.npy of int64"),
        ({"means": GMM.means[:1]}, "DiagGmm", r"\(\(2,\), \(1, 2\), \(2, 2\)\)"),
        ({"weights": np.array([np.nan, 1.0])}, "DiagGmm", "nan"),
    ],
)
def test_npz_that_is_no_model(tmp_path, monkeypatch, arrays, who, got):
    monkeypatch.chdir(tmp_path)
    with fails(who=f"{tmp_path}/gmm.npz: {who}", got=re.compile(got)):
        read_gmm(npz(tmp_path, **arrays))
    assert not (tmp_path / "bomb").exists()


def test_npz_that_lacks_an_array_or_is_none(tmp_path):
    np.savez(tmp_path / "gmm.npz", weights=GMM.weights)
    need = "float arrays weights, means, variances"
    with fails(who=f"{tmp_path}/gmm.npz: npz", got=re.compile(r"means\.npy"), need=need):
        read_gmm(tmp_path / "gmm.npz")
    (tmp_path / "gmm.npz").write_bytes(binary())
    with fails(who=f"{tmp_path}/gmm.npz: npz", got="File is not a zip file", need=need):
        read_gmm(tmp_path / "gmm.npz")


def test_npz_that_claims_more_than_it_holds(tmp_path):
    with zipfile.ZipFile(tmp_path / "gmm.npz", "w") as archive:
        for name in ("weights", "means", "variances"):
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array_header_1_0(
                    member, {"descr": "<f8", "fortran_order": False, "shape": (10**9,)}
                )
    tracemalloc.start()
    with fails(who=f"{tmp_path}/gmm.npz: npz", got="buffer is smaller than requested size"):
        read_gmm(tmp_path / "gmm.npz")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e6


@pytest.mark.parametrize("seed", range(4))
def test_damaged_npz_is_one_line_or_a_model(tmp_path, seed):
    rng = np.random.default_rng(seed)
    data = npz(tmp_path).read_bytes()
    for _ in range(150):
        damaged = bytearray(data[: rng.integers(len(data))] if rng.random() < 0.3 else data)
        for position in rng.integers(len(damaged) + 1, size=3):
            damaged[position : position + 1] = rng.bytes(1)
        (tmp_path / "gmm.npz").write_bytes(damaged)
        try:
            assert isinstance(read_gmm(tmp_path / "gmm.npz"), DiagGmm)
        except SdError as error:
            assert error.who.startswith(f"{tmp_path}/gmm.npz: ") and "\n" not in str(error)


def test_settings_go_with_the_model(tmp_path):
    (tmp_path / "a.conf").write_text("--deltas=true\n")
    gmm_io.copy_settings(f"{tmp_path}/a", f"{tmp_path}/b")
    assert (tmp_path / "b.conf").read_text() == "--deltas=true\n"
    gmm_io.copy_settings(f"{tmp_path}/a", "-")
    gmm_io.copy_settings(f"{tmp_path}/none", f"{tmp_path}/c")
    assert sorted(os.listdir(tmp_path)) == ["a.conf", "b.conf"]


def test_a_file_in_the_place_of_settings_is_left(tmp_path):
    (tmp_path / "gmm.conf").write_text("--of-the-user=true\n")
    what, hint = re.compile(r"none\.conf does not; .*another model"), re.compile("Remove it")
    with fails(who=f"{tmp_path}/gmm.conf", what=what, hint=hint):
        gmm_io.copy_settings(f"{tmp_path}/none", f"{tmp_path}/gmm")
    assert (tmp_path / "gmm.conf").read_text() == "--of-the-user=true\n"


@pytest.mark.parametrize("read", [read_gmm, read_stats])
def test_a_file_that_cannot_be_read_is_named_once(read):
    with pytest.raises(
        ValueError,
        match="^nope.gmm: no such file. Check the path.$",
    ):
        read("nope.gmm")


@pytest.mark.parametrize(
    "data",
    [binary() + b"\n", binary() + binary(), TEXT.encode() + b"x", TEXT.encode() * 2, binary()[2:]],
)
def test_anything_after_or_around_the_model(tmp_path, data):
    (tmp_path / "gmm").write_bytes(data)
    with fails(who=re.compile(rf"^{tmp_path}/gmm: byte \d+$"), hint=re.compile("another kind")):
        read_gmm(tmp_path / "gmm")


@pytest.mark.parametrize("sizes", [(2**31 - 1, 2), (2**31 - 1, 2**31 - 1), (-1, 2), (4, 2)])
def test_claimed_size_is_refused_before_memory_is_taken(tmp_path, sizes):
    (tmp_path / "gmm").write_bytes(binary(rows=sizes[0], columns=sizes[1]))
    tracemalloc.start()
    need = re.compile(r"^at most \d+ values$")
    with fails(who=f"{tmp_path}/gmm: <INV_VARS>", what="size", got=sizes, need=need):
        read_gmm(tmp_path / "gmm")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1e6


def test_file_too_large_for_a_model(tmp_path, monkeypatch):
    (tmp_path / "gmm").write_bytes(binary())
    monkeypatch.setattr(gmm_io, "MAX_BYTES", 100)
    got, hint = f"{len(binary())} bytes", re.compile("archive, not a model")
    with fails(who=f"{tmp_path}/gmm", got=got, need="at most 100 bytes", hint=hint):
        read_gmm(tmp_path / "gmm")


NOT_FINITE = "nan, inf or more"
WORD = "a word or rows of unequal length"


@pytest.mark.parametrize(
    ("old", "new", "who", "what", "got"),
    [
        ("0.25 0.75", "0.25 0.125", "DiagGmm", "weights", re.compile("a sum of 0.375")),
        ("0.25 0.75", "0.25 0.5 0.25", "DiagGmm", "shapes", ((3,), (2, 2), (2, 2))),
        ("3 0 ]", "]", "sizes of the matrices", "", "(1, 2) and (2, 2)"),
        ("3 0 ]", "3 ]", "<MEANS_INVVARS>", "", WORD),
        ("3 0 ]", "3 zero ]", "<MEANS_INVVARS>", "", WORD),
        ("1 0.25 ]", "1 0 ]", "DiagGmm", "means", NOT_FINITE),
        ("1 0.25 ]", "1 -4 ]", "DiagGmm", "variances", "-0.25"),
        ("3 0 ]", "1e50 0 ]", "DiagGmm", "means", NOT_FINITE),
        ("1 0.25 ]", "1 nan ]", "DiagGmm", "means", NOT_FINITE),
    ],
)
def test_values_that_make_no_model(tmp_path, old, new, who, what, got):
    assert old in TEXT
    (tmp_path / "gmm").write_text(TEXT.replace(old, new))
    with fails(who=f"{tmp_path}/gmm: {who}", what=what, got=got):
        read_gmm(tmp_path / "gmm")
