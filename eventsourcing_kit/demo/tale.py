"""What the demo tells of the shop's month, for readers who have never heard of event sourcing."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from eventsourcing_kit.demo.shop import DOUBLE_REFUND, OFFLINE_TERMINAL, ORDERS, correlation_of
from eventsourcing_kit.rebuilding import rebuild, rebuild_all
from eventsourcing_kit.stores.url import parse_url

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventsourcing_kit.outcomes import Rebuilt
    from eventsourcing_kit.projection import Projection
    from eventsourcing_kit.stores.contract import Counts, Readable

    Say = Callable[[str], None]

__all__ = ["tell_handler", "tell_ingest", "tell_knowledge", "tell_moments", "tell_next", "tell_search"]

_REFUNDED: Final = f"order-{DOUBLE_REFUND:04d}"
_LATE: Final = f"order-{OFFLINE_TERMINAL:04d}"
_MOMENTS: Final = ("2026-03-19", "2026-03-20", "2026-03-22")  # before the two refunds, between them, and behind them
_MONTH_END: Final = "2026-04-01"
_LATE_AT: Final = "2026-03-14"
_KNOWN: Final = ("2026-03-15", "2026-03-17")  # while the terminal was offline, and when it was back


def tell_ingest(say: Say, counts: Counts, url: str) -> None:
    arrived = counts.stored + counts.duplicate
    say(f"A small shop in March 2026: {ORDERS} orders, with their payments and their stock. It kept events")
    say(f"only: what happened, and when. {arrived:,} deliveries of events arrived, some of them twice,")
    say(f"some in the wrong order. Now they are in {url}:")
    say("")
    say(f"  {counts.stored:>5,}  stored")
    say(f"  {counts.twins:>5,}    of them twins, beside another event of that type in the same millisecond")
    say(f"  {counts.duplicate:>5,}  duplicates, which changed nothing")
    say(f"  {counts.other_id:>5,}    of them under another id, as their producer had sent them again")
    say("")


def tell_handler(say: Say) -> None:
    say("They went there through the handler of the ingestion Lambda, in batches of ten as a queue hands them")
    say("over; these figures are the sums of its own metrics. All were recorded just now, long behind their")
    say("moments, which is why the answers below call them late.")
    say("")


def tell_search(say: Say, orders: Projection[Any, Any], store: Readable) -> None:
    names = [f"order-{number:04d}" for number in range(1, ORDERS + 1)]
    found = [order for order in rebuild_all(orders, store, streams=names, at=_MONTH_END) if order.state.balance < 0]
    say("Did an order give back more money than it brought in? All of them, as of the end of the month:")
    say("")
    for order in found:
        say(f"  {order.stream}  {order.state.status}, balance {_money(order.state.balance)}")
    say("")


def tell_moments(say: Say, orders: Projection[Any, Any], store: Readable) -> None:
    say(f"What happened to {_REFUNDED}? Its state is stored nowhere: it is rebuilt from its events, up to any")
    say("moment that you ask for.")
    say("")
    _table(say, "as it was at", [(at, rebuild(orders, store, _REFUNDED, at=at)) for at in _MOMENTS])
    say("One cancellation, refunded twice: by the card gateway, and two days later by the support desk.")
    say("")


def tell_knowledge(say: Say, orders: Projection[Any, Any], store: Readable) -> None:
    say(f"And {_LATE}? It was paid at a terminal that was offline for three days. How it stood on")
    say(f"{_LATE_AT} depends on the day on which you would have asked:")
    say("")
    rows = [(known, rebuild(orders, store, _LATE, at=_LATE_AT, known_at=known)) for known in _KNOWN]
    _table(say, "as known at", rows)


def tell_next(say: Say, url: str, directory: Path, *, copied: bool, known: bool = True) -> None:
    """`known` is whether the store knew each event in March already, so that a question about that has an answer."""
    if parse_url(url).place is None:
        say("That store was in memory and is gone. With a file, such as sqlite:///demo.db, there is more to try.")
        return
    has_example = (directory / "projections" / "shop.py").is_file()
    if has_example:
        how = "; the demo has put it there" if copied else ""
        say(f"projections/shop.py has the functions that made these states{how}.")
    else:
        say("There is a 'projections' in this directory, which the demo leaves alone. In an empty one it also")
        say("brings the functions that made these states.")
    say("Try next:")
    say("")
    asked = ["streams", f"events {_REFUNDED}"]
    if has_example:
        asked += [
            f"rebuild orders {_REFUNDED} --at {_MOMENTS[1]}",
            *([f"rebuild orders {_LATE} --at {_LATE_AT} --known-at {_KNOWN[0]}"] if known else []),
            f"timeline orders {_REFUNDED}",
            f"bisect orders {_REFUNDED} 'balance >= `0`'",
            f"trail {correlation_of(_REFUNDED)}",
            f"rebuild refunds {_REFUNDED}",
            "rebuild stock sku-mug --at 2026-03-20T17:30:00+01:00",
        ]
    for question in asked:
        say(f"  {_program(directory)} {question} --store {shlex.quote(url)}")


def _program(directory: Path) -> str:
    """What to type for `eskit`: its path where it is in a virtual environment in `directory` that is not active."""
    beside = Path(sys.executable).with_name("eskit")
    here = directory.absolute()
    if shutil.which("eskit") is None and beside.is_file() and beside.is_relative_to(here):
        return shlex.quote(str(beside.relative_to(here)))
    return "eskit"


def _table(say: Say, axis: str, rows: list[tuple[str, Rebuilt[Any]]]) -> None:
    shape = "  {:<12}  {:<9}  {:>5}  {:>8}  {:>6}  {:<27}  {:<8}  {}"
    say(shape.format(axis, "status", "paid", "refunded", "events", "last event (UTC)", "complete", "warnings"))
    for moment, found in rows:
        last = found.last
        say(
            shape.format(
                moment,
                found.state.status,
                _money(found.state.paid),
                _money(found.state.refunded),
                found.events,
                "none" if last is None else f"{last.type} {last.moment:%m-%d %H:%M}",
                "yes" if found.complete else "no",
                ", ".join(f"{warning.count} {warning.kind}" for warning in found.warnings) or "none",
            )
        )
    say("")
    for message in sorted({warning.message for _, found in rows for warning in found.warnings}):
        say(f"  {message}")
        say("")


def _money(cents: int) -> str:
    return f"{cents / 100:.2f}"
