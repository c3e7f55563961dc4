"""A golden file: what a projection makes of each event of a history, as JSON Lines that a person can review."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from eventsourcing_kit.errors import InvalidOption
from eventsourcing_kit.inert import inert_json, visible
from eventsourcing_kit.lines import Source
from eventsourcing_kit.patches import apply_patch, encode_json
from eventsourcing_kit.record import plain_key
from eventsourcing_kit.wholefile import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventsourcing_kit.questions.history import Step

__all__ = ["SUFFIX", "UPDATE", "Entry", "Golden", "Head", "shown"]

SUFFIX: Final = ".golden.jsonl"
UPDATE: Final = "pytest --update-golden"


class Head(msgspec.Struct, forbid_unknown_fields=True):
    """A golden file's first line."""

    projection: str
    version: int
    initial: Any


class Entry(msgspec.Struct, forbid_unknown_fields=True):
    """A golden file's line for an event."""

    stream: str
    number: int
    type: str
    id: str
    key: str  # the plain one: which of several twins has it in a store depends on which came first
    patch: list[dict[str, Any]] = msgspec.field(default_factory=list)

    @classmethod
    def of(cls, step: Step[Any]) -> Entry:
        event = step.event
        return cls(event.stream, step.number, event.type, event.id, plain_key(event), step.patch)

    @property
    def name(self) -> tuple[str, str, str]:
        return self.stream, self.key, self.id

    def __str__(self) -> str:
        event = f"event {self.number:,} {self.type!r} at '{self.key}', id '{self.id}'"
        return visible(f"{event}, of stream '{self.stream}'")


class Golden:
    """The golden file at `path`, read. `entries` stand in the order of the events."""

    def __init__(self, path: Path, projection: str) -> None:
        """Raises AssertionError, which says how to make it, where it is missing, or can not be read as one of that
        projection."""
        __tracebackhide__ = True
        self.path = path
        if not path.exists():
            raise AssertionError(f"there is no golden file {shown(path)}; make it, look at it, and commit it: {UPDATE}")
        self.entries: list[Entry] = []
        head = None
        for line in Source(str(path)).lines():
            try:
                if head is None:
                    head = msgspec.json.decode(line.content or b"", type=Head)
                else:
                    self.entries.append(msgspec.json.decode(line.content or b"", type=Entry))
            except (msgspec.MsgspecError, RecursionError):
                raise self._unreadable(f"line {line.number:,} is none that it can have") from None
        if head is None or head.projection != projection:
            raise self._unreadable(f"it is not of projection '{visible(projection)}'")
        self.head = head

    def __str__(self) -> str:
        return f"{shown(self.path)}, of version {self.head.version},"

    def applied(self, before: Any, entry: Entry) -> Any:
        """The state after an event, from the one before it. Raises AssertionError where the patch does not fit."""
        __tracebackhide__ = True
        try:
            return apply_patch(before, entry.patch)
        except (InvalidOption, KeyError, TypeError):
            raise self._unreadable(f"its patch does not fit at {entry}") from None

    def _unreadable(self, reason: str) -> AssertionError:
        return AssertionError(f"the golden file {shown(self.path)} can not be read: {reason}; write it anew: {UPDATE}")

    @staticmethod
    def write(path: Path, head: Head, entries: Iterable[Entry]) -> bool:
        """Whether it had another content, so that it was written: whole, or not at all."""
        content = "".join(f"{inert_json(encode_json(line))}\n" for line in (head, *entries)).encode()
        if path.exists() and path.read_bytes() == content:
            return False
        with whole_file(path) as file:
            file.write(content)
        return True


def shown(path: Path) -> str:
    """A path as it stands in a message."""
    here = Path.cwd()
    return f"'{visible(str(path.relative_to(here) if path.is_relative_to(here) else path))}'"
