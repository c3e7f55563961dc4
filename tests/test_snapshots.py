"""When a rebuild starts from a snapshot, and when it must not. `test_snapshot_laws` has the law behind these cases."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import IntEnum
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import apsw
import pytest

from eventsourcing_kit import Event, Projection, open_store, rebuild, rebuild_all
from eventsourcing_kit.doctor import examine
from eventsourcing_kit.errors import (
    FoldFailed,
    IncompleteStream,
    InvalidOption,
    StoreDamaged,
    StoreNotFound,
    StoreUnavailable,
)
from eventsourcing_kit.faithful import is_same
from eventsourcing_kit.moment import from_rfc3339, to_canonical
from eventsourcing_kit.resuming import identity_of
from eventsourcing_kit.stores.dynamodb import DynamoDBStore
from eventsourcing_kit.stores.sqlite import SQLiteStore
from eventsourcing_kit.testing import Clock, event
from tests.ten_hours import NOW, fill, happened, numbers, table_with_snapshots

if TYPE_CHECKING:
    from pathlib import Path

    from eventsourcing_kit.outcomes import Rebuilt

HOUR = 3_600_000_000_000
BEGIN = from_rfc3339("2026-03-01T00:00:00Z")


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


def answer(store: Any, clock: Clock, *, snapshots: Any = 4, projection: Any = None, **more: Any) -> Rebuilt[Any]:
    """A rebuild with snapshots, once it is seen that it says what one without them says."""
    projection = projection or numbers()
    rebuilt = rebuild(projection, store, "s", snapshots=snapshots, clock=clock, **more)
    assert rebuilt == rebuild(projection, store, "s", clock=clock, **more)
    return rebuilt


def began(rebuilt: Rebuilt[Any]) -> int:
    return 0 if rebuilt.snapshot is None else rebuilt.snapshot.number


def test_a_rebuild_begins_at_the_newest_snapshot_before_its_moment(store: SQLiteStore, clock: Clock) -> None:
    assert began(answer(store, clock)) == 0
    found = answer(store, clock)
    assert found.state == {"seen": list(range(10))}
    assert found.snapshot == ("2026-03-01T07:00:00.000Z#Added", BEGIN + 7 * HOUR, 8, clock())
    assert began(answer(store, clock, at="2026-03-01T07:00:00Z")) == 8
    assert began(answer(store, clock, at="2026-03-01T06:59:59.999999999Z")) == 4
    assert began(answer(store, clock, at="2026-03-01T02:00:00Z")) == 0


def test_without_them_no_snapshot_is_used_or_taken(store: SQLiteStore, clock: Clock) -> None:
    assert began(answer(store, clock, snapshots=None)) == 0
    assert began(answer(store, clock)) == 0
    assert answer(store, clock, snapshots=None).snapshot is None


def test_all_streams_have_their_snapshots(store: SQLiteStore, clock: Clock) -> None:
    store.append(event("Added", stream="t", time="2026-03-04T12:00:00Z", n=1))
    for expected in ([0, 0], [8, 0]):
        assert [began(each) for each in rebuild_all(numbers(), store, snapshots=4, clock=clock)] == expected


def test_auto_takes_one_every_thousand_events(clock: Clock) -> None:
    with open_store("sqlite://", clock=clock) as store:
        store.append_many(happened(to_canonical(BEGIN + n * 1_000_000), n) for n in range(2_500))
        clock.set(NOW)
        count: Projection[int] = Projection("count", initial=int)
        count.on("Added")(lambda state, _: state + 1)
        assert [began(answer(store, clock, snapshots="auto", projection=count)) for _ in range(2)] == [0, 2_000]


def test_a_large_state_has_fewer_snapshots(clock: Clock) -> None:
    with open_store("sqlite://", clock=clock) as store:
        store.append_many(happened(to_canonical(BEGIN + n * 1_000_000), n) for n in range(2_500))
        clock.set(NOW)
        large: Projection[str] = Projection("large", initial=str)
        large.on("Added")(lambda _state, _event: "x" * 200_000)
        assert [began(answer(store, clock, snapshots="auto", projection=large)) for _ in range(2)] == [0, 1_000]


def test_a_state_over_the_limit_of_an_item_has_none(
    store: SQLiteStore, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger="eventsourcing_kit.snapshots")
    noise = "".join(f"{number * 7919 % 1_000_003:x}" for number in range(250_000))
    large: Projection[str] = Projection("large", initial=str)
    large.on("Added")(lambda _state, _event: noise)
    assert [began(answer(store, clock, projection=large)) for _ in range(2)] == [0, 0]
    assert "it would take over 400 KB" in caplog.text


@pytest.mark.parametrize("snapshots", [0, -1, True, "often", 1.5])
def test_another_setting_is_refused(store: SQLiteStore, snapshots: Any) -> None:
    with pytest.raises(InvalidOption, match="expected 'auto' or a whole number from 1"):
        rebuild(numbers(), store, "s", snapshots=snapshots)


def test_a_store_without_snapshots_says_so(store: SQLiteStore) -> None:
    class Reader:
        url = "reader://"
        read = store.read
        streams = store.streams

    with pytest.raises(InvalidOption, match=r"found 'reader://', expected a store that keeps snapshots"):
        rebuild(numbers(), Reader(), "s", snapshots="auto")


# Late events


def test_a_late_event_behind_a_snapshot_makes_the_rebuild_take_an_older_one(store: SQLiteStore, clock: Clock) -> None:
    answer(store, clock)
    store.append(happened("2026-03-01T05:30:00Z", 55))
    found = answer(store, clock)
    assert began(found) == 4
    assert found.state == {"seen": [0, 1, 2, 3, 4, 5, 55, 6, 7, 8, 9]}
    assert began(answer(store, clock)) == 8  # one taken since, which knows of it


def test_a_late_event_in_the_very_millisecond_of_a_snapshot_counts_as_behind_it(
    store: SQLiteStore, clock: Clock
) -> None:
    answer(store, clock)
    store.append(happened("2026-03-01T07:00:00.000999999Z", 77))
    assert began(answer(store, clock)) == 4


def test_a_late_event_after_a_snapshot_does_it_no_harm(store: SQLiteStore, clock: Clock) -> None:
    answer(store, clock)
    store.append(happened("2026-03-01T07:00:00.001Z", 77))
    assert began(answer(store, clock)) == 8


def test_a_late_duplicate_only_costs(store: SQLiteStore, clock: Clock) -> None:
    answer(store, clock)
    store.append(happened("2026-03-01T03:00:00Z", 3))
    assert [began(answer(store, clock)) for _ in range(2)] == [0, 8]


def test_a_snapshot_covers_no_moment_of_the_last_two_days(store: SQLiteStore, clock: Clock) -> None:
    clock.set("2026-03-03T06:59:59.999999Z")
    assert [began(answer(store, clock)) for _ in range(2)] == [0, 4]
    clock.set("2026-03-03T07:00:00Z")
    assert [began(answer(store, clock)) for _ in range(2)] == [4, 8]


@pytest.mark.parametrize("hours", [1, 23])
def test_a_writer_whose_clock_is_slow_or_whose_put_takes_long_is_met_by_the_margin(
    store: SQLiteStore, clock: Clock, hours: int
) -> None:
    answer(store, clock)
    clock.set(to_canonical(from_rfc3339(NOW) - hours * HOUR))
    store.append(happened("2026-03-01T05:30:00Z", 55))
    clock.set(NOW)
    assert began(answer(store, clock)) == 4


def test_the_marker_is_there_before_its_event(
    store: SQLiteStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = store._put
    order: list[str] = []

    def noted(record: Any) -> Any:
        order.append(record.sk[:6])
        return put(record)

    monkeypatch.setattr(store, "_put", noted)
    store.append(happened("2026-03-01T05:30:00Z", 55))
    assert order == ["#late#", "2026-0"]


def test_one_marker_stands_for_all_that_one_transaction_brings_behind_it(store: SQLiteStore, clock: Clock) -> None:
    store.append_many(happened(f"2026-02-01T00:00:{n:02d}Z", n) for n in range(60))
    assert len(list(store.bookkeeping("s", late_since="").late)) == 1
    store.append_many(happened(f"2026-02-01T00:01:{59 - n:02d}Z", 100 + n) for n in range(60))
    assert len(list(store.bookkeeping("s", late_since="").late)) == 61
    assert [began(answer(store, clock)) for _ in range(2)] == [0, 128]


def test_a_marker_of_a_transaction_that_was_undone_stands_for_nothing(store: SQLiteStore) -> None:
    with pytest.raises(RuntimeError), store._batch():  # noqa: PT012 - what is undone is the point
        store._append(happened("2026-02-01T00:00:00Z", 1))
        raise RuntimeError
    store.append(happened("2026-02-01T00:00:01Z", 2))
    assert len(list(store.bookkeeping("s", late_since="").late)) == 1


def test_a_late_event_that_comes_during_the_fold_sends_it_back_to_the_beginning(
    store: SQLiteStore, clock: Clock
) -> None:
    projection, before = numbers(), numbers()
    answer(store, clock, projection=before)
    came: list[str] = []
    read = store.read

    def reads(*arguments: Any, **options: Any) -> Any:
        if not came:  # behind the choice of a snapshot, before the reading of what comes behind it
            came.append(store.append(happened("2026-03-01T05:30:00Z", 55)))
        return read(*arguments, **options)

    store.read = reads  # type: ignore[method-assign]
    rebuilt = rebuild(projection, store, "s", snapshots=4, clock=clock)
    assert came == ["stored"]
    assert rebuilt.snapshot is None
    assert rebuilt.state["seen"] == [0, 1, 2, 3, 4, 5, 55, 6, 7, 8, 9]


@pytest.mark.parametrize("on_error", ["raise", "skip"])
def test_an_event_that_depends_on_a_late_one_is_folded_behind_it(
    store: SQLiteStore, clock: Clock, on_error: Any
) -> None:
    projection = paired()
    answer(store, clock, projection=projection)
    read = store.read
    came: list[str] = []

    def reads(*arguments: Any, **options: Any) -> Any:
        if not came:  # behind the choice of a snapshot, before the reading of what comes behind it
            came.append(store.append(happened("2026-03-01T05:30:00Z", 55)))
            came.append(store.append(event("Removed", stream="s", id="r55", time="2026-03-01T08:30:00Z", n=55)))
        return read(*arguments, **options)

    store.read = reads  # type: ignore[method-assign]
    rebuilt = rebuild(projection, store, "s", snapshots=4, on_error=on_error, clock=clock)
    assert came == ["stored", "stored"]
    assert rebuilt.snapshot is None
    assert rebuilt.state["seen"] == list(range(10))
    assert [warning.kind for warning in rebuilt.warnings] == ["late"]
    assert answer(store, clock, projection=projection).state == rebuilt.state


def test_where_no_late_event_came_a_failing_one_fails_as_without_snapshots(store: SQLiteStore, clock: Clock) -> None:
    projection = paired()
    answer(store, clock, projection=projection)
    store.append(event("Removed", stream="s", id="r55", time="2026-03-01T08:30:00Z", n=55))
    told = []
    for snapshots in (None, 4):
        with pytest.raises(FoldFailed) as failed:
            rebuild(projection, store, "s", snapshots=snapshots, clock=clock)
        told.append((str(failed.value), failed.value.event, failed.value.state))
    assert told[0] == told[1]


def paired() -> Projection[dict[str, Any]]:
    """As `numbers`, and an event that can not be folded without one before it."""
    projection = numbers()

    @projection.on("Removed")
    def removed(state: dict[str, Any], event: Event) -> dict[str, Any]:
        state["seen"].remove(event.data["n"])
        return state

    return projection


# On DynamoDB, where a marker may be there before its event is


@pytest.fixture
def table(dynamodb_url: str, dynamodb_client: Any, clock: Clock) -> Iterator[DynamoDBStore]:
    with table_with_snapshots(dynamodb_url, dynamodb_client, clock) as store:
        fill(store, clock)
        yield store


def test_on_dynamodb_a_rebuild_begins_at_a_snapshot(table: DynamoDBStore, clock: Clock) -> None:
    assert [began(answer(table, clock)) for _ in range(2)] == [0, 8]
    table.append(happened("2026-03-01T05:30:00Z", 55))
    assert [began(answer(table, clock)) for _ in range(2)] == [4, 8]


def test_while_a_marked_event_is_on_its_way_no_snapshot_is_taken_behind_it(
    table: DynamoDBStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = happened("2026-03-01T05:30:00Z", 55)
    put, held = table._put, []

    def slowly(record: Any) -> Any:
        return put(record) if record.sk.startswith("#") else held.append(record)

    monkeypatch.setattr(table, "_put", slowly)
    table.append(late)
    assert began(answer(table, clock)) == 0
    assert began(answer(table, clock)) == 4
    put(held[0])
    assert answer(table, clock).state == {"seen": [0, 1, 2, 3, 4, 5, 55, 6, 7, 8, 9]}
    assert began(answer(table, clock)) == 8


def test_a_marker_behind_its_event_would_be_seen_by_this_test(
    table: DynamoDBStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer dies between its two puts: what is there of the event is what a rebuild has to be told of."""
    answer(table, clock)
    put = table._put
    done: list[str] = []

    def dies(record: Any) -> Any:
        if record.sk.startswith("#late#") or record.sk[:1] == "2":
            if done:
                raise StoreDamaged("dies", "here")
            done.append(record.sk)
        return put(record)

    monkeypatch.setattr(table, "_put", dies)
    with pytest.raises(StoreDamaged):
        table.append(happened("2026-03-01T05:30:00Z", 55))
    answer(table, clock)


