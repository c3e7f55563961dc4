"""`--snapshots`: from saved states, and to others. Where a question can not take it, it is refused: it is never passed
over in silence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from eventsourcing_kit.cli.faults import UsageProblem
from eventsourcing_kit.resuming import gap_of
from eventsourcing_kit.span import names_event

if TYPE_CHECKING:
    from eventsourcing_kit.resuming import Saving
    from eventsourcing_kit.stores.base import BaseStore

__all__ = ["SnapshotsOption", "check_keeps", "check_window", "saving_of"]

SnapshotsOption = Annotated[
    str | None,
    typer.Option(
        "--snapshots",
        metavar="auto|N",
        help="Start from saved states, save one every N events",
        show_default=False,
    ),
]


def saving_of(text: str | None) -> Saving:
    """What `--snapshots` asks for. Raises InvalidOption."""
    value: Any = int(text) if text is not None and text.isascii() and text.isdigit() else text
    if value is not None:
        gap_of(value)
    return value  # type: ignore[no-any-return]  # checked just above


def check_window(saving: Saving, *, start: str | None, at: str | None) -> None:
    """Of a rebuild. Raises UsageProblem for what is a full fold."""
    if saving is not None and start is not None:
        raise UsageProblem("with --start the fold begins there, so no snapshot can stand for it; drop --snapshots")
    if saving is not None and at is not None and names_event(at):
        raise UsageProblem("a snapshot stands at a moment, and --at names an event; drop --snapshots, or give a moment")


def check_keeps(store: BaseStore, saving: Saving) -> None:
    """Raises UsageProblem for a store without snapshots."""
    if saving is not None and store.legacy:
        raise UsageProblem("a store that is opened with legacy=1 has no snapshots; drop --snapshots")
