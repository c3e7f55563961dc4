"""When a history begins at a snapshot, and what it leaves. `test_snapshot_laws` has the law: its steps are the same."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from eventsourcing_kit import Event, Projection, history, open_store, rebuild
from eventsourcing_kit.errors import (
    FoldFailed,
    IncompleteStream,
    InvalidOption,
    InvalidProjection,
    StoreNotFound,
    StoreUnavailable,
)
from eventsourcing_kit.stores.dynamodb import DynamoDBStore
from eventsourcing_kit.stores.sqlite import SQLiteStore
from eventsourcing_kit.testing import Clock, event
from tests import ten_hours
from tests.ten_hours import NOW, fill, happened, hour, table_with_snapshots

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventsourcing_kit.questions.history import Step


@pytest.fixture
def clock() -> Clock:
    return Clock("2026-03-01T12:00:00Z")


@pytest.fixture
def store(clock: Clock) -> Iterator[SQLiteStore]:
    """Ten events, one for each of the first ten hours of March, recorded on that day; it is the fifth by now."""
    with open_store("sqlite://", clock=clock) as store:
        assert isinstance(store, SQLiteStore)
        fill(store, clock)
        yield store


@pytest.fixture
def table(dynamodb_url: str, dynamodb_client: Any, clock: Clock) -> Iterator[DynamoDBStore]:
    with table_with_snapshots(dynamodb_url, dynamodb_client, clock) as store:
        fill(store, clock)
        yield store


def numbers() -> Projection[dict[str, Any]]:
    """As `ten_hours.numbers`, with a handler that spoils its state and fails."""
    projection = ten_hours.numbers()

    @projection.on("Poison")
    def poisoned(state: dict[str, Any], event: Event) -> dict[str, Any]:
        state.clear()
        raise ValueError

    return projection


def bare(store: SQLiteStore, moment: str, expires: int | None = None) -> None:
    """A row as older writers put it."""
    values = ("s", f"{moment[:-1]}.000Z#Added", "old", moment, "shop", "Added", '{"data":{"n":1000}}', expires)
    names = "pk, sk, eventId, eventTime, source, detailType, eventDetail, expireRecord"
    marks = ", ".join("?" * len(values))
    store._connected().execute(f"INSERT INTO events ({names}) VALUES ({marks})", values)  # noqa: S608


def shown(steps: Iterator[Step[Any]]) -> Iterator[object]:
    for step in steps:
        yield step.number, step.event, step.folded, step.state, step.document, step.patch


@contextmanager
def counted(store: Any) -> Iterator[list[str]]:
    """The keys of all events that are read meanwhile."""
    read = store.read
    keys: list[str] = []

    def reads(*arguments: Any, **window: Any) -> Any:
        return _Counted(read(*arguments, **window), keys)

    store.read = reads
    try:
        yield keys
    finally:
        store.read = read


class _Counted:
    def __init__(self, reading: Any, keys: list[str]) -> None:
        self._reading = reading
        self._keys = keys

    @property
    def expired_since(self) -> str | None:
        found: str | None = self._reading.expired_since
        return found

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        event: Event = next(self._reading)
        self._keys.append(event.key)
        return event


def steps(store: Any, clock: Clock, *, snapshots: Any = 4, **more: Any) -> tuple[list[int], int]:
    """The numbers of a history's steps with snapshots, once it is seen that they are those of one without; and how many
    events it has read."""
    expected = list(shown(iter(history(numbers(), store, "s", clock=clock, **more))))
    with counted(store) as keys:
        assert list(shown(iter(history(numbers(), store, "s", snapshots=snapshots, clock=clock, **more)))) == expected
    return [found[0] for found in expected], len(keys)  # type: ignore[index]


def saved(store: Any) -> list[int]:
    """Behind how many events there are snapshots."""
    return sorted(snapshot.read_facts().number for snapshot in store.all_snapshots("s"))


def test_a_history_reads_from_the_newest_snapshot_before_its_start(store: SQLiteStore, clock: Clock) -> None:
    assert steps(store, clock, start=hour(9)) == ([10], 10)
    assert saved(store) == [4, 8]
    assert steps(store, clock, start=hour(9)) == ([10], 3)  # events 8, 9 and 10
    assert steps(store, clock, start=hour(5)) == ([6, 7, 8, 9, 10], 7)
    assert steps(store, clock, start=hour(5), at=hour(6)) == ([6, 7], 4)
    assert steps(store, clock, start=hour(1)) == ([2, 3, 4, 5, 6, 7, 8, 9, 10], 10)


def test_a_snapshot_at_the_start_itself_is_too_late(store: SQLiteStore, clock: Clock) -> None:
    rebuild(numbers(), store, "s", snapshots=4, clock=clock)
    assert steps(store, clock, start=hour(7)) == ([8, 9, 10], 7)  # from behind the fourth event on
    assert steps(store, clock, start="2026-03-01T07:00:00.000000001Z") == ([9, 10], 3)


def test_a_history_of_all_of_a_stream_looks_for_none_and_saves_as_it_goes(store: SQLiteStore, clock: Clock) -> None:
    assert steps(store, clock) == (list(range(1, 11)), 10)
    assert saved(store) == [4, 8]
    assert steps(store, clock) == (list(range(1, 11)), 10)


def test_what_a_history_saves_is_what_a_rebuild_saves(store: SQLiteStore, clock: Clock) -> None:
    store.append(happened(hour(2, "30:00"), 50, type="Strange"))
    store.append(happened(hour(3, "30:00"), 51, type="Strange"))
    left = []
    for ask in (
        lambda: rebuild(numbers(), store, "s", snapshots=2, clock=clock),
        lambda: steps(store, clock, snapshots=2),
    ):
        ask()
        left.append(list(store.all_snapshots("s")))
        store.delete_snapshots(left[-1])
    steps(store, clock, snapshots=2, start=hour(4))
    left.append(list(store.all_snapshots("s")))
    assert len(left[0]) == 6
    assert left[0] == left[1] == left[2]


def test_one_that_is_not_gone_through_leaves_what_lies_before_its_start(store: SQLiteStore, clock: Clock) -> None:
    next(iter(history(numbers(), store, "s", start=hour(5), snapshots=2, clock=clock)))
    assert saved(store) == [2, 4]


def test_the_ends_may_be_events(store: SQLiteStore, clock: Clock) -> None:
    store.append(happened(hour(8), 81))
    store.append(happened(hour(8), 82))  # twins at the moment of the ninth event
    steps(store, clock)
    for start, at in (("event:9", None), ("event:10", "event:10"), ("event:11", "event:12"), (None, "event:9")):
        steps(store, clock, start=start, at=at)
    with counted(store) as keys:
        found = history(numbers(), store, "s", start="event:10", at="event:11", snapshots=4, clock=clock)
        named = len(keys)
        assert [step.number for step in found] == [10, 11]
    assert len(keys) - named == 4  # from the eighth event on, up to the one that is named


def test_a_late_event_behind_a_snapshot_is_among_the_steps(store: SQLiteStore, clock: Clock) -> None:
    steps(store, clock)
    store.append(happened(hour(5, "30:00"), 55))
    assert steps(store, clock, snapshots=100, start=hour(9)) == ([11], 8)  # from the older one on
    store.append(happened(hour(0, "30:00"), 56))
    assert steps(store, clock, snapshots=100, start=hour(9)) == ([12], 12)


def test_with_known_at_a_snapshot_has_to_be_known_by_then(store: SQLiteStore, clock: Clock) -> None:
    store.append(happened(hour(5, "30:00"), 55))
    steps(store, clock)
    assert saved(store) == [4, 8]
    assert steps(store, clock, start=hour(9), known_at="2026-03-04") == ([11], 8)
    assert steps(store, clock, start=hour(9), known_at=NOW) == ([11], 4)


def test_an_event_that_comes_late_before_the_first_step_is_among_the_steps(store: SQLiteStore, clock: Clock) -> None:
    steps(store, clock)
    read = store.read
    came: list[str] = []

    def reads(*arguments: Any, **options: Any) -> Any:
        if not came:  # behind the choice of a snapshot, before the reading of what comes behind it
            came.append(store.append(happened(hour(5, "30:00"), 55)))
        return read(*arguments, **options)

    store.read = reads  # type: ignore[method-assign]
    (step,) = history(numbers(), store, "s", start=hour(9), snapshots=4, clock=clock)
    assert (step.number, step.state["seen"]) == (11, [0, 1, 2, 3, 4, 5, 55, 6, 7, 8, 9])


def test_an_event_that_depends_on_a_late_one_is_folded_behind_it(store: SQLiteStore, clock: Clock) -> None:
    projection = numbers()

    @projection.on("Removed")
    def removed(state: dict[str, Any], event: Event) -> dict[str, Any]:
        state["seen"].remove(event.data["n"])
        return state

    rebuild(projection, store, "s", snapshots=4, clock=clock)
    read = store.read
    came: list[str] = []

    def reads(*arguments: Any, **options: Any) -> Any:
        if not came:  # behind the choice of a snapshot, before the reading of what comes behind it
            came.append(store.append(happened(hour(5, "30:00"), 55)))
            came.append(store.append(event("Removed", stream="s", id="r55", time=hour(8, "30:00"), n=55)))
        return read(*arguments, **options)

    store.read = reads  # type: ignore[method-assign]
    (step,) = history(projection, store, "s", start=hour(9), snapshots=4, clock=clock)
    assert came == ["stored", "stored"]
    assert (step.number, step.state["seen"]) == (12, list(range(10)))


def test_an_event_that_comes_late_behind_the_first_step_keeps_the_rest_from_being_saved(
    store: SQLiteStore, clock: Clock
) -> None:
    rebuild(numbers(), store, "s", at=hour(3), snapshots=4, clock=clock)
    found = iter(history(numbers(), store, "s", start=hour(5), snapshots=2, clock=clock))
    numbered = [next(found).number]
    assert saved(store) == [4]
    store.append(happened(hour(2, "30:00"), 55))
    assert numbered + [step.number for step in found] == [6, 7, 8, 9, 10]
    assert saved(store) == [4]


def test_it_does_so_too_where_many_wait_to_be_saved(store: SQLiteStore, clock: Clock) -> None:
    store.append_many(happened(hour(10, f"{n // 60:02d}:{n % 60:02d}"), n) for n in range(100))
    clock.set("2026-03-08T00:00:00Z")
    rebuild(numbers(), store, "s", at=hour(3), snapshots=4, clock=clock)
    found = iter(history(numbers(), store, "s", start=hour(5), snapshots=1, clock=clock))
    next(found)
    store.append(happened(hour(2, "30:00"), 55))
    assert sum(1 for _ in found) == 104
    assert saved(store) == [4, 5]


def refused_looks(store: SQLiteStore, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Those that are made from here on."""
    looks: list[str] = []

    def refuses(stream: str, *, late_since: str) -> Any:
        looks.append(stream)
        raise StoreUnavailable(store.url, code="ThrottlingException", doing="Query")

    monkeypatch.setattr(store, "bookkeeping", refuses)
    return looks


