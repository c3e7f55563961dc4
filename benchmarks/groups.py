"""The groups of cases, by name, in the order in which they run."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from benchmarks.finding import Finding
    from benchmarks.scale import Scale

__all__ = ["GROUPS", "measure"]

# Each is the module of that name: a function `measure(scale, place)` yields its findings, and prints what led to them.
GROUPS: Final = (
    "imports",
    "dynamodb",
    "sqlite",
    "appends",
    "flat",
    "snapshots",
    "processes",
    "memory",
    "frames",
    "questions",
    "cold_start",
    "stages",
)


class _Measure(Protocol):
    def __call__(self, scale: Scale, place: Path) -> Iterator[Finding]: ...


def measure(name: str, scale: Scale, place: Path) -> Iterator[Finding]:
    """What a group finds. `place` is an empty directory for its files."""
    group = cast("_Measure", import_module(f"benchmarks.{name}").measure)
    return group(scale, place)
