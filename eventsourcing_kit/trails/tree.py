"""The causal tree of some events, by the ids that they name as their causes. Knows no store.

All walks are loops: a chain of causes may be longer than Python's stack.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from eventsourcing_kit.event import Event

__all__ = ["Named", "Node", "Tree", "grow", "walk"]

Named = Literal["here", "missing", "circular"]


@dataclass(frozen=True, eq=False, repr=False)
class Node:
    """One event in its place.

    `named` says of the cause that an event names: it is "here", or "missing"; or it is "circular", as following the
    causes leads back to this event itself, which then stands as a root. None where no cause is named.
    """

    event: Event
    cause: Event | None  # what it follows from; None for a root
    cause_id: str | None  # what it names as its cause, wherever that is
    named: Named | None
    depth: int  # 0 for a root
    gap: int | None  # nanoseconds since the cause; below 0 where the clocks of two producers differ; None for a root
    unordered: bool  # whether another child of the same cause has the same moment, so that nobody knows their order
    children: tuple[Node, ...]


class Tree(NamedTuple):
    """`roots` hold every event once. `unordered` has the groups of siblings of one moment."""

    roots: tuple[Node, ...]
    unordered: tuple[tuple[Event, ...], ...]


def grow(events: Sequence[Event], cause_ids: Sequence[str | None]) -> Tree:
    """The tree of events that come in their order, each with the id of its cause.

    Siblings keep that order. Where several events bear the id of a cause, it is the first of them. Roots count as
    siblings of each other. Takes time and memory in proportion to the number of events, whatever they name.
    """
    bearers: dict[str, int] = {}
    for place, event in enumerate(events):
        if event.id:  # rows of older writers may have none
            bearers.setdefault(event.id, place)
    parents = [None if cause is None else bearers.get(cause) for cause in cause_ids]
    circular = _cut_circles(parents)

    children: list[list[int]] = [[] for _ in events]
    roots: list[int] = []
    for place, parent in enumerate(parents):
        (roots if parent is None else children[parent]).append(place)
    groups = [group for siblings in (roots, *children) for group in _unordered(events, siblings)]
    unordered = {place for group in groups for place in group}

    nodes: dict[int, Node] = {}
    downwards = list(_depths(roots, children))
    for place, depth in reversed(downwards):  # children before their parents
        event, parent, cause_id = events[place], parents[place], cause_ids[place]
        cause = None if parent is None else events[parent]
        nodes[place] = Node(
            event=event,
            cause=cause,
            cause_id=cause_id,
            named=_named(cause_id, found=cause is not None, circular=place in circular),
            depth=depth,
            gap=None if cause is None else event.moment_ns - cause.moment_ns,
            unordered=place in unordered,
            children=tuple(nodes[child] for child in children[place]),
        )
    return Tree(
        roots=tuple(nodes[place] for place in roots),
        unordered=tuple(tuple(events[place] for place in group) for group in sorted(groups)),
    )


def walk(roots: Iterable[Node]) -> Iterator[Node]:
    """Each node once: a cause before its effects, and all that follows from an event before its next sibling."""
    todo = list(roots)[::-1]
    while todo:
        node = todo.pop()
        yield node
        todo.extend(reversed(node.children))


def _cut_circles(parents: list[int | None]) -> set[int]:
    """Makes the first event of each circle a root, in place, and answers these."""
    cut = set()
    passed = [0] * len(parents)  # by which start
    for start in range(len(parents)):
        way: list[int] = []
        place: int | None = start
        while place is not None and not passed[place]:
            passed[place] = start + 1
            way.append(place)
            place = parents[place]
        if place is not None and way and passed[place] == start + 1:
            first = min(way[way.index(place) :])
            parents[first] = None
            cut.add(first)
    return cut


def _depths(roots: Sequence[int], children: Sequence[Sequence[int]]) -> Iterator[tuple[int, int]]:
    todo = [(place, 0) for place in reversed(roots)]
    while todo:
        place, depth = todo.pop()
        yield place, depth
        todo.extend((child, depth + 1) for child in reversed(children[place]))


def _unordered(events: Sequence[Event], siblings: Sequence[int]) -> Iterator[list[int]]:
    for _, places in groupby(siblings, key=lambda place: events[place].moment_ns):
        group = list(places)
        if len(group) > 1 and not _are_numbered([events[place] for place in group]):
            yield group


def _are_numbered(events: Sequence[Event]) -> bool:
    """Whether their producer says in which order they happened: by a sequence in one stream."""
    numbers = {event.sequence for event in events}
    return len({event.stream for event in events}) == 1 and None not in numbers and len(numbers) == len(events)


def _named(cause_id: str | None, *, found: bool, circular: bool) -> Named | None:
    if found:
        return "here"
    if circular:
        return "circular"
    return None if cause_id is None else "missing"