@pytest.mark.parametrize("snapshots", [1, 1_000])
def test_a_look_that_fails_behind_the_first_step_costs_no_step(
    store: SQLiteStore, clock: Clock, snapshots: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store.append_many(happened(hour(10, f"{n // 60:02d}:{n % 60:02d}"), n) for n in range(100))
    clock.set("2026-03-08T00:00:00Z")
    rebuild(numbers(), store, "s", at=hour(3), snapshots=4, clock=clock)
    found = iter(history(numbers(), store, "s", start=hour(5), snapshots=snapshots, clock=clock))
    next(found)
    before = saved(store)
    looks = refused_looks(store, monkeypatch)
    assert sum(1 for _ in found) == 104
    assert len(looks) == (snapshots == 1)  # where nothing waits to be saved, there is nothing to look for
    assert ("could not be saved" in caplog.text) == (snapshots == 1)
    assert saved(store) == before


@pytest.mark.parametrize("snapshots", [2, 100])
def test_nor_does_one_behind_the_last(
    store: SQLiteStore, clock: Clock, snapshots: int, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    rebuild(numbers(), store, "s", at=hour(3), snapshots=4, clock=clock)
    found = iter(history(numbers(), store, "s", start=hour(5), snapshots=snapshots, clock=clock))
    next(found)
    looks = refused_looks(store, monkeypatch)
    assert [step.number for step in found] == [7, 8, 9, 10]
    assert len(looks) == (snapshots == 2)
    assert ("could not be saved" in caplog.text) == (snapshots == 2)
    assert saved(store) == [4]


def test_where_an_older_writer_turns_out_to_have_put_an_event_behind_the_snapshot_it_ends(
    store: SQLiteStore, clock: Clock
) -> None:
    steps(store, clock)
    bare(store, hour(2, "30:00"))
    bare(store, hour(9, "30:00"))
    found = iter(history(numbers(), store, "s", start=hour(8, "30:00"), snapshots=100, clock=clock))
    assert next(found).event.id == "e9"
    with pytest.raises(InvalidOption, match="an older writer has put an event behind a snapshot, 's'"):
        next(found)


def test_where_an_older_writer_has_put_none_there_it_goes_on(store: SQLiteStore, clock: Clock) -> None:
    steps(store, clock)
    bare(store, hour(9, "30:00"))
    store.append(happened(hour(9, "45:00"), 10))
    assert steps(store, clock, start=hour(8, "30:00"))[0] == [10, 11, 12]
    assert steps(store, clock, start=hour(9, "30:00"), known_at="2026-03-04")[0] == [11]
    assert steps(store, clock, start=hour(9, "15:00")) == ([11, 12], 4 + 12)  # as the very first one is such a row
    assert steps(store, clock, start=hour(9, "40:00")) == ([12], 4 + 12)  # as it lies before the start


@pytest.mark.parametrize("poison", [2, 6, 9])
def test_where_the_projection_fails_it_says_the_same(store: SQLiteStore, clock: Clock, poison: int) -> None:
    store.append(happened(hour(poison, "30:00"), 99, type="Poison"))
    told = []
    for snapshots in (None, 2, 2):
        found: list[int] = []
        with pytest.raises(FoldFailed) as failed:
            found.extend(
                step.number for step in history(numbers(), store, "s", start=hour(6), snapshots=snapshots, clock=clock)
            )
        error = failed.value
        told.append((found, str(error), error.number, error.event, error.state))
    assert told[0] == told[1] == told[2]
    assert told[0][2:4] == (poison + 2, next(each for each in store.read("s") if each.id == "e99"))
    assert told[0][4] == {"seen": list(range(poison + 1))}


def test_where_the_beginning_has_expired_there_are_none(clock: Clock) -> None:
    with open_store("sqlite://?retention_days=30", clock=clock) as store:
        fill(store, clock)
        steps(store, clock)
        assert steps(store, clock, start=hour(9)) == ([10], 3)
        clock.set("2026-03-31T00:30:00Z")
        with pytest.raises(IncompleteStream):
            list(history(numbers(), store, "s", start=hour(9), snapshots=4, clock=clock))
        assert steps(store, clock, start=hour(9), allow_incomplete=True) == ([9], 9)


def test_since_when_a_stream_is_incomplete_is_said_of_all_of_it(store: SQLiteStore, clock: Clock) -> None:
    steps(store, clock)
    for moment in (hour(2, "30:00"), hour(8, "30:00")):
        bare(store, moment, expires=clock() // 1_000_000_000)
    told = []
    for snapshots in (None, 4):
        with pytest.raises(IncompleteStream) as failed:
            list(history(numbers(), store, "s", start=hour(9), snapshots=snapshots, clock=clock))
        told.append(failed.value.since)
    assert told == ["2026-03-01T02:30:00.000000000Z"] * 2


def test_code_that_changes_between_two_walks_has_snapshots_of_its_own(store: SQLiteStore, clock: Clock) -> None:
    factor = {"n": 1}
    projection: Projection[int] = Projection("sum", initial=int)
    projection.on("Added")(lambda state, event: state + factor["n"] * event.data["n"])
    answer = history(projection, store, "s", start=hour(9), snapshots=4, clock=clock)
    assert [[step.state for step in answer] for _ in range(2)] == [[45], [45]]
    factor["n"] = 2
    assert [[step.state for step in answer] for _ in range(2)] == [[90], [90]]


def test_of_a_state_before_the_start_no_json_is_made(store: SQLiteStore, clock: Clock) -> None:
    projection: Projection[object] = Projection("odd", initial=dict)
    projection.on("Added")(lambda _, event: event.data["n"] if event.data["n"] >= 8 else object())
    assert [step.state for step in history(projection, store, "s", start=hour(9))] == [9]
    with pytest.raises(InvalidProjection):
        list(history(projection, store, "s", start=hour(8)))  # which shows what the ninth event changed


def test_what_can_not_be_asked_is_refused_at_once(store: SQLiteStore) -> None:
    class Plain:
        url = "plain://"
        read = store.read
        streams = store.streams

    with pytest.raises(InvalidOption, match="expected a store that keeps snapshots"):
        history(numbers(), Plain(), "s", snapshots="auto")
    with pytest.raises(InvalidOption, match="expected 'auto' or a whole number from 1"):
        history(numbers(), store, "s", snapshots=0)


def test_on_dynamodb_a_history_begins_at_a_snapshot(table: DynamoDBStore, clock: Clock) -> None:
    assert steps(table, clock, start=hour(9)) == ([10], 10)
    assert steps(table, clock, start=hour(9)) == ([10], 3)
    table.append(happened(hour(5, "30:00"), 55))
    assert steps(table, clock, snapshots=100, start=hour(9)) == ([11], 8)


def test_a_table_without_a_table_for_snapshots_says_how_to_make_it(dynamodb_url: str) -> None:
    with open_store(dynamodb_url) as store:
        store.create_table()
        with pytest.raises(StoreNotFound, match="'eskit create-table --snapshots' makes it"):
            list(history(numbers(), store, "s", start=NOW, snapshots="auto"))
