r"""Files of mixtures: models in Kaldi's form (DiagGmm) or NumPy's .npz, statistics in Kaldi's form.

Kaldi's file is `\0B` (binary only) and then tokens, each before its value. `<DiagGMM>` holds
`<GCONSTS>` (K,), `<WEIGHTS>` (K,), `<MEANS_INVVARS>` (K, D) = mean / variance and `<INV_VARS>`
(K, D) = 1 / variance. The first follows from the rest: it is written, never used, and may be
missing. `<GMMACCS>` holds the sizes D and K, flags, `<OCCUPANCY>` (K,), and the sums of x and of
x^2, `<MEANACCS>` and `<DIAGVARACCS>` (K, D). Kaldi writes float32 and reads float64 as well. EM in
several jobs needs float64: a variance is the small difference of large sums.
"""

from __future__ import annotations

import math
import os
import re
import struct
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np

from sdtools.errors import SdError
from sdtools.gmm.mixture import DiagGmm
from sdtools.gmm.statistics import GmmStats
from sdtools.tables.input import open_input
from sdtools.tables.objects import encode
from sdtools.tables.output import makes_file, open_output

MAX_BYTES = 1 << 28  # 256 MiB: a larger file is not a model
FLAGS = 7  # of the statistics: means 1, variances 2, weights 4; an update needs all of them
MAX_RATIO, SMALL_BYTES = 2, 1 << 20  # a larger .npz array has at most so many times its packed size
NPZ_NAMES = ("weights", "means", "variances")
DAMAGED = "The file is damaged. Make it again"


def write_gmm(
    path: str | os.PathLike[str], gmm: DiagGmm, text: bool = False, double: bool = False
) -> None:
    """Write a model; the file appears whole or not at all.

    Parameters
    ----------
    path : path
        `.npz` for NumPy's form, any other name for Kaldi's; also `-` and `| command`.
    gmm : DiagGmm
    text : bool
        Kaldi's text form, of 7 digits, or of 17 with `double`.
    double : bool
        Write float64, from which the same model is read
        (`test_a_model_is_the_same_after_a_way_through_a_file`). Else float32, like Kaldi's own
        files, which keeps means and variances to 1e-7 of their value. An .npz is always float64.

    Raises
    ------
    SdError
        If mean / variance or 1 / variance does not fit float32, or the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_gmm(f"{folder}/genuine.gmm", DiagGmm([1.0], [[0.5]], [[2.0]]))
    ...     read_gmm(f"{folder}/genuine.gmm").means
    array([[0.5]])
    """
    means, inv_vars = gmm.means / gmm.variances, 1 / gmm.variances
    doubles = {"WEIGHTS": gmm.weights, "MEANS_INVVARS": means, "INV_VARS": inv_vars}
    with np.errstate(over="ignore"):  # checked below
        singles = {name: values.astype("<f4") for name, values in doubles.items()}
    if not all(np.isfinite(values).all() for values in singles.values()):
        got = f"a least variance of {gmm.variances.min():g}"
        need = "1 / variance and mean / variance within float32"
        raise SdError(path, "model", got=got, need=need, hint="Scale the features up")
    arrays = doubles if double else singles
    weights, means, inv_vars = (values.astype(np.float64) for values in arrays.values())
    with np.errstate(divide="ignore"):  # log of a zero weight is -inf in Kaldi too
        terms = np.log(2 * np.pi / inv_vars) + means**2 / inv_vars
        constants = np.log(weights) - 0.5 * terms.sum(axis=1)
    arrays = {"GCONSTS": constants.astype(arrays["WEIGHTS"].dtype), **arrays}
    with open_output(str(path)) as file:
        if str(path).endswith(".npz"):
            np.savez(file, **{name: getattr(gmm, name) for name in NPZ_NAMES})
            return
        file.write(b"<DiagGMM> \n" if text else b"\0B<DiagGMM> ")
        for name, values in arrays.items():
            file.write(_encode(name, values, text))
        file.write(b"</DiagGMM> \n" if text else b"</DiagGMM> ")


