"""What a process of `workers` runs: it rebuilds the streams that it is told, until it is told no more.

Its tasks come by stdin and its frames go by stdout. What the user's code prints goes to stderr, and it reads nothing.
"""

from __future__ import annotations

import os
import sys
import time
from contextlib import suppress
from queue import Queue
from threading import Thread
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from eventsourcing_kit.carried import facts_of
from eventsourcing_kit.errors import EventSourcingError, InvalidProjection
from eventsourcing_kit.jobs.parts import write_part
from eventsourcing_kit.outcomes import to_frame
from eventsourcing_kit.processes import frames, write_frame
from eventsourcing_kit.rebuilding import Several
from eventsourcing_kit.scanning import passing
from eventsourcing_kit.stores import open_store
from eventsourcing_kit.workers import Segments, Setup, Task, code_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventsourcing_kit.projection import Projection
    from eventsourcing_kit.stores.contract import Readable

__all__ = ["main"]


def main() -> None:
    """Answers each task with a frame for each of its streams, and `["end", ...]`; or, as the last thing that it says,
    with `["error", facts]`, or `["crashed", reason]` where what was raised is no error of the kit."""
    told, answers = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    _take_away_pipes()
    heard = frames(told)
    setup = msgspec.convert(next(heard), Setup)
    tasks: Queue[Task | None] = Queue()
    Thread(target=_listen, args=(heard, tasks), daemon=True).start()
    try:
        work = _Work(setup, answers)
        for task in iter(tasks.get, None):
            work.do(task)
            tasks.task_done()
    except EventSourcingError as error:
        last = ["error", facts_of(error)]
    except SystemExit:
        last = ["crashed", "the projections' code made Python exit"]
    except BaseException as error:  # noqa: BLE001 - a traceback would show what was in the events
        last = ["crashed", f"{type(error).__name__} was raised"]
    else:
        return
    with suppress(OSError):  # nobody is there any more
        write_frame(answers, last)
        answers.flush()


def _take_away_pipes() -> None:
    nowhere = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nowhere, 0)
    os.dup2(2, 1)
    sys.stdout = sys.stderr


def _listen(heard: Iterator[list[Any]], tasks: Queue[Task | None]) -> None:
    """Until the pipe is closed: then nobody waits for an answer any more."""
    for frame in heard:
        tasks.put(msgspec.convert(frame, Task))
    if tasks.unfinished_tasks:
        os._exit(1)
    tasks.put(None)


class _Work:
    def __init__(self, setup: Setup, answers: BinaryIO) -> None:
        projection = _load(setup)
        now = setup.question.now
        store = open_store(setup.store, clock=lambda: now)
        # The machine's clock stands for the store's own, which only the first process has. Where that one is behind,
        # more counts as expired here, and is folded from the beginning: that costs, and is never wrong.
        self._several = Several.of(projection, store, setup.question, true_clock=time.time_ns)
        self._answers = answers

    def do(self, task: Task) -> None:
        if task.segments is not None:
            self._scan(task.segments)
            self._say("end")
        elif task.part is None:
            for outcome in self._several.here(task.streams):
                self._say(*to_frame(self._several.projection, outcome))
            self._say("end")
        else:
            facts = write_part(self._several, task.part, task.streams, lambda stream: self._say("done", stream))
            self._say("end", facts)

    def _scan(self, segments: Segments) -> None:
        def fold(store: Readable, stream: str) -> list[Any]:
            return to_frame(self._several.projection, self._several.outcome(stream, store))

        store: Any = self._several.store  # one that can be scanned, or there would be no such task
        for passed in passing(store, fold, segments=segments.numbers, of=segments.of, prefix=segments.prefix):
            self._say("passed", *passed)

    def _say(self, *frame: object) -> None:
        write_frame(self._answers, frame)
        self._answers.flush()


def _load(setup: Setup) -> Projection[Any, Any]:
    try:
        projection = setup.place.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever a user's module does when it is imported
        from eventsourcing_kit.catalog import reason_of

        reason = f"a worker can not import its module: {reason_of(setup.place.module, error)}"
        raise InvalidProjection(setup.place.name, reason) from None
    if setup.code is not None and code_of(projection) != setup.code:
        reason = f"the code in or behind '{setup.place.module}' has changed since it was imported; import it again"
        raise InvalidProjection(setup.place.name, reason)
    return projection
