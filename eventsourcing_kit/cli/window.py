"""Moments on the command line: read once, so that all streams have the same ones, and said in one spelling."""

from __future__ import annotations

import time
from dataclasses import dataclass

from eventsourcing_kit.cli.talk import say
from eventsourcing_kit.span import exact

__all__ = ["Window"]


@dataclass(frozen=True)
class Window:
    """`start`, `at` and `known_at` in the canonical spelling, or `event:...`; None where it was not asked for."""

    start: str | None = None
    at: str | None = None
    known_at: str | None = None

    @classmethod
    def of(cls, *, start: str | None, at: str | None, known_at: str | None = None, tz: str) -> Window:
        """What was typed, resolved, but for `event:...`, which each stream resolves. Raises InvalidMoment."""
        now = time.time_ns()
        return cls(*(exact(text, tz=tz, now=now) for text in (start, at, known_at)))

    def tell(self) -> None:
        parts = [f"at {self.at}" if self.at else "at the end, with all events"]
        parts += [f"from {self.start}"] if self.start else []
        parts += [f"as known at {self.known_at}"] if self.known_at else []
        say(", ".join(parts))
