"""The options that several commands share, and what the shell completes them with."""

from __future__ import annotations

import os
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from itertools import islice
from pathlib import Path
from typing import Annotated, Final

import typer

from eventsourcing_kit.catalog import load
from eventsourcing_kit.cli.settings import app_setting, store_setting
from eventsourcing_kit.cli.tables import Format
from eventsourcing_kit.stores import open_store
from eventsourcing_kit.stores.url import parse_url
from eventsourcing_kit.times import check_zone

__all__ = [
    "AllOption",
    "AllowIncompleteOption",
    "AppOption",
    "AtOption",
    "CausationPathOption",
    "CorrelationPathOption",
    "FormatOption",
    "KnownAtOption",
    "PrefixOption",
    "ProjectionArgument",
    "StartOption",
    "StoreOption",
    "StreamArgument",
    "StreamPathOption",
    "StreamsArgument",
    "TzOption",
    "projections",
    "streams",
]

_MOST: Final = 200  # streams that are offered


def projections(ctx: typer.Context, incomplete: str) -> list[str]:
    """Names of projections, for the shell. Importing them may fail or print; neither helps somebody who types."""
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            setting = app_setting(ctx.params.get("app"), environ=os.environ, directory=Path.cwd())
            catalog = load(directory=Path.cwd()) if setting is None else load(setting.value, directory=setting.folder)
        return [name for name in catalog.names if name.startswith(incomplete)]
    except Exception:  # noqa: BLE001 - completion has nobody to tell
        return []


def streams(ctx: typer.Context, incomplete: str) -> list[str]:
    """Streams of an SQLite store, for the shell. Of a table they would cost a scan at each press of the key."""
    try:
        setting = store_setting(ctx.params.get("store_url"), environ=os.environ, directory=Path.cwd())
        if parse_url(setting.value).scheme != "sqlite":
            return []
        with open_store(setting.value) as store:
            return [name for name in islice(store.streams(incomplete), _MOST) if name.isprintable()]
    except Exception:  # noqa: BLE001 - as above
        return []


def zone(name: str) -> str:
    """`--tz`, looked at also where no time needs it. Raises InvalidOption."""
    check_zone(name)
    return name


StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store",
        metavar="URL",
        help="sqlite:///FILE or dynamodb://TABLE?region=...; else ESKIT_STORE, else `store` in pyproject.toml, "
        "else sqlite:///events.db",
        show_default=False,
    ),
]
AppOption = Annotated[
    str | None,
    typer.Option(
        "--app",
        metavar="MODULE",
        help="Where the projections are: module, package or module:attribute; else ESKIT_APP, else `app` in "
        "pyproject.toml, else entry points, else the package `projections` in this folder",
        show_default=False,
    ),
]
FormatOption = Annotated[
    Format | None,
    typer.Option(
        "--format",
        help="A table on a terminal and JSON Lines in a pipe, unless chosen: table, jsonl or csv",
        show_default=False,
    ),
]
AtOption = Annotated[
    str | None,
    typer.Option(
        "--at",
        metavar="T",
        help="Up to and including this moment: 2026-03-01T11:03:27Z, 2026-03-01, '2h ago', 'yesterday 9am', "
        "event:ID or event:N",
        show_default=False,
    ),
]
KnownAtOption = Annotated[
    str | None,
    typer.Option("--known-at", metavar="K", help="With only what was recorded up to this moment", show_default=False),
]
AllowIncompleteOption = Annotated[
    bool, typer.Option("--allow-incomplete", help="Fold what is left where the beginning of a stream has expired")
]
ProjectionArgument = Annotated[str, typer.Argument(metavar="NAME", help="The projection", autocompletion=projections)]
StreamsArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="STREAM", help="The streams, by their keys", autocompletion=streams),
]
AllOption = Annotated[bool, typer.Option("--all", help="All streams")]
PrefixOption = Annotated[str | None, typer.Option(help="All streams that begin with this", show_default=False)]
StreamArgument = Annotated[str, typer.Argument(metavar="STREAM", help="The stream's key", autocompletion=streams)]
StartOption = Annotated[
    str | None,
    typer.Option("--start", metavar="T", help="From this moment on, itself included", show_default=False),
]
TzOption = Annotated[str, typer.Option("--tz", metavar="ZONE", help="The zone of times that name none", callback=zone)]
StreamPathOption = Annotated[
    str | None,
    typer.Option(metavar="JMESPATH", help="Where the stream's key stands in an envelope, if elsewhere"),
]
CorrelationPathOption = Annotated[
    str | None,
    typer.Option(metavar="JMESPATH", help="A further place of the correlation id in an envelope, looked at first"),
]
CausationPathOption = Annotated[
    str | None,
    typer.Option(metavar="JMESPATH", help="A further place of the causation id in an envelope, looked at first"),
]
