"""`eskit timeline`, `diff`, `blame`, `bisect` and `revisions`: what people ask of one stream."""

from __future__ import annotations

import sys
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Annotated, Any

import typer

from eventsourcing_kit.cli import settings
from eventsourcing_kit.cli.answers import show, show_failure
from eventsourcing_kit.cli.options import (  # noqa: TC001 - typer reads them
    AllowIncompleteOption,
    AppOption,
    AtOption,
    FormatOption,
    KnownAtOption,
    ProjectionArgument,
    StartOption,
    StoreOption,
    StreamArgument,
    TzOption,
)
from eventsourcing_kit.cli.saving import SnapshotsOption, check_keeps, saving_of
from eventsourcing_kit.cli.show import check_stream
from eventsourcing_kit.cli.tables import Printer
from eventsourcing_kit.cli.window import Window
from eventsourcing_kit.errors import FoldFailed
from eventsourcing_kit.questions import bisect as bisecting
from eventsourcing_kit.questions import blame as blaming
from eventsourcing_kit.questions import diff as differing
from eventsourcing_kit.questions import history as histories
from eventsourcing_kit.questions import revisions as revising

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventsourcing_kit.cli.tables import Format
    from eventsourcing_kit.projection import Projection
    from eventsourcing_kit.stores.base import BaseStore

__all__ = ["bisect", "blame", "diff", "revisions", "timeline"]


def timeline(
    name: ProjectionArgument,
    stream: StreamArgument,
    *,
    start: StartOption = None,
    at: AtOption = None,
    known_at: KnownAtOption = None,
    tz: TzOption = "UTC",
    allow_incomplete: AllowIncompleteOption = False,
    snapshots: SnapshotsOption = None,
    store_url: StoreOption = None,
    app: AppOption = None,
    format: FormatOption = None,  # noqa: A002 - the option's name
) -> None:
    """Show each event of a stream with what it changed in a state.

    The states are folded from the stream's beginning, also where --start shows
    only a part. An event that no handler takes is there, and changes nothing.
    With --snapshots that fold begins at a saved state before --start where one
    fits, and others are saved; the rows are the same.

    [bold]Examples[/]

      eskit timeline orders order-17
      eskit timeline orders order-17 --start 'yesterday 9am' --at event:12
      eskit timeline stock sku-mug --start '2h ago' --snapshots auto
      eskit timeline orders order-17 | jq -c '[.number, .type, .state.balance]'

    A JSON line has: stream, number, key, moment, type, id, correlation_id,
    folded, patch (RFC 6902), state.

    [bold]Exit codes[/]: 0 done, 2 usage, 3 a projection raised, 4 store.
    """
    saving = saving_of(snapshots)
    with _asked(name, stream, store_url, app, format) as (printer, store, projection):
        check_keeps(store, saving)
        window = _window(tz, start=start, at=at, known_at=known_at)
        answer = histories.history(
            projection,
            store,
            stream,
            start=window.start,
            at=window.at,
            known_at=window.known_at,
            allow_incomplete=allow_incomplete,
            snapshots=saving,
        )
        show(printer, answer)


def diff(
    name: ProjectionArgument,
    stream: StreamArgument,
    t1: Annotated[str, typer.Argument(metavar="T1", help="A moment, or event:ID or event:N")],
    t2: Annotated[str, typer.Argument(metavar="T2", help="Another one; where it is earlier, it is the way back")],
    *,
    known_at: KnownAtOption = None,
    tz: TzOption = "UTC",
    allow_incomplete: AllowIncompleteOption = False,
    store_url: StoreOption = None,
    app: AppOption = None,
    format: FormatOption = None,  # noqa: A002 - the option's name
) -> None:
    """Show what changed in a state between two moments, and which event touched it last.

    [bold]Examples[/]

      eskit diff orders order-17 2026-03-01 2026-03-02
      eskit diff orders order-17 event:3 event:5
      eskit diff orders order-17 2026-03-01 'now' | jq -c '[.path, .old, .new, .id]'

    A JSON line has: op, path, from (RFC 6902), old, new, and the event that
    touched the place last: stream, number, key, moment, type, id, correlation_id.

    [bold]Exit codes[/]: 0 done, 2 usage, 3 a projection raised, 4 store.
    """
    with _asked(name, stream, store_url, app, format) as (printer, store, projection):
        window = _window(tz, start=t1, at=t2, known_at=known_at)
        answer = differing.diff(
            projection,
            store,
            stream,
            window.start or t1,
            window.at or t2,
            known_at=window.known_at,
            allow_incomplete=allow_incomplete,
        )
        show(printer, answer)


