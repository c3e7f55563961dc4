"""stdout: tables for people on a terminal, JSON Lines for programs in a pipe, CSV for spreadsheets."""

from __future__ import annotations

import csv
import json
import sys
from contextlib import contextmanager
from enum import StrEnum
from io import TextIOWrapper
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final

from eventsourcing_kit.cli.talk import say
from eventsourcing_kit.frames.spreadsheet import csv_cell
from eventsourcing_kit.inert import inert_json, visible
from eventsourcing_kit.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import Console

    from eventsourcing_kit.frames import Tabular

__all__ = ["Format", "Printer", "cell", "pretty"]

_CHUNK: Final = 200  # rows whose widths are looked at before the first one is shown
_GAP: Final = 2  # between two columns
_COLOURED: Final = 100_000  # characters of JSON up to which colours are worth their time


class Format(StrEnum):
    """How answers are shown, where that is not left to whether stdout is a terminal."""

    table = "table"
    jsonl = "jsonl"
    csv = "csv"


class Printer:
    """Writes to what is stdout now, also while something else stands in for it."""

    def __init__(self, format: Format | None) -> None:  # noqa: A002 - the option's name
        self._stdout = sys.stdout
        self._csv_names: list[str] = []  # the heading, once it is written
        self._is_csv = format is Format.csv
        self.is_table = self._stdout.isatty() if format is None else format is Format.table
        self._console: Console | None = None
        self._progress: Progress | None = None

    @property
    def is_json(self) -> bool:
        return not self.is_table and not self._is_csv

    @contextmanager
    def progress(self, doing: str, *, total: int | None = None) -> Iterator[Progress]:
        """Progress on stderr, which goes away before anything is written to the same terminal."""
        with Progress(doing, total=total) as progress:
            if self._stdout.isatty():
                self._progress = progress
            yield progress

    def record(self, fields: dict[str, Any], **spliced: str) -> None:
        """One JSON object on a line. `spliced` members are JSON already, and stay as they are written."""
        text = json.dumps(fields, ensure_ascii=False, separators=(",", ":"))
        for name, value in spliced.items():
            text = f'{text[:-1]},"{name}":{value}}}'
        self.line(inert_json(text))

    def answer(self, answer: Tabular) -> bool:
        """Each row of an answer: as JSON Lines, or as CSV. False where nothing was written; CSV has its heading."""
        if self._is_csv:
            with self._csv_file() as file:
                answer.to_csv(file)
            return True
        written = False
        for line in answer.to_json_lines():
            self.line(line)
            written = True
        return written

    def line(self, text: str) -> None:
        """A line that is a JSON object already."""
        if self._is_csv:
            self._csv_line(text)
            return
        # Always UTF-8, as JSON is, whatever the terminal's encoding; a lone surrogate can only be there escaped.
        self._quiet()
        self._stdout.buffer.write(f"{text}\n".encode())

    def _csv_line(self, text: str) -> None:
        """The members of a JSON object as cells below the names of the first one's."""
        import msgspec

        members = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        cells = {name: _csv_cell(bytes(raw).decode()) for name, raw in members.items()}
        with self._csv_file() as file:
            writer = csv.writer(file)
            if not self._csv_names:
                self._csv_names = list(cells)
                writer.writerow(csv_cell("text", name) for name in cells)
            writer.writerow(cells.get(name, "") for name in self._csv_names)

    @contextmanager
    def _csv_file(self) -> Iterator[TextIOWrapper]:
        self._quiet()
        file = TextIOWrapper(self._stdout.buffer, encoding="utf-8", newline="", write_through=True)
        try:
            yield file
        finally:
            file.detach()

    def table(self, headings: Sequence[str], rows: Iterable[Sequence[str]], *, dispensable: Sequence[str] = ()) -> None:
        """A table that starts to show before all rows are there; the first ones decide how wide its columns are.

        Where it is wider than the terminal, `dispensable` columns are left out, the first one named first, which is
        said; then values are folded. Nothing is cut off. Where the rows end with an error, it is raised below them.
        """
        with _up_to_an_error(rows) as remaining:
            self._show_table(headings, remaining, dispensable)

    def facts(self, pairs: Iterable[tuple[str, str]], *, indent: str = "") -> None:
        """Names and values in two columns."""
        shown = [(name, cell(value)) for name, value in pairs]
        width = max(len(name) for name, _ in shown)
        for name, value in shown:
            self.text(f"{indent}{name.ljust(width)}  {value}")

    def text(self, text: str, *, style: str = "") -> None:
        """A line of text as it is: no markup, nothing wrapped, and nothing in it that a terminal would obey."""
        from rich.text import Text

        self.console.print(Text(visible(text), style=style), soft_wrap=True)

    def json(self, text: str, *, indent: str = "") -> None:
        """JSON for reading: indented, and in colours."""
        from rich.highlighter import JSONHighlighter
        from rich.text import Text

        shown = Text("\n".join(indent + line for line in pretty(text).splitlines()))
        if len(shown) <= _COLOURED:
            JSONHighlighter().highlight(shown)
        self.console.print(shown, soft_wrap=True)

    @property
    def console(self) -> Console:
        self._quiet()
        if self._console is None:
            from eventsourcing_kit.cli.console import DataConsole  # 60 ms that only a table needs

            self._console = DataConsole(self._stdout)
        return self._console

    def _quiet(self) -> None:
        if self._progress is not None:
            self._progress.close()
            self._progress = None

    def _show_table(
        self, headings: Sequence[str], remaining: Iterator[Sequence[str]], dispensable: Sequence[str]
    ) -> None:
        first = list(islice(remaining, _CHUNK))
        if not first:
            return
        cells = [[cell(value) for value in row] for row in (headings, *first)]
        widths = [max(map(_width, column)) for column in zip(*cells, strict=True)]
        shown, missing = _fitting(headings, widths, dispensable, room=self.console.width)
        if missing:
            names = ", ".join(f"'{name}'" for name in missing)
            say(f"no room here for {names}; --format jsonl has everything")
        fits = _total([widths[place] for place in shown]) <= self.console.width
        columns = [(headings[place], widths[place] if fits else None) for place in shown]
        for number, chunk in enumerate(_chunks(chain(first, remaining))):
            self._show_rows(columns, [[row[place] for place in shown] for row in chunk], head=number == 0)

    def _show_rows(
        self, columns: Sequence[tuple[str, int | None]], rows: Iterable[Sequence[str]], *, head: bool
    ) -> None:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, show_header=head, header_style="bold")
        for heading, width in columns:
            table.add_column(heading, width=width, overflow="fold")
        for row in rows:
            table.add_row(*(Text(cell(value)) for value in row))  # Text: `[red]` in a name is just a name
        self.console.print(table)


