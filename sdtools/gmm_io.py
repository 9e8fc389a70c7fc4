r"""Kaldi's DiagGmm format: models that Kaldi's own tools read, and theirs.

A file is `\0B` (binary only), `<DiagGMM>`, the arrays `<GCONSTS>` (K,), `<WEIGHTS>` (K,), `<MEANS_INVVARS>` (K, D) = mean / variance and
`<INV_VARS>` (K, D) = 1 / variance, and `</DiagGMM>`. `<GCONSTS>` may be missing and follows from the rest: it is written, never used.
"""

import math
import os
import re
from pathlib import Path

import numpy as np

from sdtools.gmm import DiagGmm
from sdtools.objects import encode
from sdtools.streams import open_output

MAX_BYTES = 1 << 28  # 256 MiB: a larger file is no model
TEXT_FORM = re.compile(
    r"\s*<DiagGMM(?:Begin)?>\s+(?:<GCONSTS>\s+\[[^]<]*\]\s*)?<WEIGHTS>\s+\[([^]<]*)\]\s*<MEANS_INVVARS>\s+\[([^]<]*)\]\s*"
    r"<INV_VARS>\s+\[([^]<]*)\]\s*(?:</DiagGMM>|<DiagGMMEnd>)\s*"
)


def write_gmm(path, gmm, text=False):
    """Write a model as float32, which keeps means and variances to 1e-7 of their value; the file is whole or untouched.

    Parameters
    ----------
    path : str or Path
    gmm : DiagGmm
    text : bool
        Kaldi's text form, of 7 digits.

    Raises
    ------
    ValueError
        If mean / variance or 1 / variance does not fit float32, or the file cannot be written (TableError).
    """
    with np.errstate(divide="ignore", over="ignore"):  # log of a zero weight is -inf in Kaldi too; overflow is checked below
        constants = np.log(gmm.weights) - 0.5 * (np.log(2 * np.pi * gmm.variances) + gmm.means**2 / gmm.variances).sum(axis=1)
        arrays = {"GCONSTS": constants, "WEIGHTS": gmm.weights, "MEANS_INVVARS": gmm.means / gmm.variances, "INV_VARS": 1 / gmm.variances}
        arrays = {name: values.astype("<f4") for name, values in arrays.items()}
    if not (np.isfinite(arrays["MEANS_INVVARS"]).all() and np.isfinite(arrays["INV_VARS"]).all()):
        raise ValueError(
            f"write_gmm: {path}: got a least variance of {gmm.variances.min():g}, need 1 / variance and mean / variance within float32; "
            "features of tiny values. Scale the features"
        )
    with open_output(str(path)) as file:
        file.write(b"<DiagGMM> \n" if text else b"\0B<DiagGMM> ")
        for name, values in arrays.items():
            kind = "vector" if values.ndim == 1 else "matrix"
            file.write(f"<{name}> ".encode() + encode(values, kind, text).removeprefix(b"\0B"))
        file.write(b"</DiagGMM> \n" if text else b"</DiagGMM> ")


def read_gmm(path):
    """`DiagGmm` from Kaldi's binary or text form, float or double.

    Raises
    ------
    ValueError
        With the path, if the file is truncated, of another kind or followed by anything, if its sizes disagree with each other or with
        its length (found before memory is taken), or if its values make no valid model.
    """
    try:
        num_bytes = os.path.getsize(path)
        if num_bytes > MAX_BYTES:
            raise ValueError(f"size: got {num_bytes} bytes, need at most {MAX_BYTES}; an archive, not a model. Give a file of sd-train-gmm")
        data = Path(path).read_bytes()
        with np.errstate(all="ignore"):  # DiagGmm refuses what is not finite
            weights, means_inv_vars, inv_vars = _parse_binary(data) if data.startswith(b"\0B") else _parse_text(data)
            if means_inv_vars.shape != inv_vars.shape:
                got = f"{means_inv_vars.shape} and {inv_vars.shape}"
                raise ValueError(f"sizes: got {got}, need equal ones; a damaged file. Train the model again")
            return DiagGmm(weights, means_inv_vars / inv_vars, 1 / inv_vars)
    except ValueError as error:
        raise ValueError(f"read_gmm: {path}: {error}") from None


def _parse_binary(data):
    position = 2

    def take(pattern, what):
        nonlocal position
        match = re.compile(pattern, re.DOTALL).match(data, position)
        if not match:
            got = data[position : position + 20]
            raise ValueError(f"byte {position}: got {got}, need {what}; a truncated file or another kind of file. Train the model again")
        position = match.end()
        return match

    take(rb"<DiagGMM(?:Begin)?> ", "<DiagGMM>")
    arrays = []
    for name, kind, num_sizes in (("<GCONSTS>", "V", 1), ("<WEIGHTS>", "V", 1), ("<MEANS_INVVARS>", "M", 2), ("<INV_VARS>", "M", 2)):
        if name == "<GCONSTS>" and not data.startswith(b"<GCONSTS>", position):
            continue
        letter, *sizes = take(f"{name} ([FD]){kind} ".encode() + rb"\x04(.{4})" * num_sizes, name).groups()
        shape = [int.from_bytes(size, "little", signed=True) for size in sizes]
        dtype = np.dtype("<f4" if letter == b"F" else "<f8")
        available = (len(data) - position) // dtype.itemsize
        if min(shape) < 0 or math.prod(shape) > available:
            raise ValueError(
                f"{name}: got sizes {shape}, need at most {available} values; a truncated or damaged file. Train the model again"
            )
        arrays.append(np.frombuffer(data, dtype, math.prod(shape), position).reshape(shape).astype(np.float64))
        position += arrays[-1].size * dtype.itemsize
    take(rb"(?:</DiagGMM>|<DiagGMMEnd>) \Z", "</DiagGMM> and the end of the file")
    return arrays[-3:]


def _parse_text(data):
    match = TEXT_FORM.fullmatch(data.decode("latin-1"))
    if not match:
        raise ValueError(
            f"text: got {data[:20]}, need <DiagGMM> ... </DiagGMM>; a truncated file or another kind of file. Train the model again"
        )
    try:
        blocks = ([row.split() for row in re.split("[\n;]", block) if row.strip()] for block in match.groups())
        weights, means_inv_vars, inv_vars = (np.array(rows, dtype=np.float32).astype(np.float64) for rows in blocks)
        return weights.ravel(), means_inv_vars, inv_vars
    except ValueError:
        raise ValueError("numbers: got rows of unequal length or a word, need numbers; a damaged file. Train the model again") from None
