"""What usually comes next, and did not come this time: learnt by counting from trails that began in the same way."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any, Final, Literal

from eventsourcing_kit.errors import InvalidOption
from eventsourcing_kit.frames import Column, Tabular, html
from eventsourcing_kit.moment import from_rfc3339
from eventsourcing_kit.record import split_key
from eventsourcing_kit.trails.duration import duration

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from eventsourcing_kit.stores.contract import Correlated
    from eventsourcing_kit.trails.following import Trail

__all__ = ["SimilarTrails", "Standing", "Usual", "similar_trails"]

Standing = Literal["came", "more", "seldom", "waiting", "late", "overdue"]
Sketch = dict[str, list[int]]  # type -> when it came, in nanoseconds behind the first event, ascending

_MISSING: Final = ("waiting", "late", "overdue")


@dataclass(frozen=True)
class Usual:
    """One type of event: how often it came `here`, how often it comes as a rule (`usual`), and what that is worth.

    The `nth` one of this type came in `trails` of the other trails, which is the `share` of all of them: the next one
    that is missing here, else the last one that came. `delay` is how long it took from the first event of those trails
    in the middle case, `delay_90` what it took at most in 90 % of the cases; None where there was no case.

    `standing` is "came" (as often as usual), "more" (than usual), "seldom" (neither here nor usual), or, for what is
    usual and not here, "waiting" (less than the typical delay has passed), "late" (more) or "overdue" (more than in
    90 % of the cases).
    """

    type: str
    here: int
    usual: int
    nth: int
    trails: int
    share: float
    delay: int | None
    delay_90: int | None
    standing: Standing


@dataclass(frozen=True, repr=False)
class SimilarTrails(Tabular):
    """What the `others`, trails that began with an event of `first_type`, say of this one. A row for each type."""

    correlation_id: str
    first_type: str | None  # None where the trail is empty
    others: int
    types: tuple[Usual, ...]  # by their delay

    @property
    def missing(self) -> tuple[Usual, ...]:
        """What usually comes, and did not, or not as often: counts, no verdict."""
        return tuple(usual for usual in self.types if usual.standing in _MISSING)

    def _columns(self) -> tuple[Column, ...]:
        return (
            *(Column("type"), Column("here", "int"), Column("usual", "int"), Column("nth", "int")),
            *(Column("trails", "int"), Column("share", "float"), Column("delay", "float"), Column("delay_90", "float")),
            Column("standing"),
        )

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        for each in self.types:
            delays = (_seconds(each.delay), _seconds(each.delay_90))
            yield each.type, each.here, each.usual, each.nth, each.trails, each.share, *delays, each.standing

    def _caption(self) -> str:
        if self.first_type is None:
            return f"Trail {self.correlation_id}: no event"
        return f"Trail {self.correlation_id} beside {self.others:,} others that began with {self.first_type}"

    def _repr_html_(self) -> str:
        columns = (*self._columns()[:5], *map(Column, ("share", "delay", "delay_90", "standing")))
        rows = [
            (
                *(each.type, each.here, each.usual, each.nth, each.trails, f"{each.share:.0%}"),
                *(None if delay is None else duration(delay) for delay in (each.delay, each.delay_90)),
                each.standing,
            )
            for each in self.types
        ]
        return html.block(html.line(self._caption()), html.table(columns, rows) if rows else "")

    def __repr__(self) -> str:
        names = ", ".join(repr(usual.type) for usual in self.missing)
        missing = f", missing here: {names}" if names else ""
        return f"<SimilarTrails of {self.correlation_id!r}: {self.others:,} others{missing}>"


def similar_trails(
    store: Correlated,
    trail: Trail,
    *,
    share: float = 0.5,
    limit: int | None = None,
    clock: Callable[[], int] | None = None,
) -> SimilarTrails:
    """Compares a trail with all others (or the first `limit` of them) whose earliest event is of the same type.

    Usual is what came in at least this `share` of them, and as often as that: where a type came twice in most, once is
    too little. Nothing but keys is read, which have times (to the millisecond) and types; so the others are taken as
    they are today, also where the trail is one of an earlier `known_at`. They are looked for as the trail was: where
    that was a scan, this is one, too.

    How long this trail has been going on counts up to its `known_at`, else up to now; `clock` gives that in nanoseconds
    since 1970, without it the machine does. Raises InvalidOption for a share that is none, and a StoreError.
    """
    if not 0 < share <= 1:
        raise InvalidOption("share", found=str(share), expected="a number above 0 and up to 1")
    first = trail.first
    if first is None:
        return SimilarTrails(trail.correlation_id, None, 0, ())
    sketches: list[Sketch] = []
    for found, keys in groupby(trail.finding.keys(store), key=lambda pair: pair[0]):
        if limit is not None and len(sketches) == limit:
            break
        sketch = _sketch((key for _, key in keys), first.type) if found != trail.correlation_id else None
        if sketch is not None:
            sketches.append(sketch)
    now = trail.known_at_ns if trail.known_at_ns is not None else (clock or time.time_ns)()
    here = Counter(event.type for event in trail.events)
    names = {*here, *(name for sketch in sketches for name in sketch)}
    found_types = [_usual(name, here[name], sketches, share, now - first.moment_ns) for name in names]
    found_types.sort(key=lambda usual: (usual.delay is None, usual.delay or 0, usual.type))
    return SimilarTrails(trail.correlation_id, first.type, len(sketches), tuple(found_types))


def _sketch(keys: Iterable[str], first_type: str) -> Sketch | None:
    """When each type came in one trail; None where it did not begin with `first_type`.

    Of several events in the first millisecond, each may have been the first one.
    """
    moments: dict[str, list[int]] = defaultdict(list)
    for key in keys:
        spelled, name = split_key(key)
        try:
            moment = from_rfc3339(spelled)
        except ValueError:  # a row of an older writer, whose moment stands only in the event
            continue
        moments[name].append(moment)
    if first_type not in moments:
        return None
    began = min(map(min, moments.values()))
    if min(moments[first_type]) != began:
        return None
    return {name: sorted(moment - began for moment in found) for name, found in moments.items()}


def _usual(name: str, here: int, sketches: Sequence[Sketch], share: float, elapsed: int) -> Usual:
    having = [sketch[name] for sketch in sketches if name in sketch]
    counts = sorted(map(len, having), reverse=True)
    usual = 0
    for number, count in enumerate(counts, start=1):  # so many trails have at least `count` of them
        if number >= share * len(sketches):
            usual = count
            break
    nth = here + 1 if here < usual else max(here, 1)
    delays = sorted(found[nth - 1] for found in having if len(found) >= nth)
    middle = _quantile(delays, 50)
    most = _quantile(delays, 90)
    return Usual(
        type=name,
        here=here,
        usual=usual,
        nth=nth,
        trails=len(delays),
        share=len(delays) / len(sketches) if sketches else 0.0,
        delay=middle,
        delay_90=most,
        standing=_standing(here, usual, elapsed, middle or 0, most or 0),
    )


def _quantile(ascending: Sequence[int], percent: int) -> int | None:
    """The smallest value that so many per cent of the values do not exceed: one that has been there."""
    return ascending[-(-len(ascending) * percent // 100) - 1] if ascending else None


def _standing(here: int, usual: int, elapsed: int, middle: int, most: int) -> Standing:
    if here > usual:
        return "more"
    if here == usual:
        return "came" if here else "seldom"
    return "overdue" if elapsed > most else "late" if elapsed > middle else "waiting"


def _seconds(ns: int | None) -> float | None:
    return None if ns is None else ns / 1_000_000_000
