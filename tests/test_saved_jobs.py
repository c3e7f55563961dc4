"""Jobs with snapshots: the same bytes, from fewer events."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from itertools import count
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from eventsourcing_kit import check_view, open_store, publish, read_view, rebuild, rebuild_all, rebuild_job
from eventsourcing_kit.errors import FoldFailed, InvalidOption, RebuildsFailed, StoreNotFound
from eventsourcing_kit.moment import from_rfc3339
from eventsourcing_kit.record import LATE_KEY
from eventsourcing_kit.snapshot import Snapshot
from eventsourcing_kit.testing import Clock, event
from tests.counting import counting
from tests.ten_hours import table_with_snapshots

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from eventsourcing_kit import Manifest, View
    from eventsourcing_kit.stores.base import BaseStore

STREAMS = [f"s-{number}" for number in range(5)]
BEGAN = "2026-03-10T00:00:00Z"
NOW = from_rfc3339(BEGAN)


class StoppedError(Exception):
    pass


@pytest.fixture
def clock() -> Clock:
    return Clock("2026-03-01T12:00:00Z")


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[BaseStore]:
    with open_store(f"sqlite:///{tmp_path / 'events.db'}", clock=clock) as store:
        fill(store, clock)
        yield store


@pytest.fixture
def table(dynamodb_url: str, dynamodb_client: Any, clock: Clock) -> Iterator[BaseStore]:
    with table_with_snapshots(dynamodb_url, dynamodb_client, clock) as store:
        fill(store, clock)
        yield store


def fill(store: BaseStore, clock: Clock) -> None:
    """Five streams of ten events, one for each of the first ten hours of March, recorded on that day; one of them has
    an event without a handler, and one fails. It is the tenth by now."""
    store.append_many(happened(stream, number) for stream in STREAMS for number in range(10))
    store.append(event("Unknown", stream="s-1", time="2026-03-01T02:30:00Z"))
    store.append(event("Broken", stream="s-3", id="b", time="2026-03-01T05:30:00Z", note="canary"))
    clock.set(BEGAN)


def happened(stream: str, number: int, time: str | None = None) -> Any:
    moment = time or f"2026-03-01T{number:02d}:00:00Z"
    return event("Counted", stream=stream, id=f"{stream}-{number}", time=moment, number=number)


def job(store: BaseStore, folder: Path, **more: Any) -> Manifest:
    return rebuild_job(counting, store, folder, **{"part_streams": 2, "clock": lambda: NOW, **more})


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def saved(store: Any) -> dict[str, list[int]]:
    """Behind how many events of each stream there are snapshots."""
    return {name: sorted(each.read_facts().number for each in store.all_snapshots(name)) for name in STREAMS}


def forge(store: Any, stream: str) -> None:
    """Puts another state into the snapshots of a stream: whoever begins there comes to another one."""
    for each in store.all_snapshots(stream):
        facts, state = each.read_facts(), msgspec.json.encode({"total": 1_000, "seen": []})
        store.put_snapshots([Snapshot.of(stream, facts, state, expires=each.expireRecord)])


def total(folder: Path, stream: str) -> int:
    for path in folder.glob("*.jsonl"):
        for line in path.read_bytes().splitlines():
            if (found := msgspec.json.decode(line))["stream"] == stream:
                return int(found["state"]["total"])
    raise AssertionError(stream)


def stop_at(streams: int) -> Any:
    def progress(_: object, done: int) -> None:
        if done == streams:
            raise StoppedError

    return progress


SAVED = {"s-0": [4, 8], "s-1": [4, 8], "s-2": [4, 8], "s-3": [], "s-4": [4, 8]}


# Into a folder


@pytest.mark.parametrize("part_format", ["jsonl", "parquet"])
def test_a_job_makes_the_same_bytes_with_snapshots_and_without(
    store: BaseStore, tmp_path: Path, part_format: str
) -> None:
    job(store, tmp_path / "plain", part_format=part_format)
    plain = content(tmp_path / "plain")
    assert len(plain) == 5  # three parts, the list of streams, and the manifest with their digests
    for workers in (1, 2, 8, 1):
        folder = tmp_path / f"saved-{next(_NUMBERS)}"
        job(store, folder, part_format=part_format, workers=workers, snapshots=4)
        assert content(folder) == plain
        assert saved(store) == SAVED


_NUMBERS = count()


@pytest.mark.parametrize("workers", [1, 2])
def test_a_job_begins_at_what_an_earlier_one_has_saved(store: BaseStore, tmp_path: Path, workers: int) -> None:
    job(store, tmp_path / "first", snapshots=4, workers=workers)
    forge(store, "s-2")
    job(store, tmp_path / "second", snapshots=4, workers=workers)
    assert total(tmp_path / "first", "s-2") == 45
    assert total(tmp_path / "second", "s-2") == 1_000 + 8 + 9
    job(store, tmp_path / "third", workers=workers)
    assert total(tmp_path / "third", "s-2") == 45


def test_snapshots_of_a_rebuild_are_a_job_s_and_those_of_a_job_are_a_rebuild_s(
    store: BaseStore, tmp_path: Path, clock: Clock
) -> None:
    rebuild(counting, store, "s-0", snapshots=4, clock=clock)
    forge(store, "s-0")
    job(store, tmp_path / "states", snapshots=4)
    assert total(tmp_path / "states", "s-0") == 1_017
    used = rebuild(counting, store, "s-4", snapshots=4, clock=clock).snapshot
    assert used is not None
    assert used.number == 8


@pytest.mark.parametrize(("first", "then"), [(None, 4), (4, None), (4, 3), ("auto", 4)])
def test_a_resumed_job_may_have_another_setting(store: BaseStore, tmp_path: Path, first: Any, then: Any) -> None:
    job(store, tmp_path / "plain")
    job(store, tmp_path / "before", snapshots=4)  # so that there are some
    with pytest.raises(StoppedError):
        job(store, tmp_path / "states", snapshots=first, progress=stop_at(3))
    assert not (tmp_path / "states" / "part-00001.jsonl").exists()
    with open_store(store.url, clock=lambda: NOW + 1_000_000_000) as later:
        for stream in STREAMS:  # what came behind the snapshots since it began is in no part
            later.append(happened(stream, 100, "2026-03-01T03:30:00Z"))
            rebuild(counting, later, stream, snapshots=4, on_error="skip", clock=later.now)  # which save others there
        job(later, tmp_path / "states", snapshots=then, resume=True, clock=later.now)
    assert content(tmp_path / "states") == content(tmp_path / "plain")


@pytest.mark.parametrize("workers", [1, 2])
def test_what_was_deleted_while_a_job_was_stopped_makes_it_miss_no_late_event(
    tmp_path: Path, clock: Clock, workers: int
) -> None:
    """A late event is the first of its stream, and its marker expires with it. Both have expired when the job goes on:
    it goes by the moment when it began, at which they had not, while one of the two is deleted already."""
    with late_and_first(tmp_path, clock) as store:
        job(store, tmp_path / "plain")
        with pytest.raises(StoppedError):
            job(store, tmp_path / "states", progress=stop_at(0))
        expire(store, clock)
        job(store, tmp_path / "states", resume=True, snapshots=4, workers=workers)
    assert content(tmp_path / "states") == content(tmp_path / "plain")
    assert total(tmp_path / "states", "s-0") == 145


@contextmanager
def late_and_first(folder: Path, clock: Clock) -> Iterator[BaseStore]:
    """A stream with snapshots, behind which an event came."""
    with open_store(f"sqlite:///{folder / 'kept.db'}?retention_days=12", clock=clock) as store:
        store.append_many(happened("s-0", number) for number in range(10))
        clock.set("2026-03-06T00:00:00Z")
        rebuild(counting, store, "s-0", snapshots=4, clock=clock)
        store.append(happened("s-0", 100, "2026-02-27T12:00:00Z"))
        clock.set(BEGAN)
        yield store


def expire(store: Any, clock: Clock) -> None:
    clock.set("2026-03-11T18:00:00Z")
    store._connected().execute("DELETE FROM events WHERE sk LIKE ?", (f"{LATE_KEY}%",))


def test_a_damaged_snapshot_is_logged_and_changes_no_byte(
    store: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    job(store, tmp_path / "plain", snapshots=4)
    store._connected().execute("UPDATE snapshots SET state = '{}'")
    caplog.set_level(logging.WARNING, logger="eventsourcing_kit.snapshots")
    job(store, tmp_path / "states", snapshots=4)
    assert content(tmp_path / "states") == content(tmp_path / "plain")
    assert caplog.text.count("is damaged and not used") == 4


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({"snapshots": "often"}, "'auto' or a whole number from 1"),
        ({"snapshots": 4, "way": "scan"}, "reads one stream after another anyway"),
    ],
)
def test_what_can_not_be_is_refused_before_there_is_a_folder(
    store: BaseStore, tmp_path: Path, asked: dict[str, Any], expected: str
) -> None:
    with pytest.raises(InvalidOption, match=expected):
        job(store, tmp_path / "states", **asked)
    assert not (tmp_path / "states").exists()


@pytest.mark.parametrize("question", [{"start": "2026-03-01T02:00:00Z"}, {"at": "event:9"}])
def test_what_is_a_full_fold_passes_them_over(store: BaseStore, tmp_path: Path, question: dict[str, Any]) -> None:
    job(store, tmp_path / "plain", **question)
    plain = made(store, tmp_path, **question)
    rows = totals(tmp_path)
    for stream in STREAMS:
        rebuild(counting, store, stream, snapshots=4, on_error="skip", clock=lambda: NOW)
        forge(store, stream)
    before = saved(store)
    job(store, tmp_path / "states", snapshots=1, **question)
    assert content(tmp_path / "states") == content(tmp_path / "plain")
    assert made(store, tmp_path, snapshots=1, **question) == plain
    assert totals(tmp_path) == rows
    answers = rebuild_all(counting, store, snapshots=1, failures=[], clock=lambda: NOW, **question)
    assert [answer.snapshot for answer in answers] == [None] * 4
    assert saved(store) == before


def test_a_store_without_snapshots_is_refused(store: BaseStore, tmp_path: Path) -> None:
    class Plain:
        url = store.url
        read = store.read
        streams = store.streams

    for ask in (lambda: job(Plain(), tmp_path / "states", snapshots=4), lambda: made(Plain(), tmp_path, snapshots=4)):  # type: ignore[arg-type]
        with pytest.raises(InvalidOption, match="a store that keeps snapshots"):
            ask()
    assert not (tmp_path / "states").exists()
    assert not (tmp_path / "views.db").exists()


# Into a view


def made(store: BaseStore, place: Path, **more: Any) -> View:
    asked: dict[str, Any] = {"streams": ["s-0", "s-1", "s-2", "s-4"], "clock": lambda: NOW, **more}
    return publish(counting, store, f"sqlite:///{place / 'views.db'}", **asked)


def totals(place: Path) -> list[int]:
    with read_view(counting, f"sqlite:///{place / 'views.db'}") as reading:
        return [state.total for _, state in reading.states()]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_view_is_the_same_with_snapshots_and_without(store: BaseStore, tmp_path: Path, workers: int) -> None:
    plain = made(store, tmp_path)
    for _ in range(2):
        assert made(store, tmp_path, snapshots=4, workers=workers) == plain
        assert check_view(counting, store, f"sqlite:///{tmp_path / 'views.db'}").ok
    assert saved(store) == SAVED
    forge(store, "s-2")
    made(store, tmp_path, snapshots=4, workers=workers)
    assert totals(tmp_path) == [45, 45, 1_017, 45]
    check = check_view(counting, store, f"sqlite:///{tmp_path / 'views.db'}")
    assert [difference.stream for difference in check.differences] == ["s-2"]  # which begins at no snapshot


def test_a_resumed_build_may_have_another_setting(
    store: BaseStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventsourcing_kit.jobs.building._ROWS", 1)
    plain = made(store, tmp_path)
    for first, then in ((None, 4), (4, None), (4, 3)):
        with pytest.raises(StoppedError):
            made(store, tmp_path, snapshots=first, progress=stop_at(2))
        assert made(store, tmp_path, snapshots=then, resume=True) == plain
        assert totals(tmp_path) == [45, 45, 45, 45]


def test_what_was_deleted_while_a_build_was_stopped_makes_it_miss_no_late_event(tmp_path: Path, clock: Clock) -> None:
    with late_and_first(tmp_path, clock) as store:
        store.append(happened("r-0", 1, "2026-03-08T12:00:00Z"))
        with pytest.raises(StoppedError):
            made(store, tmp_path, streams=None, progress=stop_at(1))
        expire(store, clock)
        made(store, tmp_path, streams=None, resume=True, snapshots=4)
    assert totals(tmp_path) == [1, 145]


def test_a_damaged_snapshot_is_no_warning_in_a_view(store: Any, tmp_path: Path) -> None:
    made(store, tmp_path, snapshots=4)
    before = (tmp_path / "views.db").read_bytes()
    store._connected().execute("UPDATE snapshots SET state = '{}'")
    made(store, tmp_path, snapshots=4)
    assert b"checksum" not in (tmp_path / "views.db").read_bytes()
    assert len((tmp_path / "views.db").read_bytes()) == len(before)


# Wherever


@pytest.mark.parametrize("workers", [1, 2])
def test_an_answer_says_where_it_began_also_from_another_process(store: BaseStore, workers: int) -> None:
    found = []
    for _ in range(2):
        failures: list[Any] = []
        answers = rebuild_all(counting, store, snapshots=4, workers=workers, failures=failures, clock=lambda: NOW)
        found.append([None if answer.snapshot is None else answer.snapshot.number for answer in answers])
        assert [type(failure.error) for failure in failures] == [FoldFailed]
    assert found == [[None] * 4, [8] * 4]


def test_on_dynamodb_a_job_makes_the_same_bytes_and_begins_at_snapshots(table: Any, tmp_path: Path) -> None:
    job(table, tmp_path / "plain")
    for name, workers in (("one", 1), ("two", 2)):
        job(table, tmp_path / name, snapshots=4, workers=workers)
        assert content(tmp_path / name) == content(tmp_path / "plain")
    assert saved(table) == SAVED
    forge(table, "s-2")
    job(table, tmp_path / "forged", snapshots=4, workers=2)
    assert total(tmp_path / "forged", "s-2") == 1_017
    made(table, tmp_path, snapshots=4)
    assert totals(tmp_path) == [45, 45, 1_017, 45]
    with pytest.raises(InvalidOption, match="snapshots spare the reading of events"):
        job(table, tmp_path / "scan", snapshots=4, way="scan")


def test_a_job_of_one_pass_can_be_resumed_with_snapshots(table: Any, tmp_path: Path) -> None:
    job(table, tmp_path / "plain", way="scan")
    with pytest.raises(StoppedError):
        job(table, tmp_path / "states", way="scan", progress=stop_at(2))
    job(table, tmp_path / "states", snapshots=4, resume=True)
    assert content(tmp_path / "states") == content(tmp_path / "plain")


def test_a_table_without_a_table_for_snapshots_says_so_and_the_job_can_be_resumed(
    dynamodb_url: str, tmp_path: Path, clock: Clock
) -> None:
    with open_store(dynamodb_url, clock=clock) as store:
        store.create_table()
        fill(store, clock)
        job(store, tmp_path / "plain")
        with pytest.raises(StoreNotFound, match="'eskit create-table --snapshots' makes it"):
            job(store, tmp_path / "states", snapshots=4)
        job(store, tmp_path / "states", resume=True)
    assert content(tmp_path / "states") == content(tmp_path / "plain")


def test_a_failing_stream_fails_a_view_as_without(store: BaseStore, tmp_path: Path) -> None:
    for snapshots in (None, 4, 4):
        with pytest.raises(RebuildsFailed) as failed:
            made(store, tmp_path, streams=None, snapshots=snapshots)
        assert list(failed.value.failures) == ["s-3"]
