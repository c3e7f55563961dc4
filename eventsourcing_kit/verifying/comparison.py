"""The worlds beside each other: which streams differ, and which change explains it."""

from __future__ import annotations

from contextlib import closing, contextmanager
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, Protocol, runtime_checkable

from eventsourcing_kit.errors import FoldFailed, InvalidProjection
from eventsourcing_kit.verifying.answers import Difference, EventName, StreamFailed, Variant
from eventsourcing_kit.verifying.closer import Closer
from eventsourcing_kit.verifying.processes import State, Task
from eventsourcing_kit.verifying.spool import Spool
from eventsourcing_kit.verifying.worlds import BASELINE, CHANGES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from eventsourcing_kit.errors import EventSourcingError
    from eventsourcing_kit.stores.contract import Readable
    from eventsourcing_kit.verifying.closer import Parting
    from eventsourcing_kit.verifying.processes import Crew, Folds
    from eventsourcing_kit.verifying.scope import Scope
    from eventsourcing_kit.verifying.worlds import World

__all__ = ["Comparison"]

_LOOKS: Final = 3  # streams of one world at which somebody looks closer
_POINTERS: Final = 5  # that are named
_NAMED: Final = 3
_EVERYWHERE: Final = ("process", "second fold")  # what these change may differ in any other world as well
_CHANCE: Final = "one process does not do what another one does, alike in all that can be set"


@runtime_checkable
class _Paged(Protocol):
    """A store whose readings come in pages."""

    page_size: int | None


