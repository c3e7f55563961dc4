"""A closer look at streams that differ: where in their states, and from which event on."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Final

from eventsourcing_kit.verifying.answers import EventName
from eventsourcing_kit.verifying.child import Look, digest
from eventsourcing_kit.verifying.pointers import differing, is_at
from eventsourcing_kit.verifying.processes import State, Task

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from eventsourcing_kit.verifying.processes import Crew, Looked

__all__ = ["Closer", "Parting"]

_AT_ONCE: Final = 1_000  # events of a stream behind which its state is looked at, in one round


@dataclass(frozen=True)
class Parting:
    """At which `pointers` two folds of a stream differ in the end, behind which `event` they first do, and what was
    `raised` by only one of them. `by_chance`: one of the two did not do the same again in the same world."""

    pointers: tuple[str, ...]
    places: tuple[str, ...]  # the same, coarse
    by_chance: bool
    event: EventName | None = None
    raised: str | None = None


class Closer:
    """Looks closer at streams in one world after another, each beside the same `baseline`."""

    def __init__(self, crew: Crew, baseline: Task) -> None:
        self._crew = crew
        self._baseline = baseline
        self._seen: tuple[Mapping[str, Look], Mapping[str, Looked]] = ({}, {})  # the last looks at the baseline

    def look(
        self, other: Task, seen: Mapping[str, tuple[State, State]], ignored: Mapping[str, Collection[str]]
    ) -> dict[str, Parting]:
        """Folds once more, up to the last of the streams in `seen`, which says how they ended in both worlds.

        What stands at `ignored` pointers is explained already and does not count.
        """
        found: dict[str, Parting] = {}
        looks = {stream: _whole(self._baseline, stream, ignored.get(stream, ())) for stream in seen}
        while looks:
            mine, theirs = self._looked(other, looks)
            narrower = {}
            for stream, look in looks.items():
                pair = mine[stream], theirs[stream]
                if stream not in found:
                    found[stream] = _parting(pair, seen[stream], look.ignored)
                low, high = _parted(*pair, look)
                if low == high:
                    found[stream] = replace(found[stream], event=_event(self._baseline, stream, high))
                elif found[stream].pointers and high - low < look.high - look.low:
                    narrower[stream] = Look(low, high, _stride(high - low), look.ignored)
            looks = narrower
        return found

    def _looked(self, other: Task, looks: Mapping[str, Look]) -> tuple[Mapping[str, Looked], Mapping[str, Looked]]:
        tasks = [other._replace(looks=looks)]
        known, mine = self._seen
        if known != looks:
            tasks.append(self._baseline._replace(looks=looks))
        with closing(self._crew.run(tasks)) as results:
            theirs, *anew = (folds.looked for folds in results)
        if anew:
            mine = anew[0]
            self._seen = looks, mine
        return mine, theirs


def _whole(task: Task, stream: str, ignored: Collection[str]) -> Look:
    number = task.spool.number_of(stream)
    count = 0 if number is None else task.spool.sections[number].events
    return Look(1, count, _stride(count), tuple(sorted(ignored)))


def _stride(count: int) -> int:
    return max(1, -(-count // _AT_ONCE))


def _parting(pair: tuple[Looked, Looked], seen: tuple[State, State], ignored: Collection[str]) -> Parting:
    texts = [looked.text for looked in pair]
    pointers = tuple(pointer for pointer in differing(*texts) if not is_at(pointer, ignored))
    failures = [looked.failure for looked in pair]
    raised = next((failure["reason"] for failure in failures if failure is not None), None)
    if failures[0] == failures[1]:
        raised = None
    elif not pointers:  # both raised, and not the same
        pointers = ("",)
    by_chance = not ignored and tuple(map(_state, pair)) != seen  # what is ignored may well be chance
    return Parting(pointers, differing(*texts, coarse=True), by_chance=by_chance, raised=raised)


def _state(looked: Looked) -> State:
    return State(None if looked.text is None else digest(looked.text), looked.failure)


def _parted(mine: Looked, theirs: Looked, look: Look) -> tuple[int, int]:
    """The first and the last event of which one is that behind which the two differ first."""
    same = look.low - 1
    for one, other in zip(mine.digests, theirs.digests, strict=False):
        if one != other:
            return same + 1, min(one[0], other[0])
        same = one[0]
    return same + 1, min(same + look.stride, look.high)


def _event(task: Task, stream: str, number: int) -> EventName | None:
    place = task.spool.number_of(stream)
    if place is None:
        return None
    return next((EventName.of(event) for event in islice(task.spool.events(place), number - 1, number)), None)
