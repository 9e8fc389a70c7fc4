r"""Kaldi's files of diagonal Gaussian mixtures: models (DiagGmm) and statistics (AccumDiagGmm); models in NumPy's .npz besides.

A file is `\0B` (binary only) and then tokens, each before its value. `<DiagGMM>` holds `<GCONSTS>` (K,), `<WEIGHTS>` (K,),
`<MEANS_INVVARS>` (K, D) = mean / variance and `<INV_VARS>` (K, D) = 1 / variance; the first may be missing and follows from the rest: it
is written, never used. `<GMMACCS>` holds the sizes D and K, flags, `<OCCUPANCY>` (K,), and the sums of x and of x², `<MEANACCS>` and
`<DIAGVARACCS>` (K, D). Kaldi writes both as float32 and reads float64 just as well, which is what EM in several jobs needs: sums of x²
leave a variance as the small difference of large numbers.
"""

import math
import re
import struct
import zipfile
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np

from sdtools.gmm.mixture import DiagGmm, GmmStats
from sdtools.tables.input import open_input
from sdtools.tables.objects import encode
from sdtools.tables.output import makes_file, open_output

MAX_BYTES = 1 << 28  # 256 MiB: a larger file is no model
FLAGS = 7  # of the statistics: means 1, variances 2, weights 4; an update needs all of them
MAX_RATIO, SMALL_BYTES = (
    2,
    1 << 20,
)  # a larger array of an .npz is at most so many times the size of what the file holds of it
NPY_HEADER = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '<f([248])', 'fortran_order': (True|False), 'shape': \(([0-9, ]{1,40})\), \} *\n",
    re.DOTALL,
)
NPZ_NAMES = ("weights", "means", "variances")


def write_gmm(path, gmm, text=False, double=False):
    """Write a model, whole or not at all: .npz if the path ends so, else Kaldi's form.

    Parameters
    ----------
    path : str or Path
        Also `-` and `| command`.
    gmm : DiagGmm
    text : bool
        Kaldi's text form, of 7 digits, or of 17 with `double`.
    double : bool
        As float64, from which the same model is read (`test_a_model_is_the_same_after_a_way_through_a_file`); else as float32, like
        Kaldi's own, which keeps means and variances to 1e-7 of their value. An .npz is always float64.

    Raises
    ------
    ValueError
        If mean / variance or 1 / variance does not fit float32, or the file cannot be written (SdError).
    """
    arrays = {
        "WEIGHTS": gmm.weights,
        "MEANS_INVVARS": gmm.means / gmm.variances,
        "INV_VARS": 1 / gmm.variances,
    }
    with np.errstate(over="ignore"):  # checked below
        single = {name: values.astype("<f4") for name, values in arrays.items()}
    if not all(np.isfinite(values).all() for values in single.values()):
        raise ValueError(
            f"write_gmm: {path}: got a least variance of {gmm.variances.min():g}, need 1 / variance and mean / variance within float32; "
            "features of tiny values. Scale the features"
        )
    arrays = arrays if double else single
    weights, means_inv_vars, inv_vars = (
        values.astype(np.float64) for values in arrays.values()
    )  # as Kaldi will read them
    with np.errstate(divide="ignore"):  # log of a zero weight is -inf in Kaldi too
        constants = np.log(weights) - 0.5 * (
            np.log(2 * np.pi / inv_vars) + means_inv_vars**2 / inv_vars
        ).sum(axis=1)
    arrays = {"GCONSTS": constants.astype(arrays["WEIGHTS"].dtype), **arrays}
    with open_output(str(path)) as file:
        if str(path).endswith(".npz"):
            np.savez(file, **{name: getattr(gmm, name) for name in NPZ_NAMES})
            return
        file.write(b"<DiagGMM> \n" if text else b"\0B<DiagGMM> ")
        for name, values in arrays.items():
            file.write(f"<{name}> ".encode() + _encode(values, text))
        file.write(b"</DiagGMM> \n" if text else b"</DiagGMM> ")