def blame(
    name: ProjectionArgument,
    stream: StreamArgument,
    pointer: Annotated[
        str, typer.Argument(metavar="POINTER", help="A place in the state, as /lines/0/price; '' is all of it")
    ],
    *,
    start: StartOption = None,
    at: AtOption = None,
    known_at: KnownAtOption = None,
    tz: TzOption = "UTC",
    allow_incomplete: AllowIncompleteOption = False,
    store_url: StoreOption = None,
    app: AppOption = None,
    format: FormatOption = None,  # noqa: A002 - the option's name
) -> None:
    """Show which events set one place of a state, the last one first.

    The place is a JSON Pointer (RFC 6901), as in the paths of 'eskit diff'.

    [bold]Examples[/]

      eskit blame orders order-17 /balance
      eskit blame orders order-17 /lines/0/price --at 2026-03-01
      eskit blame orders order-17 /balance | jq -r 'select(.new < 0) | .id'

    A JSON line has: stream, number, key, moment, type, id, correlation_id, op,
    old, new.

    [bold]Exit codes[/]: 0 done, 2 usage, 3 a projection raised, 4 store.
    """
    with _asked(name, stream, store_url, app, format) as (printer, store, projection):
        window = _window(tz, start=start, at=at, known_at=known_at)
        answer = blaming.blame(
            projection,
            store,
            stream,
            pointer,
            start=window.start,
            at=window.at,
            known_at=window.known_at,
            allow_incomplete=allow_incomplete,
        )
        show(printer, answer)


def bisect(
    name: ProjectionArgument,
    stream: StreamArgument,
    check: Annotated[
        str, typer.Argument(metavar="CHECK", help="A JMESPath over the state that says whether it is right")
    ],
    *,
    good: Annotated[
        str | None,
        typer.Option(metavar="T", help="Where the check passes; the initial state unless given", show_default=False),
    ] = None,
    bad: Annotated[
        str | None, typer.Option(metavar="T", help="Where it fails; the end unless given", show_default=False)
    ] = None,
    flips: Annotated[bool, typer.Option("--flips", help="List every event at which the check changes its answer")] = (
        False
    ),
    known_at: KnownAtOption = None,
    tz: TzOption = "UTC",
    allow_incomplete: AllowIncompleteOption = False,
    store_url: StoreOption = None,
    app: AppOption = None,
    format: FormatOption = None,  # noqa: A002 - the option's name
) -> None:
    """Find the first event after which a state is wrong.

    [bold]Examples[/]

      eskit bisect orders order-17 'balance >= `0`'
      eskit bisect orders order-17 'refunded <= paid' --good 2026-03-01 --flips
      eskit bisect orders order-17 'balance >= `0`' | jq -r .correlation_id

    A JSON line has: stream, number, key, moment, type, id, correlation_id,
    passes, before, after (the states around the event), folds.

    [bold]Exit codes[/]: 0 found, 2 usage, also where the check passes at both ends or
    fails at both, 3 a projection raised, 4 store.
    """
    with _asked(name, stream, store_url, app, format) as (printer, store, projection):
        window = _window(tz, start=good, at=bad, known_at=known_at)
        answer = bisecting.bisect(
            projection,
            store,
            stream,
            check,
            good=window.start,
            bad=window.at,
            flips=flips,
            known_at=window.known_at,
            allow_incomplete=allow_incomplete,
        )
        show(printer, answer)


def revisions(
    name: ProjectionArgument,
    stream: StreamArgument,
    at: Annotated[str, typer.Argument(metavar="T", help="The moment of the answer, or event:ID or event:N")],
    *,
    known_at: KnownAtOption = None,
    tz: TzOption = "UTC",
    allow_incomplete: AllowIncompleteOption = False,
    store_url: StoreOption = None,
    app: AppOption = None,
    format: FormatOption = None,  # noqa: A002 - the option's name
) -> None:
    """Show how the answer for a moment changed, as late events came in behind it.

    [bold]Examples[/]

      eskit revisions orders order-17 2026-03-01
      eskit revisions orders order-17 2026-03-01 | jq -c '[.known_at, .state.balance, .came]'

    A JSON line has: stream, known_at, events, came (ids and keys), patch
    (RFC 6902, from the revision before), state.

    [bold]Exit codes[/]: 0 done, 2 usage, 3 a projection raised, 4 store.
    """
    with _asked(name, stream, store_url, app, format) as (printer, store, projection):
        window = _window(tz, at=at, known_at=known_at)
        answer = revising.revisions(
            projection,
            store,
            stream,
            at=window.at or at,
            known_at=window.known_at,
            allow_incomplete=allow_incomplete,
        )
        show(printer, answer)


@contextmanager
def _asked(
    name: str,
    stream: str,
    store_url: str | None,
    app: str | None,
    format: Format | None,  # noqa: A002 - the option's name
) -> Iterator[tuple[Printer, BaseStore, Projection[Any, Any]]]:
    """What every question needs. Where a handler raises inside of it, the state before that event is shown, too."""
    printer = Printer(format)
    check_stream(stream)
    # What a user's module or handler prints is talk: stdout is for the answers.
    with redirect_stdout(sys.stderr), settings.store(store_url) as store:
        projection = settings.catalog(app).get(name)
        with printer.progress("folding"):
            try:
                yield printer, store, projection
            except FoldFailed as failed:
                show_failure(printer, projection, failed)
                raise


def _window(tz: str, *, at: str | None, start: str | None = None, known_at: str | None = None) -> Window:
    window = Window.of(start=start, at=at, known_at=known_at, tz=tz)
    window.tell()
    return window
