"""sd-detect: a model directory and recordings -> live or replayed, how sure, and what to doubt."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

from sdtools.cli.command import Command, Context
from sdtools.cli.loop import computed, one_blas_thread
from sdtools.detect.detection import DetectOptions, Judgement, Summary, judge, judge_at_once
from sdtools.detect.lines import FORMATS, Lines, line_of
from sdtools.detect.model import Model, load_model
from sdtools.detect.recordings import Recording, find_recordings
from sdtools.errors import SdError, UsageError, as_sd_error, printable


@dataclass(frozen=True)
class RunOptions:
    """How the results are written, and how many recordings are judged at once."""

    format: str = field(
        default="text",
        metadata={"help": "words, JSON or `utt llr` in each line", "choices": FORMATS},
    )
    resume: str = field(
        default="",
        metadata={
            "file": "out",
            "help": "write to this file; after a kill, continue where its lines end",
        },
    )
    max_skip: int = field(
        default=0, metadata={"help": "number of recordings without result that status 0 allows"}
    )
    num_threads: int = field(default=1, metadata={"help": "recordings judged at once"})
    info: bool = field(default=False, metadata={"help": "first show where the model comes from"})

    def __post_init__(self) -> None:
        if self.max_skip < 0:
            raise UsageError("--max-skip", got=self.max_skip, need="0 or more")
        if self.num_threads < 1:
            raise UsageError("--num-threads", got=self.num_threads, need="1 or more")


COMMAND = Command(
    name="sd-detect",
    summary="Decides for each recording whether it was spoken live or replayed by a loudspeaker."
    " Recordings\nare sound files, folders, scp:wav.scp, or - for standard input."
    "\nThe LLR is calibrated: the log of how much more probable the sound is if it was live."
    "\nThe command also reports which recordings cannot be judged, and what makes a judgement"
    "\ndoubtful. Its status is 1 if more recordings than --max-skip have no result.",
    positionals=("<model-dir>", "[<sound-file>...]"),
    example="sd-detect exp/fusion/model scp:data/eval/wav.scp",
    options=(DetectOptions, RunOptions),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> int:
    """Load, loop by recording, count, return."""
    own, options = context[RunOptions], context[DetectOptions]
    model_dir, *names = context.positionals
    if not names and not own.info:
        raise UsageError("sound files", got="none", need="one or more, or --info")
    if options.raw and "-" not in names:
        raise UsageError("--raw", need="- among the sound files, for standard input")
    if own.resume and "-" in names:
        raise UsageError("--resume", got="standard input", need="recordings that can be read again")
    recordings, total = find_recordings(names)
    with one_blas_thread(), Lines(own.format, own.resume) as lines:
        model = load_model(model_dir)
        if own.info:
            print(json.dumps({k: v for k, v in model.about.items() if k != "files"}, indent=2))
            for text in model.deployment.lines() if model.deployment else []:
                context.log.info(text)
            for text in model.deployment.warnings if model.deployment else []:
                context.log.warning(SdError(model_dir, text))
        if model.about.get("note"):
            context.log.info(f"{model_dir}: {model.about['note']}")
        if names and options.policy(model).is_trivial:
            what = f"the threshold {options.threshold} is infinite, because dev had too few trials"
            context.log.warning(SdError(model_dir, what, hint="Use another threshold"))
        recordings = lines.skip_done(recordings)
        if lines.num_done:
            without = f"{lines.num_without_line} of them without a line"
            context.log.info(f"{own.resume}: {lines.num_done} recordings are done, {without}")
            total = None if total is None else total - lines.num_done
        # Standard input may be endless: its lines must not wait for each other.
        num_threads = 1 if "-" in names else own.num_threads
        num_skipped = _judge_all(context, model, recordings, total, lines, num_threads)
    return int(num_skipped > own.max_skip)


def _judge_all(
    context: Context,
    model: Model,
    recordings: Iterator[Recording],
    total: int | None,
    lines: Lines,
    num_threads: int,
) -> int:
    """Judge recordings and write their lines in order; return how many had no result."""
    num_judgements, num_skipped = 0, lines.num_without_line
    how = judge if num_threads == 1 else judge_at_once
    judge_one = partial(how, model, options=context[DetectOptions])
    with contextlib.closing(computed(recordings, judge_one, num_threads)) as results:
        # A terminal shows the lines themselves.
        is_shown = lines.file is None and sys.stdout.isatty() and sys.stderr.isatty()
        for recording, judgements, _ in results if is_shown else context.progress(results, total):
            number, problem = _write(lines, recording, judgements)
            num_judgements += number
            if problem:
                num_skipped += 1
                if num_skipped <= context[RunOptions].max_skip:
                    context.log.warning(f"skipped {problem}")
                else:
                    context.log.error(problem)
    context.log.info(f"done {num_judgements} judgements, {num_skipped} recordings skipped")
    return num_skipped


def _write(
    lines: Lines, recording: Recording, judgements: Iterator[Judgement]
) -> tuple[int, Exception | None]:
    """Write each line as soon as it is there; return their number and why there are no more."""
    summary = Summary()
    problem: Exception | None = None

    def until_error() -> Iterator[Judgement]:
        nonlocal problem
        try:
            yield from judgements
        except (ValueError, OSError, ArithmeticError) as error:
            is_ours = isinstance(error, SdError)
            problem = error if is_ours else as_sd_error(error).within(recording.file)

    for judgement in until_error():
        summary.add(judgement)
        if line := line_of(judgement, lines.form):
            lines.write(line)
    if lines.form == "text" and summary.is_of_several:
        lines.write(printable(summary.line(recording.name)))
    if lines.form == "kaldi" and summary.last and not (problem or summary.num_scored):
        reason = summary.last.quality.unusable_reason
        problem = SdError(recording.name, f"no score, {reason}")
    return summary.num_windows, problem


if __name__ == "__main__":
    raise SystemExit(main())