def test_a_table_without_a_table_for_snapshots_says_how_to_make_it(dynamodb_url: str) -> None:
    with open_store(dynamodb_url) as store:
        store.create_table()
        with pytest.raises(StoreNotFound, match="'eskit create-table --snapshots' makes it"):
            rebuild(numbers(), store, "s", snapshots="auto")


def test_the_url_names_the_table_of_snapshots() -> None:
    with open_store("dynamodb://events?region=eu-west-1") as store:
        assert isinstance(store, DynamoDBStore)
        assert store.snapshots_table == "events-snapshots"
    with open_store("dynamodb://events?region=eu-west-1&snapshots=kept") as store:
        assert isinstance(store, DynamoDBStore)
        assert store.snapshots_table == "kept"


# What has expired


def expiring(clock: Clock) -> SQLiteStore:
    store = open_store("sqlite://?retention_days=30", clock=clock)
    assert isinstance(store, SQLiteStore)
    fill(store, clock)
    return store


def test_a_snapshot_that_knows_expired_events_is_not_used(clock: Clock) -> None:
    with expiring(clock) as store:
        answer(store, clock)
        clock.set("2026-03-30T23:59:59Z")
        assert began(answer(store, clock)) == 8
        clock.set("2026-03-31T00:00:00Z")
        with pytest.raises(IncompleteStream):
            rebuild(numbers(), store, "s", snapshots=4, clock=clock)
        found = answer(store, clock, allow_incomplete=True)
    assert (found.state["seen"][0], began(found), found.complete) == (1, 0, False)


