"""sd-compute-feats: sound -> CF and CM features of every asked differentiation order, in one pass over the audio."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sdtools.cli import extraction
from sdtools.cli.command import Command, Context
from sdtools.features.envelope import EnvelopeOptions
from sdtools.features.filterbank import FilterBankOptions


@dataclass(frozen=True)
class ComputeOptions:
    """Settings of the command itself."""

    features: tuple[str, ...] = field(
        default=("cf", "cm"),
        metadata={"help": "features to write", "choices": ("cf", "cm", "cfcm")},
    )
    bank: str = field(
        default="iir",
        metadata={
            "help": "filters of Eq. 1, or triangles on each frame's cosine transform",
            "choices": ("iir", "triangular"),
        },
    )
    orders: tuple[int, ...] = field(
        default=(0, 2, 4, 6), metadata={"help": "differentiation orders to write"}
    )


COMMAND = Command(
    name="sd-compute-feats",
    summary="Writes centroid frequency (cf, one value a band), centroid magnitude (cm, cepstra of ln CM) or both side by side (cfcm)\n"
    "of spatially differentiated sub-band envelopes, without deltas: one archive for each feature and order, in one pass.\n"
    "{feature} and {order} in the wspecifier are filled in. The settings are written to <archive>.conf.",
    positionals=("<wav-rspecifier>", "<wspecifier>"),
    example="sd-compute-feats --orders=0,6 scp:data/eval/wav.scp "
    "'ark,scp:feats/raw_{feature}_sd{order}.1.ark,feats/raw_{feature}_sd{order}.1.scp'",
    options=(ComputeOptions, FilterBankOptions, EnvelopeOptions, *extraction.OPTIONS),
)


def main(argv=None) -> int:
    """Run the command; returns its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> int:
    """Parse, open, loop by key, count, return."""
    from sdtools.features.subbands import SubbandExtractor, TriangularExtractor

    rspecifier, wspecifier = context.positionals
    options, bank, envelope = (
        context[ComputeOptions],
        context[FilterBankOptions],
        context[EnvelopeOptions],
    )
    extractor = {"iir": SubbandExtractor, "triangular": TriangularExtractor}[options.bank](
        bank,
        envelope,
        sample_rate_hz=context[extraction.AudioOptions].sample_rate_hz,
        orders=options.orders,
        features=options.features,
    )
    names = extraction.fill(wspecifier, feature=options.features, order=options.orders)
    outputs = {name: names[extractor.outputs[name]] for name in extractor.output_names}

    def settings_of(name: str) -> tuple:
        feature, order = extractor.outputs[name]
        return replace(options, features=(feature,), orders=(order,)), bank, envelope

    return extraction.run(context, rspecifier, outputs, extractor, settings_of)


if __name__ == "__main__":
    raise SystemExit(main())
