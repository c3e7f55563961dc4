"""Upcasters: the old shapes of an event, turned into today's before any handler or model sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from eventsourcing_kit.errors import InvalidProjection

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventsourcing_kit.event import Event

    Upcast = Callable[[Any, Event], Any]

__all__ = ["Upcasters"]


class _Step(NamedTuple):
    type: str
    to: str
    upcast: Upcast


class Upcasters:
    """A chain of upcasters, run in the order in which they were registered. Projections may share one."""

    def __init__(self) -> None:
        self._steps: list[_Step] = []

    def on(self, type: str, *, to: str | None = None) -> Callable[[Upcast], Upcast]:  # noqa: A002 - the field's name
        """Registers a function `(data, event) -> data` for events of `type`, and gives it back unchanged.

        It answers today's data, or the same data where nothing is old about it. `event` is as stored. With `to` the
        event goes on under that type; upcasters registered after this one then see it as such.
        """
        if not type or (to is not None and not to):
            raise InvalidProjection("upcasters", "an event type is empty text")

        def register(upcast: Upcast) -> Upcast:
            self._steps.append(_Step(type, to or type, upcast))
            return upcast

        return register

    @property
    def steps(self) -> tuple[tuple[str, str, Upcast], ...]:
        """Each upcaster with the type that it is for and the one that it makes, in the order in which they run."""
        return tuple(self._steps)

    def chain(self, type: str) -> tuple[str, tuple[Upcast, ...]]:  # noqa: A002 - the field's name
        """Which type an event of `type` has in the end, and what it goes through on the way."""
        upcasts = []
        for step in self._steps:
            if step.type == type:
                upcasts.append(step.upcast)
                type = step.to  # noqa: A001 - the field's name
        return type, tuple(upcasts)

    def sources(self, type: str) -> frozenset[str]:  # noqa: A002 - the field's name
        """The stored types that end as `type`."""
        candidates = {type, *(step.type for step in self._steps)}
        return frozenset(candidate for candidate in candidates if self.chain(candidate)[0] == type)