def test_a_late_event_that_has_expired_since_is_missed_by_no_answer(clock: Clock) -> None:
    with expiring(clock) as store:
        answer(store, clock)
        store.append(happened("2026-02-04T00:00:00Z", 55))
        clock.set("2026-03-07T00:00:00Z")  # it has expired, and so has its marker; the snapshot's events have not
        with pytest.raises(IncompleteStream):
            rebuild(numbers(), store, "s", snapshots=4, clock=clock)


def test_of_what_is_left_of_a_stream_no_snapshot_is_taken(clock: Clock) -> None:
    with expiring(clock) as store:
        clock.set("2026-03-31T00:00:00Z")
        assert [began(answer(store, clock, allow_incomplete=True)) for _ in range(2)] == [0, 0]
        assert list(store.all_snapshots("s")) == []


# Other questions


def test_known_at_uses_only_what_was_all_known_by_then(store: SQLiteStore, clock: Clock) -> None:
    answer(store, clock)
    assert began(answer(store, clock, known_at="2026-03-01T12:00:00Z")) == 8
    assert began(answer(store, clock, known_at="2026-03-01T11:59:59.999999Z")) == 0


def test_an_answer_of_what_was_known_leaves_snapshots_up_to_what_it_leaves_out(
    store: SQLiteStore, clock: Clock
) -> None:
    store.append(happened("2026-03-01T05:30:00Z", 55))
    answer(store, clock, snapshots=2, known_at="2026-03-04")
    keys = [snapshot.read_facts().key for snapshot in store.all_snapshots("s")]
    assert keys == [f"2026-03-01T{hour:02d}:00:00.000Z#Added" for hour in (5, 3, 1)]
    assert began(answer(store, clock, snapshots=2)) == 6
    assert began(answer(store, clock, snapshots=2, known_at="2026-03-04")) == 6


