"""One record for each front end: the only place that lists them.

Commands, `<archive>.conf`, model directories, the stages in `local/` and the recipes' `--systems`
ask this table. To add a front end, write its module and add a record here; see
docs/how-to/add-a-front-end.md.

A front end computes one or more *outputs* from the samples of a recording, such as `cf_sd6`. An
output is the name of a system, too. A *row* is what a recipe's `--systems` takes: the outputs of
one feature, such as `cf` for `cf_sd0` to `cf_sd6`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from sdtools.errors import SdError
from sdtools.features.cqcc import CqccExtractor, CqccOptions
from sdtools.features.envelope import EnvelopeOptions
from sdtools.features.fdlp import FdlpExtractor, FdlpOptions
from sdtools.features.filterbank import FilterBankOptions
from sdtools.features.lfcc import LfccExtractor, LfccOptions
from sdtools.features.modulation import ModulationExtractor, ModulationOptions
from sdtools.features.silence import FrameGrid, SilenceOptions, without_silence
from sdtools.features.triangular import TriangularOptions
from sdtools.options import config_lines, flag_name, known_fields, load_settings

Options = tuple[Any, ...]  # one object for each option dataclass of a front end


class Extractor(Protocol):
    """What turns samples into features."""

    @property
    def output_names(self) -> Sequence[str]:
        """Names of the features."""

    @property
    def grid(self) -> FrameGrid:
        """Which samples each frame covers."""

    def __call__(self, samples: np.ndarray) -> Mapping[str, np.ndarray]:
        """Features (num_frames, dim) float32 by output name, of samples (num_samples,)."""


class Output(NamedTuple):
    """One output of an extractor."""

    name: str
    placeholders: dict[str, str]  # what {feature} and {order} in the name of a table stand for
    options: Options  # those that give this output alone


@dataclass(frozen=True)
class Row:
    """A row of a recipe's `--systems` and of the paper's tables.

    Parameters
    ----------
    name
        As in `--systems`.
    label
        Title in the tables.
    config
        Options of the front end, a file in a recipe's conf/.
    feature
        What `--features` needs, if the front end takes it.
    is_by_order
        Whether there is one system, `<name>_sd<order>`, for each of `--orders`.
    code
        Short name in the paper's text.
    tables
        Numbers of the paper's tables in which the row stands.
    paper_eers
        The paper's EER in percent by order; by None without orders.
    """

    name: str
    label: str
    config: str
    feature: str = ""
    is_by_order: bool = False
    code: str = ""
    tables: tuple[int, ...] = (2,)
    paper_eers: Mapping[int | None, float] = field(default_factory=dict)


def _paper_eers(*eers: float) -> dict[int | None, float]:
    """A line of Table 1."""
    return dict(zip((0, 2, 4, 6), eers))


@dataclass(frozen=True)
class FrontEnd:
    """All that the rest of the toolkit uses of a front end.

    Parameters
    ----------
    kind
        Its name in .conf files, `--kind=<kind>`.
    summary
        What it computes, for `--help`.
    options
        Its option dataclasses. If the first has fields `features` or `orders`, the extractor has
        an output for each combination of their values, in this order; else it has one.
    make
        Function from the options and the sample rate in Hz to an extractor.
    rows
        Rows of a recipe's `--systems`.
    """

    kind: str
    summary: str
    options: tuple[type, ...]
    make: Callable[[Options, int], Extractor]
    rows: tuple[Row, ...]

    def outputs(self, options: Options, extractor: Extractor) -> list[Output]:
        """The outputs of an extractor that `make` gave for these options."""
        first, *others = options
        axes = _axes(options)
        outputs = []
        combinations = itertools.product(*axes.values())
        for name, values in zip(extractor.output_names, combinations, strict=True):
            placeholders = {"system": name}
            placeholders |= {axis.removesuffix("s"): str(v) for axis, v in zip(axes, values)}
            alone = replace(first, **{axis: (value,) for axis, value in zip(axes, values)})
            outputs.append(Output(name, placeholders, (alone, *others)))
        return outputs


@dataclass(frozen=True)
class SubbandOptions:
    """Which features of sub-band envelopes are computed, and with which filters."""

    features: tuple[str, ...] = field(
        default=("cf", "cm"),
        metadata={"help": "features to write", "choices": ("cf", "cm", "cfcm")},
    )
    bank: str = field(
        default="iir",
        metadata={
            "help": "filters of Eq. 1, or triangles on the cosine transform of each frame",
            "choices": ("iir", "triangular"),
        },
    )
    orders: tuple[int, ...] = field(
        default=(0, 2, 4, 6), metadata={"help": "differentiation orders to write"}
    )


@dataclass(frozen=True)
class ModulationOutputs:
    """Which features of the modulation spectrum are computed."""

    features: tuple[str, ...] = field(
        default=("mcf", "mse", "stcc"),
        metadata={"help": "features to write", "choices": ("mcf", "mse", "stcc")},
    )


def _make_subbands(options: Options, sample_rate_hz: int) -> Extractor:
    # Imported here because loading the compiled loops takes longer than printing a help text.
    from sdtools.features.subbands import SubbandExtractor, TriangularExtractor

    outputs, bank, envelope = options
    extractor = SubbandExtractor if outputs.bank == "iir" else TriangularExtractor
    return extractor(
        bank,
        envelope,
        sample_rate_hz=sample_rate_hz,
        orders=outputs.orders,
        features=outputs.features,
    )


def _make_modulation(options: Options, sample_rate_hz: int) -> Extractor:
    outputs, bands, modulation = options
    return ModulationExtractor(
        bands, modulation, sample_rate_hz=sample_rate_hz, features=outputs.features
    )


_ALL = (
    FrontEnd(
        kind="subbands",
        summary="Writes centroid frequency (cf, one value per band), centroid magnitude (cm,"
        " cepstra of ln CM) or\nboth side by side (cfcm) of spatially differentiated sub-band"
        " envelopes, without deltas.",
        options=(SubbandOptions, FilterBankOptions, EnvelopeOptions),
        make=_make_subbands,
        rows=(
            Row(
                *("cf", "CF + Δ + ΔΔ", "feats.conf", "cf", True, "S1"),
                tables=(1, 2),
                paper_eers=_paper_eers(20.67, 14.31, 11.92, 10.84),
            ),
            Row(
                *("cm", "CM + Δ + ΔΔ", "feats.conf", "cm", True, "S2"),
                tables=(1, 2),
                paper_eers=_paper_eers(20.24, 15.22, 11.61, 10.93),
            ),
            Row(
                *("cmtri", "CM + Δ + ΔΔ (Tri)", "tri.conf", "cm", True),
                tables=(1,),
                paper_eers=_paper_eers(13.57, 12.42, 12.03, 13.29),
            ),
            Row(
                *("cfcm", "S1 + S2 (feature level)", "feats.conf", "cfcm", True),
                paper_eers={6: 8.58},
            ),
        ),
    ),
    FrontEnd(
        kind="lfcc",
        summary="Writes linear frequency cepstral coefficients, without deltas (the simplest"
        " baseline of the\nASVspoof challenges since 2019).",
        options=(LfccOptions,),
        make=lambda options, rate_hz: LfccExtractor(*options, sample_rate_hz=rate_hz),
        rows=(Row("lfcc", "LFCC", "lfcc.conf"),),
    ),
    FrontEnd(
        kind="cqcc",
        summary="Writes constant-Q cepstral coefficients 0 to 19 and the log energy, without deltas"
        "\n(baseline B1 of the paper): 21 dimensions, 63 with deltas and accelerations. There is a"
        "\nframe every --frame-shift-ms from the first sample on. Near the ends of a recording the"
        "\ntransform sees its other end.",
        options=(CqccOptions,),
        make=lambda options, rate_hz: CqccExtractor(*options, sample_rate_hz=rate_hz),
        rows=(Row("cqcc", "CQCC", "cqcc.conf", code="B1", paper_eers={None: 12.24}),),
    ),
    FrontEnd(
        kind="tc",
        summary="Writes cepstra of the temporal centroid amplitude of sub-band envelopes, by"
        " frequency domain\nlinear prediction, without deltas (baseline B2 of the paper,"
        " reconstructed from its description).",
        options=(TriangularOptions, FdlpOptions),
        make=lambda options, rate_hz: FdlpExtractor(*options, sample_rate_hz=rate_hz),
        rows=(Row("tc", "TC", "tc.conf", code="B2", paper_eers={None: 14.89}),),
    ),
    FrontEnd(
        kind="modulation",
        summary="Writes cepstra of modulation centroid frequency (mcf), modulation static energy"
        " (mse) and\nshort-term energy (stcc) of sub-bands, without deltas (baseline B3 of the"
        " paper, reconstructed\nfrom its description).",
        options=(ModulationOutputs, TriangularOptions, ModulationOptions),
        make=_make_modulation,
        rows=(
            Row("mcf", "MCF-CC alone", "modulation.conf", "mcf"),
            Row("mse", "MSE-CC alone", "modulation.conf", "mse"),
            Row("stcc", "STCC alone", "modulation.conf", "stcc"),
        ),
    ),
)
FRONT_ENDS = {front_end.kind: front_end for front_end in _ALL}


def rows_by_name() -> dict[str, Row]:
    """The rows of all front ends."""
    return {row.name: row for front_end in FRONT_ENDS.values() for row in front_end.rows}


def kind_of(conf: str | Path) -> str:
    """The kind of front end that a .conf file describes.

    A file without `--kind`, as earlier versions wrote it, is of the kind that has all its settings
    and the fewest others.

    Raises
    ------
    SdError
        If no kind fits.
    """
    lines = [line for _, line in config_lines(conf)]
    kinds = [line.partition("=")[2] for line in lines if flag_name(line) == "kind"]
    if not kinds:
        common = {"sample_rate_hz", "channel", "num_threads", "skip_digital_silence"}
        names = {flag_name(line) for line in lines} - common
        sizes = {
            kind: len(fields)
            for kind, fields in ((each.kind, _field_names(each)) for each in FRONT_ENDS.values())
            if names and names <= fields
        }
        kinds = [kind for kind, size in sizes.items() if size == min(sizes.values())]
    if len(set(kinds)) != 1 or kinds[0] not in FRONT_ENDS:
        got = " and ".join(kinds) or "none"
        need = f"one of {' '.join(FRONT_ENDS)}"
        raise SdError(conf, "kind of features", got=got, need=need, hint="Compute them again")
    return kinds[0]


def _field_names(front_end: FrontEnd) -> set[str]:
    """Names of all options of a front end."""
    return {f.name for cls in front_end.options for f in fields(cls)}


def load_front_ends(
    confs: Sequence[str | Path], sample_rate_hz: int
) -> Callable[[np.ndarray], list[np.ndarray]]:
    """Function from samples to the features (num_frames, dim) that each `<archive>.conf` describes.

    Outputs of the same filters, such as CF and CM, are computed in one pass. Frames of digital
    silence are left out only if the file says so: earlier versions did not write
    `--skip-digital-silence` and kept them.

    Raises
    ------
    SdError
        If a file does not describe the features of one archive.
    """
    passes: list[tuple[FrontEnd, bool, Options]] = []
    places = []  # of each file: its pass, and the name of its output
    for conf in confs:
        front_end, options, name = _read_output(conf, sample_rate_hz)
        skips = skips_silence(conf)
        for index, (*others, shared) in enumerate(passes):
            if others == [front_end, skips] and _are_alike(shared, options):
                passes[index] = front_end, skips, _merged(shared, options)
                break
        else:
            index = len(passes)
            passes.append((front_end, skips, options))
        places.append((index, name))
    extractors: list[Callable[[np.ndarray], Mapping[str, np.ndarray]]] = []
    for front_end, skips, options in passes:
        extractor = front_end.make(options, sample_rate_hz)
        extractors.append(without_silence(extractor) if skips else extractor)

    def extract(samples: np.ndarray) -> list[np.ndarray]:
        outputs = [extractor(samples) for extractor in extractors]
        return [outputs[index][name] for index, name in places]

    return extract


def _read_output(conf: str | Path, sample_rate_hz: int) -> tuple[FrontEnd, Options, str]:
    """Front end, options and name of the one output that a .conf file describes."""
    front_end = FRONT_ENDS[kind_of(conf)]
    options = tuple(load_settings(conf, cls) for cls in front_end.options)
    names = front_end.make(options, sample_rate_hz).output_names
    if len(names) != 1:
        got, hint = f"{len(names)} outputs", "Compute the features again"
        raise SdError(conf, "features", got=got, need="one output", hint=hint)
    return front_end, options, names[0]


def skips_silence(conf: str | Path) -> bool:
    """Whether features have no frames of digital silence; not if their .conf does not say."""
    known = known_fields([SilenceOptions])
    is_set = any(flag_name(line) in known for _, line in config_lines(conf))
    return is_set and load_settings(conf, SilenceOptions).skip_digital_silence


def _axes(options: Options) -> dict[str, tuple[Any, ...]]:
    """The fields of which every combination of values is an output."""
    return {
        axis: getattr(options[0], axis)
        for axis in ("features", "orders")
        if hasattr(options[0], axis)
    }


def _are_alike(options: Options, others: Options) -> bool:
    """Whether one pass can give the outputs of both."""
    return options[1:] == others[1:] and replace(options[0], **_axes(others)) == others[0]


def _merged(options: Options, others: Options) -> Options:
    """Options that give the outputs of both."""
    more = _axes(others)
    axes = {axis: tuple(dict.fromkeys(v + more[axis])) for axis, v in _axes(options).items()}
    return replace(options[0], **axes), *options[1:]
