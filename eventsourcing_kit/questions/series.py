"""Series: what stood at one place of a state, event after event, as a plot shows it."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

from eventsourcing_kit.errors import FoldFailed, InvalidOption
from eventsourcing_kit.event import decode_json, moment_or_none
from eventsourcing_kit.frames import plots
from eventsourcing_kit.inert import visible
from eventsourcing_kit.patches import same

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import altair as alt

    from eventsourcing_kit.questions.walk import Written

__all__ = ["numeric_places", "plot"]

_NAMED: Final = 20  # places or members in an error
_IDENTIFIER: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def plot(written: Iterable[Written[Any]], path: str | None, *, title: str) -> alt.Chart:
    """The values at `path`, a JMESPath over the state as JSON, as a line; without one the state itself, a number.

    Raises InvalidOption where there never is a value, and what `written` raises; the `answer` of a FoldFailed is the
    chart up to there, where there is one.
    """
    series = _Series(path)
    try:
        points = list(series.points(written))
    except FoldFailed as failed:
        if series.found:
            failed.answer = plots.line(series.taken, title=title, value=path or "state")
        raise
    if not series.found:
        raise series.nothing()
    return plots.line(points, title=title, value=path or "state")


def numeric_places(document: Any) -> Iterator[str]:
    """A JMESPath to each number in a document, in its order."""
    if isinstance(document, dict):
        for name, value in document.items():
            part = name if _IDENTIFIER.fullmatch(name) else _quoted(name)
            yield from (f"{part}{rest}" if rest[:1] in ("", "[") else f"{part}.{rest}" for rest in _below(value))
    elif isinstance(document, list):
        for place, value in enumerate(document):
            yield from (f"[{place}]{rest}" if rest[:1] in ("", "[") else f"[{place}].{rest}" for rest in _below(value))


def _below(value: Any) -> Iterator[str]:
    if _is_number(value):
        yield ""
    else:
        yield from numeric_places(value)


class _Series:
    """Takes the points of a series: one where the value is another one than before, and one at the last event."""

    def __init__(self, path: str | None) -> None:
        self._path = path
        self._search = _compiled(path)
        self._document: Any = None
        self.found = False
        self.taken: list[plots.Point] = []

    def points(self, written: Iterable[Written[Any]]) -> Iterator[plots.Point]:
        value, last = None, None
        for (_, event, _, _), before, after in written:
            ns = moment_or_none(event)
            if ns is None:
                continue
            if before != after or last is None:
                self._document = decode_json(after)
                new = self._search(self._document)
                self.found = self.found or (new is not None and (self._path is not None or _is_number(new)))
                if last is None or not same(value, new):
                    value = new
                    last = plots.Point(ns, value, event.type)
                    self.taken.append(last)
                    yield last
                    continue
            last = plots.Point(ns, value, event.type)
        if last is not None and last is not self.taken[-1]:
            yield last

    def nothing(self) -> InvalidOption:
        if self._path is None:
            places = ", ".join(f"'{visible(place)}'" for place in _first(numeric_places(self._document)))
            has = f"one of those in the last state: {places}" if places else "a place; the last state has no number"
            return InvalidOption("path", found="none", expected=f"the JMESPath of {has}")
        names = self._document if isinstance(self._document, dict) else {}
        members = ", ".join(f"'{visible(name)}'" for name in _first(sorted(names)))
        has = f"whose members are {members}" if members else "which has no members"
        return InvalidOption("path", found=self._path, expected=f"a JMESPath to a place of the state, {has}")


def _compiled(path: str | None) -> Callable[[Any], Any]:
    if path is None:
        return lambda document: document
    import jmespath  # 20 ms that only a path needs
    from jmespath.exceptions import JMESPathError

    try:
        expression = jmespath.compile(path)
    except JMESPathError:
        raise InvalidOption("path", found=path, expected="a JMESPath, such as 'totals.sum'") from None

    def search(document: Any) -> Any:
        try:
            return expression.search(document)
        except JMESPathError:  # a function that does not take what stands there
            return None

    return search


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _quoted(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _first(names: Iterable[str]) -> list[str]:
    """The first few, and a mark where there are more."""
    found = [name for _, name in zip(range(_NAMED + 1), names, strict=False)]
    return found if len(found) <= _NAMED else [*found[:_NAMED], "…"]
