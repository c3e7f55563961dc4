"""`eskit create-table`, `migrate`, `doctor` and `demo`: what is done once, or now and then."""

from __future__ import annotations

import sys
from collections import deque
from contextlib import redirect_stdout
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from eventsourcing_kit.cli import settings
from eventsourcing_kit.cli.faults import ExitCode, UsageProblem
from eventsourcing_kit.cli.options import AppOption, FormatOption, StoreOption  # noqa: TC001 - typer reads them
from eventsourcing_kit.cli.tables import Printer
from eventsourcing_kit.cli.talk import many, say, silence
from eventsourcing_kit.inert import visible
from eventsourcing_kit.stores.contract import Snapshotting

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from eventsourcing_kit.doctor import Finding
    from eventsourcing_kit.migrate import Migrated

__all__ = ["create_table", "demo", "doctor", "migrate"]

_DEMO_STORE: Final = "sqlite:///demo.db"


def create_table(
    *,
    snapshots: Annotated[bool, typer.Option("--snapshots", help="Make the table of snapshots, too")] = False,
    views: Annotated[
        str | None,
        typer.Option(
            metavar="URL", help="Make the table for views at dynamodb://TABLE, and nothing else", show_default=False
        ),
    ] = None,
    store_url: StoreOption = None,
) -> None:
    """Make the table or the file of the store, where it is missing.

    A table that is there is left as it is, and refused where its keys are not
    (pk, sk). It is meant for local use; on AWS the table belongs into a
    template. An SQLite file is made by the first append, too.

    [bold]Examples[/]

      eskit create-table --store 'dynamodb://events?endpoint_url=http://127.0.0.1:8000&region=eu-west-1'
      eskit create-table --views 'dynamodb://views?endpoint_url=http://127.0.0.1:8000&region=eu-west-1'

    [bold]Exit codes[/]: 0 it is there now, 2 usage, 4 store.
    """
    if views is not None:
        from eventsourcing_kit.jobs.building import create_view_table

        if snapshots or store_url is not None:
            raise UsageProblem("--views is a table of its own, which no store is in: drop --store and --snapshots")
        create_view_table(views)
        say(f"there is a table for views at '{views}'")
        return
    with settings.store(store_url) as store:
        store.create_table()
        if snapshots and isinstance(store, Snapshotting):
            store.create_snapshots_table()
        say(f"there is a store at '{store.url}'")


def migrate(
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Change nothing, only list")] = False,
    store_url: StoreOption = None,
    format: FormatOption = None,  # noqa: A002 - the option's name
) -> None:
    """Give the rows of older writers their canonical keys.

    That is for tables in whose keys time is spelled otherwise. An event is
    stored under its new key before it is removed from its old one, so that this
    can be broken off and run again at any point. A row that can not be moved
    stays, and is listed with the reason.

    [bold]Examples[/]

      eskit migrate --dry-run
      eskit migrate --store dynamodb://events

    A JSON line has: stream, old_key, new_key (null where the row stays), outcome.

    [bold]Exit codes[/]: 0 all keys are canonical, 1 some are not (with --dry-run:
    not yet), 2 usage, 4 store.
    """
    from eventsourcing_kit.migrate import migrate as moved

    printer = Printer(format)
    moves = stays = 0
    with settings.store(store_url) as store, printer.progress("looking at each row"):

        def counted() -> Iterator[Migrated]:
            nonlocal moves, stays
            for row in moved(store, dry_run=dry_run):
                moves += not row.refused
                stays += row.refused
                yield row

        rows = counted()
        try:
            _show_moves(printer, rows)
        except BrokenPipeError:  # a reader who has seen enough does not end the work
            silence(sys.stdout)
            deque(rows, maxlen=0)
    would = "would be " if dry_run else ""
    say(f"{many(moves, 'row')} {would}moved, {stays:,} can not be moved")
    if stays or (dry_run and moves):
        raise typer.Exit(ExitCode.DIFFERENCE)


def doctor(
    *,
    store_url: StoreOption = None,
    app: AppOption = None,
    format: FormatOption = None,  # noqa: A002 - the option's name
) -> None:
    """Look the store and the projections over, and say what is amiss.

    It reads every row and changes nothing. It looks at the file, keys, digests,
    limits, duplicates, expiry, projections that can not be imported, handlers
    for types that never occur, and types that no handler takes.

    [bold]Examples[/]

      eskit doctor
      eskit doctor | jq 'select(.ok | not)'

    A JSON line has: check, ok, message, examples.

    [bold]Exit codes[/]: 0 all is well, 1 a check found something, 2 usage, 4 the store can not be read.
    """
    from eventsourcing_kit.doctor import examine

    printer = Printer(format)
    failed: list[str] = []
    with redirect_stdout(sys.stderr), settings.store(store_url) as store:
        catalog = settings.catalog(app)
        with printer.progress("examining"):

            def noted() -> Iterator[Finding]:
                for finding in examine(store, list(catalog), catalog.problems):
                    failed.extend([] if finding.ok else [finding.check])
                    yield finding

            if printer.is_table:
                for finding in noted():
                    _show_finding(printer, finding)
            else:
                for finding in noted():
                    printer.record(asdict(finding))
    if failed:
        raise typer.Exit(ExitCode.STORE if "store" in failed else ExitCode.DIFFERENCE)


def demo(
    store_url: Annotated[
        str, typer.Option("--store", metavar="URL", help="Where the demo's events go; nothing else is asked for it")
    ] = _DEMO_STORE,
    *,
    aws: Annotated[
        bool, typer.Option("--aws", help="Through the ingestion Lambda's handler into DynamoDB on loopback")
    ] = False,
    endpoint_url: Annotated[
        str | None, typer.Option(metavar="URL", help="With --aws: the server whose table 'eskit-demo' it goes to")
    ] = None,
) -> None:
    """See what it is good for: a month of a small shop, rebuilt at three moments.

    It makes a store, and in a folder without `projections` also that package,
    so that the commands which it names at the end work right away. Running it
    twice is fine.

    [bold]Examples[/]

      eskit demo
      eskit demo --store sqlite://
      eskit demo --aws                               in a clone, with ministack; needs no account

    [bold]Exit codes[/]: 0 done, 2 usage, 4 store.
    """
    if aws:
        if store_url != _DEMO_STORE:
            raise UsageProblem("--aws has a table of its own; leave out --store, or name a server by --endpoint-url")
        from eventsourcing_kit.demo.aws import run_aws

        run_aws(endpoint_url, say=lambda line: print(visible(line)), directory=Path.cwd())
        return
    if endpoint_url is not None:
        raise UsageProblem("--endpoint-url is for --aws")
    from eventsourcing_kit.demo import run

    run(store_url, say=lambda line: print(visible(line)), directory=Path.cwd())


def _show_moves(printer: Printer, rows: Iterable[Migrated]) -> None:
    if printer.is_table:
        headings = ("stream", "old key", "new key", "outcome")
        printer.table(headings, ((row.stream, row.old_key, row.new_key or "", row.outcome) for row in rows))
        return
    for row in rows:
        printer.record(asdict(row))


def _show_finding(printer: Printer, finding: Finding) -> None:
    mark, style = ("ok", "") if finding.ok else ("!!", "bold red")
    printer.text(f"{mark}  {finding.check}: {finding.message}", style=style)
    for example in finding.examples:
        printer.text(f"      {example}")
