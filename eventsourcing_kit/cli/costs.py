"""The half of `eskit rebuild` that reads nothing: `--dry-run`."""

from __future__ import annotations

import dataclasses
import sys
from contextlib import redirect_stdout
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from eventsourcing_kit.cli import settings
from eventsourcing_kit.cli.faults import UsageProblem
from eventsourcing_kit.cli.saving import check_keeps
from eventsourcing_kit.costs import USD_PER_MILLION, estimate

if TYPE_CHECKING:
    from eventsourcing_kit.cli.tables import Printer
    from eventsourcing_kit.costs import Estimate

__all__ = ["DryRunOption", "PriceOption", "ReadingWay", "WayOption", "check_costs", "dollars", "say_costs"]


class ReadingWay(StrEnum):
    auto = "auto"
    scan = "scan"
    query = "query"


WayOption = Annotated[
    ReadingWay,
    typer.Option(help="How a table is read: in one pass, or stream by stream; auto takes what costs least"),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be read and what that would cost, and read nothing")
]
PriceOption = Annotated[
    float | None,
    typer.Option(
        metavar="USD",
        min=0,
        help=f"What a million read units cost; without it {USD_PER_MILLION}, as on demand in us-east-1",
        show_default=False,
    ),
]

_WAYS: Final = {"scan": "all streams in one pass", "query": "stream by stream"}


def check_costs(price: float | None, way: ReadingWay, *, dry_run: bool, into: str | None) -> None:
    if price is not None and not dry_run:
        raise UsageProblem("--price is what --dry-run reckons with; add --dry-run")
    if into is not None and way is not ReadingWay.auto:
        raise UsageProblem("--into takes the way that costs least by itself; drop --way")


def say_costs(
    printer: Printer, name: str, store_url: str | None, app: str | None, price: float | None, **question: Any
) -> None:
    """The whole command. `question` is as for `estimate`."""
    with redirect_stdout(sys.stderr), settings.store(store_url) as store:
        check_keeps(store, question.get("snapshots"))
        settings.catalog(app).get(name)  # so that a name that there is not is said now
        found = estimate(store, usd_per_million=USD_PER_MILLION if price is None else price, **question)
    if printer.is_table:
        printer.facts(_facts(found))
    else:
        printer.record(dataclasses.asdict(found))


def _facts(found: Estimate) -> list[tuple[str, str]]:
    charged = found.read_units_at_most > 0
    pairs = [
        ("way", _WAYS[found.way]),
        ("streams", "not known before they are read" if found.streams is None else f"{found.streams:,}"),
    ]
    if found.items is not None and found.bytes is not None:
        pairs += [("items in the table", f"{found.items:,}"), ("size of the table", f"{found.bytes:,} bytes")]
    if charged:
        least, most = f"{found.read_units:,}", f"{found.read_units_at_most:,}"
        pairs.append(("read units", least if least == most else f"{least} to {most}"))
        low, high = dollars(found.usd), dollars(found.usd_at_most)
        pairs.append(("cost", low if low == high else f"{low} to {high}"))
    return [*pairs, *(("note", note) for note in found.notes)]


def dollars(amount: float) -> str:
    """An amount with two digits that say something."""
    return f"${amount:,.2f}" if amount >= 1 or not amount else f"${amount:.2g}" if amount >= 0.0001 else "below $0.0001"