@pytest.mark.parametrize("options", [{"start": "2026-03-01T02:00:00Z"}, {"at": "event:9"}, {"at": "event:e8"}])
def test_a_start_or_an_event_is_a_full_fold(store: SQLiteStore, clock: Clock, options: dict[str, str]) -> None:
    answer(store, clock)
    assert began(answer(store, clock, **options)) == 0


def test_a_rebuild_whose_clock_is_behind_uses_no_snapshot_of_its_future(store: SQLiteStore, clock: Clock) -> None:
    answer(store, clock)
    earlier = Clock("2026-03-04T23:59:59Z")
    assert began(answer(store, earlier)) == 0
    assert began(answer(store, clock)) == 8


def test_what_an_answer_says_beside_the_state_is_saved_with_it(store: SQLiteStore, clock: Clock) -> None:
    for number, moment in enumerate(("2026-02-01T00:00:00Z", "2026-02-02T00:00:00Z", "2026-03-01T03:30:00Z")):
        store.append(happened(moment, 100 + number, type=("Other", "Added", "Strange")[number]))
    rebuilt = [answer(store, clock, snapshots=6, at="2026-03-01T03:45:00Z") for _ in range(2)][1]
    assert began(rebuilt) == 6
    assert [(each.kind, each.count) for each in rebuilt.warnings] == [("late", 3), ("unknown type", 2)]
    assert rebuilt.last is not None
    assert (rebuilt.events, rebuilt.last.key) == (5, "2026-03-01T03:00:00.000Z#Added")


