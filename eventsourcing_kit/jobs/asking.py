"""What is settled once, when something long begins, so that all of its streams are asked the same; and whether what is
to be gone on with was asked the same."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol

import msgspec

from eventsourcing_kit.errors import InvalidOption, InvalidStoreURL
from eventsourcing_kit.fingerprint import NoFingerprint, fingerprint
from eventsourcing_kit.moment import from_rfc3339, to_canonical
from eventsourcing_kit.span import names_event
from eventsourcing_kit.stores import open_store
from eventsourcing_kit.stores.contract import Snapshotting
from eventsourcing_kit.stores.url import absolute, parse_url
from eventsourcing_kit.times import resolve
from eventsourcing_kit.workers import Question

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from eventsourcing_kit.projection import Projection
    from eventsourcing_kit.resuming import Saving
    from eventsourcing_kit.stores.contract import Readable

__all__ = ["Typed", "absolute_url", "as_it_began", "check_same", "clock_of", "known_when", "question_of", "typed"]

_SHOWN: Final = 100  # characters of a fact that differs


class Typed(msgspec.Struct, frozen=True):
    """Moments as they were asked for, such as `2h ago`: so that the same command line is the same question later."""

    at: str | None
    known_at: str | None
    start: str | None
    tz: str


def typed(at: datetime | str | None, known_at: datetime | str | None, start: datetime | str | None, tz: str) -> Typed:
    at, known_at, start = (
        value if value is None or isinstance(value, str) else value.isoformat() for value in (at, known_at, start)
    )
    return Typed(at, known_at, start, tz)


def known_when(known_at: datetime | str | None, *, tz: str, now: int) -> str:
    """The moment asked for, in the canonical spelling; `now` where none is. Raises InvalidMoment, and InvalidOption for
    `event:...`."""
    if known_at is not None and names_event(known_at):
        raise InvalidOption("known_at", found=known_at, expected="a moment that is the same for all streams")
    return to_canonical(now if known_at is None else resolve(known_at, tz=tz, now=now))


def absolute_url(store: Readable) -> str:
    """The store's URL, the same from any working directory."""
    try:
        return absolute(store.url, Path.cwd())
    except InvalidStoreURL:  # an adapter of somebody's own
        return store.url


@contextmanager
def as_it_began(store: Readable, now: int) -> Iterator[Readable]:
    """The store with a clock that stands still, where another one can be opened: what expires meanwhile is kept."""
    try:
        url = absolute(store.url, Path.cwd()) if parse_url(store.url).place is not None else None
    except InvalidStoreURL:  # an adapter of somebody's own
        url = None
    if url is None:
        yield store
        return
    with open_store(url, clock=lambda: now) as opened:
        yield opened


def clock_of(store: Readable) -> Callable[[], int] | None:
    """What the store's clock shows, where it has one."""
    return store.now if isinstance(store, Snapshotting) else None


class Begun(Protocol):
    """What has begun, and keeps what it was asked."""

    @property
    def began(self) -> str: ...
    @property
    def at(self) -> str | None: ...
    @property
    def known_at(self) -> str: ...
    @property
    def start(self) -> str | None: ...
    @property
    def allow_incomplete(self) -> bool: ...
    @property
    def on_error(self) -> str: ...


def question_of(begun: Begun, snapshots: Saving = None) -> Question:
    """What each stream is asked."""
    return Question(
        from_rfc3339(begun.began),
        begun.at,
        begun.known_at,
        begun.start,
        begun.allow_incomplete,
        "skip" if begun.on_error == "skip" else "raise",
        snapshots,
    )


class Resumable(Begun, Protocol):
    """What is gone on with only where it is asked the same."""

    @property
    def fingerprint(self) -> str | None: ...
    @property
    def typed(self) -> Typed: ...


def check_same(
    found: Resumable, asked: Resumable, projection: Projection[Any, Any], *, exact: tuple[str, ...], place: str
) -> None:
    """Raises InvalidOption where what is asked now is not what was asked before in `place`, or where nobody can tell
    whether the code is the same."""
    differing = list(_differing(found, asked, exact))
    if differing:
        ours, theirs = zip(*differing, strict=True)
        expected = f"{', '.join(theirs)}, which the job in {place} was asked"
        raise InvalidOption("resume", found=", ".join(ours), expected=expected)
    if found.fingerprint is None:
        try:
            fingerprint(projection.recipe)
        except NoFingerprint as reason:
            found_ = f"'{projection.name}', whose code has no fingerprint, as {reason}"
            raise InvalidOption(
                "resume", found=found_, expected="code of which one can tell that it is the same"
            ) from None


def _differing(found: Resumable, asked: Resumable, exact: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """In what a question is another one: as it is asked now, and as it was."""
    for name in exact:
        mine, theirs = getattr(asked, name), getattr(found, name)
        if mine != theirs:
            yield f"{name} {_cut(mine)}", f"{name} {_cut(theirs)}"
    for name in ("at", "known_at", "start"):
        mine, theirs = (getattr(each.typed, name) for each in (asked, found))
        same_words = mine == theirs and (mine is None or asked.typed.tz == found.typed.tz)
        if not same_words and (mine is None or getattr(asked, name) != getattr(found, name)):
            before = f"{name} {getattr(found, name)}" if theirs is not None else f"no {name}"
            yield f"{name} {getattr(asked, name)}" if mine is not None else f"no {name}", before


def _cut(fact: object) -> str:
    text = str(fact)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
