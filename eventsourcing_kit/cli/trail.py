"""`eskit trail`: what hangs together, across streams; and what usually comes next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import typer

from eventsourcing_kit.cli import settings
from eventsourcing_kit.cli.faults import UsageProblem
from eventsourcing_kit.cli.options import (  # noqa: TC001 - typer reads them
    CausationPathOption,
    CorrelationPathOption,
    FormatOption,
    KnownAtOption,
    StoreOption,
    TzOption,
)
from eventsourcing_kit.cli.tables import Printer
from eventsourcing_kit.cli.talk import say
from eventsourcing_kit.cli.window import Window
from eventsourcing_kit.trails import similar_trails
from eventsourcing_kit.trails import trail as follow
from eventsourcing_kit.trails.duration import duration, gap_in_words
from eventsourcing_kit.trails.following import indented

if TYPE_CHECKING:
    from eventsourcing_kit.trails import Node, SimilarTrails, Trail, Usual

__all__ = ["trail"]

_HEADINGS: Final = ("after", "gap", "event", "stream", "id", "key")
_USUAL: Final = 0.5
_SIMILAR: Final = ("type", "here", "usual", "in others", "typically after", "90 % within", "standing")


def trail(
    correlation_id: Annotated[str, typer.Argument(metavar="CORRELATION_ID", help="What the events share")],
    *,
    similar: Annotated[
        bool, typer.Option("--similar", help="Instead: what usually comes in a trail that began like this one")
    ] = False,
    share: Annotated[
        float | None,
        typer.Option(
            min=0.01,
            max=1.0,
            help="With --similar: usual is what came in this share of the others (0.5)",
            show_default=False,
        ),
    ] = None,
    known_at: KnownAtOption = None,
    tz: TzOption = "UTC",
    scan: Annotated[
        bool, typer.Option("--scan", help="Read all streams, and look into the events: without an index, and slow")
    ] = False,
    correlation_path: CorrelationPathOption = None,
    causation_path: CausationPathOption = None,
    store_url: StoreOption = None,
    format: FormatOption = None,  # noqa: A002 - the option's name
) -> None:
    """Show what shares a correlation id, across all streams: causes and their effects.

    A dot stands in front of an event for each cause above it. 'gap' is the time
    since its cause, 'after' since the first event. ~ marks siblings of one
    moment: nobody knows which of them was first.

    [bold]Examples[/]

      eskit trail cart-5
      eskit trail cart-5 --similar                what is missing, or unusual
      eskit trail cart-5 --known-at 2026-03-02 | jq -r .id
      eskit trail order-17 --correlation-path detail.data.order

    A JSON line is an event, each cause before its effects: stream, key, moment,
    type, id, source, recorded_at, depth, cause_id, cause (here, missing,
    circular; null where none is named), gap, after (seconds), unordered.
    With --similar it is a type: type, here, usual, nth, trails, share, delay,
    delay_90 (seconds), standing (came, more, seldom; waiting, late, overdue for
    what is missing).

    A trail without events is an answer, too: the exit code is 0.

    [bold]Exit codes[/]: 0 done, 2 usage, 4 store.
    """
    printer = Printer(format)
    try:
        correlation_id.encode()
    except UnicodeEncodeError:
        raise UsageProblem("the correlation id is not text in UTF-8, as every one in a store is") from None
    if share is not None and not similar:
        raise UsageProblem("--share says what is usual, which only --similar shows; give both")
    window = Window.of(start=None, at=None, known_at=known_at, tz=tz)
    with settings.store(store_url) as store, printer.progress("reading"):
        if window != Window():
            say(f"as known at {window.known_at}")
        found = follow(
            store,
            correlation_id,
            known_at=window.known_at,
            scan=scan,
            correlation_path=correlation_path,
            causation_path=causation_path,
        )
        if not found:
            hint = "" if found.finding.scan else "; --scan looks into the events of older writers, too"
            say(f"no event has the correlation id '{correlation_id}'{hint}")
        elif similar:
            _show_similar(printer, similar_trails(store, found, share=_USUAL if share is None else share))
        else:
            _show_trail(printer, found)


def _show_trail(printer: Printer, found: Trail) -> None:
    if printer.is_table:
        # Where no event names a cause there are no gaps, and the time since the first event is what is left.
        dispensable = ("key", "after") if found.waits else ("key", "gap")
        printer.table(_HEADINGS, (_cells(found, node) for node in found.nodes()), dispensable=dispensable)
        printer.text("")
        printer.facts(found.facts())
        return
    printer.answer(found)
    say(found.summary)


def _cells(found: Trail, node: Node) -> tuple[str, ...]:
    event = node.event
    mark = " ~" if node.unordered else ""
    after = duration(found.since_first(event))
    return after, gap_in_words(node.gap), f"{indented(node)}{mark}", event.stream, event.id, event.key


def _show_similar(printer: Printer, found: SimilarTrails) -> None:
    if printer.is_table:
        printer.table(_SIMILAR, (_usual_cells(each, found.others) for each in found.types), dispensable=_SIMILAR[5:6])
        printer.text("")
    else:
        printer.answer(found)
    say(f"learnt from {found.others:,} other trails that began with '{found.first_type}'")
    if found.missing:
        say("missing here: " + ", ".join(f"'{each.type}' ({each.standing})" for each in found.missing))


def _usual_cells(each: Usual, others: int) -> tuple[str, ...]:
    times = f" had {each.nth}" if each.nth > 1 else ""
    delays = ("" if delay is None else duration(delay) for delay in (each.delay, each.delay_90))
    came = f"{each.trails:,} of {others:,}{times}"
    return each.type, f"{each.here:,}", f"{each.usual:,}", came, *delays, each.standing
