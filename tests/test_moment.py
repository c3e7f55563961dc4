from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsourcing_kit.moment import (
    MAX_NS,
    MIN_NS,
    _in_any_spelling,
    from_datetime,
    from_rfc3339,
    is_key_time,
    to_canonical,
    to_datetime,
    to_key_time,
    to_microseconds,
)
from tests.spellings import LIKE_MOMENTS

spellings = st.one_of(
    LIKE_MOMENTS,
    st.from_regex(r"(0000-01-01|9999-12-31)T(00:00|23:59):\d\d(\.\d{1,9})?Z", fullmatch=True),
)
moments = st.integers(min_value=MIN_NS, max_value=MAX_NS)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("2026-03-01T11:03:27Z", "2026-03-01T11:03:27.000000000Z"),
        ("2026-03-01T11:03:27z", "2026-03-01T11:03:27.000000000Z"),
        ("2026-03-01t11:03:27Z", "2026-03-01T11:03:27.000000000Z"),
        ("2026-03-01 11:03:27Z", "2026-03-01T11:03:27.000000000Z"),
        ("2026-03-01T11:03:27", "2026-03-01T11:03:27.000000000Z"),
        ("2026-03-01T11:03:27.5Z", "2026-03-01T11:03:27.500000000Z"),
        ("2026-03-01T11:03:27.123456789Z", "2026-03-01T11:03:27.123456789Z"),
        ("2026-03-01T11:03:27+01:00", "2026-03-01T10:03:27.000000000Z"),
        ("2026-03-01T00:03:27.000000001+05:45", "2026-02-28T18:18:27.000000001Z"),
        ("2026-03-01T11:03:27-00:00", "2026-03-01T11:03:27.000000000Z"),
        ("2026-03-01T11:03:27-23:59", "2026-03-02T11:02:27.000000000Z"),
        ("2024-02-29T12:00:00Z", "2024-02-29T12:00:00.000000000Z"),
        ("1969-12-31T23:59:59.999999999Z", "1969-12-31T23:59:59.999999999Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000000Z"),
        ("9999-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999Z"),
    ],
)
def test_an_rfc_3339_moment_is_read_exactly(text: str, canonical: str) -> None:
    assert to_canonical(from_rfc3339(text)) == canonical


@given(spellings)
def test_the_usual_spelling_is_read_as_any_other_is(text: str) -> None:
    def read(by: Callable[[str], int]) -> int | None:
        try:
            return by(text)
        except ValueError:
            return None

    assert read(from_rfc3339) == read(_in_any_spelling)


@pytest.mark.parametrize(
    "text",
    [
        *("", "2026-03-01", "2026-03-01T11:03Z", "20260301T110327Z", "2026-03-01T11:03:27,5Z"),
        *("2026-03-01T11:03:27.Z", "2026-03-01T11:03:27.1234567890Z", "2026-03-01T11:03:27+01", "1772362800"),
        *("2026-03-01T11:03:27+24:00", "2026-03-01T11:03:27+01:60", "2026-03-01T11:03:27 Z", " 2026-03-01T11:03:27Z"),
        *("2026-02-29T00:00:00Z", "2026-13-01T00:00:00Z", "2026-03-01T24:00:00Z", "2026-03-01T23:59:60Z"),
        *("2026-03-01T23:59:60.5Z", "2026-02-29T00:00:00.5Z", "2026-03-01T11:03:2٧.5Z", "2026-03-01T11:03:27.+5Z"),
        *("0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01", "0000-01-01T00:00:00Z", "+2026-03-01T00:00:00Z"),
        *("２０２６-03-01T11:03:27Z", "2026-03-01T11:03:27Z\n", "2026-060T11:03:27Z", "2026-W09-7T11:03:27Z"),
    ],
)
def test_all_else_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_rfc3339(text)


@given(moments)
def test_every_moment_survives_its_canonical_spelling(ns: int) -> None:
    assert from_rfc3339(to_canonical(ns)) == ns


@given(moments, moments)
def test_key_times_sort_as_moments_sort(one: int, other: int) -> None:
    millisecond = 1_000_000
    assert (to_key_time(one) < to_key_time(other)) == (one // millisecond < other // millisecond)


@given(moments)
def test_a_key_time_is_the_moment_floored_to_the_millisecond(ns: int) -> None:
    key_time = to_key_time(ns)
    assert len(key_time) == 24
    assert is_key_time(key_time)
    assert from_rfc3339(key_time) == ns - ns % 1_000_000


@given(moments)
def test_a_datetime_is_the_moment_floored_to_the_microsecond(ns: int) -> None:
    assert from_datetime(to_datetime(ns)) == ns - ns % 1_000
    assert from_rfc3339(to_microseconds(ns)) == ns - ns % 1_000


@pytest.mark.parametrize("text", ["2026-03-01T11:03:27Z", "2026-03-01T11:03:27.000z", "２026-03-01T11:03:27.000Z", ""])
def test_a_time_in_another_spelling_is_no_key_time(text: str) -> None:
    assert not is_key_time(text)


def test_a_datetime_of_any_zone_is_the_same_moment() -> None:
    there = datetime(2026, 3, 1, 16, 48, 27, 5, tzinfo=timezone(timedelta(hours=5, minutes=45)))
    assert from_datetime(there) == from_datetime(datetime(2026, 3, 1, 11, 3, 27, 5, tzinfo=UTC))


def test_a_naive_datetime_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="naive"):
        from_datetime(datetime(2026, 3, 1))  # noqa: DTZ001 - that is the point