class Comparison:
    """Runs the worlds, and gathers what they differ by."""

    def __init__(self, projection: str, store: Readable, scope: Scope, spool: Spool, crew: Crew, folder: Path) -> None:
        self.differences: list[Difference] = []
        self.failures: list[StreamFailed] = []
        self.variants: list[Variant] = []
        self.not_covered: list[str] = []
        self._projection = projection
        self._store = store
        self._scope = scope
        self._spool = spool
        self._crew = crew
        self._folder = folder
        self._states: dict[str, State] = {}
        self._closer = Closer(crew, Task(BASELINE, spool))
        self._explained: dict[str, set[str]] = {}  # pointers that differ everywhere, by stream
        self._reported: set[tuple[str, str]] = set()  # stream and change

    def run(self, chosen: list[World]) -> None:
        """Every world that was chosen, and then a closer look at those which made a difference."""
        tasks = sorted(self._tasks(chosen), key=lambda task: CHANGES.index(task.world.change))
        differing: list[dict[str, State]] = []
        with closing(self._crew.run(chain([Task(BASELINE, self._spool)], tasks))) as results:
            baseline = next(results)
            if baseline.failed is not None:
                reason = f"a fresh process can not import its module: {baseline.failed}"
                raise InvalidProjection(self._projection, reason)
            self._states = baseline.states
            self._note_failures()
            for task, folds in zip(tasks, results, strict=True):
                differing.append(self._differing(task, folds))
                if task.world.ties and folds.failed is None:
                    self._note_ties(task, folds)
        for task, states in zip(tasks, differing, strict=True):
            if states:
                self._explain(task, states)
        self.differences.sort(key=lambda difference: CHANGES.index(difference.changed))
        self._note_streams("no event", self._spool.empty)
        self._note_streams("the beginning, which has expired,", self._spool.incomplete)

    def _tasks(self, chosen: list[World]) -> Iterator[Task]:
        names = [section.stream for section in self._spool.sections]
        for world in chosen:
            if world.page_size is None:
                yield Task(world, self._spool)
            elif isinstance(self._store, _Paged):
                path = self._folder / f"pages of {world.page_size}"
                with _pages(self._store, world.page_size):
                    yield Task(world, Spool.write(path, self._store, names, self._scope))
            else:
                self._skip(world, "this store is not read in pages")

    def _skip(self, world: World, reason: str) -> None:
        self.variants.append(Variant(world.change, world.detail, skipped=reason))

    def _differing(self, task: Task, folds: Folds) -> dict[str, State]:
        """What other states the streams have there that are not as in the baseline."""
        world = task.world
        if folds.failed is not None:
            self._skip(world, f"its module can not be imported there: {folds.failed}")
            self.not_covered.append(f"{world.change} ({world.detail}): the module can not be imported: {folds.failed}")
            return {}
        if world.ties:
            return {}
        missing = State(None, None)
        others = {stream: folds.states.get(stream, missing) for stream in self._states}
        found = {stream: state for stream, state in others.items() if state != self._states[stream]}
        if found and world.page_size is not None:
            found = self._without_changed(found)
        self.variants.append(Variant(world.change, world.detail, len(folds.states), len(found)))
        return found

    def _without_changed(self, found: dict[str, State]) -> dict[str, State]:
        """Without the streams that have other events by now, in pages of any size."""
        again = Spool.write(self._folder / "again", self._store, found, self._scope)
        changed = [stream for stream in found if not again.has_same(self._spool, stream)]
        self._note_streams("the page size, as other events came meanwhile,", changed)
        return {stream: state for stream, state in found.items() if stream not in changed}

    def _explain(self, task: Task, states: dict[str, State]) -> None:
        change = task.world.change
        unknown = [stream for stream in states if (stream, change) not in self._reported]
        unknown.sort(key=lambda stream: stream in self._explained)  # first those which tell something new
        looked = [stream for stream in unknown if task.spool.number_of(stream) is not None][:_LOOKS]
        seen = {stream: (self._states[stream], states[stream]) for stream in looked}
        partings = self._closer.look(task, seen, self._explained)
        for stream in unknown:
            parting = partings.get(stream)
            if parting is not None:
                self._report(task.world, stream, parting)
            elif stream not in self._explained:
                self._add(Difference(stream, change, task.world.detail, ()))
                self._explained |= {stream: set()} if change in _EVERYWHERE else {}

    def _report(self, world: World, stream: str, parting: Parting) -> None:
        if not parting.pointers and not parting.by_chance:
            return  # all of it is explained
        change, detail = (BASELINE.change, _CHANCE) if parting.by_chance else (world.change, world.detail)
        shown = parting.pointers[:_POINTERS]
        self._add(Difference(stream, change, detail, shown, parting.event, parting.raised))
        if change in _EVERYWHERE:
            self._explained.setdefault(stream, set()).update(parting.places)

    def _add(self, difference: Difference) -> None:
        if (difference.stream, difference.changed) not in self._reported:
            self._reported.add((difference.stream, difference.changed))
            self.differences.append(difference)

    def _note_ties(self, task: Task, folds: Folds) -> None:
        moments, orders, sampled, unsteady = folds.tally
        detail = f"{orders:,} other orders of {moments:,} moments"
        self.variants.append(Variant(task.world.change, detail, len(self._states), len(folds.ties)))
        for stream, (first, order, pointers, raised) in folds.ties.items():
            named = tuple(EventName(*event) for event in order)
            instead = ", ".join(f"'{event.key}'" for event in named[:_NAMED]) + (", ..." if len(named) > _NAMED else "")
            difference = Difference(
                stream=stream,
                changed=task.world.change,
                detail=f"in the order {instead}",
                pointers=tuple(pointers[:_POINTERS]),
                event=EventName(*first),
                raised=raised,
                order=named,
            )
            self._add(difference)
        if sampled:
            self.not_covered.append(f"all orders of {sampled:,} of the moments: they are too many, so some were tried")
        if unsteady:
            self.not_covered.append(f"the order of {unsteady:,} of the moments: one order makes several states there")

    def _note_failures(self) -> None:
        for stream, state in self._states.items():
            if state.failure is not None:
                self.failures.append(StreamFailed(stream, _error(self._projection, stream, state.failure)))

    def _note_streams(self, what: str, streams: list[str]) -> None:
        if streams:
            names = ", ".join(f"'{name}'" for name in streams[:_NAMED]) + (", ..." if len(streams) > _NAMED else "")
            self.not_covered.append(f"{what} of {len(streams):,} of the streams: {names}")


@contextmanager
def _pages(store: _Paged, size: int) -> Iterator[None]:
    before = store.page_size
    store.page_size = size
    try:
        yield
    finally:
        store.page_size = before


def _error(projection: str, stream: str, failure: dict[str, Any]) -> EventSourcingError:
    """The error that a child has put into words."""
    if "event_id" not in failure:
        return InvalidProjection(projection, failure["reason"])
    return FoldFailed(
        projection=projection,
        stream=stream,
        key=failure["key"],
        event_id=failure["event_id"],
        reason=failure["reason"],
        fields=tuple(failure["fields"]),
    )
