from __future__ import annotations

import polars as pl
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eventsourcing_kit.frames import Column, arrow
from eventsourcing_kit.frames.moments import Moments
from eventsourcing_kit.moment import from_rfc3339, to_canonical
from tests.spellings import LIKE_MOMENTS

SPELLINGS = st.one_of(
    LIKE_MOMENTS,
    st.from_regex(r"0000-01-01T00:00:00(\.\d{1,9})?Z", fullmatch=True),
    st.integers(-(2**60), 2**60).map(to_canonical),
)


def of_text(text: str | None) -> int | None:
    try:
        return None if text is None else from_rfc3339(text)
    except ValueError:
        return None


def in_a_frame(values: list[int | None] | Moments) -> list[object]:
    return pl.DataFrame(arrow.to_arrow([Column("moment", "moment")], [[values]]))["moment"].to_list()


@given(st.one_of(SPELLINGS.map(lambda text: [text] * 2), st.lists(SPELLINGS), st.lists(st.none() | SPELLINGS)))
@example(["2026-03-01T10:00:00Z", "2026-02-30T10:00:00Z"])
@example(["1969-12-31T23:59:59.999999999Z", "0001-01-01T00:00:00.5Z", "9999-12-31T23:59:59.9+00:00"])
def test_a_column_that_arrow_reads_has_the_same_moments(texts: list[str | None]) -> None:
    assert in_a_frame(Moments(texts)) == in_a_frame([of_text(text) for text in texts])
    if None not in texts and all(of_text(text) is not None for text in texts):
        assert Moments(texts).ns() == [of_text(text) for text in texts]


@pytest.mark.parametrize(
    ("texts", "plain"),
    [
        (["2026-03-01T10:00:00.123Z", "2026-03-01T10:00:00.124Z"], True),
        (["2026-03-01T10:00:00Z", "2026-03-01T10:00:00.123456789+00:00", "2026-03-01T10:00:00"], True),
        (["2026-03-01T10:00:60Z"], False),  # Arrow goes on into the next minute
        (["2026-03-01T10:00:00Z\n2026-03-01T10:00:00Z"], False),
        (["2026-03-01T10:00:00Z", "2026-03-01T10:00:00Z\n2026-03-01T10:00:00Z"], False),
        (["2026-03-01T10:00:00Z", "2026-03-01T10:00:60.5Z"], False),
        (["0000-03-01T10:00:00Z"], False),
        (["2026-03-01T10:00:00.5Z", "0000-03-01T10:00:00Z"], False),
        (["1999-03-01T10:00:06Z", "1000-03-01T16:06:00Z"], True),
        (["2026-03-01T10:00:00+02:00"], False),
        (["2026-03-01T10:00:00+00:01"], False),
        (["2026-03-01T10:00:00.Z"], False),
        (["٢026-03-01T10:00:00Z"], False),
        (["2026-03-01T10:00:00Z", None], False),
        ([], False),
    ],
)
def test_plain_is_what_arrow_reads_as_we_do(texts: list[str | None], plain: bool) -> None:
    assert Moments(texts).are_plain() is plain
