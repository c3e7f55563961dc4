"""Cases that take turns, and the tables of what came out."""

from __future__ import annotations

import gc
import sys
import time
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

__all__ = ["Case", "Figures", "console", "note", "say", "show", "take_turns"]


@dataclass
class Figures:
    """What was measured under one name: seconds for one event, one figure for each round."""

    name: str
    clock: Callable[[], float] = time.perf_counter
    seconds: list[float] = field(default_factory=list)

    def measure(self, run: Callable[[], object], events: int) -> None:
        """Runs it once, which goes over so many events."""
        gc.collect()  # or it pays for what another one left behind
        began = self.clock()
        run()
        self.seconds.append((self.clock() - began) / events)


@dataclass
class Case:
    """Something that can be run again and again."""

    figures: Figures
    run: Callable[[], object]
    events: int


def take_turns(cases: Sequence[Case], *, rounds: int) -> None:
    """Each case once in each round, so that a busy minute of the machine meets all of them."""
    for number in range(rounds):
        note(f"  round {number + 1} of {rounds}")
        for case in cases:
            case.figures.measure(case.run, case.events)


def show(title: str, figures: Sequence[Figures], *, name: str, each_is: str = "event") -> None:
    """A table; its last column says how many times as fast as the others the first one is: `name`, for short."""
    from rich.table import Table

    first = figures[0]
    table = Table(title=title, title_justify="left")
    table.add_column("")
    for heading in (f"{each_is}s/s", f"us/{each_is}", "from", "to", f"{name} is"):
        table.add_column(heading, justify="right")
    for each in figures:
        micros = [seconds * 1e6 for seconds in each.seconds]
        ratio = median(theirs / ours for theirs, ours in zip(each.seconds, first.seconds, strict=True))
        table.add_row(
            each.name,
            f"{1e6 / median(micros):,.0f}",
            *(f"{figure:,.2f}" for figure in (median(micros), min(micros), max(micros))),
            "" if each is first else f"{ratio:.2f} x",
        )
    console().print(table)


def say(text: str) -> None:
    """A line of the output."""
    console().print(text, highlight=False)


def note(text: str) -> None:
    """What is going on, to stderr."""
    print(text, file=sys.stderr)


def console() -> Console:
    """Where all output goes, so that tables are as wide in a pipe as on a terminal."""
    from rich.console import Console  # here, or the processes whose memory is measured would hold it, too

    return Console(width=120)
