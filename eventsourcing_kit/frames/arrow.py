"""Columns as an Arrow table, which every data frame library takes as it is; or as a data frame of pandas."""

from __future__ import annotations

from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any, Final

from eventsourcing_kit.frames.columns import encodable, found
from eventsourcing_kit.frames.libraries import library
from eventsourcing_kit.frames.moments import Moments

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from eventsourcing_kit.frames.columns import Column, Kind

__all__ = ["BATCH", "to_arrow", "to_pandas"]

BATCH: Final = 512  # rows that are held as Python values at once; more of them do not fit into a processor's cache


def to_arrow(columns: Sequence[Column], batches: Iterable[Sequence[Sequence[Any]]]) -> Any:
    """An `arro3.core.Table`. A batch has the values of each column; those that came before are held as Arrow only."""
    core = library("arro3.core", asked_for="to_arrow")
    parts: list[list[Any]] = [[] for _ in columns]
    for batch in batches:
        for column, part, values in zip(columns, parts, batch, strict=True):
            part.append(values if column.kind == "value" else _array(core, column.kind, values))
    fields, chunked = [], []
    for column, part in zip(columns, parts, strict=True):
        kind: Kind = column.kind
        if kind == "value":  # only all of its values together say what it is
            kind, values = found([*chain.from_iterable(part)])
            ends = [*accumulate(map(len, part))]
            part = [_array(core, kind, values[end - len(some) : end]) for some, end in zip(part, ends, strict=True)]
        type_ = _type(core, kind)
        fields.append(core.Field(column.name, type_, nullable=True))
        chunked.append(core.ChunkedArray(part, type=type_))
    return core.Table.from_arrays(chunked, schema=core.Schema(fields))


def to_pandas(columns: Sequence[Column], batches: Iterable[Sequence[Sequence[Any]]]) -> Any:
    """A `pandas.DataFrame` whose types do not depend on whether a value is missing. Needs neither arro3 nor pyarrow."""
    pandas = library("pandas", asked_for="to_pandas", install="pandas")
    taken: list[list[Any]] = [Moments() if column.kind == "moment" else [] for column in columns]
    for batch in batches:
        for values, more in zip(taken, batch, strict=True):
            values.extend(more)
    series = {}
    for column, values in zip(columns, taken, strict=True):
        kind, typed = found(values) if column.kind == "value" else (column.kind, values)
        if kind == "moment":
            micros = pandas.array(_micros(typed), dtype="Int64")
            series[column.name] = pandas.Series(micros).astype("datetime64[us]").dt.tz_localize("UTC")
        else:
            typed = encodable(typed) if kind in ("text", "json") else typed
            series[column.name] = pandas.Series(typed, dtype=_PANDAS[kind])
    return pandas.DataFrame(series, columns=[column.name for column in columns])


_PANDAS: Final = {"text": "string", "json": "string", "int": "Int64", "float": "float64", "bool": "boolean"}


def _type(core: Any, kind: Kind) -> Any:
    if kind == "moment":
        return core.DataType.timestamp("us", tz="UTC")
    names = {"text": "string", "json": "large_string", "int": "int64", "float": "float64", "bool": "bool"}
    return getattr(core.DataType, names[kind])()


def _array(core: Any, kind: Kind, values: Sequence[Any]) -> Any:
    if kind == "moment":
        return _moments(core, values)
    try:
        return core.Array(values, _type(core, kind))
    except UnicodeEncodeError:
        return core.Array(encodable(values), _type(core, kind))


def _moments(core: Any, values: Sequence[Any]) -> Any:
    type_ = _type(core, "moment")
    if isinstance(values, Moments) and values.are_plain():
        read = core.Array(values, core.DataType.string()).cast(type_)
        if not read.null_count:
            return read
    return core.Array(_micros(values), core.DataType.int64()).cast(type_)


def _micros(values: Sequence[Any]) -> list[int | None]:
    return [ns if ns is None else ns // 1_000 for ns in (values.ns() if isinstance(values, Moments) else values)]
