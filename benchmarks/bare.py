"""Hand-written loops around the same handlers: what a rebuild costs that orders, checks and promises nothing.

They are as good as one writes them who knows msgspec: one statement, the two columns that the handlers need, one
decoder that takes nothing of a detail but its data.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import msgspec

from benchmarks.workload import Moved  # noqa: TC001 - msgspec reads the annotation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from eventsourcing_kit import Event

__all__ = ["DICTS", "STRUCTS", "Connection", "fold_decoded", "read_and_fold"]

State = TypeVar("State")

_SELECT: Final = "SELECT detailType, eventDetail FROM events WHERE pk = ? ORDER BY sk"


class Connection(Protocol):
    """Of Python's own sqlite3, or of apsw."""

    def execute(self, statement: str, values: Any, /) -> Iterable[Any]: ...


class _Untyped(msgspec.Struct, gc=False):
    data: dict[str, Any]


class _Typed(msgspec.Struct, gc=False):
    data: Moved


DICTS: Final[msgspec.json.Decoder[Any]] = msgspec.json.Decoder(_Untyped)
STRUCTS: Final[msgspec.json.Decoder[Any]] = msgspec.json.Decoder(_Typed)


def read_and_fold(
    connection: Connection,
    stream: str,
    handlers: Mapping[str, Callable[[State, Any], State]],
    state: State,
    decoder: msgspec.json.Decoder[Any],
) -> State:
    """Over a driver and msgspec, in the order of the keys."""
    decode = decoder.decode
    for kind, detail in connection.execute(_SELECT, (stream,)):
        state = handlers[kind](state, decode(detail))
    return state


def fold_decoded(events: Iterable[Event], handlers: Mapping[str, Callable[[State, Any], State]], state: State) -> State:
    """Over events that are in memory and decoded already: the handlers alone."""
    for event in events:
        state = handlers[event.type](state, event)
    return state
