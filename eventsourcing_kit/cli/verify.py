"""`eskit verify` and `eskit check-ties`: do the same events make the same state, whatever else is different?"""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from typing import TYPE_CHECKING, Annotated, Final

import typer

from eventsourcing_kit.cli import settings
from eventsourcing_kit.cli.faults import ExitCode, UsageProblem, code_of, say_error
from eventsourcing_kit.cli.options import (
    AllOption,
    AppOption,
    AtOption,
    FormatOption,
    KnownAtOption,
    PrefixOption,
    ProjectionArgument,
    StoreOption,
    StreamsArgument,
    TzOption,
)
from eventsourcing_kit.cli.options import projections as complete_projections
from eventsourcing_kit.cli.rebuild import chosen_streams
from eventsourcing_kit.cli.tables import Printer
from eventsourcing_kit.cli.talk import many, say
from eventsourcing_kit.cli.window import Window

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventsourcing_kit.verifying.answers import StreamFailed, TieChecks, Verification

__all__ = ["check_ties", "verify"]

_SHOWN: Final = 3  # pointers or keys in one cell of a table

OrdersOption = Annotated[
    int, typer.Option(min=1, metavar="N", help="How many orders of one moment's events are tried at most")
]


def verify(
    name: ProjectionArgument,
    streams: StreamsArgument = None,
    *,
    every: AllOption = False,
    prefix: PrefixOption = None,
    at: AtOption = None,
    known_at: KnownAtOption = None,
    tz: TzOption = "UTC",
    changes: Annotated[
        list[str] | None,
        typer.Option("--change", metavar="WHAT", help="Change only this, such as 'hash seed'; may be repeated"),
    ] = None,
    orders: OrdersOption = 720,
    timeout: Annotated[float, typer.Option(min=0.001, metavar="S", help="Seconds that one process may take")] = 600.0,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Compare the view that 'rebuild --into' filled with a rebuild", show_default=False
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="With --against: processes that share the streams", show_default=False),
    ] = None,
    store_url: StoreOption = None,
    app: AppOption = None,
    format: FormatOption = None,  # noqa: A002 - the option's name
) -> None:
    """Find out whether a projection is determined by its events alone.

    The same events are folded in fresh processes, in each of which something
    else is different: the hash seed, the time zone, the clock, the order of
    streams, the working directory and user, environment variables, the locale,
    page sizes, and the order of events of one moment. The states' JSON has to
    be the same to the byte. Needs the extra 'verify'.

    [bold]Examples[/]

      eskit verify orders --all
      eskit verify orders order-17 --at 2026-03-20
      eskit verify orders --prefix order- --change 'hash seed' --change clock
      eskit verify orders --all | jq -r .changed | sort | uniq -c
      eskit verify orders --against sqlite:///views.db --workers 4

    A JSON line is a difference: stream, projection, version, changed, detail,
    pointers, id, key and type of the event, raised, order. With --against, a
    row is compared with a rebuild of the same streams at the same moments, and
    a line has: stream, projection, version, found, pointers, reason.

    [bold]Exit codes[/]: 0 the same everywhere, 1 a difference was found, 2 usage,
    3 the projection raised, 4 store.
    """
    from eventsourcing_kit.verifying.verification import verify as verified

    printer = Printer(format)
    if against is not None:
        if streams or prefix is not None or every or at or known_at or changes:
            raise UsageProblem("--against compares what the table is of: drop streams, moments and changes")
        _verify_view(printer, name, against, store_url, app, workers=workers or 1)
        return
    if workers is not None:
        raise UsageProblem("--workers share the rebuild of --against; what 'verify' folds has processes of its own")
    chosen = chosen_streams(streams or [], prefix, every=every)
    window = Window.of(start=None, at=at, known_at=known_at, tz=tz)
    with redirect_stdout(sys.stderr), settings.store(store_url) as store:
        projection = settings.catalog(app).get(name)
        window.tell()
        with printer.progress("folding in other worlds"):
            answer = verified(
                projection,
                store,
                chosen,
                at=window.at,
                known_at=window.known_at,
                changes=changes or None,
                orders=orders,
                timeout=timeout,
            )
        _show_differences(printer, answer)
    _tell(answer)
    if not answer.events and not answer.failures:
        raise UsageProblem("there is no event in what was named, so nothing is verified")
    _end(different=bool(answer.differences), failures=answer.failures)


