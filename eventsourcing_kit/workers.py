"""Workers: processes that rebuild streams for this one, each with the projection and a connection of its own.

A fold is Python, so that threads would take turns. This side sends tasks down a pipe and hears frames; `jobs.worker` is
what the processes run. None of them outlives this process, however it ends: a worker whose pipe is closed ends itself,
also in the middle of a fold.
"""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import suppress
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread
from typing import IO, TYPE_CHECKING, Any, Final, Literal, cast

import msgspec

from eventsourcing_kit.carried import error_of
from eventsourcing_kit.errors import EventSourcingError, FoldCrashed, InvalidOption, InvalidStoreURL
from eventsourcing_kit.fingerprint import NoFingerprint, fingerprint
from eventsourcing_kit.importable import Place, place_of
from eventsourcing_kit.processes import command, frames, how_it_ended, write_frame
from eventsourcing_kit.stores.url import absolute, parse_url

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator

    from eventsourcing_kit.projection import Projection
    from eventsourcing_kit.stores.contract import Readable

__all__ = ["Question", "Segments", "Setup", "Task", "Workers", "check_workers", "code_of", "shares"]

_WORKER: Final = "eventsourcing_kit.jobs.worker"  # by name, as it stands in a row above: it rebuilds
_AHEAD: Final = 4  # tasks for each worker that may be under way or wait to be looked at
_ALONE: Final = 8  # streams for each worker that are tasks of their own
_TOGETHER: Final = 16  # of the streams behind them, in one task

Frame = list[Any]


class Question(msgspec.Struct, frozen=True):
    """What is asked of each stream, resolved: the same in every process, and whenever it is asked again."""

    now: int  # nanoseconds since 1970: what counts as expired, or as still to come
    at: str | None = None
    known_at: str | None = None
    start: str | None = None
    allow_incomplete: bool = False
    on_error: Literal["raise", "skip"] = "raise"
    snapshots: Literal["auto"] | int | None = None


class Setup(msgspec.Struct, frozen=True):
    """All that a worker is told before its first task."""

    place: Place
    code: str | None  # the projection's fingerprint, where it has one
    store: str
    question: Question


class Segments(msgspec.Struct, frozen=True):
    """Parts of a table to be read in one pass, of so many; and what its streams begin with."""

    numbers: list[int]
    of: int
    prefix: str


class Task(msgspec.Struct, frozen=True):
    """Streams to rebuild: into the file `part`, or, where that is None, into states that are handed over. Or segments
    to scan, for the states of all streams in them."""

    streams: list[str] = []
    part: bytes | None = None
    segments: Segments | None = None


