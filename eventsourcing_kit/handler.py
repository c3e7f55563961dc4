"""One handler, with what stands before it (upcasters, a model), and what is said when any of them fails."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from eventsourcing_kit.models import MisfitError

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.models import Reader
    from eventsourcing_kit.upcast import Upcast

    Route = Callable[[Any, Event], Any]

__all__ = ["Handler", "NotAKeyError", "NothingReturnedError", "explain"]


class Handler(NamedTuple):
    """A user's function, and what reads the model that its events have to fit first."""

    function: Callable[[Any, Event], Any]
    reader: Reader | None

    def behind(self, final: str, upcasts: tuple[Upcast, ...]) -> Route:
        """The function with all that stands before it: nothing at all in the plain case, which is the hot path."""
        function, reader = self
        if not upcasts:
            if reader is None:
                return function
            read, replace = reader.of_event, msgspec.structs.replace
            return lambda state, event: function(state, replace(event, _data=read(event)))

        def route(state: Any, event: Event) -> Any:
            data: Any = event.data
            for upcast in upcasts:
                data = upcast(data, event)
            if reader is not None:
                data = reader.of_json(msgspec.json.encode(data))
            return function(state, event.with_data(data, type=final))

        return route


class NothingReturnedError(Exception):
    """A handler answered None for a state that was something."""


class NotAKeyError(Exception):
    """A projection's `key` answered neither text nor None."""


def explain(error: Exception) -> tuple[str, tuple[str, ...], Exception | None]:
    """A reason without values, the fields that a model refused, and the cause to chain (models quote values: none)."""
    if isinstance(error, MisfitError):
        return f"its data does not fit {error.model.__name__}: {', '.join(error.fields)}", error.fields, None
    if isinstance(error, NothingReturnedError):
        return "the handler returned None; it has to return the state", (), None
    if isinstance(error, NotAKeyError):
        return "key= answered something that is neither text nor None", (), None
    return f"{type(error).__name__} was raised", (), error
