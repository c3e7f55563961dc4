"""Columns as an Arrow table, which every data frame library takes as it is; or as a data frame of pandas."""

from __future__ import annotations

from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any, Final

from eventsourcing_kit.frames.columns import encodable, found
from eventsourcing_kit.frames.libraries import is_installed, library
from eventsourcing_kit.frames.moments import Moments

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from eventsourcing_kit.frames.columns import Column, Kind

__all__ = ["BATCH", "to_arrow", "to_pandas"]

BATCH: Final = 512  # rows that are held as Python values at once; more of them do not fit into a processor's cache


def to_arrow(columns: Sequence[Column], batches: Iterable[Sequence[Sequence[Any]]]) -> Any:
    """An `arro3.core.Table`. A batch has the values of each column; those that came before are held as Arrow, but for
    columns of the kind "value" as long as their values are of several kinds."""
    core = library("arro3.core", asked_for="to_arrow")
    parts = [_Values(core) if column.kind == "value" else _Part(core, column.kind) for column in columns]
    for batch in batches:
        for part, values in zip(parts, batch, strict=True):
            part.add(values)
    fields, chunked = [], []
    for column, part in zip(columns, parts, strict=True):
        kind, arrays = part.arrays()
        type_ = _type(core, kind)
        fields.append(core.Field(column.name, type_, nullable=True))
        chunked.append(core.ChunkedArray(arrays, type=type_))
    return core.Table.from_arrays(chunked, schema=core.Schema(fields))


class _Part:
    """A column of a known kind, as it comes in."""

    def __init__(self, core: Any, kind: Kind) -> None:
        self._core = core
        self._kind: Kind = kind
        self._arrays: list[Any] = []

    def add(self, values: Sequence[Any]) -> None:
        self._arrays.append(_array(self._core, self._kind, values))

    def arrays(self) -> tuple[Kind, list[Any]]:
        return self._kind, self._arrays


class _Values:
    """A column of which only all values together say of what kind it is; mostly the first ones would have said it."""

    def __init__(self, core: Any) -> None:
        self._core = core
        self._kinds: set[Kind] = set()
        self._parts: list[Any] = []  # an array where it can give back its values, else these
        self._is_mixed = False

    def add(self, values: Sequence[Any]) -> None:
        kind, typed = found(values)
        if typed.count(None) == len(typed):
            self._parts.append(values)
        elif typed is not values or (array := _plain_array(self._core, kind, values)) is None:
            self._parts.append(values)
            self._is_mixed = True
        else:
            self._parts.append(array)
            self._kinds.add(kind)

    def arrays(self) -> tuple[Kind, list[Any]]:
        if self._is_mixed or len(self._kinds) > 1:
            lists = [part.to_pylist() if isinstance(part, self._core.Array) else part for part in self._parts]
            kind, values = found([*chain.from_iterable(lists)])
            ends = [*accumulate(map(len, lists))]
            parts = [values[end - len(each) : end] for each, end in zip(lists, ends, strict=True)]
        else:
            kind, parts = next(iter(self._kinds), "text"), self._parts
        is_array = self._core.Array
        return kind, [part if isinstance(part, is_array) else _array(self._core, kind, part) for part in parts]


def to_pandas(columns: Sequence[Column], batches: Iterable[Sequence[Sequence[Any]]]) -> Any:
    """A `pandas.DataFrame` whose types do not depend on whether a value is missing. Needs neither arro3 nor pyarrow; it
    is the same frame in half the time where both are there."""
    pandas = library("pandas", asked_for="to_pandas", install="pandas")
    if is_installed("arro3.core") and is_installed("pyarrow"):
        pyarrow = library("pyarrow", asked_for="to_pandas")
        dtypes = {getattr(pyarrow, name)(): pandas.api.types.pandas_dtype(_PANDAS[kind]) for name, kind in _PYARROW}
        return pyarrow.table(to_arrow(columns, batches)).to_pandas(types_mapper=dtypes.get)
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


_PYARROW: Final = (("string", "text"), ("large_string", "json"), ("int64", "int"), ("bool_", "bool"))
_PANDAS: Final = {"text": "string", "json": "string", "int": "Int64", "float": "float64", "bool": "boolean"}


def _type(core: Any, kind: Kind) -> Any:
    if kind == "moment":
        return core.DataType.timestamp("us", tz="UTC")
    names = {"text": "string", "json": "large_string", "int": "int64", "float": "float64", "bool": "bool"}
    return getattr(core.DataType, names[kind])()


def _array(core: Any, kind: Kind, values: Sequence[Any]) -> Any:
    if kind == "moment":
        return _moments(core, values)
    array = _plain_array(core, kind, values)
    return core.Array(encodable(values), _type(core, kind)) if array is None else array


def _plain_array(core: Any, kind: Kind, values: Sequence[Any]) -> Any:
    """None where some text can not be encoded."""
    try:
        return core.Array(values, _type(core, kind))
    except UnicodeEncodeError:
        return None


def _moments(core: Any, values: Sequence[Any]) -> Any:
    type_ = _type(core, "moment")
    if isinstance(values, Moments) and values.are_plain():
        read = core.Array(values, core.DataType.string()).cast(type_)
        if not read.null_count:
            return read
    return core.Array(_micros(values), core.DataType.int64()).cast(type_)


def _micros(values: Sequence[Any]) -> list[int | None]:
    return [ns if ns is None else ns // 1_000 for ns in (values.ns() if isinstance(values, Moments) else values)]
