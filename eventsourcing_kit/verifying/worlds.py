"""Worlds: in what a process can differ from another one without any event being different."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["BASELINE", "CHANGES", "Change", "World", "worlds"]

Change = Literal[
    "process",  # nothing but that it is another process: random numbers, addresses of objects, process ids
    "second fold",  # the same streams once more in the same process
    "order of streams",  # the last stream first
    "hash seed",
    "time zone",
    "clock",
    "folder and user",
    "environment variables",
    "locale",
    "page size",
    "order of ties",
]
# In the order in which they explain: what differs for nothing differs in every other world, too.
CHANGES: Final[tuple[Change, ...]] = Change.__args__  # type: ignore[attr-defined]  # typing has no name for it

_SEEDS: Final = (1, 2, 3, 4)  # a set of two texts keeps its order under all four in one case of sixteen
# 14 hours ahead as in Kiritimati; 3:30 behind as in St John's, with daylight saving. Spelled so that a system without
# a database of zones knows them, too.
_ZONES: Final = ("<+14>-14", "<-0330>3:30<-0230>,M3.2.0,M11.1.0")
_DAY: Final = 86_400
_AHEAD: Final = 400 * _DAY + 7 * 3_600 + 13 * 60  # another hour, day, weekday, month and year
_PAGES: Final = (3, 100)


@dataclass(frozen=True)
class World:
    """One process in which all streams are folded, and what is `change`d there. `detail` says that in words."""

    change: Change
    detail: str = ""
    hash_seed: int = 0
    ahead: int = 0  # seconds that its clock is ahead; it stands still, so that no two worlds differ by chance
    environ: Mapping[str, str] = field(default_factory=dict)
    bare: bool = False  # without the variables that only the user's code could read
    elsewhere: bool = False  # in an empty folder, as somebody else
    rounds: int = 1  # how often all streams are folded; the last round counts
    backwards: bool = False
    page_size: int | None = None  # its own reading of the store
    ties: bool = False
    ballast: int = 0  # objects that are there before all others, so that those have other addresses on any system


BASELINE: Final = World("process")


def worlds() -> Iterator[World]:
    """Every world that a projection is folded in beside `BASELINE`, in the order of `CHANGES`."""
    yield World("process", "a second process, alike in all that can be set", ballast=10_000)
    yield World("second fold", "all streams once more in one process", rounds=2)
    yield World("order of streams", "the last stream first", backwards=True)
    for seed in _SEEDS:
        yield World("hash seed", f"PYTHONHASHSEED {seed}, not {BASELINE.hash_seed}", hash_seed=seed)
    for zone in _ZONES:
        yield World("time zone", f"TZ {zone}", environ={"TZ": zone})
    yield World("clock", "400 days, 7 hours and 13 minutes ahead", ahead=_AHEAD)
    yield World("folder and user", "an empty working directory, another HOME and USER", elsewhere=True)
    yield World("environment variables", "none but those of the system and of Python", bare=True)
    ascii_only = {"LC_ALL": "C", "LANG": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    yield World("locale", "LC_ALL C, whose encoding is ASCII", environ=ascii_only)
    for size in _PAGES:
        yield World("page size", f"{size} events to a page", page_size=size)
    yield World("order of ties", "events of one moment in every allowed order", ties=True)
