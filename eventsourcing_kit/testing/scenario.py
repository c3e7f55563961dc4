"""Tests of a projection that read as a sentence: given these events, then this state.

given(orders, event("OrderPlaced", total=3)).then({"total": 3})
"""

from __future__ import annotations

import difflib
import pprint
from typing import TYPE_CHECKING, Any, Generic

from typing_extensions import TypeVar

from eventsourcing_kit.errors import FoldFailed

if TYPE_CHECKING:
    from eventsourcing_kit.event import Event
    from eventsourcing_kit.projection import Projection

__all__ = ["Scenario", "given"]

Result = TypeVar("Result", default=Any)
_WHOLE = 1_000  # lines around a difference that are shown: with fewer, a reader would not see whose it is


def given(projection: Projection[Any, Result], *events: Event) -> Scenario[Result]:
    """The projection over these events, in the order given, from a fresh initial state."""
    return Scenario(projection, events)


class Scenario(Generic[Result]):
    """What `given` answers: `then` and `then_raises` fold, and compare."""

    def __init__(self, projection: Projection[Any, Result], events: tuple[Event, ...]) -> None:
        self._projection = projection
        self._events = events

    def then(self, state: Result) -> None:
        """Raises AssertionError, which shows both, where the fold gives another state than this one.

        It folds twice: a handler that reads a clock, draws at random or changes what folds share may hit the right
        state once.
        """
        first, second = self._fold(), self._fold()
        if first != second:
            raise AssertionError(
                f"projection '{self._projection.name}' gives two states for the same {self._counted}, so a handler "
                f"depends on more than state and event:\n{_difference('first', first, 'second', second)}"
            )
        if first != state:
            raise AssertionError(
                f"projection '{self._projection.name}' gives another state for {self._counted}:\n"
                f"{_difference('expected', state, 'found', first)}"
            )

    def then_raises(self, kind: type[Exception] = FoldFailed) -> FoldFailed:
        """The FoldFailed with which the fold ends. AssertionError where it ends well, or for another reason: `kind`
        is FoldFailed itself, or what the handler raises."""
        try:
            state = self._projection.fold(self._events)
        except FoldFailed as failed:
            if isinstance(failed, kind) or isinstance(failed.__cause__, kind):
                return failed
            raise AssertionError(
                f"projection '{self._projection.name}' fails because {failed.reason}, expected {kind.__name__}"
            ) from failed
        raise AssertionError(
            f"projection '{self._projection.name}' folds {self._counted} well, expected {kind.__name__}; it gives\n"
            f"{pprint.pformat(state)}"
        )

    def _fold(self) -> Result:
        return self._projection.fold(self._events)

    @property
    def _counted(self) -> str:
        return "1 event" if len(self._events) == 1 else f"{len(self._events):,} events"


def _difference(one: str, expected: object, other: str, found: object) -> str:
    texts = [pprint.pformat(value, width=80) for value in (expected, found)]
    if texts[0] == texts[1]:  # they print alike: what sets them apart is their type, or an `__eq__`
        texts = [f"{type(value).__qualname__}: {text}" for value, text in zip((expected, found), texts, strict=True)]
    before, after = (text.splitlines() for text in texts)
    lines = difflib.unified_diff(before, after, fromfile=one, tofile=other, lineterm="", n=_WHOLE)
    return "\n".join(line for line in lines if not line.startswith("@@")) or texts[0]