def read_gmm(path):
    """`DiagGmm` from Kaldi's binary or text form, float or double, or from .npz if the path ends so.

    Raises
    ------
    ValueError
        With the path, if the file is truncated, of another kind or followed by anything, if its sizes disagree with each other or with
        its length (found before memory is taken), or if its values make no valid model.
    """
    data = _read_bytes(path)
    try:
        if str(path).endswith(".npz"):
            return DiagGmm(*_read_npz(BytesIO(data)))
        parser = _Parser(data)
        parser.token("<DiagGMM>", "<DiagGMMBegin>")
        if parser.token("<GCONSTS>", "<WEIGHTS>") == "<GCONSTS>":
            parser.array("<GCONSTS>", 1)
            parser.token("<WEIGHTS>")
        weights = parser.array("<WEIGHTS>", 1)
        parser.token("<MEANS_INVVARS>")
        means_inv_vars = parser.array("<MEANS_INVVARS>", 2)
        parser.token("<INV_VARS>")
        inv_vars = parser.array("<INV_VARS>", 2)
        parser.end("</DiagGMM>", "<DiagGMMEnd>")
        if means_inv_vars.shape != inv_vars.shape:
            raise ValueError(
                f"sizes: got {means_inv_vars.shape} and {inv_vars.shape}, need equal ones; a damaged file. Make it again"
            )
        with np.errstate(all="ignore"):  # DiagGmm refuses what is not finite
            return DiagGmm(weights, means_inv_vars / inv_vars, 1 / inv_vars)
    except ValueError as error:
        raise ValueError(f"read_gmm: {path}: {error}") from None


def write_stats(path, stats, text=False):
    """Write `GmmStats` as AccumDiagGmm in float64, whole or not at all; their log-likelihood and number of frames have no place there."""
    num_components, dim = stats.first.shape
    with open_output(str(path)) as file:
        if text:
            file.write(
                f"<GMMACCS> <VECSIZE> {dim} <NUMCOMPONENTS> {num_components} <FLAGS> {FLAGS} ".encode()
            )
        else:
            sizes = struct.pack("<16sbi", b"<NUMCOMPONENTS> ", 4, num_components)
            file.write(
                b"\0B<GMMACCS> <VECSIZE> "
                + struct.pack("<bi", 4, dim)
                + sizes
                + struct.pack("<8sbH", b"<FLAGS> ", -2, FLAGS)
            )
        for name, values in (
            ("OCCUPANCY", stats.occupancy),
            ("MEANACCS", stats.first),
            ("DIAGVARACCS", stats.second),
        ):
            file.write(f"<{name}> ".encode() + _encode(values, text))
        file.write(b"</GMMACCS> ")


def read_stats(path):
    """`GmmStats` from AccumDiagGmm, binary or text, float or double; their log-likelihood is nan, the frames are the occupancy, rounded.

    Raises
    ------
    ValueError
        With the path, as of `read_gmm`; and if the statistics lack means, variances or weights, or a value cannot be a sum.
    """
    data = _read_bytes(path)
    try:
        parser = _Parser(data)
        parser.token("<GMMACCS>")
        dim, num_components, flags = (
            parser.integer(name) for name in ("<VECSIZE>", "<NUMCOMPONENTS>", "<FLAGS>")
        )
        if flags != FLAGS:
            raise ValueError(
                f"<FLAGS>: got {flags}, need {FLAGS}, means, variances and weights. Accumulate with --update-flags=mvw"
            )
        arrays = []
        for name, shape in (
            ("OCCUPANCY", (num_components,)),
            ("MEANACCS", (num_components, dim)),
            ("DIAGVARACCS", (num_components, dim)),
        ):
            parser.token(f"<{name}>")
            arrays.append(parser.array(f"<{name}>", len(shape)))
            if arrays[-1].shape != shape:
                raise ValueError(
                    f"<{name}>: got sizes {arrays[-1].shape}, need {shape}; a damaged file. Make it again"
                )
        parser.end("</GMMACCS>")
        with np.errstate(over="ignore"):
            num_frames = arrays[0].sum()
        if (
            not all(np.isfinite(values).all() for values in (*arrays, num_frames))
            or arrays[0].min(initial=0) < 0
        ):
            raise ValueError(
                "values: got nan, inf or less than 0 frames, need sums over frames; a damaged file. Make it again"
            )
        return GmmStats(*arrays, math.nan, round(num_frames))
    except ValueError as error:
        raise ValueError(f"read_stats: {path}: {error}") from None


def copy_settings(gmm, gmm_out):
    """Copy the settings beside a model to those beside another, before it is written: whoever finds the model finds its settings.

    Raises
    ------
    ValueError
        If there are none to copy, but some beside the other.
    """
    if not makes_file(gmm_out):
        return
    source, target = Path(f"{gmm}.conf"), Path(f"{gmm_out}.conf")
    if source.is_file():
        with open_output(str(target)) as file:
            file.write(source.read_bytes())
    elif target.exists():
        raise ValueError(
            f"{target}: got a file, need none, as there is no {source}; settings of another model, or not of a model. Remove it, or give "
            "the new model another name"
        )


def _encode(values, text):
    """A vector or matrix behind its token, as Kaldi writes it, but float64 in text with all of its digits."""
    return encode(values, "vector" if values.ndim == 1 else "matrix", text).removeprefix(b"\0B")


