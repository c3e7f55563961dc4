"""`eskit streams` and `eskit events`: what is there."""

from __future__ import annotations

import zlib
from collections import Counter, deque
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from eventsourcing_kit.cli import settings
from eventsourcing_kit.cli.faults import UsageProblem
from eventsourcing_kit.cli.options import AtOption, FormatOption, StartOption, StoreOption, StreamArgument, TzOption
from eventsourcing_kit.cli.options import streams as complete_streams
from eventsourcing_kit.cli.tables import Printer
from eventsourcing_kit.cli.talk import say
from eventsourcing_kit.cli.window import Window
from eventsourcing_kit.errors import StoreDamaged
from eventsourcing_kit.event import detail_line, moment_or_none
from eventsourcing_kit.moment import to_canonical
from eventsourcing_kit.span import Span

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.stores.contract import Readable

__all__ = ["check_stream", "events", "streams"]

_HEADINGS: Final = ("key", "moment", "type", "id", "source", "recorded at")


def streams(
    prefix: Annotated[
        str, typer.Argument(metavar="PREFIX", help="Only streams that begin with this", autocompletion=complete_streams)
    ] = "",
    *,
    details: Annotated[
        bool, typer.Option("--details", help="Read each stream: its events, first and last moment, types")
    ] = False,
    store_url: StoreOption = None,
    format: FormatOption = None,  # noqa: A002 - the option's name
) -> None:
    """List the streams that are in the store.

    [bold]Examples[/]

      eskit streams
      eskit streams order- --details
      eskit streams | wc -l

    [bold]Exit codes[/]: 0 done, 2 usage, 4 store.
    """
    printer = Printer(format)
    check_stream(prefix)
    with settings.store(store_url) as store, printer.progress("listing streams"):
        names = store.streams(prefix)
        if details:
            _show_details(printer, store, names)
        elif printer.is_table:
            printer.table(("stream",), ([name] for name in names))
        else:
            for name in names:
                printer.record({"stream": name})


def events(
    stream: StreamArgument,
    *,
    at: AtOption = None,
    start: StartOption = None,
    tz: TzOption = "UTC",
    types: Annotated[
        list[str] | None, typer.Option("--type", metavar="TYPE", help="Only events of this type; may be repeated")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the first N")] = None,
    tail: Annotated[int | None, typer.Option(min=1, metavar="N", help="Only the last N")] = None,
    details: Annotated[
        bool, typer.Option("--details", help="Show what is in the events; JSON Lines always has it")
    ] = False,
    store_url: StoreOption = None,
    format: FormatOption = None,  # noqa: A002 - the option's name
) -> None:
    """List the events of one stream, in their order.

    [bold]Examples[/]

      eskit events order-17
      eskit events order-17 --at 'yesterday 9am' --tz Europe/Berlin --tail 5 --details
      eskit events order-17 --type PaymentRefunded | jq .detail.data.amount

    A JSON line has: stream, key, moment, type, id, source, recorded_at,
    correlation_id, causation_id, and the detail, exactly as it arrived.

    [bold]Exit codes[/]: 0 done, 2 usage, 4 store.
    """
    printer = Printer(format)
    check_stream(stream)
    if limit and tail:
        raise UsageProblem("--limit and --tail contradict each other; give one of them")
    window = Window.of(start=start, at=at, tz=tz)
    with settings.store(store_url) as store, printer.progress("reading"):
        if window != Window():
            window.tell()
        span = Span.of(store, stream, start=window.start, at=window.at)
        reading = span.read()
        found = (event for event in span.cut(reading) if not types or event.type in types)
        chosen: Iterable[Event] = islice(found, limit) if limit else deque(found, tail) if tail else found
        if not _show_events(printer, store, chosen, details=details):
            say(f"stream '{stream}' has no such event")
        if not limit and reading.expired_since is not None:
            say(f"the beginning of the stream has expired; its first event was at {reading.expired_since}")


def check_stream(*streams: str) -> None:
    """Raises UsageProblem for bytes that are no text, which the shell may pass on."""
    for stream in streams:
        try:
            stream.encode()
        except UnicodeEncodeError:
            raise UsageProblem(f"'{stream}' is not text in UTF-8, as every stream's key is") from None


def _show_details(printer: Printer, store: Readable, names: Iterable[str]) -> None:
    found = (_about(store, name) for name in names)
    if not printer.is_table:
        for facts in found:
            printer.record(facts)
        return
    printer.table(
        ("stream", "events", "first", "last", "types"),
        (
            (facts["stream"], f"{facts['events']:,}", facts["first"] or "", facts["last"] or "", _types(facts["types"]))
            for facts in found
        ),
        dispensable=("first",),
    )


def _about(store: Readable, name: str) -> dict[str, Any]:
    first = last = None
    types: Counter[str] = Counter()
    for event in store.read(name):
        first = first or event
        last = event
        types[event.type] += 1
    return {
        "stream": name,
        "events": types.total(),
        "first": first and _moment(first),
        "last": last and _moment(last),
        "types": dict(sorted(types.items())),
    }


def _types(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in counts.items())


def _show_events(printer: Printer, store: Readable, events: Iterable[Event], *, details: bool) -> int:
    """Shows them, and answers how many there were."""
    count = 0

    def counted() -> Iterator[Event]:
        nonlocal count
        for event in events:
            count += 1
            yield event

    if not printer.is_table:
        for event in counted():
            _record(printer, store, event)
    elif details:
        for event in counted():
            printer.text(event.key, style="bold")
            printer.facts(zip(_HEADINGS[1:], _cells(event)[1:], strict=True), indent="  ")
            printer.json(_detail_json(store, event), indent="  ")
    else:
        # The key has the type and the moment's milliseconds already.
        dispensable = ("moment", "type", "source", "recorded at", "id")
        printer.table(_HEADINGS, map(_cells, counted()), dispensable=dispensable)
    return count


def _cells(event: Event) -> tuple[str, ...]:
    return event.key, _moment(event) or "", event.type, event.id, event.source, event.recorded_at_text or ""


def _record(printer: Printer, store: Readable, event: Event) -> None:
    facts = {
        "stream": event.stream,
        "key": event.key,
        "moment": _moment(event),
        "type": event.type,
        "id": event.id,
        "source": event.source,
        "recorded_at": event.recorded_at_text,
        "correlation_id": event.correlation_id,
        "causation_id": event.causation_id,
    }
    printer.record(facts, detail=_detail_json(store, event))


def _moment(event: Event) -> str | None:
    """None for a row of an older writer whose moment can not be read."""
    ns = moment_or_none(event)
    return None if ns is None else to_canonical(ns)


def _detail_json(store: Readable, event: Event) -> str:
    try:
        return detail_line(event)
    except zlib.error:
        reason = f"the detail of '{event.key}' in stream '{event.stream}' does not unpack"
        raise StoreDamaged(store.url, reason) from None
