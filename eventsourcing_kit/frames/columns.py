"""What a column holds, and the type that is found for one whose values say it themselves."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from eventsourcing_kit.event import decode_json, escape_surrogates
from eventsourcing_kit.inert import inert_json
from eventsourcing_kit.moment import to_canonical, to_datetime

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["Column", "Kind", "compact_json", "encodable", "found", "json_cell", "plain"]

Kind = Literal["text", "int", "float", "bool", "moment", "json", "value"]

_MIN_INT: Final = -(2**63)
_MAX_INT: Final = 2**63 - 1


@dataclass(frozen=True)
class Column:
    """`name` and what stands below it in each row; None is allowed in every column.

    "text", "int" (64 bits), "float" and "bool" hold that, "moment" nanoseconds since 1970 as an int (a frame floors
    them to the microsecond), "json" JSON text. "value" holds any decoded JSON: `found` says which type all of it has.
    """

    name: str
    kind: Kind = "text"


def found(values: Sequence[Any]) -> tuple[Kind, Sequence[Any]]:
    """The narrowest kind that holds all of these JSON values exactly, and the values as that kind has them.

    Only whole numbers are "int", or "text" where 64 bits do not hold one of them; with fractions "float", as long as
    that changes none of them; what is of several kinds, or has members, is "json". Without any value: "text".
    """
    kinds = {*map(type, values)} - {type(None)}
    if kinds == {bool}:
        return "bool", values
    if kinds == {int}:
        numbers = [value for value in values if value is not None]
        if min(numbers) >= _MIN_INT and max(numbers) <= _MAX_INT:
            return "int", values
        return "text", [value if value is None else str(value) for value in values]
    if kinds == {float}:
        return "float", values
    if kinds and kinds <= {int, float} and all(type(value) is not int or _is_double(value) for value in values):
        return "float", [value if value is None else float(value) for value in values]
    if kinds <= {str}:
        return "text", values
    return "json", [value if value is None else compact_json(value) for value in values]


def plain(kind: Kind, value: Any) -> Any:
    """A value as Python has it: a moment is an aware datetime, floored to the microsecond; JSON text is decoded."""
    if value is None:
        return None
    if kind == "moment":
        return to_datetime(value)
    return decode_json(value) if kind == "json" else value


def json_cell(kind: Kind, value: Any) -> str:
    """A value as JSON text on one line: a moment as its canonical spelling, JSON text as it is."""
    if kind == "json" and value is not None:
        return inert_json(value.replace("\n", " ").replace("\r", " "))
    return inert_json(compact_json(to_canonical(value) if kind == "moment" and value is not None else value))


def compact_json(value: Any) -> str:
    """Decoded JSON as text again. A number beyond the range of a double, which is a Decimal, becomes a string."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def encodable(texts: Iterable[str | None]) -> list[str | None]:
    """The same texts, each lone surrogate, which no encoding takes, as its escape."""
    return [text if text is None else escape_surrogates(text) for text in texts]


def _is_double(value: int) -> bool:
    try:
        return float(value) == value
    except OverflowError:
        return False
