"""Tabular: what makes an answer of the kit a table."""

from __future__ import annotations

import io
from abc import abstractmethod
from collections.abc import Sized
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from eventsourcing_kit.frames import arrow, html
from eventsourcing_kit.frames.columns import json_cell, plain
from eventsourcing_kit.frames.libraries import library
from eventsourcing_kit.frames.spreadsheet import write_csv
from eventsourcing_kit.progress import watched
from eventsourcing_kit.wholefile import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import TextIO

    import arro3.core
    import pandas as pd  # type: ignore[import-untyped]
    import polars as pl

    from eventsourcing_kit.frames.columns import Column

__all__ = ["Tabular"]

SHOWN: Final = 50  # rows in a notebook
_TAKING: Final = "taking rows"


class Tabular:
    """A mixin without state: a subclass says which columns it has and which rows, and people take it as they like.

    Polars, pandas 3, DuckDB, ibis and pyarrow take such an answer itself wherever they take Arrow data. The columns
    and their types are the same for every answer of a class, an empty one, too; only those of the kind "value" follow
    their values. Each of these methods goes over the rows anew.
    """

    @abstractmethod
    def _columns(self) -> tuple[Column, ...]:
        """The columns, in order, each name once."""

    @abstractmethod
    def _rows(self) -> Iterable[tuple[Any, ...]]:
        """The rows from the beginning, at each call; lazily where there may be many."""

    def _batches(self, size: int) -> Iterator[Sequence[Sequence[Any]]]:
        """The same rows, at most `size` at once, as the values of each column; for who has them so sooner than rows."""
        remaining = iter(self._rows())
        while batch := list(islice(remaining, size)):
            yield list(zip(*batch, strict=True))

    def _watched_batches(self) -> Iterable[Sequence[Sequence[Any]]]:
        return watched(self._batches(arrow.BATCH), f"taking rows, {arrow.BATCH:,} at once", every=1)

    def to_dicts(self) -> list[dict[str, Any]]:
        """A dict for each row. Moments are aware datetimes, floored to the microsecond; JSON text is decoded."""
        columns = [(column.name, column.kind) for column in self._columns()]
        return [
            {name: plain(kind, value) for (name, kind), value in zip(columns, row, strict=True)}
            for row in watched(self._rows(), _TAKING)
        ]

    def to_arrow(self) -> arro3.core.Table:
        """An Arrow table. Raises InvalidOption without the library arro3."""
        table: arro3.core.Table = arrow.to_arrow(self._columns(), self._watched_batches())
        return table

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The Arrow PyCapsule interface, through which other libraries take this without a copy."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)

    def to_polars(self) -> pl.DataFrame:
        """A Polars data frame. Raises InvalidOption without polars or arro3."""
        polars = library("polars", asked_for="to_polars", install="polars 'eventsourcing-kit[notebook]'")
        table = arrow.to_arrow(self._columns(), self._watched_batches(), texts=arrow.VIEWS)
        # Column by column: Polars 1.9 takes the first batch of a table for all of it.
        frame: pl.DataFrame = polars.DataFrame([polars.Series(name, table[name]) for name in table.column_names])
        return frame

    def to_pandas(self) -> pd.DataFrame:
        """A pandas data frame with types that know missing values. Raises InvalidOption without pandas."""
        return arrow.to_pandas(self._columns(), self._watched_batches())

    def to_csv(self, path: str | Path | TextIO | None = None) -> str | None:
        """Writes CSV in UTF-8 to `path`, whole or not at all, or to an open file; else answers it as text.

        For spreadsheets and people: moments to the nanosecond, text that a spreadsheet would take for a formula with an
        apostrophe in front, and what can not be seen as its escape. For data as it is, take one of the others.
        """
        if path is None:
            text = io.StringIO(newline="")
            write_csv(text, self._columns(), watched(self._rows(), _TAKING))
            return text.getvalue()
        if not isinstance(path, (str, Path)):
            write_csv(path, self._columns(), watched(self._rows(), _TAKING))
            return None
        with whole_file(path) as file:
            lines = io.TextIOWrapper(file, encoding="utf-8", newline="")
            write_csv(lines, self._columns(), watched(self._rows(), _TAKING))
            lines.detach()  # which flushes it; the file itself is not to be closed here
        return None

    def to_json_lines(self) -> Iterator[str]:
        """A JSON object for each row, on one line, as `eskit` prints it in a pipe: moments to the nanosecond in their
        canonical spelling, JSON embedded as it is, and nothing in it that a terminal would obey."""
        columns = self._columns()
        names = [f'"{column.name}":' for column in columns]
        for row in self._rows():
            cells = (json_cell(column.kind, value) for column, value in zip(columns, row, strict=True))
            yield f"{{{','.join(map(str.__add__, names, cells))}}}"

    def _repr_html_(self) -> str:
        """What a notebook shows: the first rows and when they happened; HTML that runs nothing and loads nothing."""
        rows: Iterable[tuple[Any, ...]] = self._rows()
        columns = self._columns()
        if chosen := self._shown():
            places = [[column.name for column in columns].index(name) for name in chosen]
            columns = tuple(columns[place] for place in places)
            rows = (tuple(row[place] for place in places) for row in rows)
        first = list(islice(rows, SHOWN + 1))
        more = ""
        if len(first) > SHOWN:  # without going over all rows only to count them
            more = f"… and {len(self) - SHOWN:,} more" if isinstance(self, Sized) else "… and more"
        return html.answer(columns, first[:SHOWN], caption=self._caption(), more=more)

    def _shown(self) -> tuple[str, ...]:
        """The names of the columns that a notebook shows, in their order; all of them where it is empty."""
        return ()

    def _caption(self) -> str:
        """A line above the table in a notebook; none where it is empty."""
        return ""
