"""sd-compute-modulation-feats: sound -> cepstra of modulation centroid frequency, modulation static energy and short-term energy."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from sdtools.cli import extraction
from sdtools.cli.command import Command, Context
from sdtools.features.modulation import ModulationExtractor, ModulationOptions
from sdtools.features.triangular import TriangularOptions


@dataclass(frozen=True)
class ComputeOptions:
    """Settings of the command itself."""

    features: tuple[str, ...] = field(
        default=("mcf", "mse", "stcc"),
        metadata={"help": "features to write", "choices": ("mcf", "mse", "stcc")},
    )


COMMAND = Command(
    name="sd-compute-modulation-feats",
    summary="Writes cepstra of modulation centroid frequency (mcf), modulation static energy (mse) and short-term energy (stcc) of\n"
    "sub-bands, without deltas: one archive for each feature, in one pass (baseline B3 of the paper, reconstructed from its description).\n"
    "{feature} in the wspecifier is filled in. The settings are written to <archive>.conf.",
    positionals=("<wav-rspecifier>", "<wspecifier>"),
    example="sd-compute-modulation-feats scp:data/eval/wav.scp 'ark,scp:feats/raw_{feature}.1.ark,feats/raw_{feature}.1.scp'",
    options=(ComputeOptions, TriangularOptions, ModulationOptions, *extraction.OPTIONS),
)


def main(argv=None) -> int:
    """Run the command; returns its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> int:
    """Parse, open, loop by key, count, return."""
    rspecifier, wspecifier = context.positionals
    options, bands, modulation = (
        context[ComputeOptions],
        context[TriangularOptions],
        context[ModulationOptions],
    )
    extractor = ModulationExtractor(
        bands,
        modulation,
        sample_rate_hz=context[extraction.AudioOptions].sample_rate_hz,
        features=options.features,
    )
    outputs = {
        feature: name
        for (feature,), name in extraction.fill(wspecifier, feature=options.features).items()
    }
    return extraction.run(
        context,
        rspecifier,
        outputs,
        extractor,
        lambda name: (replace(options, features=(name,)), bands, modulation),
    )


if __name__ == "__main__":
    raise SystemExit(main())
