"""Where two states differ, as lines that a person reads."""

from __future__ import annotations

from itertools import islice
from typing import Any, Final

from eventsourcing_kit.inert import inert_json, visible
from eventsourcing_kit.patches import alterations, encode_json, make_patch

__all__ = ["differences"]

_SHOWN: Final = 10  # places
_WIDTH: Final = 300  # characters of a value


def differences(expected: Any, found: Any) -> list[str]:
    """A line for each place at which two JSON documents differ, up to ten of them."""
    lines: list[str] = []
    for place in islice(alterations(expected, make_patch(expected, found)), _SHOWN + 1):
        if len(lines) == _SHOWN:
            lines.append("...")
            break
        old = "nothing" if place.op in ("add", "move") else _value(place.old)
        new = "nothing" if place.op == "remove" else _value(place.new)
        moved = f", expected at {visible(place.source)}" if place.source is not None else ""
        lines.append(f"{visible(place.path) or 'the state'}: expected {old}, found {new}{moved}")
    return lines


def _value(value: Any) -> str:
    text = inert_json(encode_json(value))
    return text if len(text) <= _WIDTH else f"{text[:_WIDTH]}..."
