"""What a run found out, beside what it should have been."""

from __future__ import annotations

import json
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.measuring import Figures

__all__ = ["Finding", "over", "show_findings", "write_findings"]


@dataclass(frozen=True)
class Finding:
    """One measure: the median of its rounds, the lowest and the highest of them, and the aim, if there is one."""

    measure: str
    found: float
    lowest: float
    highest: float
    aim: float | None = None
    at_most: bool = False  # whether the aim is a ceiling
    unit: str = ""  # of a ratio: none

    @classmethod
    def of(
        cls,
        measure: str,
        rounds: Sequence[float],
        *,
        at_least: float | None = None,
        at_most: float | None = None,
        unit: str = "",
    ) -> Self:
        """From what each round found."""
        aim = at_least if at_most is None else at_most
        return cls(measure, median(rounds), min(rounds), max(rounds), aim, at_most is not None, unit)

    @property
    def reached(self) -> bool | None:
        """None where there is nothing to reach."""
        if self.aim is None:
            return None
        return self.found <= self.aim if self.at_most else self.found >= self.aim


def over(first: Figures, second: Figures) -> list[float]:
    """How many times the time of the second one the first one took, in each round by itself."""
    return [one / other for one, other in zip(first.seconds, second.seconds, strict=True)]


def show_findings(findings: Sequence[Finding]) -> None:
    """The table at the end of a run."""
    from rich.table import Table

    from benchmarks.measuring import console  # here, as the processes whose memory is measured come by

    table = Table(title="what was found", title_justify="left")
    for heading in ("measure", "found", "rounds", "aim", "reached"):
        table.add_column(heading, no_wrap=True, justify="left" if heading == "measure" else "right")
    for each in findings:
        table.add_row(each.measure, *_cells(each))
    console().print(table)


def _cells(finding: Finding) -> tuple[str, ...]:
    unit = f" {finding.unit}" if finding.unit else ""
    aim = "" if finding.aim is None else f"{'<=' if finding.at_most else '>='} {finding.aim:g}{unit}"
    words = {None: "", True: "yes", False: "no"}
    rounds = f"{finding.lowest:.2f} to {finding.highest:.2f}"
    return f"{finding.found:.2f}{unit}", rounds, aim, words[finding.reached]


def write_findings(path: Path, findings: Sequence[Finding], *, machine: Sequence[str]) -> None:
    """The same as JSON, to compare one run with another."""
    found: list[dict[str, Any]] = [{**vars(each), "reached": each.reached} for each in findings]
    path.write_text(json.dumps({"machine": list(machine), "findings": found}, indent=2) + "\n")
