"""Manifest: what a job was asked, and what it has made; and the journal that takes its place while the job runs."""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import msgspec

from eventsourcing_kit.errors import InvalidOption
from eventsourcing_kit.jobs.asking import Typed  # noqa: TC001 - msgspec reads it
from eventsourcing_kit.jobs.parts import Failure, Part, digest_of
from eventsourcing_kit.wholefile import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

__all__ = [
    "MANIFEST",
    "PART_STREAMS",
    "Manifest",
    "journal",
    "log_part",
    "parts_done",
    "read_manifest",
    "write_manifest",
]

MANIFEST: Final = "manifest.json"
PART_STREAMS: Final = 1_000  # in one part, unless asked otherwise
_JOURNAL: Final = ".done"
_FORMAT: Final = 1


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """A job. `parts` and `failures` are empty until it has `finished`."""

    format: int = _FORMAT
    projection: str
    version: int
    fingerprint: str | None  # of the projection's code
    store: str
    at: str | None
    known_at: str  # where none was asked for, the moment at which the job began
    start: str | None
    began: str
    typed: Typed
    chosen: str  # which streams: "all", "prefix ..." or "list ..."
    streams: int
    streams_sha256: str  # of the list of all of them, which is kept beside
    allow_incomplete: bool
    on_error: str
    part_format: str
    part_streams: int
    finished: bool = False
    states: int = 0
    events: int = 0
    warned: int = 0
    failed: int = 0
    parts: tuple[Part, ...] = ()
    failures: tuple[Failure, ...] = ()

    def with_parts(self, parts: list[Part]) -> Manifest:
        """The job when it has finished."""
        failures = tuple(failure for part in parts for failure in part.failures)
        return msgspec.structs.replace(
            self,
            finished=True,
            states=sum(part.states for part in parts),
            events=sum(part.events for part in parts),
            warned=sum(part.warned for part in parts),
            failed=len(failures),
            parts=tuple(msgspec.structs.replace(part, failures=()) for part in parts),
            failures=failures,
        )


def write_manifest(folder: Path, manifest: Manifest) -> None:
    with whole_file(folder / MANIFEST) as file:
        file.write(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")


def read_manifest(folder: Path) -> Manifest | None:
    """None where there is none. Raises InvalidOption for a file that is no manifest of this version."""
    path = folder / MANIFEST
    if not path.exists():
        return None
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=Manifest)
    except msgspec.MsgspecError:
        raise InvalidOption("output", found=str(path), expected="the manifest of a job") from None
    if manifest.format != _FORMAT:
        found = f"{path}, of format {manifest.format}"
        raise InvalidOption("output", found=found, expected=f"a manifest of format {_FORMAT}, as this version makes")
    return manifest


@contextmanager
def journal(folder: Path) -> Iterator[BinaryIO]:
    """A file that gets a line for each part that is done. Raises InvalidOption where another job holds it."""
    with (folder / _JOURNAL).open("ab") as file:
        if not _locked(file):
            raise InvalidOption("output", found=str(folder), expected="a folder in which no other job is running")
        yield file
    (folder / _JOURNAL).unlink(missing_ok=True)


def log_part(file: BinaryIO, number: int, part: Part) -> None:
    """Durably. A line before it that was cut short is ended first, so that it takes no other one along."""
    file.write(b"\n" + msgspec.json.encode([number, part]) + b"\n")
    file.flush()
    os.fsync(file.fileno())


def parts_done(folder: Path, manifest: Manifest) -> dict[int, Part]:
    """The parts that are there as they were made, by their number."""
    found = dict(enumerate(manifest.parts))
    for number, part in found.items():
        mine = tuple(failure for failure in manifest.failures if failure.part == part.file)
        found[number] = msgspec.structs.replace(part, failures=mine)
    path = folder / _JOURNAL
    for line in path.read_bytes().splitlines() if path.exists() else ():
        entry = _entry(line)
        if entry is not None:
            found[entry[0]] = entry[1]
    return {number: part for number, part in found.items() if _is_there(folder, part)}


def _entry(line: bytes) -> tuple[int, Part] | None:
    try:
        return msgspec.json.decode(line, type=tuple[int, Part])
    except msgspec.MsgspecError:  # cut short, when the process was killed
        return None


def _is_there(folder: Path, part: Part) -> bool:
    path = folder / part.file
    return path.is_file() and digest_of(path) == (part.bytes, part.sha256)


def _locked(file: Any) -> bool:
    """Until the file is closed, or its process has ended in any way."""
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
