"""View: what a table of states is of."""

from __future__ import annotations

import json

import msgspec

__all__ = ["View"]


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Whose states a table has, and as of when. The fields are the columns of `eskit_views`."""

    projection: str
    version: int
    fingerprint: str | None
    store: str
    streams: str  # JSON: null for all, a prefix, or a list
    at: str | None
    known_at: str
    start: str | None
    began: str
    allow_incomplete: bool
    on_error: str
    states: int = 0
    events: int = 0

    @property
    def chosen(self) -> str | list[str] | None:
        """The streams as `rebuild_all` takes them."""
        found: str | list[str] | None = json.loads(self.streams)
        return found
