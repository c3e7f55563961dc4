"""Whether a state came back from JSON as the same state. That is stricter than `==`, which is what types make of it.

A set in a bare dict comes back as a list, a `defaultdict` as a dict, an enum's member as a text equal to it.
"""

from __future__ import annotations

from typing import Any

__all__ = ["is_same"]


def is_same(one: Any, other: Any) -> bool:
    """Whether both are equal and of the same types, down to the last member."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return len(one) == len(other) and all(
            is_same(each, twin) and is_same(one[each], other[twin]) for each, twin in zip(one, other, strict=True)
        )
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(is_same, one, other))
    if hasattr(one, "__dict__") and not isinstance(one, type):
        return bool(one == other) and is_same(vars(one), vars(other))
    return bool(one == other)
