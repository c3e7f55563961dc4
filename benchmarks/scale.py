"""How large a run is: the same cases with fewer or more events."""

from __future__ import annotations

from enum import Enum

__all__ = ["Scale"]


class Scale(Enum):
    """TINY is for the tests, which only see that everything still runs; its figures mean nothing."""

    TINY = "tiny"
    USUAL = "usual"
    FULL = "full"

    def pick(self, *, tiny: int, usual: int, full: int) -> int:
        return {Scale.TINY: tiny, Scale.USUAL: usual, Scale.FULL: full}[self]

    @property
    def rounds(self) -> int:
        """How often each case is measured. The median of fewer than five would say little."""
        return self.pick(tiny=1, usual=5, full=7)