def test_where_an_event_was_skipped_no_snapshot_is_taken_behind_it(store: SQLiteStore, clock: Clock) -> None:
    picky: Projection[int] = Projection("picky", initial=int)

    @picky.on("Added")
    def added(state: int, event: Event) -> int:
        return state + int(100 // (event.data["n"] - 5))

    options: dict[str, Any] = {"projection": picky, "snapshots": 3, "on_error": "skip"}
    assert [began(answer(store, clock, **options)) for _ in range(2)] == [0, 3]


# States


class Colour(IntEnum):
    RED = 1


@dataclass
class Shelf:
    units: int = 0
    since: datetime | None = None
    inner: dict[str, Any] = field(default_factory=dict)


class Odd(dict[str, Any]):
    pass


SHARED: list[int] = [1]
UNFAITHFUL: dict[str, Any] = {
    "a set": {"x": {1}},
    "a tuple": {"x": (1,)},
    "a number as a name": {1: "x"},
    "an enum that is a number": {"x": Colour.RED},
    "a default dict": {"x": defaultdict(int)},
    "a subclass": {"x": Odd()},
    "one list in two places": {"x": SHARED, "y": SHARED},
    "not a number": {"x": float("nan")},
    "an infinity": {"x": float("inf")},
    "a time": {"x": datetime(2026, 3, 1, tzinfo=UTC)},
    "half of a pair": {"x": "\ud800"},
}


@pytest.mark.parametrize("state", UNFAITHFUL.values(), ids=UNFAITHFUL)
def test_a_state_that_json_does_not_carry_is_not_saved(
    store: SQLiteStore, clock: Clock, state: Any, caplog: pytest.LogCaptureFixture
) -> None:
    projection: Projection[dict[Any, Any]] = Projection("states", initial=dict)
    projection.on("Added")(lambda _state, _event: state)
    for _ in range(2):
        assert rebuild(projection, store, "s", snapshots=4, clock=clock).snapshot is None
    assert "does not come back from JSON as it was" in caplog.text


FAITHFUL: dict[str, tuple[Any, Any]] = {
    "JSON": (dict, {"a": [1, 2.5, -0.0, "é", None, True, {"b": 10**30}]}),
    "a dataclass": (Shelf, Shelf(3, datetime(2026, 3, 1, 12, tzinfo=UTC), {"x": [1]})),
    "a set": (set, set()),
    "none": (lambda: None, None),
    "text": (str, "x"),
}


@pytest.mark.parametrize(("initial", "state"), FAITHFUL.values(), ids=FAITHFUL)
def test_a_state_that_json_carries_is_saved(store: SQLiteStore, clock: Clock, initial: Any, state: Any) -> None:
    projection: Projection[Any] = Projection("states", initial=initial)
    projection.on("Added")(lambda _state, _event: state)
    assert [began(answer(store, clock, projection=projection)) for _ in range(2)] == [0, 8]


def test_states_of_entities_are_saved_too(store: SQLiteStore, clock: Clock) -> None:
    keyed = Projection("keyed", initial=Shelf, key=lambda event: f"shelf {event.data['n'] % 2}")

    @keyed.on("Added")
    def added(state: Shelf, event: Event) -> Shelf:
        state.units += event.data["n"]
        return state

    found = [answer(store, clock, projection=keyed) for _ in range(2)]
    assert [began(each) for each in found] == [0, 8]
    assert found[1].state == {"shelf 0": Shelf(20), "shelf 1": Shelf(25)}


def test_a_time_in_a_named_zone_is_not_the_same_with_a_fixed_offset() -> None:
    berlin = datetime(2026, 3, 1, tzinfo=ZoneInfo("Europe/Berlin"))
    assert berlin == berlin.astimezone(UTC)
    assert not is_same([berlin], [datetime.fromisoformat(berlin.isoformat())])


# Damage


def test_a_damaged_snapshot_is_not_used_and_the_answer_says_so(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "events.db"
    with open_store(f"sqlite:///{file}", clock=clock) as store:
        fill(store, clock)
        answer(store, clock)
    connection = apsw.Connection(str(file))
    connection.execute("""UPDATE snapshots SET state = replace(state, '7', '8')""")
    connection.close()
    with open_store(f"sqlite:///{file}", clock=clock) as store:
        (finding,) = (found for found in examine(store) if found.check == "snapshots")
        assert (finding.ok, len(finding.examples)) == (False, 1)
        rebuilt = rebuild(numbers(), store, "s", snapshots=4, clock=clock)
        assert rebuilt.state == {"seen": list(range(10))}
        assert rebuilt.snapshot is None
        assert [(each.kind, each.count) for each in rebuilt.warnings] == [("damaged snapshot", 1)]
        assert began(answer(store, clock)) == 8  # which that rebuild has put in its place


def test_a_snapshot_whose_event_is_gone_is_not_used(store: SQLiteStore, clock: Clock) -> None:
    answer(store, clock)
    store._delete("s", "2026-03-01T07:00:00.000Z#Added")
    assert began(answer(store, clock)) == 0


def test_snapshots_that_can_not_be_saved_do_not_spoil_the_answer(
    store: SQLiteStore, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuses(_snapshots: object) -> None:
        raise StoreDamaged("here", "no more room")

    monkeypatch.setattr(store, "put_snapshots", refuses)
    assert answer(store, clock).state == {"seen": list(range(10))}
    assert "could not be saved" in caplog.text


@pytest.fixture
def many(store: SQLiteStore, clock: Clock) -> SQLiteStore:
    """With a snapshot behind the eighth event, and so many events behind it that snapshots are saved on the way."""
    answer(store, clock)
    store.append_many(happened(f"2026-03-01T10:{n // 60:02d}:{n % 60:02d}Z", 100 + n) for n in range(100))
    clock.set("2026-03-08T00:00:00Z")
    return store


def test_where_the_look_before_they_are_saved_fails_the_answer_is_given(
    many: SQLiteStore, clock: Clock, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    look = many.bookkeeping
    looks: list[str] = []

    def refuses_once(stream: str, *, late_since: str) -> Any:
        looks.append(late_since)
        if len(looks) == 3:  # behind those at the choice and at the beginning
            raise StoreUnavailable(many.url, code="ThrottlingException", doing="Query")
        return look(stream, late_since=late_since)

    monkeypatch.setattr(many, "bookkeeping", refuses_once)
    rebuilt = rebuild(numbers(), many, "s", snapshots=1, clock=clock)
    assert (began(rebuilt), len(rebuilt.state["seen"])) == (8, 110)
    assert [each.read_facts().number for each in many.all_snapshots("s")] == [8, 4]
    assert "could not be saved" in caplog.text


def test_where_the_look_at_what_the_answer_rests_upon_fails_it_is_not_given(
    store: SQLiteStore, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer(store, clock)
    read, look = store.read, store.bookkeeping
    was_read: list[object] = []

    def reads(*arguments: Any, **options: Any) -> Any:
        was_read.append(arguments)
        return read(*arguments, **options)

    def refuses(stream: str, *, late_since: str) -> Any:
        if was_read:
            raise StoreUnavailable(store.url, code="ThrottlingException", doing="Query")
        return look(stream, late_since=late_since)

    monkeypatch.setattr(store, "read", reads)
    monkeypatch.setattr(store, "bookkeeping", refuses)
    with pytest.raises(StoreUnavailable):
        rebuild(numbers(), store, "s", snapshots=100, clock=clock)


# Rows of other writers


def bare(store: SQLiteStore, key: str) -> None:
    connection = store._connected()
    values = ("s", key, "old", key[:19] + "Z", "shop", "Added", '{"data":{"n":1000}}')
    names = "pk, sk, eventId, eventTime, source, detailType, eventDetail"
    connection.execute(f"INSERT INTO events ({names}) VALUES (?, ?, ?, ?, ?, ?, ?)", values)  # noqa: S608


def test_rows_that_do_not_say_when_they_were_recorded_go_into_no_snapshot(store: SQLiteStore, clock: Clock) -> None:
    bare(store, "2026-03-01T04:30:00.000Z#Added")
    assert [began(answer(store, clock)) for _ in range(2)] == [0, 0]
    assert [saved.read_facts().number for saved in store.all_snapshots("s")] == [4]
    assert began(answer(store, clock, at="2026-03-01T04:00:00Z")) == 4


def test_where_such_a_row_is_met_behind_a_snapshot_it_is_a_full_fold(store: SQLiteStore, clock: Clock) -> None:
    answer(store, clock)
    bare(store, "2026-03-01T08:30:00.000Z#Added")
    bare(store, "2026-03-01T01:30:00.000Z#Added")  # without a marker
    found = answer(store, clock)
    assert (began(found), found.state["seen"][:3]) == (0, [0, 1, 1000])


def test_with_legacy_there_are_no_snapshots(tmp_path: Path, clock: Clock) -> None:
    url = f"sqlite:///{tmp_path / 'events.db'}"
    with open_store(url, clock=clock) as store:
        fill(store, clock)
        answer(store, clock)
    with open_store(f"{url}?legacy=1", clock=clock) as store:
        assert began(answer(store, clock)) == 0


def test_a_file_with_snapshots_is_refused_by_versions_that_know_no_markers(tmp_path: Path, clock: Clock) -> None:
    file = tmp_path / "events.db"
    with open_store(f"sqlite:///{file}", clock=clock) as store:
        fill(store, clock)
        assert file.read_bytes()[60:64] == bytes([0, 0, 0, 1])
        answer(store, clock)
    assert file.read_bytes()[60:64] == bytes([0, 0, 0, 2])


# Code


def test_another_version_or_name_has_no_snapshot_of_this_one(store: SQLiteStore, clock: Clock) -> None:
    answer(store, clock)
    for name, version in (("numbers", 2), ("others", 1)):
        other: Projection[Any] = Projection(name, initial=dict, version=version)
        other.on("Added")(next(iter(numbers()._handlers.values())).function)
        assert began(answer(store, clock, projection=other)) == 0


def test_code_that_changes_what_it_reaches_saves_nothing(store: SQLiteStore, clock: Clock) -> None:
    cache: dict[str, int] = {}
    impure: Projection[int] = Projection("impure", initial=int)

    @impure.on("Added")
    def added(state: int, event: Event) -> int:
        cache[event.id] = 1
        return state + 1

    before = identity_of(impure)
    answer(store, clock, projection=impure)
    assert identity_of(impure) != before
    assert list(store.all_snapshots("s")) == []
