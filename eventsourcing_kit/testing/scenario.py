"""Tests of a projection that read as a sentence: given these events, then this state.

given(orders, event("OrderPlaced", total=3)).then({"total": 3})
"""

from __future__ import annotations

import difflib
import operator
import pprint
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic

from typing_extensions import TypeVar

from eventsourcing_kit.checks import json_check
from eventsourcing_kit.errors import FoldFailed
from eventsourcing_kit.event import decode_json
from eventsourcing_kit.patches import same
from eventsourcing_kit.words import many

if TYPE_CHECKING:
    from eventsourcing_kit.event import Event
    from eventsourcing_kit.projection import Projection

__all__ = ["Scenario", "given"]

Result = TypeVar("Result", default=Any)
_Equal = Callable[[Any, Any], bool]
_WHOLE = 1_000  # lines around a difference that are shown: with fewer, a reader would not see whose it is


def given(projection: Projection[Any, Result], *events: Event, start: Result | None = None) -> Scenario[Result]:
    """The projection over these events, in the order given, from `start` or from a fresh initial state."""
    return Scenario(projection, events, start)


class Scenario(Generic[Result]):
    """What `given` answers: each `then` folds, and compares."""

    def __init__(
        self, projection: Projection[Any, Result], events: tuple[Event, ...], start: Result | None = None
    ) -> None:
        self._projection = projection
        self._events = events
        self._start = start

    def then(self, state: Result) -> None:
        """Raises AssertionError, which shows both, where the fold gives another state than this one.

        It folds twice: a handler that reads a clock, draws at random or changes what folds share may hit the right
        state once.
        """
        __tracebackhide__ = True
        self._compare(self._settled(_itself, operator.eq), state, operator.eq)

    def then_json(self, state: Any) -> None:
        """As `then`, with the state as JSON has it: 1, 1.0 and true differ, the order of members does not matter."""
        __tracebackhide__ = True
        self._compare(self._settled(self._document, same), state, same)

    def then_holds(self, check: Callable[[Result], object] | str) -> None:
        """Raises AssertionError, which shows the state, where the check fails for it.

        `check` is a function of a state, or a JMESPath over the state as JSON (`balance >= `0``). Folds as `then`.
        """
        __tracebackhide__ = True
        if isinstance(check, str):
            self._hold(check, json_check(check), self._settled(self._document, same))
        else:
            for state in (self._fold(), self._fold()):
                self._hold(getattr(check, "__qualname__", repr(check)), check, state)

    def then_raises(self, kind: type[Exception] = FoldFailed) -> FoldFailed:
        """The FoldFailed with which the fold ends. AssertionError where it ends well, or for another reason: `kind`
        is FoldFailed itself, or what the handler raises."""
        __tracebackhide__ = True
        try:
            state = self._fold()
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

    def _settled(self, seen: Callable[[Result], Any], equal: _Equal) -> Any:
        __tracebackhide__ = True
        first, second = seen(self._fold()), seen(self._fold())
        if not equal(first, second):
            raise AssertionError(
                f"projection '{self._projection.name}' gives two states for the same {self._counted}, so a handler "
                f"depends on more than state and event:\n{_difference('first', first, 'second', second)}"
            )
        return first

    def _compare(self, found: object, expected: object, equal: _Equal) -> None:
        __tracebackhide__ = True
        if not equal(found, expected):
            raise AssertionError(
                f"projection '{self._projection.name}' gives another state for {self._counted}:\n"
                f"{_difference('expected', expected, 'found', found)}"
            )

    def _hold(self, name: str, check: Callable[[Any], object], state: Any) -> None:
        __tracebackhide__ = True
        if not check(state):
            raise AssertionError(
                f"projection '{self._projection.name}' gives a state for {self._counted} for which '{name}' does not "
                f"hold:\n{pprint.pformat(state, width=80)}"
            )

    def _fold(self) -> Result:
        return self._projection.fold(self._events, self._start)

    def _document(self, state: Result) -> Any:
        return decode_json(self._projection.to_json(state))

    @property
    def _counted(self) -> str:
        return many(len(self._events), "event")


def _itself(state: Result) -> Result:
    return state


def _difference(one: str, expected: object, other: str, found: object) -> str:
    texts = [pprint.pformat(value, width=80) for value in (expected, found)]
    if texts[0] == texts[1]:  # they print alike: what sets them apart is their type, or an `__eq__`
        texts = [f"{type(value).__qualname__}: {text}" for value, text in zip((expected, found), texts, strict=True)]
    before, after = (text.splitlines() for text in texts)
    lines = difflib.unified_diff(before, after, fromfile=one, tofile=other, lineterm="", n=_WHOLE)
    return "\n".join(line for line in lines if not line.startswith("@@")) or texts[0]
