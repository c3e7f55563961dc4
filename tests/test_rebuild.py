from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from freezegun import freeze_time

from eventsourcing_kit import Event, Projection, open_store, rebuild, rebuild_all
from eventsourcing_kit.errors import FoldFailed, IncompleteStream, InvalidMoment, RebuildsFailed, StoreNotFound
from eventsourcing_kit.outcomes import StreamFailure
from eventsourcing_kit.stores.base import BaseStore
from eventsourcing_kit.testing import Clock, event
from eventsourcing_kit.watching import RebuildWarning

NOW = "2026-03-10T00:00:00Z"


@pytest.fixture
def clock() -> Clock:
    return Clock("2026-03-01T12:00:00Z")


@pytest.fixture
def store(clock: Clock) -> Iterator[BaseStore]:
    with open_store("sqlite://", clock=clock) as store:
        yield store


def types() -> Projection[list[str]]:
    projection: Projection[list[str]] = Projection("types", initial=list)

    @projection.on()
    def see(state: list[str], event: Event) -> list[str]:
        return [*state, event.type]

    return projection


def fill(store: BaseStore, *times: str, stream: str = "order-17") -> None:
    for number, time in enumerate(times):
        store.append(event(f"T{number}", stream=stream, time=time))


def test_an_answer_says_what_it_is_worth(store: BaseStore) -> None:
    fill(store, "2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z", "2026-03-01T11:00:00.000000001Z")
    with freeze_time(NOW):
        rebuilt = rebuild(types(), store, "order-17", at="2026-03-01T11:00:00Z")
    assert rebuilt.state == ["T0", "T1"]
    assert (rebuilt.stream, rebuilt.projection, rebuilt.version) == ("order-17", "types", 1)
    assert rebuilt.at == datetime(2026, 3, 1, 11, tzinfo=UTC)
    assert rebuilt.known_at is None
    assert rebuilt.events == 2
    assert rebuilt.last is not None
    assert rebuilt.last.key == "2026-03-01T11:00:00.000Z#T1"
    assert rebuilt.complete
    assert rebuilt.warnings == ()


def test_a_stream_without_events_is_the_initial_state(store: BaseStore) -> None:
    rebuilt = rebuild(types(), store, "order-18")
    assert (rebuilt.state, rebuilt.events, rebuilt.last, rebuilt.complete) == ([], 0, None, True)


def test_times_without_an_offset_are_of_the_zone_given(store: BaseStore) -> None:
    fill(store, "2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z")
    berlin = rebuild(types(), store, "order-17", at="2026-03-01T11:30", tz="Europe/Berlin")
    assert berlin.state == ["T0"]


def test_a_relative_time_is_counted_from_the_clock(store: BaseStore) -> None:
    fill(store, "2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z")
    with freeze_time("2026-03-01T12:30:00Z"):
        assert rebuild(types(), store, "order-17", at="2h ago").state == ["T0"]


def test_a_time_that_is_none_is_refused_before_anything_is_read() -> None:
    with open_store("sqlite:///nowhere.db") as store, pytest.raises(InvalidMoment):
        rebuild(types(), store, "order-17", at="2026-13-01")


def test_a_start_leaves_earlier_events_out(store: BaseStore) -> None:
    fill(store, "2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z", "2026-03-01T11:30:00Z")
    rebuilt = rebuild(types(), store, "order-17", start="2026-03-01T11:00:00Z", at="2026-03-01T11:29:59Z")
    assert rebuilt.state == ["T1"]


def test_known_at_leaves_out_what_was_recorded_later(store: BaseStore, clock: Clock) -> None:
    fill(store, "2026-03-01T10:00:00Z")
    clock.set("2026-03-02T09:00:00.000001Z")
    fill(store, "2026-03-01T10:00:00Z", "2026-03-01T09:00:00Z")
    at, known_at = "2026-03-01T23:00:00Z", "2026-03-02T09:00:00Z"
    assert rebuild(types(), store, "order-17", at=at).state == ["T1", "T0"]
    assert rebuild(types(), store, "order-17", at=at, known_at=known_at).state == ["T0"]
    assert rebuild(types(), store, "order-17", at=at, known_at="2026-03-02T09:00:00.000001Z").state == ["T1", "T0"]


def test_late_events_are_said(store: BaseStore, clock: Clock) -> None:
    clock.set("2026-03-02T10:00:00Z")
    fill(store, "2026-03-01T10:00:00Z", "2026-03-01T09:59:59.999Z", "2026-02-01T00:00:00Z", "2026-03-02T09:00:00Z")
    (warning,) = rebuild(types(), store, "order-17").warnings
    assert warning == RebuildWarning(
        "late",
        2,
        "2 events recorded more than 24 hours late",
        ("2026-02-01T00:00:00.000Z#T2", "2026-03-01T09:59:59.999Z#T1"),
    )


def test_moments_to_come_are_said(store: BaseStore) -> None:
    fill(store, "2026-03-09T10:00:00Z", "2026-03-11T00:00:00Z")
    with freeze_time(NOW):
        (warning,) = rebuild(types(), store, "order-17").warnings
        assert (warning.kind, warning.count, warning.keys) == ("future", 1, ("2026-03-11T00:00:00.000Z#T1",))
        assert rebuild(types(), store, "order-17", at=NOW).warnings == ()


def test_types_without_a_handler_are_said(store: BaseStore) -> None:
    fill(store, "2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z")
    only = Projection("only", initial=int)
    only.on("T1")(lambda state, _: state + 1)
    rebuilt = rebuild(only, store, "order-17")
    assert (rebuilt.state, rebuilt.events) == (1, 1)
    (warning,) = rebuilt.warnings
    assert (warning.kind, warning.count) == ("unknown type", 1)
    assert warning.message == "1 event of a type without a handler: 'T0'"


