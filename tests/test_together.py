"""Short streams read together: the same answers as one after another, whatever their names, lengths and damages."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventsourcing_kit import Event, Projection, open_store, rebuild, rebuild_all
from eventsourcing_kit.errors import EventSourcingError, StoreDamaged
from eventsourcing_kit.stores.together import SHORT, TOGETHER, read_together
from eventsourcing_kit.testing import Clock, event

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from eventsourcing_kit.stores.base import BaseStore

CLOCK = Clock("2026-03-01T12:00:00Z")
LENGTHS = {"a": 1, "b": 0, "c": 5, "d": SHORT - 1, "e": SHORT, "f": SHORT + 1, "g": 3 * SHORT, "h": 2, "ü": 3, "i\0": 4}

keys: Projection[list[str]] = Projection("keys", initial=list)


@keys.on()
def see(state: list[str], event: Event) -> list[str]:
    if event.type == "Broken":
        raise KeyError(event.stream)
    return [*state, event.key]


@pytest.fixture(scope="module", params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[BaseStore]:
    place: Path = tmp_path_factory.mktemp("together") / "events.db"
    url = "sqlite://" if request.param == "memory" else f"sqlite:///{place}"
    with open_store(url, clock=CLOCK) as store:
        for name, length in LENGTHS.items():
            for number in range(length):  # every third shares its millisecond with the one before it
                time = f"2026-03-01T10:{number // 60:02}:{number % 60:02}.{number // 3 % 2}00Z"
                store.append(event("Counted" if number % 5 else "Noted", stream=name, time=time, number=number))
        store.append(event("Late", stream="h", time="2026-02-20T10:00:00Z"))
        store.append(event("Broken", stream="c", time="2026-03-01T09:00:00Z"))
        yield store


def outcome(store: BaseStore, stream: str, question: dict[str, Any]) -> object:
    try:
        return rebuild(keys, store, stream, **question)
    except (EventSourcingError, UnicodeEncodeError) as error:
        return str(error)


QUESTIONS: list[dict[str, Any]] = [
    {},
    {"at": "2026-03-01T10:00:03Z"},
    {"at": "2026-02-01T00:00:00Z"},
    {"start": "2026-03-01T10:00:03Z"},
    {"known_at": "2026-03-01T11:00:00Z"},
    {"at": "event:2"},
]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(streams=st.lists(st.sampled_from([*LENGTHS, "absent", ""])), question=st.sampled_from(QUESTIONS))
def test_the_answers_are_those_of_one_rebuild_after_another(
    store: BaseStore, streams: list[str], question: dict[str, Any]
) -> None:
    failures: list[Any] = []
    found = list(rebuild_all(keys, store, streams=streams, failures=failures, **question))
    told = {each.stream: each for each in found} | {failure.stream: str(failure.error) for failure in failures}
    assert [each.stream for each in found] == [name for name in streams if name not in dict(failures)]
    assert told == {name: outcome(store, name, question) for name in streams}


def test_all_streams_are_those_of_a_list(store: BaseStore) -> None:
    failures: list[Any] = []
    names = sorted(name for name, length in LENGTHS.items() if length)
    assert [each.stream for each in rebuild_all(keys, store, failures=failures)] == [n for n in names if n != "c"]
    assert [failure.stream for failure in failures] == ["c"]


def test_a_name_that_no_row_can_have_hides_no_other(store: BaseStore) -> None:
    answers = rebuild_all(keys, store, streams=["a", "\ud800", "h"])
    assert next(answers).stream == "a"
    with pytest.raises(UnicodeEncodeError):
        next(answers)


def test_streams_are_listed_only_some_ahead(store: BaseStore) -> None:
    asked: list[int] = []
    names = (asked.append(number) or f"absent-{number:05}" for number in range(10 * TOGETHER))  # type: ignore[func-returns-value]
    assert next(rebuild_all(keys, store, streams=names)).stream == "absent-00000"
    assert len(asked) <= TOGETHER + 1


# Rows that come from a list


class Rows:
    """Rows of streams of some lengths; `broken` raises StoreDamaged when its turn comes."""

    def __init__(self, lengths: dict[str, int], *, broken: str | None = None, details: Sequence[str] = ("{}",)) -> None:
        self.lengths = lengths
        self.broken = broken
        self.details = details
        self.asked: list[Sequence[str]] = []
        self.given = 0

    def __call__(self, streams: Sequence[str]) -> Iterator[tuple[Any, ...]]:
        self.asked.append(streams)
        for stream in streams:
            if stream == self.broken:
                raise StoreDamaged("sqlite:///events.db", "a page of it")
            for number in range(self.lengths[stream]):
                self.given += 1
                detail = self.details[number % len(self.details)]
                yield stream, f"2026-03-01T10:00:00.{number:03}Z#T", "T", f"{number}", "", "", detail


def read(rows: Rows, names: list[str] | None = None) -> dict[str, str]:
    """How each stream is read: together with others, or alone."""
    with open_store("sqlite://", clock=CLOCK) as store:
        read = read_together(names or list(rows.lengths), store, rows, now=CLOCK)
        return {stream: "alone" if source is store else "together" for stream, source in read}


def test_short_streams_are_asked_for_by_few_statements() -> None:
    rows = Rows({f"s-{number:04}": 3 for number in range(10 * TOGETHER)})
    assert set(read(rows).values()) == {"together"}
    assert len(rows.asked) == 10


def test_a_long_stream_is_read_alone_and_those_around_it_together() -> None:
    rows = Rows({"a": 2, "b": SHORT + 1, "c": 2, "d": 2, "e": SHORT, "f": 0})
    assert read(rows) == {**dict.fromkeys("acdef", "together"), "b": "alone"}


def test_where_all_streams_are_long_hardly_a_row_is_read_twice() -> None:
    rows = Rows({f"s-{number:04}": 1_000 for number in range(10 * TOGETHER)})
    assert set(read(rows).values()) == {"alone"}
    assert rows.given <= 0.001 * sum(rows.lengths.values())


def test_what_can_not_be_read_hides_no_other_stream() -> None:
    rows = Rows(dict.fromkeys("abcdefghi", 2), broken="d")
    found = read(rows)
    assert list(found) == list("abcdefghi")
    assert [name for name, how in found.items() if how == "alone"] == ["c", "d", "e"]  # where c ends is not known


@pytest.mark.parametrize("details", [["x" * 300_000], ["x" * 600_000, "{}"]], ids=["all", "all but the last"])
def test_large_events_are_not_gathered(details: list[str]) -> None:
    rows = Rows(dict.fromkeys("abcdefghi", 2), details=details)
    with open_store("sqlite://", clock=CLOCK) as store:
        read = [rows.given for _ in read_together("abcdefghi", store, rows, now=CLOCK)]
    assert max(after - before for before, after in pairwise([0, *read])) <= 5


def test_names_in_no_order_are_read_in_that_order() -> None:
    rows = Rows(dict.fromkeys("abcdef", 2))
    assert list(read(rows, list("fabdce"))) == list("fabdce")
    assert [list(streams) for streams in rows.asked] == [["f"], ["a", "b", "d"], ["c", "e"]]