def _read_bytes(path):
    """All of a file, `-` or `command |`."""
    with open_input(str(path)) as source:
        if (source.size or 0) > MAX_BYTES:
            raise ValueError(
                f"{path}: size: got {source.size} bytes, need at most {MAX_BYTES}; an archive, not a model. Give a file of sd-train-gmm"
            )
        return bytes(source.read_all())


def _read_npz(file):
    """Weights, means and variances; nothing is unpickled, and sizes are checked before memory is taken."""
    try:
        with zipfile.ZipFile(file) as archive:
            arrays = []
            for name in NPZ_NAMES:
                info = archive.getinfo(f"{name}.npy")
                is_bomb = info.file_size > MAX_RATIO * info.compress_size + SMALL_BYTES
                if is_bomb or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise ValueError(f"{name}: {info.file_size} bytes out of {info.compress_size}")
                arrays.append(_read_npy(name, archive.read(info)))
            return arrays
    except (
        ValueError,
        KeyError,
        EOFError,
        RuntimeError,
        OverflowError,
        struct.error,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise ValueError(
            f"npz: got {error}, need float arrays {', '.join(NPZ_NAMES)}; another kind of file. Make it again"
        ) from None


def _read_npy(name, data):
    """Array of floats of a member; its header, which numpy would evaluate, has to be as numpy writes it."""
    match = NPY_HEADER.match(data)
    if not match:
        raise ValueError(f"{name}: {data[10:60]}")
    letter, fortran_order, sizes = match.groups()
    shape, dtype = (
        [int(size) for size in sizes.split(b",") if size.strip()],
        np.dtype(f"<f{letter.decode()}"),
    )
    values = np.frombuffer(data, dtype, math.prod(shape), match.end())
    return values.reshape(shape, order="F" if fortran_order == b"True" else "C")


class _Parser:
    """What follows in the bytes of a file, binary or text."""

    def __init__(self, data):
        self.data = data
        self.is_binary = data.startswith(b"\0B")
        self.position = 2 if self.is_binary else 0

    def take(self, pattern, what):
        """Match at the position, behind blanks in text, and go on from its end."""
        match = re.compile((b"" if self.is_binary else rb"\s*") + pattern, re.DOTALL).match(
            self.data, self.position
        )
        if not match:
            got = self.data[self.position : self.position + 20]
            raise ValueError(
                f"byte {self.position}: got {got}, need {what}; a truncated file or another kind of file. Make it again"
            )
        self.position = match.end()
        return match

    def token(self, *names):
        """One of the tokens."""
        return self.take(
            f"({'|'.join(names)})".encode() + (b" " if self.is_binary else rb"\s"), names[0]
        )[1].decode()

    def integer(self, name):
        """A token and the whole number after it."""
        self.token(name)
        if not self.is_binary:
            return int(self.take(rb"(-?[0-9]{1,10})\s", name)[1])
        match = self.take(rb"\x04(.{4})|\xfe(.{2})", name)
        return int.from_bytes(match[1] or match[2], "little", signed=match[1] is not None)

    def array(self, name, num_dims):
        """A vector or matrix, float64."""
        if not self.is_binary:
            body = self.take(rb"\[([^\]<_]*)\]", name)[1]
            rows = [row.split() for row in re.split(rb"[\n;]", body) if row.strip()]
            try:
                values = np.array(rows, dtype=np.float64, ndmin=2)
                return values if num_dims == 2 else values.ravel()
            except ValueError:
                raise ValueError(
                    f"{name}: got rows of unequal length or a word, need numbers; a damaged file. Make it again"
                ) from None
        letter, *sizes = self.take(
            b"([FD])" + (b"V ", b"M ")[num_dims - 1] + rb"\x04(.{4})" * num_dims, name
        ).groups()
        shape = [int.from_bytes(size, "little", signed=True) for size in sizes]
        dtype = np.dtype("<f4" if letter == b"F" else "<f8")
        available = (len(self.data) - self.position) // dtype.itemsize
        if min(shape) < 0 or math.prod(shape) > available:
            raise ValueError(
                f"{name}: got sizes {shape}, need at most {available} values; a truncated or damaged file. Make it again"
            )
        values = (
            np.frombuffer(self.data, dtype, math.prod(shape), self.position)
            .reshape(shape)
            .astype(np.float64)
        )
        self.position += values.size * dtype.itemsize
        return values

    def end(self, *names):
        """The last token, with nothing after it."""
        self.take(
            f"(?:{'|'.join(names)})".encode() + (rb" \Z" if self.is_binary else rb"\s*\Z"),
            f"{names[0]} and the end of the file",
        )