@contextmanager
def _up_to_an_error(rows: Iterable[Sequence[str]]) -> Iterator[Iterator[Sequence[str]]]:
    """The rows, which end where they raise; that is raised once those before it have been used."""
    errors: list[Exception] = []

    def given() -> Iterator[Sequence[str]]:
        try:
            yield from rows
        except Exception as error:  # noqa: BLE001 - whatever it is, the rows in front of it were an answer
            errors.append(error)

    yield given()
    if errors:
        raise errors[0]


def _csv_cell(raw: str) -> str:
    if raw == "null":
        return ""
    return csv_cell("text", json.loads(raw)) if raw.startswith('"') else csv_cell("json", raw)


def cell(value: str) -> str:
    """A value as one line: what can not be seen is escaped, also a space at either end."""
    inner = value.strip(" ")
    if len(inner) == len(value):
        return visible(value)
    before = len(value) - len(value.lstrip(" ")) if inner else len(value)
    after = len(value) - before - len(inner)
    return "\\x20" * before + visible(inner) + "\\x20" * after


def pretty(text: str) -> str:
    """JSON in lines with indents; numbers stay as they are written. Text that is no JSON is only made visible."""
    import msgspec

    try:
        return inert_json(msgspec.json.format(text, indent=2))
    except (msgspec.DecodeError, RecursionError):
        return visible(inert_json(text))


def _fitting(
    headings: Sequence[str], widths: Sequence[int], dispensable: Sequence[str], *, room: int
) -> tuple[list[int], list[str]]:
    """The places of the columns to show, and the names of those left out."""
    shown = list(range(len(headings)))
    missing = []
    for name in dispensable:
        if _total([widths[place] for place in shown]) <= room:
            break
        shown.remove(headings.index(name))
        missing.append(name)
    return shown, missing


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _width(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


def _chunks(rows: Iterable[Sequence[str]]) -> Iterator[list[Sequence[str]]]:
    remaining = iter(rows)
    while chunk := list(islice(remaining, _CHUNK)):
        yield chunk
