"""`eskit snapshots`: which ones are kept, and away with those that nobody will use."""

from __future__ import annotations

import sys
from contextlib import redirect_stdout
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Final

import typer

from eventsourcing_kit.cli import settings
from eventsourcing_kit.cli.options import (  # noqa: TC001 - typer reads them
    AllOption,
    AppOption,
    FormatOption,
    PrefixOption,
    StoreOption,
    StreamsArgument,
)
from eventsourcing_kit.cli.rebuild import chosen_streams
from eventsourcing_kit.cli.tables import Printer
from eventsourcing_kit.cli.talk import many, say

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventsourcing_kit.tidying import Kept

__all__ = ["snapshots"]

_HEADINGS: Final = ("stream", "projection", "version", "behind event", "moment", "bytes", "standing", "taken")


def snapshots(
    streams: StreamsArgument = None,
    *,
    every: AllOption = False,
    prefix: PrefixOption = None,
    delete_old: Annotated[
        bool, typer.Option("--delete-old", help="Delete those of other code than is here, and damaged ones")
    ] = False,
    store_url: StoreOption = None,
    app: AppOption = None,
    format: FormatOption = None,  # noqa: A002 - the option's name
) -> None:
    """List the snapshots that --snapshots of 'rebuild' and 'timeline' has saved.

    One is current where a rebuild with the projections here would start from
    it; old where the projection of its name has other code, or is run by
    another Python or pydantic; foreign where no projection here has its name;
    damaged where its checksum does not match. Old ones are never used, so
    deleting them changes no answer. Foreign ones stay: they may be somebody's.

    [bold]Examples[/]

      eskit snapshots order-17
      eskit snapshots --all | jq -s 'map(.bytes) | add'
      eskit snapshots --all --delete-old

    A JSON line has: stream, key, projection, version, moment, number, taken,
    bytes, standing, deleted.

    [bold]Exit codes[/]: 0 done, 2 usage, 4 store.
    """
    from eventsourcing_kit.tidying import kept_snapshots

    printer = Printer(format)
    chosen = chosen_streams(streams or [], prefix, every=every)
    count = deleted = freed = 0
    with redirect_stdout(sys.stderr), settings.store(store_url) as store:
        projections = list(settings.catalog(app))
        with printer.progress("looking for snapshots"):

            def noted() -> Iterator[Kept]:
                nonlocal count, deleted, freed
                for kept in kept_snapshots(store, chosen, projections, delete=("old", "damaged") if delete_old else ()):
                    count += 1
                    deleted += kept.deleted
                    freed += kept.bytes if kept.deleted else 0
                    yield kept

            if printer.is_table:
                printer.table(_HEADINGS, map(_cells, noted()), dispensable=("taken",))
            else:
                for kept in noted():
                    printer.record(asdict(kept))
    gone = f", {deleted:,} of them deleted ({freed:,} bytes)" if delete_old else ""
    say(f"{many(count, 'snapshot')}{gone}")


def _cells(kept: Kept) -> tuple[str, ...]:
    standing = f"{kept.standing}, deleted" if kept.deleted else kept.standing
    number = "" if kept.number is None else f"{kept.number:,}"
    head = (kept.stream, kept.projection, str(kept.version), number, kept.moment or "")
    return *head, f"{kept.bytes:,}", standing, kept.taken or ""
