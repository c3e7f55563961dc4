"""What the store on SQLite promises beyond the contract that all stores keep: its file, and all that can befall it."""

from __future__ import annotations

import gc
import random
import sqlite3
import threading
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw
import pytest

from eventsourcing_kit import Event, Projection, bisect, history, open_store, rebuild, rebuild_all
from eventsourcing_kit.errors import EventConflict, StoreDamaged, StoreNotFound, StoreUnavailable
from eventsourcing_kit.outcomes import StreamFailure
from eventsourcing_kit.stores import sqlite_file
from eventsourcing_kit.stores.contract import Columnar, Counts, Store
from eventsourcing_kit.stores.sqlite import _CORRELATED, _CORRELATIONS, SQLiteStore
from eventsourcing_kit.stores.sqlite_file import _retry_busy
from eventsourcing_kit.testing import Clock, event

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PAGE = 4096
STREAM = "order-17"

USES: dict[str, Any] = {
    "append": lambda store: store.append(event("OrderPlaced")),
    "read": lambda store: list(store.read(STREAM)),
    "streams": lambda store: list(store.streams()),
    "correlated": lambda store: list(store.correlated("cart-5")),
    "correlations": lambda store: list(store.correlations()),
    "check": lambda store: store.check(),
    "create_table": lambda store: store.create_table(),
}
READING_USES = {name: USES[name] for name in ("read", "streams", "correlated", "correlations", "check")}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "events.db"


@pytest.fixture
def store(file: Path) -> Iterator[SQLiteStore]:
    with opened(file) as store:
        yield store


def opened(file: Path | str) -> SQLiteStore:
    store = open_store(f"sqlite:///{file}")
    assert isinstance(store, SQLiteStore)
    return store


def events(count: int, stream: str = STREAM, **data: Any) -> Iterator[Event]:
    for number in range(count):
        time = f"2026-03-01T{number // 3600:02d}:{number // 60 % 60:02d}:{number % 60:02d}Z"
        yield event("Noted", stream=stream, time=time, number=number, **data)


def numbers(store: SQLiteStore, stream: str = STREAM) -> list[int]:
    return [read.data["number"] for read in store.read(stream)]


def filled(file: Path, count: int = 500) -> bytes:
    """The bytes of a sound file with `count` events of some 500 bytes each."""
    with opened(file) as store:
        store.append_many(events(count, note="x" * 300))
    return file.read_bytes()


def garbage(pages: int) -> bytes:
    return random.Random(17).randbytes(pages * PAGE)  # noqa: S311 - the same at each run


# The file


def test_any_sqlite_tool_can_read_the_file(file: Path) -> None:
    with open_store(f"sqlite:///{file}?retention_days=30", clock=Clock("2026-03-02T00:00:00Z")) as store:
        store.append(event("OrderPlaced", id="e1", time="2026-03-01T11:03:27.25Z", total=3))
    with closing(sqlite3.connect(file)) as connection:
        connection.row_factory = sqlite3.Row
        head, row = (dict(row) for row in connection.execute("SELECT * FROM events ORDER BY pk, sk"))
    assert len(row.pop("putToken")) == 16
    assert row == {
        "pk": "order-17",
        "sk": "2026-03-01T11:03:27.250Z#OrderPlaced",
        "primaryKey": "order-17",
        "eventId": "e1",
        "eventTime": "2026-03-01T11:03:27Z",
        "source": "shop",
        "detailType": "OrderPlaced",
        "eventDetail": '{"metaData":{"time":"2026-03-01T11:03:27.25Z"},"data":{"primaryKey":"order-17","total":3}}',
        "eventDetailZ": None,
        "expireRecord": 1774955007,
        "recordedAt": "2026-03-02T00:00:00.000000Z",
        "digest": "52bea2103626459e98f86b3f742d970b82a2f29ef87d6d84e14082acd958475c",
        "correlationId": None,
        "causationId": None,
        "replayName": None,
        "account": "123456789012",
        "region": "eu-west-1",
        "resources": None,
    }
    assert (head["sk"], head["expireRecord"]) == ("#head", None)


