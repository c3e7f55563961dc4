"""`eskit test-case`: an event that went wrong becomes a failing test."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Annotated, Final

import typer

from eventsourcing_kit.cli import settings
from eventsourcing_kit.cli.faults import UsageProblem
from eventsourcing_kit.cli.options import AllowIncompleteOption, AppOption, StoreOption, StreamPathOption
from eventsourcing_kit.cli.options import projections as complete_projections
from eventsourcing_kit.cli.options import streams as complete_streams
from eventsourcing_kit.cli.show import check_stream
from eventsourcing_kit.cli.talk import many, say
from eventsourcing_kit.progress import Progress
from eventsourcing_kit.span import EVENT, find_event
from eventsourcing_kit.testing.failing import failing_test

if TYPE_CHECKING:
    from eventsourcing_kit.catalog import Catalog
    from eventsourcing_kit.event import Event
    from eventsourcing_kit.stores.contract import Readable

__all__ = ["print_test"]

_SHOWN: Final = 3  # events that bear the same id


def print_test(
    event: Annotated[str, typer.Argument(metavar="EVENT", help="Its id or its key; with --stream also its number")],
    *,
    stream: Annotated[
        str | None,
        typer.Option(
            metavar="STREAM",
            help="The stream that it is in; without it all are looked through",
            autocompletion=complete_streams,
            show_default=False,
        ),
    ] = None,
    projection: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The projection; without it the only one that handles the event's type",
            autocompletion=complete_projections,
            show_default=False,
        ),
    ] = None,
    check: Annotated[
        str | None,
        typer.Option(
            metavar="JMESPATH", help="What should hold for the state after the event, and does not", show_default=False
        ),
    ] = None,
    stream_path: StreamPathOption = None,
    allow_incomplete: AllowIncompleteOption = False,
    store_url: StoreOption = None,
    app: AppOption = None,
) -> None:
    """Print a failing test of a projection at one event.

    The test holds the events of the stream up to that one, exactly as they
    arrived; behind more than 30 events it begins with the state before it.
    With --check it asks for what should hold. Without, it expects the state
    before the event, and you write into it what is right. Where the projection
    raises at the event, that is what fails.

    [bold]Examples[/]

      eskit test-case 69ae516f-a42f-54b4-8e8b-f9664d2606ef > test_order_17.py
      eskit test-case 69ae516f-a42f-54b4-8e8b-f9664d2606ef --check 'balance >= `0`'
      eskit test-case event:5 --stream order-17 --projection orders

    [bold]Exit codes[/]: 0 done, 2 usage, also where the check holds,
    3 a projection raised at an earlier event, 4 store.
    """
    check_stream(event, stream or "")
    with redirect_stdout(sys.stderr), settings.store(store_url) as store:
        number, found = find_event(store, stream, event) if stream is not None else _find(store, event)
        catalog = settings.catalog(app)
        name = projection or _only(catalog, found.type)
        made = failing_test(
            catalog.get(name),
            catalog.place(name),
            store,
            found.stream,
            number,
            check=check,
            stream_path=stream_path,
            allow_incomplete=allow_incomplete,
        )
    if made.failed_before:
        say("the check does not hold before that event either; 'eskit bisect' finds the first one")
    say(f"event {number:,} of stream '{found.stream}' through projection '{name}'; the test fails: {made.why}")
    print(made.source, end="")


def _find(store: Readable, event: str) -> tuple[int, Event]:
    wanted = event.removeprefix(EVENT)
    say(f"looking for '{wanted}' in all streams; --stream says in which one it is")
    found = []
    with Progress("looking") as progress:
        for count, stream in enumerate(store.streams(), start=1):
            numbered = enumerate(store.read(stream), start=1)
            found += [(number, each) for number, each in numbered if wanted in (each.id, each.key)]
            progress.update(done=count, note=many(count, "stream"))
    if not found:
        hint = "; a number needs --stream" if wanted.isdecimal() else ""
        raise UsageProblem(f"no stream has an event with the id or key '{wanted}'{hint}")
    if len(found) > 1:
        shown = ", ".join(f"event:{number} in '{each.stream}'" for number, each in found[:_SHOWN])
        more = ", ..." if len(found) > _SHOWN else ""
        raise UsageProblem(
            f"{len(found):,} events have the id or key '{wanted}': {shown}{more}; name one with --stream"
        )
    return found[0]


def _only(catalog: Catalog, type_: str) -> str:
    names = [each.name for each in catalog if each.handles(type_)]
    if len(names) == 1:
        return names[0]
    which = ", ".join(f"'{name}'" for name in names) or "none"
    problems = "".join(f"; {problem}" for problem in catalog.problems)
    raise UsageProblem(f"the projections that handle '{type_}' are: {which}; name one with --projection{problems}")