def read_gmm(path: str | os.PathLike[str]) -> DiagGmm:
    """Read a model in Kaldi's form, binary or text, float or double, or an .npz.

    Parameters
    ----------
    path : path
        A name that ends in `.npz` is NumPy's form; also `-` and `command |`.

    Returns
    -------
    DiagGmm

    Raises
    ------
    SdError
        With the path and the byte, if the file is cut short, of another kind or followed by
        anything, if its sizes disagree with each other or with its length (found before memory is
        taken), or if its values make no valid model.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile(suffix=".npz") as file:
    ...     write_gmm(file.name, DiagGmm([1.0], [[0.5]], [[2.0]]))
    ...     read_gmm(file.name).variances
    array([[2.]])
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
            got = f"{means_inv_vars.shape} and {inv_vars.shape}"
            raise SdError("sizes of the matrices", got=got, need="equal ones", hint=DAMAGED)
        with np.errstate(all="ignore"):  # DiagGmm refuses what is not finite
            return DiagGmm(weights, means_inv_vars / inv_vars, 1 / inv_vars)
    except SdError as error:
        raise error.within(path) from None


def write_stats(path: str | os.PathLike[str], stats: GmmStats, text: bool = False) -> None:
    """Write statistics as Kaldi's AccumDiagGmm in float64, whole or not at all.

    That form has no place for their log-likelihood and number of frames.
    """
    sizes = (("VECSIZE", stats.first.shape[1]), ("NUMCOMPONENTS", stats.first.shape[0]))
    with open_output(str(path)) as file:
        file.write(b"<GMMACCS> " if text else b"\0B<GMMACCS> ")
        for name, size in sizes:
            value = f"{size} ".encode() if text else struct.pack("<bi", 4, size)
            file.write(f"<{name}> ".encode() + value)
        flags = f"{FLAGS} ".encode() if text else struct.pack("<bH", -2, FLAGS)
        file.write(b"<FLAGS> " + flags)
        file.write(_encode("OCCUPANCY", stats.occupancy, text))
        file.write(_encode("MEANACCS", stats.first, text))
        file.write(_encode("DIAGVARACCS", stats.second, text))
        file.write(b"</GMMACCS> ")


def read_stats(path: str | os.PathLike[str]) -> GmmStats:
    """Read statistics from Kaldi's AccumDiagGmm, binary or text, float or double.

    Returns
    -------
    GmmStats
        The log-likelihood is nan; the number of frames is the occupancy, rounded.

    Raises
    ------
    SdError
        As for `read_gmm`; also if the statistics lack means, variances or weights, or a value
        cannot be a sum over frames.
    """
    parser = _Parser(_read_bytes(path))
    try:
        parser.token("<GMMACCS>")
        names = ("<VECSIZE>", "<NUMCOMPONENTS>", "<FLAGS>")
        dim, num_components, flags = (parser.integer(name) for name in names)
        if flags != FLAGS:
            need, hint = f"{FLAGS}: means, variances and weights", "Use --update-flags=mvw"
            raise SdError("<FLAGS>", got=flags, need=need, hint=hint)
        matrix = (num_components, dim)
        occupancy = parser.sums("<OCCUPANCY>", matrix[:1])
        first, second = parser.sums("<MEANACCS>", matrix), parser.sums("<DIAGVARACCS>", matrix)
        parser.end("</GMMACCS>")
        with np.errstate(over="ignore"):
            num_frames = occupancy.sum()
        is_finite = all(np.isfinite(v).all() for v in (occupancy, first, second, num_frames))
        if not is_finite or occupancy.min(initial=0) < 0:
            got, need = "nan, inf or a negative number of frames", "sums over frames"
            raise SdError("values", got=got, need=need, hint=DAMAGED)
        return GmmStats(occupancy, first, second, math.nan, round(num_frames))
    except SdError as error:
        raise error.within(path) from None


def copy_settings(gmm: str, gmm_out: str) -> None:
    """Copy the .conf of a model to that of another model, before that model is written.

    Raises
    ------
    SdError
        If the first model has no .conf, but the other one has.
    """
    if not makes_file(gmm_out):
        return
    source, target = Path(f"{gmm}.conf"), Path(f"{gmm_out}.conf")
    if source.is_file():
        with open_output(str(target)) as file:
            file.write(source.read_bytes())
    elif target.exists():
        what = f"this file exists, but {source} does not; it belongs to another model"
        raise SdError(target, what, hint="Remove it, or give the new model another name")


def _encode(name: str, values: np.ndarray, text: bool) -> bytes:
    """A token and its vector or matrix, as Kaldi writes it; float64 in text has all its digits."""
    kind = "vector" if values.ndim == 1 else "matrix"
    return f"<{name}> ".encode() + encode(values, kind, text).removeprefix(b"\0B")


def _read_bytes(path: str | os.PathLike[str]) -> bytes:
    """All of a file, `-` or `command |`."""
    with open_input(str(path)) as source:
        if (source.size or 0) > MAX_BYTES:
            got, need = f"{source.size} bytes", f"at most {MAX_BYTES} bytes"
            hint = "This is an archive, not a model. Give a file that sd-train-gmm wrote"
            raise SdError(path, "size", got=got, need=need, hint=hint)
        return bytes(source.read_all())


def _read_npz(file: BytesIO) -> list[np.ndarray]:
    """Weights, means and variances; sizes are checked before memory is taken."""
    try:
        with zipfile.ZipFile(file) as archive:
            return [_read_npy(archive, archive.getinfo(f"{name}.npy")) for name in NPZ_NAMES]
    except Exception as error:  # zipfile and numpy raise many classes
        need = f"float arrays {', '.join(NPZ_NAMES)}"
        got = " ".join(str(error).split())[:200] or type(error).__name__
        raise SdError("npz", got=got, need=need, hint=DAMAGED) from None


def _read_npy(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    """Floats of one member; nothing is unpickled."""
    is_bomb = info.file_size > MAX_RATIO * info.compress_size + SMALL_BYTES
    if is_bomb or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(f"{info.filename} of {info.file_size} bytes out of {info.compress_size}")
    data = archive.read(info)
    file = BytesIO(data)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError(f"{info.filename} of another version")
    shape, is_fortran, dtype = np.lib.format.read_array_header_1_0(file)
    if dtype.kind != "f" or min(shape, default=0) < 0:
        raise ValueError(f"{info.filename} of {dtype} and shape {shape}")
    values = np.frombuffer(data, dtype, math.prod(shape), file.tell())
    return values.reshape(shape, order="F" if is_fortran else "C")


class _Parser:
    """The values in the bytes of a file, binary or text, one after the other."""

    def __init__(self, data: bytes):
        self.data = data
        self.is_binary = data.startswith(b"\0B")
        self.position = 2 if self.is_binary else 0

    def take(self, pattern: bytes, need: str) -> re.Match[bytes]:
        """Match at the position, after blanks in text, and go on from the end of the match."""
        blanks = b"" if self.is_binary else rb"\s*"
        match = re.compile(blanks + pattern, re.DOTALL).match(self.data, self.position)
        if not match:
            got = str(self.data[self.position : self.position + 20])
            hint = "The file is cut short or of another kind. Make it again"
            raise SdError(f"byte {self.position}", got=got, need=need, hint=hint)
        self.position = match.end()
        return match

    def token(self, *names: str) -> str:
        """One of the tokens."""
        end = b" " if self.is_binary else rb"\s"
        return self.take(f"({'|'.join(names)})".encode() + end, names[0])[1].decode()

    def integer(self, name: str) -> int:
        """A token and the whole number after it."""
        self.token(name)
        if not self.is_binary:
            return int(self.take(rb"(-?[0-9]{1,10})\s", name)[1])
        match = self.take(rb"\x04(.{4})|\xfe(.{2})", name)
        return int.from_bytes(match[1] or match[2], "little", signed=match[1] is not None)

    def sums(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """A token and the array of this shape after it."""
        self.token(name)
        values = self.array(name, len(shape))
        if values.shape != shape:
            raise SdError(name, "size", got=values.shape, need=shape, hint=DAMAGED)
        return values

    def array(self, name: str, num_dims: int) -> np.ndarray:
        """A vector or matrix, float64."""
        if not self.is_binary:
            rows = re.split(rb"[\n;]", self.take(rb"\[([^\]<_]*)\]", name)[1])
            try:
                words = [row.split() for row in rows if row.strip()]
                values = np.array(words, dtype=np.float64, ndmin=2)
                return values if num_dims == 2 else values.ravel()
            except ValueError:
                got, need = "a word or rows of unequal length", "numbers"
                raise SdError(name, got=got, need=need, hint=DAMAGED) from None
        tag = (b"V ", b"M ")[num_dims - 1]
        letter, *sizes = self.take(b"([FD])" + tag + rb"\x04(.{4})" * num_dims, name).groups()
        shape = tuple(int.from_bytes(size, "little", signed=True) for size in sizes)
        dtype = np.dtype("<f4" if letter == b"F" else "<f8")
        num_available = (len(self.data) - self.position) // dtype.itemsize
        if min(shape) < 0 or math.prod(shape) > num_available:
            need = f"at most {num_available} values"
            hint = "The file is cut short or damaged. Make it again"
            raise SdError(name, "size", got=shape, need=need, hint=hint)
        values = np.frombuffer(self.data, dtype, math.prod(shape), self.position)
        self.position += values.nbytes
        return values.reshape(shape).astype(np.float64)

    def end(self, *names: str) -> None:
        """The last token, with nothing after it."""
        blanks = rb" \Z" if self.is_binary else rb"\s*\Z"
        need = f"{names[0]} and the end of the file"
        self.take(f"(?:{'|'.join(names)})".encode() + blanks, need)
