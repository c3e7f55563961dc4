"""Columns as an Arrow table, which every data frame library takes as it is; or as a data frame of pandas."""

from __future__ import annotations

from itertools import accumulate, chain
from typing import TYPE_CHECKING, Any, Final

from eventsourcing_kit.frames.columns import encodable, found
from eventsourcing_kit.frames.libraries import is_installed, library
from eventsourcing_kit.frames.moments import Moments

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from eventsourcing_kit.frames.columns import Column, Kind

    Types = dict[Kind, Any]  # of Arrow

__all__ = ["BATCH", "TEXTS", "VIEWS", "to_arrow", "to_pandas"]

BATCH: Final = 512  # rows that are held as Python values at once; more of them do not fit into a processor's cache
TEXTS: Final[dict[Kind, str]] = {"text": "string", "json": "large_string"}  # which every library knows
VIEWS: Final[dict[Kind, str]] = {"text": "string_view", "json": "string_view"}  # as Polars has them: taken as they are
_NUMBERS: Final[dict[Kind, str]] = {"int": "int64", "float": "float64", "bool": "bool"}


def to_arrow(
    columns: Sequence[Column], batches: Iterable[Sequence[Sequence[Any]]], *, texts: Mapping[Kind, str] = TEXTS
) -> Any:
    """An `arro3.core.Table`, whose texts are of the types `texts`. A batch has the values of each column; those that
    came before are held as Arrow, but for columns of the kind "value" as long as their values are of several kinds."""
    core = library("arro3.core", asked_for="to_arrow")
    makers = {kind: getattr(core.DataType, name) for kind, name in {**_NUMBERS, **texts}.items()}
    types: Types = {kind: maker() for kind, maker in makers.items()}
    types["moment"] = core.DataType.timestamp("us", tz="UTC")
    parts = [_Values(core, types) if column.kind == "value" else _Part(core, types, column.kind) for column in columns]
    for batch in batches:
        for part, values in zip(parts, batch, strict=True):
            part.add(values)
    fields, chunked = [], []
    for column, part in zip(columns, parts, strict=True):
        kind, arrays = part.arrays()
        fields.append(core.Field(column.name, types[kind], nullable=True))
        chunked.append(core.ChunkedArray(arrays, type=types[kind]))
    return core.Table.from_arrays(chunked, schema=core.Schema(fields))


class _Part:
    """A column of a known kind, as it comes in."""

    def __init__(self, core: Any, types: Types, kind: Kind) -> None:
        self._core = core
        self._types = types
        self._kind: Kind = kind
        self._arrays: list[Any] = []

    def add(self, values: Sequence[Any]) -> None:
        self._arrays.append(_array(self._core, self._types, self._kind, values))

    def arrays(self) -> tuple[Kind, list[Any]]:
        return self._kind, self._arrays


class _Values:
    """A column of which only all values together say of what kind it is; mostly the first ones would have said it."""

    def __init__(self, core: Any, types: Types) -> None:
        self._core = core
        self._types = types
        self._kinds: set[Kind] = set()
        self._parts: list[Any] = []  # an array where it can give back its values, else these
        self._is_mixed = False

    def add(self, values: Sequence[Any]) -> None:
        kind, typed = found(values)
        if typed.count(None) == len(typed):
            self._parts.append(values)
        elif typed is not values or (array := _plain_array(self._core, self._types[kind], values)) is None:
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
        core, types = self._core, self._types
        return kind, [part if isinstance(part, core.Array) else _array(core, types, kind, part) for part in parts]


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


def _array(core: Any, types: Types, kind: Kind, values: Sequence[Any]) -> Any:
    if kind == "moment":
        return _moments(core, types[kind], values)
    array = _plain_array(core, types[kind], values)
    return core.Array(encodable(values), types[kind]) if array is None else array


def _plain_array(core: Any, type_: Any, values: Sequence[Any]) -> Any:
    """None where some text can not be encoded."""
    try:
        return core.Array(values, type_)
    except UnicodeEncodeError:
        return None


def _moments(core: Any, type_: Any, values: Sequence[Any]) -> Any:
    if isinstance(values, Moments) and values.are_plain():
        read = core.Array(values, core.DataType.string()).cast(type_)
        if not read.null_count:
            return read
    return core.Array(_micros(values), core.DataType.int64()).cast(type_)


def _micros(values: Sequence[Any]) -> list[int | None]:
    return [ns if ns is None else ns // 1_000 for ns in (values.ns() if isinstance(values, Moments) else values)]
