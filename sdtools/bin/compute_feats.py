"""sd-compute-feats: sound -> CF and CM features of every asked differentiation order, in one pass over the audio."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field

from sdtools import audio, cli, tables
from sdtools.envelope import EnvelopeOptions
from sdtools.filterbank import FilterBankOptions


@dataclass(frozen=True)
class ComputeOptions:
    """Settings of the command itself."""

    features: tuple[str, ...] = field(default=("cf", "cm"), metadata={"help": "features to write", "choices": ("cf", "cm", "cfcm")})
    orders: tuple[int, ...] = field(default=(0, 2, 4, 6), metadata={"help": "differentiation orders to write"})
    sample_rate_hz: int = field(default=16000, metadata={"help": "rate that every recording must have"})
    channel: int | None = field(default=None, metadata={"help": "channel of recordings with several, from 0"})
    num_threads: int = field(default=1, metadata={"help": "utterances computed at once"})

    def __post_init__(self):
        if min(self.orders, default=-1) < 0 or len(set(self.orders)) < len(self.orders):
            raise ValueError(f"--orders: got {','.join(map(str, self.orders))!r}, need one or more from 0, each once")
        if not self.features or len(set(self.features)) < len(self.features):
            raise ValueError(f"--features: got {','.join(self.features)!r}, need one or more, each once")
        if self.sample_rate_hz < 1 or self.num_threads < 1:
            raise ValueError(f"got --sample-rate-hz={self.sample_rate_hz} --num-threads={self.num_threads}, need 1 or more")


COMMAND = cli.Command(
    name="sd-compute-feats",
    summary="Writes centroid frequency (cf, one value a band), centroid magnitude (cm, cepstra of ln CM) or both side by side (cfcm)\n"
    "of spatially differentiated sub-band envelopes, without deltas: one archive for each feature and order, in one pass.\n"
    "{feature} and {order} in the wspecifier are filled in. The settings are written to <archive>.conf.",
    positionals=("<wav-rspecifier>", "<wspecifier>"),
    example="sd-compute-feats --orders=0,6 scp:data/eval/wav.scp "
    "'ark,scp:feats/raw_{feature}_sd{order}.1.ark,feats/raw_{feature}_sd{order}.1.scp'",
    options=(ComputeOptions, FilterBankOptions, EnvelopeOptions, cli.InputOptions),
)


def main(argv=None) -> int:
    """Run the command; returns its exit status."""
    return COMMAND.run(body, argv)


def body(context: cli.Context) -> int:
    """Parse, open, loop by key, count, return."""
    from sdtools.subbands import SubbandExtractor

    rspecifier, wspecifier = context.positionals
    options = context[ComputeOptions]
    outputs = {(feature, order): fill(wspecifier, feature, order) for feature in options.features for order in options.orders}
    files = [file for name in outputs.values() for file in name.partition(":")[2].split(",")]
    if len(set(files)) < len(files):
        raise cli.UsageError(f"wspecifier: got {wspecifier!r}, need {{feature}} and {{order}} in each file, or one feature and one order")
    extractor = SubbandExtractor(
        context[FilterBankOptions], context[EnvelopeOptions], options.sample_rate_hz, orders=options.orders, features=options.features
    )
    with contextlib.ExitStack() as stack:
        recordings = stack.enter_context(
            audio.open_audio(
                rspecifier,
                sample_rate_hz=options.sample_rate_hz,
                channel=options.channel,
                allow_pipes=context[cli.InputOptions].allow_pipes,
            )
        )
        writers = {system: stack.enter_context(tables.open_writer(name)) for system, name in outputs.items()}

        def write(key, feats):
            for system, writer in writers.items():
                writer.write(key, feats[system])

        status = context.for_each(
            recordings,
            lambda entry: extractor(entry.load()[0]),
            write,
            total=recordings.num_entries,
            num_threads=options.num_threads,
        )
    for archive in [writer.path for writer in writers.values() if writer.path]:
        cli.save_settings(f"{archive}.conf", options, context[FilterBankOptions], context[EnvelopeOptions])
    return status


def fill(wspecifier: str, feature: str, order: int) -> str:
    """`wspecifier` with {feature} and {order} filled in."""
    return wspecifier.replace("{feature}", feature).replace("{order}", str(order))
