"""Counts as people say them."""

from __future__ import annotations

__all__ = ["many"]


def many(count: int, noun: str) -> str:
    """`1 stream`, `2,000 streams`."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"
