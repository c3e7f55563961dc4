"""Answers as files: how a `Rebuilt` becomes a line of JSON Lines or a row of Parquet.

    write("orders.parquet", orders, rebuild_all(orders, store, at="2026-03-01"))

A file is written whole or not at all: into a temporary file beside it, which takes its name when all of it is on the
disk. Answers are taken one after another, so that there may be more of them than memory holds.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from eventsourcing_kit.errors import InvalidOption, InvalidProjection
from eventsourcing_kit.inert import inert_json
from eventsourcing_kit.moment import to_canonical
from eventsourcing_kit.outcomes import StreamFailure
from eventsourcing_kit.wholefile import whole_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pyarrow as pa  # type: ignore[import-untyped]

    from eventsourcing_kit.outcomes import Rebuilt
    from eventsourcing_kit.projection import Projection

__all__ = ["FORMATS", "check_output", "state_json", "to_json", "write", "write_jsonl", "write_parquet"]

Form = TypeVar("Form")

FORMATS: Final = (".jsonl", ".parquet")

_GROUP_ROWS: Final = 1_000  # what is held in memory at once of a Parquet file: so many rows,
_GROUP_TEXT: Final = 16_000_000  # or as many as make so many characters of state
_EXPECTED: Final = " or ".join(f"'{suffix}'" for suffix in FORMATS)


def write(
    path: str | Path,
    projection: Projection[Any, Any],
    answers: Iterable[Rebuilt[Any]],
    *,
    failures: list[StreamFailure] | None = None,
) -> int:
    """Writes the answers in the format that the ending of `path` names, `.jsonl` or `.parquet`; answers how many.

    A state that JSON can not say raises InvalidProjection, and there is no file; where the list `failures` is given, it
    is put there and the others are written. Raises InvalidOption for another ending, a folder that is not there, or a
    missing library, before the first answer is asked for.
    """
    check_output(path)
    write_all = write_parquet if Path(path).suffix == ".parquet" else write_jsonl
    return write_all(path, projection, answers, failures=failures)


def check_output(path: str | Path) -> None:
    """Raises InvalidOption where `write` to this path could not begin."""
    path = Path(path)
    if path.suffix not in FORMATS:
        raise InvalidOption("output", found=str(path), expected=f"a file whose name ends with {_EXPECTED}")
    if path.is_dir() or not path.parent.is_dir():
        raise InvalidOption("output", found=str(path), expected="a file in a folder that is there")
    if path.suffix == ".parquet":
        _pyarrow()


def write_jsonl(
    path: str | Path,
    projection: Projection[Any, Any],
    answers: Iterable[Rebuilt[Any]],
    *,
    failures: list[StreamFailure] | None = None,
) -> int:
    """One JSON object a line, as `to_json` makes it; answers how many lines were written. `failures` as for `write`."""
    count = 0
    with whole_file(path) as file:
        for line in _each(to_json, projection, answers, failures):
            file.write(f"{line}\n".encode())
            count += 1
    return count


def write_parquet(
    path: str | Path,
    projection: Projection[Any, Any],
    answers: Iterable[Rebuilt[Any]],
    *,
    failures: list[StreamFailure] | None = None,
) -> int:
    """One row an answer, typed flat columns, the state as JSON text in `state`; answers how many rows were written.

    `at` and `known_at` are floored to the microsecond, as no wider type spans the years 0001 to 9999. Needs the
    library pyarrow; raises InvalidOption without it. `failures` as for `write`.
    """
    arrow = _pyarrow()
    from pyarrow import parquet

    schema = _schema(arrow)
    count = 0
    with whole_file(path) as file, parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for rows in _groups(_each(_row, projection, answers, failures)):
            writer.write_table(arrow.Table.from_pylist(rows, schema=schema))
            count += len(rows)
    return count


def to_json(projection: Projection[Any, Any], rebuilt: Rebuilt[Any]) -> str:
    """An answer and what it is worth, as one JSON object on one line. Raises as `state_json` does."""
    last = rebuilt.last
    facts = {
        "stream": rebuilt.stream,
        "projection": rebuilt.projection,
        "version": rebuilt.version,
        "at": _moment(rebuilt.at_ns),
        "known_at": _moment(rebuilt.known_at_ns),
        "events": rebuilt.events,
        "last": None if last is None else {"id": last.id, "key": last.key, "type": last.type},
        "complete": rebuilt.complete,
        "warnings": [
            {"kind": warning.kind, "count": warning.count, "message": warning.message, "keys": warning.keys}
            for warning in rebuilt.warnings
        ],
    }
    # The state is spliced in as text, so that a number of 30 digits stays one.
    return inert_json(f'{_dumps(facts)[:-1]},"state":{state_json(projection, rebuilt)}}}')


def state_json(projection: Projection[Any, Any], rebuilt: Rebuilt[Any]) -> str:
    """The state alone as JSON on one line. Raises InvalidProjection where it holds what JSON can not say."""
    try:
        return projection.to_json(rebuilt.state).decode()
    except InvalidProjection:
        reason = f"the state of stream '{rebuilt.stream}' holds something that JSON can not say"
        raise InvalidProjection(rebuilt.projection, reason) from None


def _each(
    form: Callable[[Projection[Any, Any], Rebuilt[Any]], Form],
    projection: Projection[Any, Any],
    answers: Iterable[Rebuilt[Any]],
    failures: list[StreamFailure] | None,
) -> Iterator[Form]:
    for rebuilt in answers:
        try:
            formed = form(projection, rebuilt)
        except InvalidProjection as error:
            if failures is None:
                raise
            failures.append(StreamFailure(rebuilt.stream, error))
        else:
            yield formed


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def _moment(ns: int | None) -> str | None:
    return None if ns is None else to_canonical(ns)


def _row(projection: Projection[Any, Any], rebuilt: Rebuilt[Any]) -> dict[str, Any]:
    last = rebuilt.last
    return {
        "stream": rebuilt.stream,
        "projection": rebuilt.projection,
        "version": rebuilt.version,
        "at": rebuilt.at,
        "known_at": rebuilt.known_at,
        "events": rebuilt.events,
        "last_id": None if last is None else last.id,
        "last_key": None if last is None else last.key,
        "last_type": None if last is None else last.type,
        "complete": rebuilt.complete,
        "warnings": [warning.message for warning in rebuilt.warnings],
        "state": state_json(projection, rebuilt),
    }


def _groups(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    group: list[dict[str, Any]] = []
    size = 0
    for row in rows:
        group.append(row)
        size += len(row["state"])
        if len(group) >= _GROUP_ROWS or size >= _GROUP_TEXT:
            yield group
            group, size = [], 0
    if group:
        yield group


def _schema(arrow: Any) -> pa.Schema:
    moment = arrow.timestamp("us", tz="UTC")
    return arrow.schema(
        [
            arrow.field("stream", arrow.string(), nullable=False),
            arrow.field("projection", arrow.string(), nullable=False),
            arrow.field("version", arrow.int64(), nullable=False),
            arrow.field("at", moment),
            arrow.field("known_at", moment),
            arrow.field("events", arrow.int64(), nullable=False),
            arrow.field("last_id", arrow.string()),
            arrow.field("last_key", arrow.string()),
            arrow.field("last_type", arrow.string()),
            arrow.field("complete", arrow.bool_(), nullable=False),
            arrow.field("warnings", arrow.list_(arrow.string()), nullable=False),
            arrow.field("state", arrow.string(), nullable=False),
        ]
    )


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError as error:
        expected = "'.jsonl', or the library pyarrow: pip install 'eventsourcing-kit[parquet]'"
        raise InvalidOption("output", found=".parquet", expected=expected) from error
    return pyarrow
