"""What a notebook shows of a store and of a rebuilt state, which are no tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol

from eventsourcing_kit.errors import EventSourcingError
from eventsourcing_kit.frames import html
from eventsourcing_kit.inert import inert_json, visible
from eventsourcing_kit.moment import to_canonical
from eventsourcing_kit.words import many

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from eventsourcing_kit.event import Event

__all__ = ["rebuilt_html", "rebuilt_text", "state_lines", "store_html"]

_STREAMS: Final = 20
_STATE: Final = 500  # characters of a state in a line of text


class _Warning(Protocol):
    @property
    def message(self) -> str: ...


class _Rebuilt(Protocol):
    """What is asked of a `rebuilding.Rebuilt`."""

    @property
    def state(self) -> Any: ...
    @property
    def stream(self) -> str: ...
    @property
    def projection(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def at_ns(self) -> int | None: ...
    @property
    def known_at_ns(self) -> int | None: ...
    @property
    def events(self) -> int: ...
    @property
    def last(self) -> Event | None: ...
    @property
    def complete(self) -> bool: ...
    @property
    def warnings(self) -> Sequence[_Warning]: ...


def store_html(
    kind: str, url: str, *, retention_days: int | None, glimpse: Callable[[int], tuple[list[str], bool]]
) -> str:
    """Where a store is and a few of its streams; `glimpse(limit)` answers some, and whether there are more.

    A store that is not there is shown, too, with the reason.
    """
    kept = "for ever" if retention_days is None else f"for {retention_days:,} days from their moments"
    pairs = [("store", kind), ("URL", url), ("keeps events", kept)]
    try:
        names, more = glimpse(_STREAMS)
    except EventSourcingError as error:
        return html.block(html.facts(pairs), html.line(str(error)))
    pairs.append(("streams", f"{len(names):,}{' and more' if more else ''}"))
    return html.block(html.facts(pairs), html.items(names))


def rebuilt_html(rebuilt: _Rebuilt) -> str:
    """A state as JSON below what it is worth."""
    pairs = [
        ("stream", rebuilt.stream),
        ("projection", f"{rebuilt.projection}, version {rebuilt.version}"),
        ("as it was at", _moment(rebuilt.at_ns, "the end")),
        ("as known at", _moment(rebuilt.known_at_ns, "now")),
        ("events", f"{rebuilt.events:,}"),
        ("last event", "none" if rebuilt.last is None else f"{rebuilt.last.key}, id {rebuilt.last.id}"),
        ("complete", "yes" if rebuilt.complete else "no"),
        *(("warning", warning.message) for warning in rebuilt.warnings),
    ]
    return html.block(html.facts(pairs), html.code(state_lines(rebuilt.state)))


def rebuilt_text(rebuilt: _Rebuilt) -> str:
    """The same on one line, with the state as Python shows it."""
    at = "" if rebuilt.at_ns is None else f" at {to_canonical(rebuilt.at_ns)}"
    known = "" if rebuilt.known_at_ns is None else f" known at {to_canonical(rebuilt.known_at_ns)}"
    told = [many(rebuilt.events, "event"), "complete" if rebuilt.complete else "incomplete"]
    if rebuilt.warnings:
        told.append(many(len(rebuilt.warnings), "warning"))
    state = visible(repr(rebuilt.state))
    state = state if len(state) <= _STATE else f"{state[:_STATE]}…"
    name = f"{rebuilt.projection} v{rebuilt.version}"
    return f"<Rebuilt {name} of '{rebuilt.stream}'{at}{known}: {', '.join(told)}, state={state}>"


def state_lines(state: Any) -> str:
    """A state as indented JSON, whatever it is made of; as Python shows it where JSON can not say it."""
    from pydantic_core import PydanticSerializationError, to_json  # which is not needed to store events

    try:
        text = to_json(state, indent=2, serialize_unknown=True, inf_nan_mode="constants").decode()
    except (PydanticSerializationError, ValueError, RecursionError):
        return repr(state)
    return inert_json(text)


def _moment(ns: int | None, otherwise: str) -> str:
    return otherwise if ns is None else to_canonical(ns)