def poisoned() -> Projection[int]:
    projection = Projection("poisoned", initial=int)

    @projection.on()
    def count(state: int, event: Event) -> int:
        if event.type == "T1":
            raise ValueError("canary")
        return state + 1

    return projection


def test_a_handler_that_raises_stops_the_rebuild(store: BaseStore) -> None:
    fill(store, "2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z", "2026-03-01T11:30:00Z")
    with pytest.raises(FoldFailed, match=r"'2026-03-01T11:00:00\.000Z#T1' in stream 'order-17'"):
        rebuild(poisoned(), store, "order-17")


def test_skipping_is_asked_for_counted_and_listed(store: BaseStore) -> None:
    fill(store, "2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z", "2026-03-01T11:30:00Z")
    rebuilt = rebuild(poisoned(), store, "order-17", on_error="skip")
    assert (rebuilt.state, rebuilt.events) == (2, 2)
    (warning,) = rebuilt.warnings
    assert (warning.kind, warning.count, warning.keys) == ("skipped", 1, ("2026-03-01T11:00:00.000Z#T1",))
    assert "canary" not in warning.message


def expired_store() -> BaseStore:
    clock = Clock("2026-03-01T10:00:00Z")
    store = open_store("sqlite://?retention_days=30", clock=clock)
    for number, moment in enumerate(("2026-03-01T10:00:00Z", "2026-03-10T10:00:00Z", "2026-03-20T00:00:00Z")):
        clock.set(moment)
        store.append(event(f"T{number}", stream="order-17", time=moment))
    clock.set("2026-04-01T00:00:00Z")
    return store


def test_a_stream_whose_beginning_has_expired_is_incomplete() -> None:
    with expired_store() as store, pytest.raises(IncompleteStream) as error:
        rebuild(types(), store, "order-17")
    assert (error.value.stream, error.value.since) == ("order-17", "2026-03-01T10:00:00.000000000Z")


def test_an_incomplete_answer_is_given_where_it_is_allowed() -> None:
    with expired_store() as store:
        rebuilt = rebuild(types(), store, "order-17", allow_incomplete=True, at="2026-03-21")
    assert rebuilt.state == ["T1", "T2"]
    assert not rebuilt.complete
    assert [warning.kind for warning in rebuilt.warnings] == ["incomplete"]


def test_a_state_before_the_stream_began_is_complete() -> None:
    with expired_store() as store:
        assert rebuild(types(), store, "order-17", at="2026-03-01T09:59:59Z").complete


def test_a_state_from_a_start_behind_the_expired_is_complete() -> None:
    with expired_store() as store:
        assert rebuild(types(), store, "order-17", start="2026-03-05", at="2026-03-21").state == ["T1", "T2"]


def test_a_store_that_is_not_there_is_said() -> None:
    with open_store("sqlite:///nowhere.db") as store, pytest.raises(StoreNotFound, match=r"nowhere\.db"):
        rebuild(types(), store, "order-17")


def several(store: BaseStore) -> None:
    fill(store, "2026-03-01T10:00:00Z", stream="a-1")
    fill(store, "2026-03-01T10:00:00Z", "2026-03-01T11:00:00Z", stream="a-2")
    fill(store, "2026-03-01T10:00:00Z", stream="b-1")


@pytest.mark.parametrize(
    ("streams", "expected"),
    [
        (None, ["a-1", "a-2", "b-1"]),
        ("a-", ["a-1", "a-2"]),
        (["b-1", "a-1"], ["b-1", "a-1"]),
        ("c", []),
    ],
)
def test_several_streams_by_list_prefix_or_all(store: BaseStore, streams: Any, expected: list[str]) -> None:
    several(store)
    assert [rebuilt.stream for rebuilt in rebuild_all(types(), store, streams=streams)] == expected


def test_streams_are_rebuilt_when_they_are_asked_for(store: BaseStore) -> None:
    several(store)
    answers = rebuild_all(types(), store, streams=[*["a-1"] * 100, "c-1"])  # of which some are read ahead
    assert next(answers).stream == "a-1"
    fill(store, "2026-03-01T10:00:00Z", stream="c-1")
    assert list(answers)[-1].state == ["T0"]


def test_a_failing_stream_does_not_stop_the_others_and_is_raised_at_the_end(store: BaseStore) -> None:
    several(store)
    seen: list[str] = []
    with pytest.raises(RebuildsFailed) as error:  # noqa: PT012 - what came before the error is the point
        for rebuilt in rebuild_all(poisoned(), store):
            seen.append(rebuilt.stream)  # noqa: PERF401 - a comprehension would lose them with the error
    assert seen == ["a-1", "b-1"]
    assert list(error.value.failures) == ["a-2"]
    assert isinstance(error.value.failures["a-2"], FoldFailed)


def test_failing_streams_are_listed_where_a_list_is_given(store: BaseStore) -> None:
    several(store)
    failures: list[StreamFailure] = []
    assert len(list(rebuild_all(poisoned(), store, failures=failures))) == 2
    assert [failure.stream for failure in failures] == ["a-2"]


def test_strict_stops_at_the_first_failing_stream(store: BaseStore) -> None:
    several(store)
    with pytest.raises(FoldFailed):
        list(rebuild_all(poisoned(), store, strict=True))


def test_all_streams_are_rebuilt_at_one_moment(store: BaseStore) -> None:
    several(store)
    with freeze_time("2026-03-01T11:30:00Z") as frozen:
        answers = rebuild_all(types(), store, at="1h ago")
        moments = []
        for rebuilt in answers:
            moments.append(rebuilt.at)
            frozen.tick(3_600)
    assert set(moments) == {datetime(2026, 3, 1, 10, 30, tzinfo=UTC)}