def check_ties(
    streams: StreamsArgument = None,
    *,
    every: AllOption = False,
    prefix: PrefixOption = None,
    names: Annotated[
        list[str] | None,
        typer.Option(
            "--projection",
            metavar="NAME",
            help="Only this projection; may be repeated",
            autocompletion=complete_projections,
            show_default=False,
        ),
    ] = None,
    at: AtOption = None,
    known_at: KnownAtOption = None,
    tz: TzOption = "UTC",
    orders: OrdersOption = 720,
    store_url: StoreOption = None,
    app: AppOption = None,
    format: FormatOption = None,  # noqa: A002 - the option's name
) -> None:
    """Find the projections that depend on the order inside one moment.

    Of events with the same moment nobody knows which came first, unless their
    producer says so in metaData.sequence. Every order that this allows is
    folded; the state behind the moment has to be the same to the byte.

    [bold]Examples[/]

      eskit check-ties --all
      eskit check-ties order-17 --projection orders
      eskit check-ties --all | jq 'select(.depends)'

    A JSON line is a projection: projection, depends, moments, dependent,
    sampled, unsteady, stream, pointers, declared, other, raised.

    [bold]Exit codes[/]: 0 none depends on it, 1 one does, 2 usage, 3 a
    projection raised, 4 store.
    """
    from eventsourcing_kit.verifying.tied import check_ties as checked

    printer = Printer(format)
    chosen = chosen_streams(streams or [], prefix, every=every)
    window = Window.of(start=None, at=at, known_at=known_at, tz=tz)
    with redirect_stdout(sys.stderr), settings.store(store_url) as store:
        catalog = settings.catalog(app)
        projections = [catalog.get(name) for name in names] if names else list(catalog)
        for problem in () if names else catalog.problems:
            say(f"left out: {problem}")
        if not projections:
            raise UsageProblem("there is no projection to check; --app MODULE names another place")
        window.tell()
        with printer.progress("trying orders"):
            answer = checked(projections, store, chosen, at=window.at, known_at=window.known_at, orders=orders)
        _show_checks(printer, answer)
        for stream in streams or ():
            if next(store.read(stream), None) is None:  # a projection's name, say, where a stream's is due
                say(f"not covered: stream '{stream}' has no event")
    failures = [failure for check in answer for failure in check.failures]
    _end(different=any(check.depends for check in answer), failures=failures)


def _verify_view(
    printer: Printer, name: str, against: str, store_url: str | None, app: str | None, *, workers: int
) -> None:
    from eventsourcing_kit.jobs.publishing import check_view

    with redirect_stdout(sys.stderr), settings.store(store_url) as store:
        projection = settings.catalog(app).get(name)
        with printer.progress("rebuilding"):
            answer = check_view(projection, store, against, workers=workers)
        view = answer.view
        Window(start=view.start, at=view.at, known_at=view.known_at).tell()
        if printer.is_table:
            printer.table(
                ("stream", "found", "differs at", "reason"),
                (
                    (each.stream, each.found, _few(map(_pointer, each.pointers)), each.reason or "")
                    for each in answer.differences
                ),
                dispensable=("reason",),
            )
        else:
            printer.answer(answer)
    if answer.same_code is False or view.version != projection.version:
        say(f"it was filled by other code, of version {view.version}; the one here has version {projection.version}")
    say(repr(answer)[1:-1].removeprefix("ViewCheck: "))
    if not answer.ok:
        raise typer.Exit(ExitCode.DIFFERENCE)


def _show_differences(printer: Printer, answer: Verification) -> None:
    if printer.is_table:
        printer.table(
            ("stream", "changed", "differs at", "from event", "key", "raised", "detail"),
            (
                (
                    each.stream,
                    each.changed,
                    _few(map(_pointer, each.pointers)),
                    each.event.id if each.event else "",
                    each.event.key if each.event else "",
                    each.raised or "",
                    each.detail,
                )
                for each in answer.differences
            ),
            dispensable=("raised", "detail", "from event"),
        )
    else:
        printer.answer(answer)


def _show_checks(printer: Printer, answer: TieChecks) -> None:
    if printer.is_table:
        printer.table(
            ("projection", "depends", "moments", "dependent", "stream", "differs at", "in the order"),
            (
                (
                    each.projection,
                    "yes" if each.depends else "no",
                    f"{each.moments:,}",
                    f"{each.dependent:,}",
                    each.stream or "",
                    _few(map(_pointer, each.pointers)),
                    _few(event.key for event in each.other),
                )
                for each in answer
            ),
            dispensable=("differs at",),
        )
    else:
        printer.answer(answer)
    for each in answer:
        if each.sampled:
            say(f"'{each.projection}': not all orders of {many(each.sampled, 'moment')} were tried; --orders sets it")
        if each.unsteady:
            say(f"'{each.projection}': one order makes several states in {many(each.unsteady, 'moment')}; see 'verify'")


def _tell(answer: Verification) -> None:
    worlds: dict[str, int] = {}
    for variant in answer.variants:
        if variant.skipped is None:
            worlds[variant.changed] = worlds.get(variant.changed, 0) + 1
    ran = ", ".join(f"{name} ({count})" if count > 1 else name for name, count in worlds.items())
    say(f"changed: {ran or 'nothing'}")
    for change, reason in {variant.changed: variant.skipped for variant in answer.variants if variant.skipped}.items():
        say(f"not changed: {change}, as {reason}")
    for note in answer.not_covered:
        say(f"not covered: {note}")
    say(repr(answer)[1:-1].removeprefix("Verification of "))


def _end(*, different: bool, failures: Iterable[StreamFailed]) -> None:
    """Says each failure, and ends the command with the highest code that is due."""
    codes = [ExitCode.DIFFERENCE] if different else []
    for failure in failures:
        say_error(failure.error)
        codes.append(code_of(failure.error))
    if codes:
        raise typer.Exit(max(codes))


def _few(texts: Iterable[str]) -> str:
    every = list(texts)
    return ", ".join(every[:_SHOWN]) + (", ..." if len(every) > _SHOWN else "")


def _pointer(pointer: str) -> str:
    return pointer or "the whole state"
