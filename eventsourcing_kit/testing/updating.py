"""Whether golden files are written anew: how `pytest --update-golden` tells those who know nothing of pytest."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["UPDATED"]

UPDATED: Final[ContextVar[list[Path] | None]] = ContextVar("eventsourcing_kit_updated", default=None)
"""None, or where golden files are to be written: those that were, so that somebody can say so."""
