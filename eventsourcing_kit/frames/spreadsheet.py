"""Rows as CSV that a spreadsheet shows and does not calculate.

A spreadsheet takes a cell that begins with `=`, `+`, `-` or `@` for a formula, which may then send the others away
(OWASP calls it CSV injection). So a text that begins so gets an apostrophe in front; numbers stay numbers.
"""

from __future__ import annotations

import csv
import unicodedata
from typing import TYPE_CHECKING, Any, Final

from eventsourcing_kit.frames.columns import compact_json
from eventsourcing_kit.inert import inert_json, visible
from eventsourcing_kit.moment import to_canonical

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TextIO

    from eventsourcing_kit.frames.columns import Column, Kind

__all__ = ["csv_cell", "write_csv"]

_FORMULA: Final = frozenset("=+-@")


def write_csv(file: TextIO, columns: Sequence[Column], rows: Iterable[Sequence[Any]]) -> None:
    """RFC 4180: a line of names, then one a row, each ended by CR LF."""
    writer = csv.writer(file)
    writer.writerow([csv_cell("text", column.name) for column in columns])
    kinds = [column.kind for column in columns]
    for row in rows:
        writer.writerow([csv_cell(kind, value) for kind, value in zip(kinds, row, strict=True)])


def csv_cell(kind: Kind, value: Any) -> str:
    """A value as the text of a cell, before CSV's own quoting."""
    if value is None:
        return ""
    if kind == "moment":
        return to_canonical(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if kind == "json" or not isinstance(value, str):
        return visible(inert_json(value if kind == "json" else compact_json(value)))
    return _text(value)


def _text(text: str) -> str:
    shown = visible(text)  # so that no tab, line break or space but the plain one is left to stand in front
    first = unicodedata.normalize("NFKC", shown.lstrip(" ")[:1])  # full-width and small forms, too
    return f"'{shown}" if first in _FORMULA else shown
