"""View: what a table of states is of; and what a place for such tables can do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import msgspec

from eventsourcing_kit.jobs.asking import Typed  # noqa: TC001 - msgspec reads it

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import AbstractContextManager

    from eventsourcing_kit.outcomes import Rebuilt
    from eventsourcing_kit.projection import Projection

__all__ = ["Begun", "Row", "Shown", "Target", "View"]


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Whose states a table has, and as of when. The fields are the columns of `eskit_views`."""

    projection: str
    version: int
    fingerprint: str | None
    store: str
    streams: str  # JSON: null for all, a prefix, or a list
    at: str | None
    known_at: str
    start: str | None
    began: str
    allow_incomplete: bool
    on_error: str
    states: int = 0
    events: int = 0

    @property
    def chosen(self) -> str | list[str] | None:
        """The streams as `rebuild_all` takes them."""
        found: str | list[str] | None = json.loads(self.streams)
        return found


class Begun(View, frozen=True, kw_only=True):
    """A view that is being built, or was."""

    typed: Typed

    def done(self, *, states: int, events: int) -> View:
        facts = {name: getattr(self, name) for name in View.__struct_fields__}
        return View(**{**facts, "states": states, "events": events})


class Row(NamedTuple):
    """A state, and what it is worth. The fields are the columns of a view."""

    stream: str
    state: bytes  # JSON
    events: int
    last_id: str | None
    last_key: str | None
    last_type: str | None
    complete: bool
    warnings: str  # JSON: a list of sentences

    @classmethod
    def of(cls, projection: Projection[Any, Any], rebuilt: Rebuilt[Any]) -> Row:
        """Raises InvalidProjection for a state that JSON can not say."""
        last = rebuilt.last
        return cls(
            rebuilt.stream,
            projection.to_json(rebuilt.state),
            rebuilt.events,
            None if last is None else last.id,
            None if last is None else last.key,
            None if last is None else last.type,
            rebuilt.complete,
            json.dumps([warning.message for warning in rebuilt.warnings], ensure_ascii=False),
        )


class Shown(Protocol):
    """A view as it is being read: all of one build."""

    @property
    def view(self) -> View: ...

    def rows(self) -> Iterator[tuple[str, bytes]]:
        """Streams and their states' JSON, in the order of the streams' bytes. Raises ViewReplaced where some are gone
        meanwhile, so that whoever comes to the end has had all of them."""
        ...

    def row(self, stream: str) -> bytes | None:
        """One state's JSON; None for a stream of which there is none. Raises ViewReplaced."""
        ...


class Target(Protocol):
    """A place for the views of one projection, and the only one who knows how rows lie there. Has to be closed.

    A build has a name of its own, and rows of its own, which nobody sees before `switch`. Among builds the one that
    was begun last wins: when it is switched to, all those which were begun before it are removed, dead or alive. One
    that is removed can not write or switch any more: each call raises ViewReplaced.
    """

    @property
    def url(self) -> str: ...

    def create(self) -> None:
        """Makes the place, where it does not come by itself."""
        ...

    def unfinished(self) -> Sequence[tuple[str, Begun]]:
        """Builds that were begun and neither switched to nor removed, in the order in which they were begun."""
        ...

    def begin(self, begun: Begun) -> str:
        """A new build, which is written down before it has any rows. Raises StoreDamaged where something else lies."""
        ...

    def written(self, build: str) -> Iterator[tuple[str, int]]:
        """The streams of which the build has rows, and how many events went into each, in the order of their bytes."""
        ...

    def write(self, build: str, rows: Sequence[Row]) -> None:
        """Keeps them, each whole or not at all, in place of those of the same streams."""
        ...

    def switch(self, build: str, view: View) -> None:
        """From here on every reader sees these rows, and `view`: in one step."""
        ...

    def give_up(self, build: str) -> None:
        """Removes a build."""
        ...

    def reading(self) -> AbstractContextManager[Shown]:
        """Raises StoreNotFound where there is no view."""
        ...

    def close(self) -> None: ...
