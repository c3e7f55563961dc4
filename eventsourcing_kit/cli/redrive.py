"""`eskit redrive`: what a dead-letter queue holds, put into the store once more."""

from __future__ import annotations

import sys
from collections import Counter, deque
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from eventsourcing_kit.cli import settings
from eventsourcing_kit.cli.faults import ExitCode
from eventsourcing_kit.cli.ingest import Identity
from eventsourcing_kit.cli.options import (  # noqa: TC001 - typer reads them
    CausationPathOption,
    CorrelationPathOption,
    FormatOption,
    StoreOption,
    StreamPathOption,
)
from eventsourcing_kit.cli.tables import Printer
from eventsourcing_kit.cli.talk import many, say, silence

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from eventsourcing_kit.redrive import Redriven

__all__ = ["redrive"]


def redrive(
    queue_url: Annotated[
        str, typer.Argument(metavar="QUEUE_URL", help="https://sqs.REGION.amazonaws.com/ACCOUNT/NAME")
    ],
    *,
    put: Annotated[bool, typer.Option("--put", help="Do it: store the events and take them off the queue")] = False,
    stream_path: StreamPathOption = None,
    correlation_path: CorrelationPathOption = None,
    causation_path: CausationPathOption = None,
    identity: Annotated[
        Identity, typer.Option(help="What makes two events one: equal content, or equal content under one id")
    ] = Identity.content,
    region: Annotated[str | None, typer.Option(help="The queue's region, where its URL does not name it")] = None,
    endpoint_url: Annotated[
        str | None, typer.Option(metavar="URL", help="Where SQS answers, if not where the queue's URL says")
    ] = None,
    store_url: StoreOption = None,
    format: FormatOption = None,  # noqa: A002 - the option's name
) -> None:
    """Put what ended in a dead-letter queue through the same ingest once more.

    Without --put nothing changes: it lists each message, and what would become
    of it. With --put, a message whose events are in the store leaves the queue;
    a refused one stays. In doubt, run it again: what is stored is not stored
    twice. Messages can be envelopes, arrays of them, and the records of an
    on-failure destination.

    [bold]Examples[/]

      eskit redrive https://sqs.eu-west-1.amazonaws.com/123456789012/events-dead
      eskit redrive https://sqs.eu-west-1.amazonaws.com/123456789012/events-dead --put

    A JSON line has: message_id, events (ids), outcome (stored, duplicate, would
    be put, refused), reason (why it is refused, or once was; else null).

    [bold]Exit codes[/]: 0 done, 1 some were refused, 2 usage, 4 store or queue.
    """
    from eventsourcing_kit.redrive import redrive as redriven

    printer = Printer(format)
    counts: Counter[str] = Counter()
    with settings.store(store_url) as store, printer.progress("redriving"):
        messages = redriven(
            queue_url,
            store,
            dry_run=not put,
            stream_path=stream_path,
            identity=identity.value,
            correlation_path=correlation_path,
            causation_path=causation_path,
            region=region,
            endpoint_url=endpoint_url,
        )

        def counted() -> Iterator[Redriven]:
            for message in messages:
                counts[message.outcome] += 1
                yield message

        rows = counted()
        try:
            _show(printer, rows)
        except BrokenPipeError:  # a reader who has seen enough does not end the work
            silence(sys.stdout)
            deque(rows, maxlen=0)
    outcomes = ("stored", "duplicate", "refused") if put else ("would be put", "refused")
    say(f"{many(counts.total(), 'message')}: " + ", ".join(f"{counts[outcome]:,} {outcome}" for outcome in outcomes))
    if counts["refused"]:
        raise typer.Exit(ExitCode.DIFFERENCE)


def _show(printer: Printer, rows: Iterable[Redriven]) -> None:
    if printer.is_table:
        headings = ("message", "events", "outcome", "reason")
        shown = ((row.message_id, " ".join(row.events), row.outcome, row.reason or "") for row in rows)
        printer.table(headings, shown)
        return
    for row in rows:
        printer.record(asdict(row))
