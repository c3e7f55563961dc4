"""One process for each world: started, waited for, and what it noted."""

from __future__ import annotations

import os
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event, Lock, Timer
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from eventsourcing_kit.errors import FoldCrashed
from eventsourcing_kit.processes import command, frames, how_it_ended
from eventsourcing_kit.verifying.child import Job

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping
    from pathlib import Path

    from eventsourcing_kit.importable import Place
    from eventsourcing_kit.verifying.child import Look
    from eventsourcing_kit.verifying.spool import Spool
    from eventsourcing_kit.verifying.worlds import World

__all__ = ["Crew", "Folds", "Looked", "State", "Task"]

_AT_ONCE: Final = 2
_CHILD: Final = "eventsourcing_kit.verifying.child"
# What the system, Python and the other worlds need; everything else could only be read by the user's code.
_KEPT: Final = ("PATH", "SYSTEMROOT", "TMPDIR", "TEMP", "TMP", "TZ", "LANG", "HOME", "USERPROFILE", "USER", "LOGNAME")
_KEPT_BEGINNINGS: Final = ("PYTHON", "LC_", "LD_", "DYLD_")


class Task(NamedTuple):
    """A world, the events that are folded in it, and at which streams to look closer."""

    world: World
    spool: Spool
    looks: Mapping[str, Look] = MappingProxyType({})


class State(NamedTuple):
    """What became of one stream: a digest, or what the error said that was raised."""

    digest: bytes | None
    failure: dict[str, Any] | None


class Looked(NamedTuple):
    """What a closer look at one stream saw: digests by the number of the event, the state in the end, or the error."""

    digests: list[tuple[int, bytes]]
    text: bytes | None
    failure: dict[str, Any] | None


@dataclass
class Folds:
    """What one process noted, by stream. `failed` says why its module could not be imported."""

    failed: str | None = None
    states: dict[str, State] = field(default_factory=dict)
    looked: dict[str, Looked] = field(default_factory=dict)
    ties: dict[str, list[Any]] = field(default_factory=dict)
    tally: list[int] = field(default_factory=list)


class Crew:
    """Runs tasks for one projection, two at a time. `clock` is the time, in seconds, that stands still in them."""

    def __init__(self, place: Place, folder: Path, *, clock: float, timeout: float, orders: int) -> None:
        self._place = place
        self._folder = folder
        self._clock = clock
        self._timeout = timeout
        self._orders = orders
        self._count = 0
        self._lock = Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._stopped = False

    def run(self, tasks: Iterable[Task]) -> Generator[Folds]:
        """What came of each task, in their order. Raises FoldCrashed for a process that did not get to its end."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            try:
                yield from pool.map(self._run, tasks)
            except BaseException:
                self._stop()
                raise

    def _stop(self) -> None:
        with self._lock:
            self._stopped = True
            for process in self._running:
                process.kill()

    def _run(self, task: Task) -> Folds:
        world, spool = task.world, task.spool
        numbers = {section.stream: number for number, section in enumerate(spool.sections)}
        with self._lock:
            self._count += 1
            folder = self._folder / str(self._count)
            folder.mkdir()
        job = Job(
            place=self._place,
            spool=os.fsencode(spool.path),
            results=os.fsencode(folder / "results"),
            clock=self._clock + world.ahead,
            rounds=world.rounds,
            backwards=world.backwards,
            ballast=world.ballast,
            orders=self._orders if world.ties else None,
            looks={numbers[stream]: look for stream, look in task.looks.items()},
        )
        (folder / "job").write_bytes(msgspec.msgpack.encode(job))
        end = self._wait(world, folder)
        return self._read(task, folder / "results", end)

    def _wait(self, world: World, folder: Path) -> str:
        """Until the process has ended; how it did, in words."""
        home = self._folder / "elsewhere"  # the same for all who are there
        home.mkdir(exist_ok=True)
        with self._lock:
            if self._stopped:
                return "it was stopped"
            process = subprocess.Popen(  # noqa: S603 - this Python, and code of ours
                command(_CHILD, str(folder / "job")),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd=home if world.elsewhere else None,
                env=_environ(world, home),
            )
            self._running.add(process)
        late = Event()

        def end() -> None:
            late.set()
            process.kill()

        timer = Timer(self._timeout, end)  # `wait` with a timeout would poll
        timer.start()
        try:
            code = process.wait()
        finally:
            timer.cancel()
            with self._lock:
                self._running.discard(process)
        if late.is_set():
            return f"it was not done after {self._timeout:g} seconds; timeout= gives it longer"
        return how_it_ended(code)

    def _read(self, task: Task, path: Path, end: str) -> Folds:
        folds = Folds()
        stream: str | None = None
        names = [section.stream for section in task.spool.sections]
        if path.exists():
            with path.open("rb") as file:
                for kind, *rest in frames(file):
                    match kind, rest:
                        case "end", []:
                            return folds
                        case "failed", [str(reason)]:
                            folds.failed = reason
                            return folds
                        case "stream", [int(number)]:
                            stream = names[number]
                        case "state", [int(number), digest, failure]:
                            folds.states[names[number]] = State(digest, failure)
                        case "look", [int(number), digests, text, failure]:
                            folds.looked[names[number]] = Looked(digests, text, failure)
                        case "tie", [int(number), *facts]:
                            folds.ties[names[number]] = facts
                        case "tally", counts:
                            folds.tally = counts
        raise FoldCrashed(self._place.name, stream=stream, world=_words(task.world), reason=end)


def _words(world: World) -> str:
    return f"{world.change}: {world.detail}" if world.detail else "as it is"


def _environ(world: World, home: Path) -> dict[str, str]:
    environ = {name: value for name, value in os.environ.items() if not world.bare or _is_kept(name)}
    if world.elsewhere:
        environ |= dict.fromkeys(("HOME", "USERPROFILE"), str(home)) | dict.fromkeys(("USER", "LOGNAME"), "nobody")
    return environ | {"PYTHONHASHSEED": str(world.hash_seed)} | dict(world.environ)


def _is_kept(name: str) -> bool:
    return name.upper() in _KEPT or name.upper().startswith(_KEPT_BEGINNINGS)
