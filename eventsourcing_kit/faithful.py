"""Whether a state came back from JSON as the same state. That is stricter than `==`, which is what types make of it.

A set in a bare dict comes back as a list, a `defaultdict` as a dict, `IntEnum` members as numbers equal to them, a time
in a named zone as one with a fixed offset; and one list that stood in two places comes back as two. A fold that goes on
from such a state may come to another one, so none of them is taken for the same.
"""

from __future__ import annotations

import dataclasses
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import PurePath
from typing import Any, Final
from uuid import UUID

__all__ = ["is_same"]

_PLAIN: Final = (type(None), bool, int, float, complex, str, bytes, Decimal, Fraction, UUID, date, timedelta)
_DYNAMIC: Final = ("__pydantic_private__", "__pydantic_extra__", "__pydantic_fields_set__")


def is_same(one: Any, other: Any) -> bool:
    """Whether nothing that a handler could look at differs. What this does not know is not the same."""
    try:
        return _Comparison().is_same(one, other)
    except Exception:  # noqa: BLE001 - a user's own `__eq__` or property may raise whatever it likes
        return False


class _Comparison:
    def __init__(self) -> None:
        self._seen: set[int] = set()  # what can be changed, of the first state: each may stand in one place only

    def is_same(self, one: Any, other: Any) -> bool:
        kind = type(one)
        if kind is not type(other):
            return False
        if kind in _PLAIN:
            return repr(one) == repr(other)  # -0.0 and 0.0, Decimal 1 and 1.0 are equal, and not the same
        if kind in (datetime, time):
            return bool(one == other) and one.fold == other.fold and _is_fixed(one.tzinfo) and _is_fixed(other.tzinfo)
        if isinstance(one, Enum):
            return one is other
        if isinstance(one, PurePath):
            return bool(one == other)
        if kind in (tuple, frozenset):
            return self._are_same(one, other)
        if id(one) in self._seen:
            return False
        self._seen.add(id(one))
        if kind in (list, set):
            return self._are_same(one, other)
        if kind is dict:
            return self._are_same_items(one, other)
        return self._are_same_objects(one, other)

    def _are_same(self, one: Any, other: Any) -> bool:
        if isinstance(one, (set, frozenset)):
            # By value, as their order is nobody's; members that are equal and not the same are told by their text.
            return bool(one == other) and sorted(map(repr, one)) == sorted(map(repr, other))
        return len(one) == len(other) and all(map(self.is_same, one, other))

    def _are_same_items(self, one: dict[Any, Any], other: dict[Any, Any]) -> bool:
        return self._are_same(list(one), list(other)) and all(self.is_same(one[key], other[key]) for key in one)

    def _are_same_objects(self, one: Any, other: Any) -> bool:
        kind = type(one)
        if hasattr(kind, "__pydantic_validator__") and not dataclasses.is_dataclass(kind):
            if any(getattr(one, name, None) != getattr(other, name, None) for name in _DYNAMIC):
                return False
            return self._are_same_items(vars(one), vars(other))
        if issubclass(kind, (dict, list, set, frozenset, tuple, str, bytes, int, float)):
            return self._is_same_record(one, other)
        names = _slots(kind)
        if not names and not hasattr(one, "__dict__"):
            return False
        for name in names:
            if hasattr(one, name) != hasattr(other, name):
                return False
            if hasattr(one, name) and not self.is_same(getattr(one, name), getattr(other, name)):
                return False
        return self._are_same_items(getattr(one, "__dict__", {}), getattr(other, "__dict__", {}))

    def _is_same_record(self, one: Any, other: Any) -> bool:
        """A named tuple is its members; other subclasses of built-in types may hold anything."""
        if isinstance(one, tuple) and hasattr(one, "_fields") and not hasattr(one, "__dict__"):
            return all(map(self.is_same, tuple(one), tuple(other)))
        return False


def _slots(kind: type) -> list[str]:
    found: list[str] = []
    for base in kind.__mro__:
        slots = base.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            hidden = name.startswith("__") and not name.endswith("__")
            found.append(f"_{base.__name__.lstrip('_')}{name}" if hidden else name)
    return [name for name in found if name not in ("__dict__", "__weakref__")]


def _is_fixed(zone: Any) -> bool:
    """No zone, or one whose offset never changes; pydantic makes its own kind of them."""
    return zone is None or isinstance(zone, timezone) or type(zone).__name__ == "TzInfo"
