"""sd-filterbank: settings of the filter bank -> a table of centres and widths, and Figure 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, field

from sdtools.cli.command import Command, Context
from sdtools.errors import UsageError
from sdtools.features.filterbank import FilterBankOptions, band_shapes, design
from sdtools.tables.output import open_output


@dataclass(frozen=True)
class ShowOptions:
    """What to show of the filter bank."""

    filters: tuple[int, ...] = field(
        default=(), metadata={"help": "numbers of the filters to show, from 1; empty for all"}
    )
    orders: tuple[int, ...] = field(
        default=(0, 3, 6), metadata={"help": "differentiation orders to show"}
    )
    sample_rate_hz: int = field(default=16000, metadata={"help": "sample rate of the bank"})
    plot: str = field(
        default="",
        metadata={
            "file": "out",
            "help": "also draw the magnitude responses into this file, .svg or .png",
        },
    )

    def __post_init__(self) -> None:
        if min(self.orders, default=-1) < 0 or len(set(self.orders)) < len(self.orders):
            got = repr(",".join(map(str, self.orders)))
            raise UsageError("--orders", got=got, need="one or more from 0, each once")
        if min(self.filters, default=1) < 1 or len(set(self.filters)) < len(self.filters):
            got = repr(",".join(map(str, self.filters)))
            raise UsageError("--filters", got=got, need="numbers from 1, each once")
        if self.sample_rate_hz < 1:
            raise UsageError("--sample-rate-hz", got=self.sample_rate_hz, need="1 or more")
        if self.plot and not self.plot.endswith((".svg", ".png")):
            raise UsageError("--plot", got=repr(self.plot), need="a name that ends in .svg or .png")


COMMAND = Command(
    name="sd-filterbank",
    summary="Prints centre, peak, widths 3 and 20 dB below the peak, and noise for each filter and"
    " differentiation\norder. The centre is the binomial mean of the filters that a difference"
    " combines. The noise is the level\nof the difference if each filter's output carries"
    " independent noise of 0 dB. The last bands of an order\ndepend on the padding, as in the"
    " features.",
    positionals=(),
    example="sd-filterbank --filters=55 --orders=0,3,6 --plot=figure_1.svg",
    options=(ShowOptions, FilterBankOptions),
)
HEADER = "filter order  centre_hz  peak_hz  peak_db  width_3db_hz  width_20db_hz  noise_db"
ROW = "{:6d} {:5d}  {:9.1f}  {:7.1f}  {:7.1f}  {:12.1f}  {:13.1f}  {:8.1f}"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return its exit status."""
    return COMMAND.run(body, argv)


def body(context: Context) -> None:
    """Design, print, draw."""
    options = context[ShowOptions]
    bank = design(context[FilterBankOptions], options.sample_rate_hz)
    num_filters = len(bank.centre_hz)
    filters = options.filters or range(1, num_filters + 1)
    if max(filters) > num_filters:
        need = f"at most {num_filters}, the number of filters"
        raise UsageError("--filters", got=max(filters), need=need)
    shapes = {order: astuple(band_shapes(bank, order)) for order in options.orders}
    print(HEADER)
    for number in filters:
        for order, columns in shapes.items():
            print(ROW.format(number, order, *(column[number - 1] for column in columns)))
    if options.plot:
        from sdtools.report import plots

        figure = plots.response_figure(bank, filters, options.orders)
        picture = plots.image(figure, options.plot[-3:])
        with open_output(options.plot) as file:
            file.write(picture)


if __name__ == "__main__":
    raise SystemExit(main())