def test_the_table_is_strict_and_lies_in_the_order_of_its_key(file: Path) -> None:
    filled(file, 1)
    with closing(sqlite3.connect(file)) as connection:
        tables = [row for row in connection.execute("PRAGMA table_list") if not row[1].startswith("sqlite_")]
        columns = connection.execute("PRAGMA table_info(events)").fetchall()
        indices = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'index'").fetchall()
    assert tables == [("main", "events", "table", 19, 1, 1)]  # columns, without rowid, strict
    assert [(name, kind, place) for _, name, kind, _, _, place in columns if place] == [
        ("pk", "TEXT", 1),
        ("sk", "TEXT", 2),
    ]
    assert {kind for _, name, kind, *_ in columns if name not in ("eventDetailZ", "expireRecord")} == {"TEXT"}
    assert indices == [("events_by_correlation",)]


def correlated(number: int, correlation_id: str = "cart-5") -> Event:
    return event("ItemAdded", id=f"e-{number}", metadata={"correlationId": correlation_id}, item=number)


def indices_of(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'index'")]


def without_index(file: Path) -> None:
    """A file as it was made before there was an index."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("DROP INDEX events_by_correlation")


def test_a_file_from_before_the_index_answers_without_it_and_gets_it_with_the_next_append(file: Path) -> None:
    with opened(file) as store:
        store.append_many(correlated(number) for number in range(3))
    without_index(file)
    with opened(file) as store:
        assert sorted(found.id for found in store.correlated("cart-5")) == ["e-0", "e-1", "e-2"]
        assert len(list(store.correlations())) == 3
    assert indices_of(file) == []
    with opened(file) as store:
        assert store.append(correlated(3)) == "stored"
        assert sorted(found.id for found in store.correlated("cart-5")) == ["e-0", "e-1", "e-2", "e-3"]
    assert indices_of(file) == ["events_by_correlation"]
    with opened(file) as store:
        assert store.check() == []


def test_a_trail_is_looked_up_and_all_of_them_are_read_from_the_index_alone(store: SQLiteStore) -> None:
    store.append(correlated(1))
    connection = store._connected()

    def plan(query: str, *values: object) -> list[str]:
        return [str(row[3]) for row in connection.execute(f"EXPLAIN QUERY PLAN {query}", values)]

    assert plan(_CORRELATED, "cart-5") == ["SEARCH events USING INDEX events_by_correlation (correlationId=?)"]
    assert plan(_CORRELATIONS, 0) == ["SEARCH events USING COVERING INDEX events_by_correlation (correlationId>?)"]


def test_correlations_know_what_has_expired(file: Path) -> None:
    clock = Clock("2026-03-01T12:00:00Z")
    with open_store(f"sqlite:///{file}?retention_days=7", clock=clock) as store:
        store.append(correlated(1))
        assert list(store.correlations()) == [("cart-5", "order-17", "2026-03-01T11:03:27.000Z#ItemAdded")]
        clock.set("2026-03-08T12:00:00Z")
        assert list(store.correlations()) == []


def test_the_file_says_whose_it_is_and_in_which_format(file: Path) -> None:
    content = filled(file, 1)
    assert content[68:72] == b"eskt"
    assert content[60:64] == bytes([0, 0, 0, 1])


def test_the_journal_is_a_wal_and_every_commit_reaches_the_disk(store: SQLiteStore, file: Path) -> None:
    store.append(event("OrderPlaced"))
    next(iter(store.read(STREAM)))
    with closing(apsw.Connection(str(file))) as fresh:
        assert fresh.pragma("journal_mode") == "wal"
    assert store._connected().pragma("synchronous") == 2
    assert store._connected().pragma("fullfsync") == 1


def test_a_copy_made_by_sqlite_is_a_store_with_a_wal_again(store: SQLiteStore, file: Path, tmp_path: Path) -> None:
    store.append_many(events(3))
    copy = tmp_path / "copy.db"
    with closing(apsw.Connection(str(file))) as connection:
        connection.execute("VACUUM INTO ?", (str(copy),))
    with opened(copy) as copied:
        assert numbers(copied) == [0, 1, 2]
        copied.append(event("OrderPlaced"))
        assert copied._connected().pragma("journal_mode") == "wal"


def test_the_file_stays_where_it_was_when_the_working_directory_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with opened("events.db") as store:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        store.append(event("OrderPlaced"))
        assert len(list(store.read(STREAM))) == 1
        assert (tmp_path / "events.db").exists()


def test_a_file_may_bear_a_name_that_means_memory_to_sqlite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with opened(":memory:") as store:
        store.append(event("OrderPlaced"))
    assert (tmp_path / ":memory:").read_bytes().startswith(b"SQLite format 3\0")


# Where there is no store


@pytest.mark.parametrize("use", READING_USES)
def test_reading_where_there_is_no_file_says_so_and_makes_none(store: SQLiteStore, file: Path, use: str) -> None:
    with pytest.raises(StoreNotFound, match="the first append makes it"):
        USES[use](store)
    assert not file.exists()


@pytest.mark.parametrize("use", ["append", "create_table"])
def test_the_first_append_makes_the_file(store: SQLiteStore, file: Path, use: str) -> None:
    USES[use](store)
    assert file.exists()
    assert store.check() == []


@pytest.mark.parametrize("use", READING_USES)
def test_an_empty_file_is_no_store_yet(store: SQLiteStore, file: Path, use: str) -> None:
    file.touch()
    with pytest.raises(StoreNotFound):
        USES[use](store)
    assert file.read_bytes() == b""
    assert store.append(event("OrderPlaced")) == "stored"


def test_a_missing_directory_is_no_place_for_a_file(tmp_path: Path) -> None:
    with opened(tmp_path / "no" / "events.db") as store, pytest.raises(StoreUnavailable) as raised:
        store.append(event("OrderPlaced"))
    assert raised.value.code == "SQLITE_CANTOPEN"
    assert "its directory has to be there" in str(raised.value)


@pytest.mark.parametrize("use", USES)
def test_a_directory_is_no_file(tmp_path: Path, use: str) -> None:
    with opened(tmp_path) as store, pytest.raises(StoreUnavailable) as raised:
        USES[use](store)
    assert raised.value.code == "SQLITE_CANTOPEN"


def other_application(file: Path) -> None:
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE events (pk TEXT, sk TEXT)")
        connection.execute("INSERT INTO events VALUES ('a', 'b')")
        connection.commit()


def newer_format(file: Path) -> None:
    filled(file, 3)
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA user_version = 3")


NO_STORES: dict[str, tuple[Any, str]] = {
    "text": (
        lambda file: file.write_text("Dear diary, today I have met a projection.\n" * 99),
        "it is not an SQLite file",
    ),
    "a few bytes": (lambda file: file.write_bytes(b"hi"), "it is not an SQLite file"),
    "zeros": (lambda file: file.write_bytes(bytes(2 * PAGE)), "it is not an SQLite file"),
    "garbage": (lambda file: file.write_bytes(garbage(5)), "it is not an SQLite file"),
    "half": (lambda file: file.write_bytes(filled(file)[: 20 * PAGE + 100]), "SQLite found damage while opening"),
    "a header": (lambda file: file.write_bytes(filled(file)[:100]), "SQLite found damage while opening"),
    "another application's": (other_application, "it is an SQLite file of another application"),
    "a newer format": (newer_format, "it has format 3, and this version of the kit reads formats 1 and 2"),
}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize("kind", NO_STORES)
def test_a_file_that_is_no_store_is_refused_and_left_as_it_is(file: Path, kind: str, use: str) -> None:
    make, reason = NO_STORES[kind]
    make(file)
    before = file.read_bytes()
    with opened(file) as store, pytest.raises(StoreDamaged, match=reason) as raised:
        USES[use](store)
    assert str(raised.value).startswith(f"'sqlite:///{file}' can not be read as a store: ")
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir()] == ["events.db"]


def test_the_journal_of_another_application_is_not_written_back(file: Path) -> None:
    with closing(apsw.Connection(str(file))) as connection:
        connection.pragma("journal_mode", "wal")
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)  # as if it had been killed
        connection.execute("CREATE TABLE mine (a)")
    journal = file.with_name("events.db-wal")
    before = file.read_bytes(), journal.read_bytes()
    with opened(file) as store, pytest.raises(StoreDamaged, match="another application"):
        store.append(event("OrderPlaced"))
    assert (file.read_bytes(), journal.read_bytes()) == before


# Damage


@pytest.mark.parametrize(("page", "ends"), [(1, "never used"), (40, "SQLITE_CORRUPT")], ids=["root", "leaf"])
@pytest.mark.parametrize("content", [bytes(PAGE), garbage(1)], ids=["zeros", "garbage"])
def test_a_damaged_page_is_an_error_for_a_reading_and_listed_by_the_check(
    file: Path, content: bytes, page: int, ends: str
) -> None:
    whole = bytearray(filled(file))
    whole[page * PAGE : (page + 1) * PAGE] = content
    file.write_bytes(whole)
    with opened(file) as store:
        with pytest.raises(StoreDamaged) as raised:
            numbers(store)
        assert raised.value.reason == "SQLite found damage while reading (SQLITE_CORRUPT)"
        problems = store.check()
        assert "btreeInitPage() returns error code 11" in problems[1]
        assert problems[-1].endswith(ends)


def test_damage_behind_a_prefix_is_none_of_its_streams_and_hides_none(file: Path) -> None:
    names = [f"{letter}-{number:02}" for letter in "abc" for number in range(30)]
    with opened(file) as store:
        store.append_many(each for name in names for each in events(4, name, note="x" * 300))
    whole = bytearray(file.read_bytes())
    last = max(place // PAGE for place in range(0, len(whole), PAGE) if b"c-29" in whole[place : place + PAGE])
    whole[last * PAGE : (last + 1) * PAGE] = garbage(1)
    file.write_bytes(whole)
    with opened(file) as store:
        assert list(store.streams("a-")) == names[:30]
        found: list[str] = []
        with pytest.raises(StoreDamaged):
            found.extend(store.streams("c-"))
        assert found == names[60 : 60 + len(found)]


def test_a_text_that_is_no_utf8_is_damage_of_its_stream_alone(file: Path) -> None:
    names = [f"s-{number:02}" for number in range(30)]
    with opened(file) as store:
        store.append_many(event("Noted", stream=name) for name in names)
    with closing(apsw.Connection(str(file))) as connection:
        connection.execute("UPDATE events SET source = CAST(x'ff' AS TEXT) WHERE pk = 's-20'")
    counting: Projection[int] = Projection("counting", initial=int)
    counting.on()(lambda state, _: state + 1)
    failures: list[StreamFailure] = []
    with opened(file) as store:
        found = [answer.stream for answer in rebuild_all(counting, store, failures=failures)]
    assert found == [name for name in names if name != "s-20"]
    assert [failure.stream for failure in failures] == ["s-20"]
    assert str(failures[0].error).endswith("SQLite gave a text that is no UTF-8 while reading")


def test_the_check_lists_keys_that_are_out_of_their_order(file: Path) -> None:
    content = filled(file)
    place = content.index(b"2026-03-01T00:05:0")
    file.write_bytes(content[:place] + b"2027" + content[place + 4 :])
    with opened(file) as store:
        assert store.check() == ["row not in PRIMARY KEY order for events"]


def test_a_sound_file_passes_the_check(file: Path) -> None:
    filled(file)
    with opened(file) as store:
        assert store.check() == []


# Transactions


def test_a_reading_sees_the_stream_as_it_was_when_it_began(store: SQLiteStore) -> None:
    store.append_many(events(1_000))
    reading = store.read(STREAM)
    seen = [next(reading).data["number"]]
    store.append(event("Noted", time="2026-03-01T00:00:00.500Z", number=-1))
    store.append(event("Noted", time="2026-03-09T00:00:00Z", number=-2))
    seen += [read.data["number"] for read in reading]
    assert seen == list(range(1_000))
    assert len(numbers(store)) == 1_002


def test_a_batch_that_fails_in_the_middle_leaves_only_whole_batches(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = store._put

    def failing(record: Any) -> Any:
        if record.sk.startswith("2026-03-01T00:25:00"):  # the 1,501st
            raise KeyboardInterrupt
        return put(record)

    monkeypatch.setattr(store, "_put", failing)
    with pytest.raises(KeyboardInterrupt):
        store.append_many(events(2_500))
    assert numbers(store) == list(range(1_000))
    monkeypatch.undo()
    assert store.append_many(events(2_500)) == Counts(stored=1_500, duplicate=1_000)


def test_a_commit_that_fails_is_undone_and_the_store_goes_on(
    store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append_many(events(3))
    store._connected().set_commit_hook(lambda: True)  # turns each commit into a refusal
    with pytest.raises(StoreUnavailable) as raised:
        store.append(event("OrderPlaced"))
    assert raised.value.code == "SQLITE_CONSTRAINT_COMMITHOOK"
    store._connected().set_commit_hook(None)
    assert numbers(store) == [0, 1, 2]
    assert store.append(event("OrderPlaced")) == "stored"


@pytest.mark.parametrize("append", ["append", "append_many"])
def test_a_full_disk_is_an_error_and_the_store_goes_on_when_there_is_room(store: SQLiteStore, append: str) -> None:
    store.append_many(events(100, note="x" * 300))
    connection = store._connected()
    connection.pragma("max_page_count", connection.pragma("page_count"))
    more = list(events(600, note="x" * 300))[100:]
    with pytest.raises(StoreUnavailable) as raised:
        store.append_many(more) if append == "append_many" else [store.append(one) for one in more]
    assert raised.value.code == "SQLITE_FULL"
    stored = numbers(store)
    assert stored == list(range(len(stored)))
    assert len(stored) == 100 or (append == "append" and 100 < len(stored) < 600)
    assert store.check() == []
    connection.pragma("max_page_count", 1_000_000)
    assert store.append_many(more) == Counts(stored=600 - len(stored), duplicate=len(stored) - 100)


def test_a_store_that_somebody_else_keeps_locked_is_an_error_after_a_while(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventsourcing_kit.stores.sqlite_file.BUSY_TIMEOUT_MS", 20)
    with opened(file) as store:
        store.append_many(events(3))
        with closing(apsw.Connection(str(file))) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailable) as raised:
                store.append(event("OrderPlaced"))
            assert numbers(store) == [0, 1, 2]
        assert raised.value.code == "SQLITE_BUSY"
        assert store.append(event("OrderPlaced")) == "stored"


# Several at once


def test_two_stores_in_one_process_see_each_others_events(file: Path) -> None:
    with opened(file) as one, opened(file) as other:
        assert one.append(event("OrderPlaced")) == "stored"
        assert other.append(event("OrderPlaced")) == "duplicate"
        assert other.append(event("OrderPaid")) == "stored"
        one.close()
        assert [read.type for read in other.read(STREAM)] == ["OrderPaid", "OrderPlaced"]


def test_an_append_returns_while_a_reading_is_open_and_the_other_way_round(file: Path) -> None:
    with opened(file) as one, opened(file) as other:
        one.append_many(events(1_000))
        reading = one.read(STREAM)
        next(reading)
        assert other.append(event("Noted", time="2026-03-02T00:00:00Z", number=1_000)) == "stored"
        assert one.append(event("Noted", time="2026-03-02T00:00:01Z", number=1_001)) == "stored"
        with one._batch():  # a transaction that has begun to write
            one._append(event("Noted", time="2026-03-02T00:00:02Z", number=1_002))
            assert len(numbers(other)) == 1_002
            assert len(numbers(one)) == 1_002
        assert sum(1 for _ in reading) == 999


@pytest.mark.parametrize("url", ["sqlite:///{file}", "sqlite://"], ids=["on disk", "in memory"])
def test_threads_share_a_store(file: Path, url: str) -> None:
    outcomes: list[str] = []
    failures: list[BaseException] = []
    started = threading.Barrier(9)

    def work(job: Callable[[], object]) -> None:
        started.wait()
        try:
            job()
        except BaseException as failure:  # noqa: BLE001 - to be shown by the test
            failures.append(failure)

    def append(store: Store, number: int) -> None:
        for one in [*events(20), *events(20, stream=f"order-{number}")]:
            outcomes.append(store.append(one))  # noqa: PERF401 - each as it comes

    def read(store: Store) -> None:
        for _ in range(20):
            found = [one.data["number"] for one in store.read(STREAM)]
            assert found == sorted(found)
            assert isinstance(store, Columnar)
            keys = [key for columns in store.read_columns(STREAM, at_once=7) for key in columns.keys]
            assert keys == sorted(keys)
            list(store.streams())

    with open_store(url.format(file=file)) as store:
        store.create_table()
        jobs = [*(partial(append, store, number) for number in range(4)), *[partial(read, store)] * 4]
        threads = [threading.Thread(target=work, args=(job,)) for job in jobs]
        for thread in threads:
            thread.start()
        started.wait()
        for thread in threads:
            thread.join(60)
        assert failures == []
        assert (outcomes.count("stored"), outcomes.count("duplicate")) == (100, 60)
        assert sum(1 for stream in store.streams() for _ in store.read(stream)) == 100


def test_a_refused_append_does_not_disturb_an_open_reading_in_memory() -> None:
    with open_store("sqlite://") as store:
        store.append_many(events(100))
        reading = store.read(STREAM)
        next(reading)
        with pytest.raises(EventConflict):
            store.append(
                event(
                    "Noted", time="2026-03-01T00:00:50Z", id=next(store.read(STREAM, start="2026-03-01T00:00:50Z")).id
                )
            )
        assert sum(1 for _ in reading) == 99


def test_two_that_make_the_file_at_the_same_time_make_one(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    is_empty = sqlite_file._is_empty
    with opened(file) as one, opened(file) as other:

        def overtaken(connection: apsw.Connection) -> bool:
            found = is_empty(connection)
            monkeypatch.undo()
            other.append(event("OrderPlaced"))
            return found

        monkeypatch.setattr(sqlite_file, "_is_empty", overtaken)
        assert one.append(event("OrderPlaced")) == "duplicate"


def test_where_sqlite_does_not_wait_for_a_lock_the_store_does(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr("eventsourcing_kit.stores.sqlite_file.time.sleep", waits.append)

    def busy_at_first() -> None:
        if len(waits) < 3:
            raise apsw.BusyError("two connections at once turn the file into a WAL file")

    _retry_busy(busy_at_first)
    assert len(waits) == 3
    monkeypatch.setattr("eventsourcing_kit.stores.sqlite_file.BUSY_TIMEOUT_MS", -1)
    waits.clear()
    with pytest.raises(apsw.BusyError):
        _retry_busy(busy_at_first)


def test_a_listing_that_is_broken_off_leaves_no_reading_behind_in_time(
    file: Path, store: SQLiteStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.append_many(event("Noted", stream=name) for name in ("a", "b", "c"))

    def interrupted(row: tuple[str]) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("eventsourcing_kit.stores.sqlite._first", interrupted)
        with pytest.raises(KeyboardInterrupt) as kept:  # with all that its frames hold
            list(store.streams())
    with opened(file) as other:
        other.append(event("Noted", stream="d"))
    assert list(store.streams()) == ["a", "b", "c", "d"]
    assert kept.value is not None


def test_a_connection_with_a_statement_that_is_not_at_its_end_is_read_with_no_more(
    file: Path, store: SQLiteStore
) -> None:
    store.append_many(events(100))
    with store._reader() as connection:
        held = connection.cursor().execute("SELECT sk FROM events")
        next(held)
    with opened(file) as other:
        other.append(event("Noted", stream="d"))
    assert len(list(store.streams())) == 2


# Listing


@pytest.mark.parametrize("prefix", ["", "a", "ab", "a\0", "a\ud7ff", "a\U0010ffff", "\U0010ffff", "b"])
def test_the_streams_of_a_prefix_are_those_that_begin_with_it(store: SQLiteStore, prefix: str) -> None:
    names = ["a", "a\0", "a\0b", "ab", "abc", "a\ud7ff", "a\ue000", "a\U0010ffff", "a\U0010ffffz", "\U0010ffff", "b"]
    store.append_many(event("Noted", stream=name) for name in names)
    assert list(store.streams(prefix)) == sorted(name for name in names if name.startswith(prefix))


def test_more_streams_than_one_statement_lists_come_once_each(store: SQLiteStore) -> None:
    names = [f"s-{number:04}" for number in range(600)]
    store.append_many(event("Noted", stream=name) for name in names)
    assert list(store.streams()) == names
    assert list(store.streams("s-02")) == names[200:300]
    assert list(store.streams("s-0")) == names


# Closing


def test_closing_ends_what_was_opened_and_closing_twice_is_fine(file: Path) -> None:
    store = opened(file)
    store.append(event("OrderPlaced"))
    list(store.read(STREAM))
    store.close()
    store.close()
    assert [path.name for path in file.parent.iterdir()] == ["events.db"]  # nobody has it open any more


@pytest.mark.parametrize("use", USES)
def test_a_closed_store_says_so(store: SQLiteStore, use: str) -> None:
    store.append(event("OrderPlaced"))
    store.close()
    with pytest.raises(StoreUnavailable) as raised:
        USES[use](store)
    assert raised.value.code == "closed"


def test_an_open_reading_ends_in_peace_when_its_store_is_closed(file: Path) -> None:
    store = opened(file)
    store.append_many(events(1_000))
    reading = store.read(STREAM)
    next(reading)
    store.close()
    assert sum(1 for _ in reading) == 999
    assert [path.name for path in file.parent.iterdir()] == ["events.db"]


def test_memory_is_gone_when_its_store_is_closed() -> None:
    store = open_store("sqlite://")
    store.append_many(events(100))
    reading = store.read(STREAM)
    next(reading)
    store.close()
    with pytest.raises(StoreUnavailable):
        list(reading)


# The library


@pytest.mark.parametrize("version", ["3.51.2", "3.50.6", "3.49.1", "3.44.5", "3.37.2"])
def test_an_sqlite_that_can_damage_files_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: version)
    with pytest.raises(StoreUnavailable, match=rf"SQLite {version}, which can damage a file in WAL mode; install apsw"):
        opened(file)
    assert not file.exists()


@pytest.mark.parametrize("version", ["3.51.3", "3.50.7", "3.44.6", "3.52.0", "4.0.0"])
def test_an_sqlite_without_that_race_is_taken(file: Path, monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    monkeypatch.setattr(apsw, "sqlite_lib_version", lambda: version)
    with opened(file) as store:
        assert store.append(event("OrderPlaced")) == "stored"


@pytest.mark.parametrize("use", ["read", "types", "history", "bisect", "event"])
def test_what_is_left_half_way_lets_go_of_its_connection_at_once(file: Path, use: str) -> None:
    counts = Projection("counts", initial=int)
    counts.on()(lambda state, _: state + 1)
    uses: dict[str, Callable[[SQLiteStore], object]] = {
        "read": lambda store: next(store.read(STREAM)),
        "types": lambda store: next(store.read(STREAM, types=["Noted"])),
        "history": lambda store: next(iter(history(counts, store, STREAM))),
        "bisect": lambda store: bisect(counts, store, STREAM, "@ < `17`"),
        "event": lambda store: rebuild(counts, store, STREAM, at="event:3"),
    }
    gc.disable()
    try:
        with opened(file) as store:
            store.append_many(events(40))
            uses[use](store)
        assert not [each for each in apsw.connections() if Path(each.filename) == file]
    finally:
        gc.enable()
