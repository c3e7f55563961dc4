"""`rebuild_job`: all states at a moment in a folder of parts and a manifest, which can be watched, stopped, resumed.

Parts are cut by the sorted list of streams, which is kept beside them, so that they are the same for any number of
workers. A part is whole or absent. When it is there, a journal says so, and a resumed job goes on with the others.

*What a job sees.* Others append while it runs, and it may be resumed a week later. So it asks for what was known when
it began, unless it is asked for another moment: an event recorded later is in no part, whichever part was made when.
The list of streams, relative moments, and what counts as expired or as still to come are those of the beginning, too.
Two things are not in its hands: rows of older writers, which do not say when they were recorded, count as known; and an
event whose `recordedAt` lies before the beginning, but which was still on its way into the store, may be in it or not.
Where that matters, ask for a `known_at` some minutes ago.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec

from eventsourcing_kit.errors import InvalidOption
from eventsourcing_kit.jobs.answers import forget, known_outcomes, pass_over
from eventsourcing_kit.jobs.asking import (
    absolute_url,
    as_it_began,
    check_same,
    clock_of,
    known_when,
    question_of,
    typed,
)
from eventsourcing_kit.jobs.manifest import (
    MANIFEST,
    PART_STREAMS,
    Manifest,
    journal,
    log_part,
    parts_done,
    read_manifest,
    write_manifest,
)
from eventsourcing_kit.jobs.parts import Part, write_part
from eventsourcing_kit.moment import to_canonical
from eventsourcing_kit.output import check_output
from eventsourcing_kit.rebuilding import Several
from eventsourcing_kit.resuming import check_saving
from eventsourcing_kit.scanning import can_scan
from eventsourcing_kit.span import exact
from eventsourcing_kit.wholefile import whole_file
from eventsourcing_kit.workers import Task, Workers, check_workers, code_of

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator
    from datetime import datetime

    from eventsourcing_kit.projection import Projection
    from eventsourcing_kit.resuming import Saving
    from eventsourcing_kit.scanning import Way
    from eventsourcing_kit.stores.contract import Readable

__all__ = ["rebuild_job"]

_STREAMS: Final = ".streams"  # one JSON text a line

PartFormat = Literal["jsonl", "parquet"]


def rebuild_job(
    projection: Projection[Any, Any],
    store: Readable,
    folder: str | Path,
    *,
    streams: str | Iterable[str] | None = None,
    at: datetime | str | None = None,
    known_at: datetime | str | None = None,
    start: datetime | str | None = None,
    tz: str = "UTC",
    allow_incomplete: bool = False,
    on_error: Literal["raise", "skip"] = "raise",
    part_format: PartFormat = "jsonl",
    part_streams: int = PART_STREAMS,
    workers: int = 1,
    way: Way = "auto",
    snapshots: Saving = None,
    resume: bool = False,
    progress: Callable[[Manifest, int], object] | None = None,
    clock: Callable[[], int] | None = None,
) -> Manifest:
    """Rebuilds streams into `folder`: `part-00000.jsonl`, each with `part_streams` streams, and a `manifest.json`.

    The question is as for `rebuild_all`, but that `known_at` is the moment of the beginning where none is asked for,
    and is the same for all streams: not `event:...`. `progress` is called with the job as it begins, and how many of
    its `streams` are done. A stream that can not be rebuilt is listed in the manifest.

    With `resume`, goes on with the job in `folder`, or begins it where none is there. The question has to be the same,
    and moments such as `2h ago` stay what they were; parts that are there, to the byte, are kept.

    `snapshots` are as for `rebuild_all`, and the bytes are the same: a resumed job may have another setting, or none,
    and where one pass has read all before, it needs no events any more. A stream begins at what was saved before the
    job began, and saves up to the first event that is left out as not known then. A damaged snapshot is logged, and is
    no warning in a part. Passed over with `start`, and where `at` names an event: these are full folds.

    `way` is as for `rebuild_all`, and the bytes are the same. In one pass over a table all streams are rebuilt before
    it is known which there are: until then `progress` is told of a job of 0 `streams`, and how many have gone by; and
    a job that is stopped until then begins anew. From then on it reads nothing more of the table.

    Raises InvalidOption for a folder with something else in it, a job of another question, one that runs already, or
    a library that is missing; errors of workers as `rebuild_all`; InvalidMoment; and StoreError. Whatever it raises,
    the job can be resumed.
    """
    check_workers(workers)
    folder = Path(folder)
    now = (clock or time.time_ns)()
    names, chosen = _chosen(streams)
    asked = Manifest(
        projection=projection.name,
        version=projection.version,
        fingerprint=code_of(projection),
        store=absolute_url(store),
        at=exact(at, tz=tz, now=now),
        known_at=known_when(known_at, tz=tz, now=now),
        start=exact(start, tz=tz, now=now),
        began=to_canonical(now),
        typed=typed(at, known_at, start, tz),
        chosen=chosen,
        streams=0,
        streams_sha256="",
        allow_incomplete=allow_incomplete,
        on_error=on_error,
        part_format=part_format,
        part_streams=part_streams,
    )
    means = _Means(workers, snapshots, progress or _nobody)
    _check_format(part_format, part_streams)
    if snapshots is not None:
        check_saving(store, snapshots)
    if not resume:
        _check_empty(folder)
    question = question_of(asked, means.snapshots)
    scan = can_scan(way, store, streams, question)
    one_pass = Several.of(projection, store, question, workers=workers) if scan else None
    before = _before(folder, projection, asked) if resume else None
    folder.mkdir(parents=True, exist_ok=True)
    with journal(folder) as log:
        for left in folder.glob(".part-*.tmp"):  # by a process that was killed
            left.unlink()
        manifest = before or _begin(folder, asked, _names(folder, store, asked, names, one_pass, means.tell))
        done = parts_done(folder, manifest)
        for number, part in _made(projection, store, folder, manifest, done, means):
            log_part(log, number, part)
            done[number] = part
        manifest = manifest.with_parts([done[number] for number in sorted(done)])
        write_manifest(folder, manifest)
        forget(folder)
    return manifest


@dataclass(frozen=True)
class _Means:
    """How a job is done, of which no byte tells."""

    workers: int
    snapshots: Saving
    tell: Callable[[Manifest, int], object]


def _names(
    folder: Path,
    store: Readable,
    asked: Manifest,
    names: str | list[str],
    one_pass: Several[Any] | None,
    tell: Callable[[Manifest, int], object],
) -> Iterable[str]:
    """The streams in order. Where they are read in one pass, their states lie in the folder then."""
    forget(folder)  # what a job left that had not got as far as a manifest
    if not isinstance(names, str):
        return names
    if one_pass is not None:
        with as_it_began(store, one_pass.asked.now) as reading:
            found = pass_over(folder, replace(one_pass, store=reading), names, lambda count: tell(asked, count))
        if found is not None:
            return found
    return store.streams(names)


def _begin(folder: Path, asked: Manifest, names: Iterable[str]) -> Manifest:
    count, digest = 0, hashlib.sha256()
    with whole_file(folder / _STREAMS) as file:
        for name in names:
            line = json.dumps(name).encode() + b"\n"
            file.write(line)
            digest.update(line)
            count += 1
    manifest = msgspec.structs.replace(asked, streams=count, streams_sha256=digest.hexdigest())
    write_manifest(folder, manifest)
    return manifest


def _made(
    projection: Projection[Any, Any],
    store: Readable,
    folder: Path,
    manifest: Manifest,
    there: dict[int, Part],
    means: _Means,
) -> Iterator[tuple[int, Part]]:
    """Each part that was not there, with its number, when it is."""
    question = question_of(manifest, means.snapshots)
    ready = sum(part.streams for part in there.values())
    means.tell(manifest, ready)

    def tell(_: str) -> None:
        nonlocal ready
        ready += 1
        means.tell(manifest, ready)

    tasks = (
        (number, Task(names, os.fsencode(folder / f"part-{number:05}.{manifest.part_format}")))
        for number, names in _cut(folder, manifest)
        if number not in there
    )
    with as_it_began(store, question.now) as reading:
        several = Several.of(projection, reading, question, true_clock=clock_of(store))
        with known_outcomes(folder, several) as outcomes:
            if means.workers > 1 and outcomes is None:
                crew = Workers(projection, store, question, count=means.workers, code=manifest.fingerprint)
                yield from _by(crew, tasks, tell)
                return
            for number, task in tasks:
                yield number, write_part(several, task.part or b"", task.streams, tell, outcomes)


def _by(crew: Workers, tasks: Iterator[tuple[int, Task]], tell: Callable[[str], object]) -> Generator[tuple[int, Part]]:
    numbers: list[int] = []

    def noted() -> Iterator[Task]:
        for number, task in tasks:
            numbers.append(number)
            yield task

    with closing(crew.run(noted())) as frames:
        for turn, (kind, facts) in frames:
            if kind == "end":
                yield numbers[turn], msgspec.convert(facts, Part)
            else:
                tell(facts)


def _cut(folder: Path, manifest: Manifest) -> Iterator[tuple[int, list[str]]]:
    """The streams of each part. Raises InvalidOption where somebody has changed the list."""
    path = folder / _STREAMS
    digest = hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""
    if digest != manifest.streams_sha256:
        raise InvalidOption("output", found=str(path), expected="the list of streams that the job began with")
    with path.open("rb") as file:
        number = 0
        while names := [json.loads(line) for line in islice(file, manifest.part_streams)]:
            yield number, names
            number += 1


def _check_empty(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        there = " with a job in it" if (folder / MANIFEST).exists() else ""
        expected = "a new or an empty folder; or go on with its job, by resume" if there else "a new or an empty folder"
        raise InvalidOption("output", found=f"{folder}{there}", expected=expected)


def _before(folder: Path, projection: Projection[Any, Any], asked: Manifest) -> Manifest | None:
    """The job that is there, which has to be the same one."""
    if not folder.exists():
        return None
    found = read_manifest(folder)
    if found is None:
        others = [path.name for path in folder.iterdir() if not path.name.startswith(".")]
        if others:
            raise InvalidOption("output", found=f"'{sorted(others)[0]}' in {folder}", expected="a folder of a job")
        return None
    check_same(found, asked, projection, exact=_EXACT, place=str(folder))
    return found


_EXACT: Final = (
    *("projection", "version", "fingerprint", "store", "chosen", "allow_incomplete", "on_error", "part_format"),
)


def _chosen(streams: str | Iterable[str] | None) -> tuple[str | list[str], str]:
    """What to list or the list itself, and what a manifest says of it."""
    if streams is None or isinstance(streams, str):
        return streams or "", f"prefix {streams!r}" if streams else "all"
    names = sorted(set(streams), key=lambda name: name.encode("utf-8", "surrogatepass"))
    return names, f"list {hashlib.sha256(json.dumps(names).encode()).hexdigest()}"


def _check_format(part_format: str, part_streams: int) -> None:
    if part_format not in ("jsonl", "parquet"):
        raise InvalidOption("part_format", found=part_format, expected="'jsonl' or 'parquet'")
    if part_streams < 1:
        raise InvalidOption("part_streams", found=str(part_streams), expected="a whole number from 1")
    check_output(f"part.{part_format}")


def _nobody(job: Manifest, done: int) -> None:
    pass