class Workers:
    """`count` processes, started when there are tasks for them. Raises InvalidProjection for a projection that no
    other process can import, and InvalidOption for a store that no other process can open."""

    def __init__(
        self, projection: Projection[Any, Any], store: Readable, question: Question, *, count: int, code: str | None
    ) -> None:
        self._projection = projection.name
        self._setup = Setup(place_of(projection), code, _url_for_others(store), question)
        self._count = count
        self._tasks: SimpleQueue[tuple[int, Task] | None] = SimpleQueue()
        self._heard: SimpleQueue[tuple[int, Frame | EventSourcingError]] = SimpleQueue()
        self._threads: list[Thread] = []
        self._running: list[subprocess.Popen[bytes]] = []
        self._lock = Lock()
        self._stopped = False
        self._released = 0

    def run(self, tasks: Iterable[Task]) -> Generator[tuple[int, Frame]]:
        """What they say, when they say it: the number of a task and a frame, of which `["end", ...]` is its last.

        Raises FoldCrashed for a process that did not get to its end, and any error that ended one.
        """
        for number, frame in self._run(tasks):
            self._released += frame[0] == "end"
            yield number, frame

    def run_in_order(self, tasks: Iterable[Task]) -> Generator[Frame]:
        """As `run`, one task after the other in their order, without their ends."""
        turn = 0
        held: dict[int, list[Frame]] = {}
        for number, frame in self._run(tasks):
            held.setdefault(number, []).append(frame)
            while said := held.pop(turn, None):
                for each in said:
                    if each[0] != "end":
                        yield each
                if said[-1][0] != "end":
                    break
                turn += 1
                self._released = turn

    def _run(self, tasks: Iterable[Task]) -> Generator[tuple[int, Frame]]:
        numbered = enumerate(tasks)
        started = ended = 0
        try:
            while True:
                while started - self._released < _AHEAD * self._count:
                    task = next(numbered, None)
                    if task is None:
                        break
                    self._send(task)
                    started += 1
                if started == ended:
                    return
                number, frame = self._heard.get()
                if isinstance(frame, EventSourcingError):
                    raise frame
                if frame[0] == "error":
                    raise error_of(frame[1])
                ended += frame[0] == "end"
                yield number, frame
        finally:
            self._stop()

    def _send(self, task: tuple[int, Task]) -> None:
        self._tasks.put(task)
        if len(self._threads) < self._count:
            # They do not keep the interpreter from its end where nobody asks for the rest of the answers.
            thread = Thread(target=self._serve, daemon=True)
            self._threads.append(thread)
            thread.start()

    def _stop(self) -> None:
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.kill()
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    def _serve(self) -> None:
        """One process and its tasks, until there are no more."""
        process: subprocess.Popen[bytes] | None = None
        for number, task in iter(self._tasks.get, None):
            done = 0
            try:
                process = process or self._start()
                if process is None:
                    return
                for frame in self._said(process, task):
                    crashed = frame[0] == "crashed"
                    self._heard.put((number, self._crashed(task, done, frame[1]) if crashed else frame))
                    if frame[0] in ("end", "error", "crashed"):
                        break
                    done += 1
                else:
                    self._heard.put((number, self._crashed(task, done, how_it_ended(process.wait()))))
            except Exception as error:  # noqa: BLE001 - this thread has nobody else to tell
                self._heard.put((number, self._crashed(task, done, f"{type(error).__name__} was raised")))
        if process is not None:
            with suppress(OSError), process:  # closes the pipes and waits
                pass

    def _said(self, process: subprocess.Popen[bytes], task: Task) -> Generator[Frame]:
        told, said = cast("tuple[IO[bytes], IO[bytes]]", (process.stdin, process.stdout))
        with suppress(OSError):  # it is dead already: then it says nothing either
            write_frame(told, task)
            told.flush()
        yield from frames(said)

    def _start(self) -> subprocess.Popen[bytes] | None:
        with self._lock:
            if self._stopped:
                return None
            process = subprocess.Popen(  # noqa: S603 - this Python, and code of ours
                command(_WORKER, "worker"),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                # Ctrl-C is for this process alone, which ends them.
                process_group=None if os.name == "nt" else 0,
            )
            self._running.append(process)
        write_frame(cast("IO[bytes]", process.stdin), self._setup)  # it goes with the first task
        return process

    def _crashed(self, task: Task, done: int, reason: str) -> FoldCrashed:
        stream = task.streams[done] if done < len(task.streams) else None
        return FoldCrashed(self._projection, stream=stream, reason=reason)


def shares(names: Iterable[str], workers: int) -> Iterator[list[str]]:
    """Streams for tasks: first each alone, so that a few long ones are spread; of very many, several at once."""
    remaining = iter(names)
    for stream in islice(remaining, _ALONE * workers):
        yield [stream]
    while share := list(islice(remaining, _TOGETHER)):
        yield share


def check_workers(count: int) -> None:
    """Raises InvalidOption for less than one."""
    if not isinstance(count, int) or count < 1:
        raise InvalidOption("workers", found=str(count), expected="a whole number from 1")
    if count > 1 and not sys.executable:
        raise InvalidOption("workers", found="no sys.executable", expected="a Python that can be started once more")


def code_of(projection: Projection[Any, Any]) -> str | None:
    """The fingerprint of a projection's code; None where it has none."""
    try:
        return fingerprint(projection.recipe)
    except NoFingerprint:
        return None


def _url_for_others(store: Readable) -> str:
    expected = "a store that other processes can open, such as sqlite:///events.db; or workers=1"
    try:
        place = parse_url(store.url)
    except InvalidStoreURL:  # an adapter of somebody's own
        raise InvalidOption("workers", found=type(store).__name__, expected=expected) from None
    if place.place is None:
        raise InvalidOption("workers", found="a store in memory", expected=expected)
    return absolute(store.url, Path.cwd())
