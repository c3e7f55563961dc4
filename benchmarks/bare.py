"""Hand-written loops around the same handlers: what a rebuild costs that orders, checks and promises nothing.

They are as good as one writes them who knows msgspec: one statement, the two columns that the handlers need, one
decoder. Untyped, it makes the detail a dict; typed, it takes nothing of it but the one field that the handler takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import msgspec

from benchmarks.workload import Moved  # noqa: TC001 - msgspec reads the annotation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from eventsourcing_kit import Event

__all__ = ["Connection", "fold_decoded", "read_and_fold", "untyped", "typed"]

State = TypeVar("State")

_SELECT: Final = "SELECT detailType, eventDetail FROM events WHERE pk = ? ORDER BY sk"


class Connection(Protocol):
    """Of Python's own sqlite3, or of apsw."""

    def execute(self, statement: str, values: Any, /) -> Iterable[Any]: ...


class _Untyped(msgspec.Struct, gc=False):
    data: Any


class _Typed(msgspec.Struct, gc=False):
    data: Moved


_decode_dict: Final = msgspec.json.Decoder().decode
typed: Final[Callable[[str], Any]] = msgspec.json.Decoder(_Typed).decode


def untyped(detail: str) -> _Untyped:
    """A detail, decoded as a whole, as the handlers are given it."""
    return _Untyped(_decode_dict(detail)["data"])


def read_and_fold(
    connection: Connection,
    stream: str,
    handlers: Mapping[str, Callable[[State, Any], State]],
    state: State,
    decode: Callable[[str], Any],
) -> State:
    """Over a driver and msgspec, in the order of the keys."""
    for kind, detail in connection.execute(_SELECT, (stream,)):
        state = handlers[kind](state, decode(detail))
    return state


def fold_decoded(events: Iterable[Event], handlers: Mapping[str, Callable[[State, Any], State]], state: State) -> State:
    """Over events that are in memory and decoded already: the handlers alone."""
    for event in events:
        state = handlers[event.type](state, event)
    return state
