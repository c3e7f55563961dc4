"""Hand-written loops around the same handlers: what a rebuild costs that orders, checks and promises nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    import apsw

    from eventsourcing_kit import Event

__all__ = ["fold_decoded", "read_and_fold"]

State = TypeVar("State")

_SELECT = "SELECT detailType, eventDetail FROM events WHERE pk = ? ORDER BY sk"


class _Decoded(msgspec.Struct, gc=False):
    data: Any


def read_and_fold(
    connection: apsw.Connection, stream: str, handlers: Mapping[str, Callable[[State, Any], State]], state: State
) -> State:
    """Over the driver and msgspec: the two columns that the handlers need, in the order of the keys."""
    decode = msgspec.json.Decoder().decode
    for kind, detail in connection.execute(_SELECT, (stream,)):
        state = handlers[kind](state, _Decoded(decode(detail)["data"]))
    return state


def fold_decoded(events: Iterable[Event], handlers: Mapping[str, Callable[[State, Any], State]], state: State) -> State:
    """Over events that are in memory and decoded already: the handlers alone."""
    for event in events:
        state = handlers[event.type](state, event)
    return state
