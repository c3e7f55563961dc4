"""Build: a new version of a view on its way, beside the old one, in whichever place its URL names."""

from __future__ import annotations

import logging
import time
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from eventsourcing_kit.errors import InvalidOption, InvalidStoreURL, StoreError
from eventsourcing_kit.jobs.asking import check_same
from eventsourcing_kit.jobs.view import Begun, Row, View
from eventsourcing_kit.stores.url import parse_url

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from eventsourcing_kit.jobs.view import Target
    from eventsourcing_kit.outcomes import Rebuilt
    from eventsourcing_kit.projection import Projection

__all__ = ["Build", "create_view_table", "target_at"]

_EXACT: Final = ("projection", "version", "fingerprint", "store", "streams", "allow_incomplete", "on_error")
_EXPECTED: Final = "a place for views: a file, such as sqlite:///views.db, or a table, dynamodb://TABLE?region=..."
_RESERVED: Final = ("sqlite_", "eskit_")
_LONGEST_NAME: Final = 1_000  # bytes; a key of DynamoDB has room for it
_ROWS: Final = 200  # that wait to be written together: what a killed build has to do again, at most;
_BYTES: Final = 4_000_000  # or so much of their states,
_SECONDS: Final = 5.0  # or what came in so long

_log = logging.getLogger("eventsourcing_kit.views")


@contextmanager
def target_at(url: str, projection: str, *, option: str) -> Iterator[Target]:
    """The place for a projection's views. Raises InvalidOption for a URL that names none, and for a projection that no
    view can be named after."""
    try:
        place = parse_url(url)
    except InvalidStoreURL:
        raise InvalidOption(option, found=url.partition("?")[0], expected=_EXPECTED) from None
    names = ("region", "profile", "endpoint_url") if place.scheme == "dynamodb" else ()
    known = {option.partition("=")[0] for option in url.partition("?")[2].split("&")} <= {"", *names}
    if place.place is None or not known:
        raise InvalidOption(option, found=url.partition("?")[0], expected=_EXPECTED)
    _check_name(projection, option)
    with closing(_target(place.scheme, place.place, url, projection, option)) as target:
        yield target


def create_view_table(url: str) -> None:
    """Makes the table for views at `dynamodb://TABLE`, where it is missing; for local use, as on AWS it belongs into a
    template. A file is made by its first view. Raises InvalidOption and StoreUnavailable."""
    with target_at(url, "-", option="views") as target:
        target.create()


def _target(scheme: str, place: str, url: str, projection: str, option: str) -> Target:
    """Its driver is loaded here, as importing the kit loads none."""
    if scheme == "dynamodb":
        try:
            from eventsourcing_kit.jobs.view_table import ViewTable
        except ModuleNotFoundError as error:
            expected = "the library boto3: pip install 'eventsourcing-kit[aws]'"
            raise InvalidOption(option, found=f"no {error.name}", expected=expected) from error

        return ViewTable(place, url=url, projection=projection)
    from eventsourcing_kit.jobs.views import ViewFile

    return ViewFile(str(Path(place).absolute()), url=url, projection=projection)


def _check_name(projection: str, option: str) -> None:
    if projection.lower().startswith(_RESERVED) or "\0" in projection:
        expected = f"a projection whose name begins with none of {', '.join(map(repr, _RESERVED))}"
        raise InvalidOption(option, found=projection, expected=expected)
    if len(projection.encode()) > _LONGEST_NAME:
        expected = f"a projection whose name takes {_LONGEST_NAME:,} bytes at most"
        raise InvalidOption(option, found=f"{projection[:20]}...", expected=expected)


class Build:
    """What is written is kept, so that a build that stops in any way can be gone on with."""

    def __init__(self, target: Target, name: str, begun: Begun, *, resumed: bool) -> None:
        self._target = target
        self._name = name
        self._resumed = resumed
        self._waiting: list[Row] = []
        self._bytes = 0
        self._written = time.monotonic()
        self._events = 0
        self.begun = begun
        self.kept = 0  # rows that were there already, as far as `missing` has come
        self.added = 0

    @classmethod
    def begin(cls, target: Target, asked: Begun, projection: Projection[Any, Any], *, resume: bool) -> Build:
        """A new build; or, with `resume`, the last one that was begun with the same question. Raises InvalidOption
        where there are such of other questions only."""
        found = target.unfinished() if resume else ()
        for number, (name, begun) in enumerate(reversed(found)):
            try:
                check_same(begun, asked, projection, exact=_EXACT, place=f"'{target.url}'")
            except InvalidOption:
                if number == len(found) - 1:
                    raise
            else:
                return cls(target, name, begun, resumed=True)
        return cls(target, target.begin(asked), asked, resumed=False)

    def missing(self, listed: Callable[[], Iterable[str]]) -> str | Iterable[str] | None:
        """The streams of which there are no rows yet, as `rebuild_all` takes them: where there are no rows at all, what
        was asked for, and they have not to be listed."""
        if not self._resumed or next(self._target.written(self._name), None) is None:
            return self.begun.chosen
        return self._missing(listed())

    def _missing(self, streams: Iterable[str]) -> Iterator[str]:
        # Both are in the order of their bytes, so that neither is held.
        there = self._target.written(self._name)
        next_there = next(there, None)
        for stream in streams:
            while next_there is not None and next_there[0].encode() < stream.encode():
                next_there = next(there, None)
            if next_there is not None and next_there[0] == stream:
                self.kept += 1
            else:
                yield stream

    def add(self, projection: Projection[Any, Any], rebuilt: Rebuilt[Any]) -> None:
        """Raises InvalidProjection for a state that JSON can not say, and StoreError where rows can not be written."""
        row = Row.of(projection, rebuilt)
        self._waiting.append(row)
        self._bytes += len(row.state)
        self._events += row.events
        self.added += 1
        is_late = time.monotonic() - self._written > _SECONDS
        if len(self._waiting) >= _ROWS or self._bytes >= _BYTES or is_late:
            self._write()

    def publish(self) -> View:
        """Puts the new rows in the place of the old ones."""
        self._write()
        states, events = self.added, self._events
        if self._resumed:
            states = events = 0
            for _, each in self._target.written(self._name):
                states += 1
                events += each
        view = self.begun.done(states=states, events=events)
        self._target.switch(self._name, view)
        return view

    def keep(self) -> None:
        """Writes what waits, so that somebody who goes on need not make it again."""
        with suppress(StoreError):
            self._write()

    def give_up(self) -> None:
        """Removes what is of no use any more: nobody could go on with it to another end."""
        try:
            self._target.give_up(self._name)
        except StoreError as error:  # the next build that is switched to removes it
            _log.warning("a build of the view '%s' could not be removed: %s", self.begun.projection, error)

    def _write(self) -> None:
        if self._waiting:
            self._target.write(self._name, self._waiting)
        self._waiting, self._bytes, self._written = [], 0, time.monotonic()
