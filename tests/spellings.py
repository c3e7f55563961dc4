"""Texts that are like moments, for properties of what reads moments."""

from __future__ import annotations

from hypothesis import strategies as st

__all__ = ["LIKE_MOMENTS"]

LIKE_MOMENTS = st.one_of(
    st.from_regex(
        r"[0-2]\d{3}-[01]\d-[0-3]\d[Tt ][0-2]\d:[0-6]\d:[0-6]\d(\.\d{0,11})?([Zz]|\+00:00|[+-]\d\d:\d\d)?",
        fullmatch=True,
    ),
    st.datetimes().map(lambda value: f"{value.isoformat()}Z"),
    st.text(max_size=3),
)
