"""JSON in lines for reading, each with whether what stands there has changed."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from eventsourcing_kit.frames.columns import compact_json
from eventsourcing_kit.inert import visible
from eventsourcing_kit.patches import ABSENT, same

__all__ = ["Line", "marked_lines", "shortened"]

_INDENT: Final = "  "
_LONGEST: Final = 1_000  # characters of one value


class Line(NamedTuple):
    """A line of JSON, with nothing in it that a page or a terminal would obey."""

    text: str
    changed: bool


def marked_lines(before: Any, after: Any) -> list[Line]:
    """`after` in lines, those marked that `before` had not; where something is gone, the line that opens around it."""
    lines: list[Line] = []
    _write(lines, "", before, after, "", "")
    return lines


def shortened(text: str) -> str:
    """Text of an event on one line: what can not be seen is an escape, and a very long one is cut, which it says."""
    shown = visible(text)
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}… ({len(shown):,} characters)"


def _write(lines: list[Line], indent: str, before: Any, after: Any, name: str, comma: str) -> None:
    old: Any
    if isinstance(after, dict) and after:
        old = before if isinstance(before, dict) else None
        names = [f"{shortened(compact_json(member))}: " for member in after]
        pairs = [(ABSENT if old is None else old.get(member, ABSENT), value) for member, value in after.items()]
        fewer = old is not None and any(member not in after for member in old)
        brackets = "{}"
    elif isinstance(after, list) and after:
        old = before if isinstance(before, list) else None
        names = [""] * len(after)
        pairs = [(ABSENT, value) for value in after] if old is None else _aligned(old, after)
        fewer = old is not None and len(old) > len(after)
        brackets = "[]"
    else:
        text = shortened(compact_json(after))
        lines.append(Line(f"{indent}{name}{text}{comma}", changed=not same(before, after)))
        return
    lines.append(Line(f"{indent}{name}{brackets[0]}", changed=old is None or fewer))
    for place, (inner, pair) in enumerate(zip(names, pairs, strict=True), start=1):
        _write(lines, indent + _INDENT, *pair, inner, "," if place < len(pairs) else "")
    lines.append(Line(f"{indent}{brackets[1]}{comma}", changed=old is None))


def _aligned(before: list[Any], after: list[Any]) -> list[tuple[Any, Any]]:
    """Each item of `after` with its like: an array often gets items in front or behind."""
    most = min(len(before), len(after))
    begin = next((place for place in range(most) if not same(before[place], after[place])), most)
    most -= begin
    end = next((place for place in range(most) if not same(before[-1 - place], after[-1 - place])), most)
    middle = before[begin : len(before) - end]
    middle += [ABSENT] * (len(after) - begin - end - len(middle))
    old = [*before[:begin], *middle[: len(after) - begin - end], *before[len(before) - end :]]
    return list(zip(old, after, strict=True))
