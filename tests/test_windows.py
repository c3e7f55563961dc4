"""Windows of a long stream: whatever keys it has, and however they lie in time, each is read once, in order."""

from __future__ import annotations

import threading
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsourcing_kit.moment import to_key_time
from eventsourcing_kit.stores.pages import Page
from eventsourcing_kit.stores.windows import pages_in_windows

if TYPE_CHECKING:
    from collections.abc import Iterator

    Answer = dict[str, Any]

BEGIN = 1_772_323_200 * 10**9
HIGHEST = "\U0010ffff"


class Table:
    """A Query over keys, with so many on a page. Parsed answers, as a botocore without `before-parse` gives them."""

    def __init__(self, keys: list[str], on_a_page: int) -> None:
        self.keys = sorted(keys)
        self.on_a_page = on_a_page
        self.asked: list[tuple[str | None, tuple[str, str] | None]] = []
        self.most = self.now = 0
        self._lock = threading.Lock()

    def ask(self, key: Any, among: tuple[str, str] | None = None) -> Answer:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
            self.asked.append((None if key is None else key["sk"]["S"], among))
        low, high = among or ("#", HIGHEST)
        assert low <= high
        first = bisect_left(self.keys, low)
        if key is not None:
            assert low <= key["sk"]["S"] <= high  # DynamoDB refuses another one
            first = bisect_right(self.keys, key["sk"]["S"])
        found = self.keys[first : min(bisect_right(self.keys, high), first + self.on_a_page)]
        is_cut = len(found) == self.on_a_page  # also where nothing is left, as DynamoDB does
        with self._lock:
            self.now -= 1
        return {"Items": found, **({"LastEvaluatedKey": {"sk": {"S": found[-1]}}} if is_cut else {})}

    def last_key(self, among: tuple[str, str]) -> str | None:
        self.asked.append((None, among))
        found = [key for key in self.keys if among[0] <= key <= among[1]]
        return found[-1] if found else None

    def read(self, in_flight: int) -> list[str]:
        pages: Iterator[Any] = pages_in_windows(
            self.ask,
            lambda answer: Page(answer["Items"], answer.get("LastEvaluatedKey")),
            ("#", HIGHEST),
            self.last_key,
            in_flight=in_flight,
        )
        return [key for page in pages for key in page]


def key_at(milliseconds: int) -> str:
    return f"{to_key_time(BEGIN + milliseconds * 10**6)}#Grew"


uneven = st.lists(st.integers(0, 40) | st.integers(0, 10**7), min_size=1, max_size=120, unique=True)
foreign = st.lists(
    st.sampled_from(["#head", "#late#2026", "2026-03-01", "2026-03-01t10:00:00.000z#x", "2026-13-45T00:00:00.000Z#x"])
    | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=4).map("2026-03-01T".__add__)
    | st.just("undefined#x"),
    max_size=4,
    unique=True,
)


@given(uneven, foreign, st.integers(1, 9), st.integers(1, 6))
def test_each_key_is_read_once_and_in_order(times: list[int], others: list[str], size: int, in_flight: int) -> None:
    table = Table([*{*map(key_at, times), *(other for other in others if other >= "#")}], size)
    assert table.read(in_flight) == table.keys
    assert table.most <= in_flight + 1


def test_what_is_behind_the_first_pages_is_on_its_way_at_once() -> None:
    table = Table([key_at(1_000 * number) for number in range(1_000)], 10)
    assert table.read(4) == table.keys
    windows = [among for _, among in table.asked if among is not None]
    assert len(windows) > 90
    assert len(table.asked) < 200  # a window has about a page, not a piece of one


def test_one_at_a_time_is_one_page_after_another() -> None:
    table = Table([key_at(1_000 * number) for number in range(100)], 10)
    assert table.read(1) == table.keys
    assert {among for _, among in table.asked} == {None}


@pytest.mark.parametrize("gap", [1, 10**9])
def test_windows_become_as_wide_as_the_events_lie(gap: int) -> None:
    dense = [key_at(number) for number in range(300)]
    later = [key_at(10**6 + gap * number) for number in range(300)]
    table = Table([*dense, *later] if gap == 1 else [*dense, *later[:60]], 10)
    assert table.read(4) == table.keys
    assert len(table.asked) < 200


@pytest.mark.parametrize("size", [1, 2, 3])
def test_a_long_gap_takes_few_windows_however_small_a_page_is(size: int) -> None:
    table = Table([*(key_at(number) for number in range(20)), key_at(10**7)], size)
    assert table.read(4) == table.keys
    assert len(table.asked) < 200


def test_a_short_stream_is_not_asked_for_its_end() -> None:
    table = Table([key_at(number) for number in range(25)], 10)
    assert table.read(4) == table.keys
    assert len(table.asked) == 3


def test_an_error_comes_when_its_turn_does() -> None:
    table = Table([key_at(1_000 * number) for number in range(200)], 10)
    sound = table.ask

    def ask(key: Any, among: tuple[str, str] | None = None) -> Answer:
        answer = sound(key, among)
        if key_at(100_000) in answer["Items"]:
            raise RuntimeError("broken")
        return answer

    table.ask = ask  # type: ignore[method-assign]
    pages: Any = pages_in_windows(
        table.ask,
        lambda answer: Page(answer["Items"], answer.get("LastEvaluatedKey")),
        ("#", HIGHEST),
        table.last_key,
        in_flight=4,
    )
    seen: list[str] = []
    with pytest.raises(RuntimeError, match="broken"):
        seen.extend(key for page in pages for key in page)
    assert seen == table.keys[: len(seen)]
    assert 80 <= len(seen) <= 100
