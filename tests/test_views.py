from __future__ import annotations

import os
import signal
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apsw
import pytest
from freezegun import freeze_time

from eventsourcing_kit import Projection, open_store
from eventsourcing_kit.errors import InvalidOption, RebuildsFailed, StoreDamaged, StoreNotFound
from eventsourcing_kit.jobs.publishing import check_view, publish
from eventsourcing_kit.moment import from_rfc3339
from eventsourcing_kit.testing import envelope, event
from tests.counting import counting
from tests.eskit import Desk, desk_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventsourcing_kit.stores.base import BaseStore

NOW = from_rfc3339("2026-03-10T00:00:00Z")
WAITING = (Path(__file__).parent / "counting.py").read_text()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BaseStore]:
    """Three streams with an event each, and one without any that counts."""
    with open_store(f"sqlite:///{tmp_path / 'events.db'}", clock=lambda: NOW - 1) as store:
        for stream in ("a", "b", "c"):
            store.append(event("Counted", stream=stream, id=f"{stream}-1", time="2026-03-01T12:00:00Z", number=1))
        store.append(event("Unknown", stream="other", time="2026-03-01T12:00:00Z"))
        yield store


@pytest.fixture
def views(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'views.db'}"


def rows(views: str, query: str) -> list[Any]:
    """As any SQLite tool reads them."""
    with closing(apsw.Connection(views.removeprefix("sqlite:///"))) as connection:
        return connection.execute(query).fetchall()


def change(views: str, *statements: str) -> None:
    with closing(apsw.Connection(views.removeprefix("sqlite:///"))) as connection:
        for statement in statements:
            connection.execute(statement)


TOTALS = "SELECT stream, state ->> '$.total' FROM counting"


@pytest.mark.parametrize("workers", [1, 2])
def test_a_view_is_a_table_with_a_row_for_each_stream_that_was_folded(
    store: BaseStore, views: str, workers: int
) -> None:
    view = publish(counting, store, views, at="2026-03-05", workers=workers, clock=lambda: NOW)
    assert rows(views, TOTALS) == [("a", 1), ("b", 1), ("c", 1)]
    assert rows(views, "SELECT events, last_id, complete FROM counting WHERE stream = 'b'") == [(1, "b-1", 1)]
    assert (view.states, view.events) == (3, 3)
    registry = "SELECT projection, version, at, known_at, states FROM eskit_views"
    assert rows(views, registry) == [
        ("counting", 3, "2026-03-05T00:00:00.000000000Z", "2026-03-10T00:00:00.000000000Z", 3)
    ]


def test_pythons_own_sqlite_reads_it(store: BaseStore, views: str) -> None:
    publish(counting, store, views)
    with closing(sqlite3.connect(views.removeprefix("sqlite:///"))) as connection:
        assert connection.execute("SELECT count(*) FROM counting").fetchone() == (3,)


def test_readers_see_the_old_rows_until_all_new_ones_are_there(store: BaseStore, views: str) -> None:
    publish(counting, store, views, at="2026-03-05")
    store.append(event("Counted", stream="b", time="2026-03-02T12:00:00Z", number=5))
    seen: list[Any] = []
    publish(counting, store, views, at="2026-03-05", progress=lambda *_: seen.append(rows(views, TOTALS)))
    assert seen == [[("a", 1), ("b", 1), ("c", 1)]] * 3
    assert rows(views, TOTALS) == [("a", 1), ("b", 6), ("c", 1)]


def test_what_somebody_has_built_upon_a_table_stays(store: BaseStore, views: str) -> None:
    publish(counting, store, views)
    index = "CREATE INDEX by_total ON counting (state ->> '$.total')"
    change(views, index, "CREATE VIEW totals AS SELECT sum(state ->> '$.total') AS total FROM counting")
    store.append(event("Counted", stream="a", time="2026-03-02T12:00:00Z", number=5))
    publish(counting, store, views)
    assert rows(views, "SELECT total FROM totals") == [(8,)]
    assert rows(views, "SELECT sql FROM sqlite_schema WHERE type = 'index' AND name = 'by_total'") == [(index,)]


def test_a_stream_that_fails_leaves_the_old_rows(store: BaseStore, views: str) -> None:
    before = publish(counting, store, views)
    store.append(event("Counted", stream="a", time="2026-03-02T12:00:00Z", number=5))
    store.append(event("Broken", stream="b", time="2026-03-02T12:00:00Z", note="canary"))
    with pytest.raises(RebuildsFailed, match="for 1 streams, the first being 'b'"):
        publish(counting, store, views)
    assert rows(views, TOTALS) == [("a", 1), ("b", 1), ("c", 1)]
    assert rows(views, "SELECT began FROM eskit_views") == [(before.began,)]


def test_a_file_has_the_views_of_several_projections(store: BaseStore, views: str) -> None:
    odd: Projection[int] = Projection('odd "name"; --', initial=int)
    odd.on("Counted")(lambda state, _: state + 1)
    publish(counting, store, views)
    publish(odd, store, views, streams="b")
    assert rows(views, 'SELECT stream, state FROM "odd ""name""; --"') == [("b", "1")]
    assert len(rows(views, TOTALS)) == 3
    assert check_view(odd, store, views).ok
    with pytest.raises(InvalidOption, match="found 'COUNTING', expected a name that differs from 'counting'"):
        publish(Projection("COUNTING", initial=dict), store, views)


def test_a_file_of_something_else_is_left_alone(store: BaseStore, tmp_path: Path, views: str) -> None:
    with pytest.raises(StoreDamaged, match="not a file of views"):
        publish(counting, store, store.url)
    (tmp_path / "views.db").write_text("a letter, and long enough to be none of SQLite's own files" * 20)
    with pytest.raises(StoreDamaged):
        publish(counting, store, views)
    assert len(list(store.streams())) == 4
    assert (tmp_path / "views.db").read_text().startswith("a letter")


@pytest.mark.parametrize(
    "into",
    [
        *("sqlite://", "views.db", "sqlite:///views.db?legacy=1", "s3://views"),
        *("dynamodb://views?legacy=1", "dynamodb://views?retention_days=3", "dynamodb://views?snapshots=a"),
    ],
)
def test_a_view_needs_a_file_or_a_table(store: BaseStore, into: str) -> None:
    with pytest.raises(InvalidOption, match=r"into: found .* expected a place for views: a file, such as sqlite:///"):
        publish(counting, store, into)
    with pytest.raises(InvalidOption, match="against: found"):
        check_view(counting, store, into)


def test_a_view_may_be_of_some_streams_or_of_none(store: BaseStore, views: str) -> None:
    publish(counting, store, views, streams=["c", "a"])
    assert rows(views, TOTALS) == [("a", 1), ("c", 1)]
    assert check_view(counting, store, views).ok
    publish(counting, store, views, streams=[])
    assert rows(views, TOTALS) == []
    assert check_view(counting, store, views).ok


# Checking


def test_a_view_is_right_whatever_came_later(store: BaseStore, views: str) -> None:
    publish(counting, store, views, clock=lambda: NOW)
    with open_store(store.url, clock=lambda: NOW + 1_000_000_000) as later:
        later.append(event("Counted", stream="a", time="2026-03-01T11:00:00Z", number=100))
        later.append(event("Counted", stream="d", time="2026-03-01T11:00:00Z", number=100))
    check = check_view(counting, store, views)
    assert check.ok
    assert check.same_code
    assert repr(check) == "<ViewCheck: view of 'counting' and a rebuild of 3 states: the same>"
    assert check.to_dicts() == []


def test_each_row_that_is_not_what_a_rebuild_gives_is_found(store: BaseStore, views: str) -> None:
    for stream in ("d", "e"):
        store.append(event("Counted", stream=stream, time="2026-03-01T12:00:00Z", number=1))
    publish(counting, store, views, clock=lambda: NOW)
    change(
        views,
        "UPDATE counting SET state = json_set(state, '$.total', 7) WHERE stream = 'a'",
        "UPDATE counting SET state = replace(state, ':', ' : ') WHERE stream = 'b'",
        "DELETE FROM counting WHERE stream = 'c'",
        "UPDATE counting SET stream = 'z' WHERE stream = 'd'",
    )
    store.append(event("Broken", stream="e", time="2026-03-01T13:00:00Z", note="canary"))
    check = check_view(counting, store, views)
    assert [(each.stream, each.found, each.pointers) for each in check.differences] == [
        ("a", "differs", ("/total",)),
        ("c", "missing", ()),
        ("d", "missing", ()),
        ("e", "failed", ()),
        ("z", "unexpected", ()),
    ]
    assert "KeyError was raised" in str(check.differences[3].reason)
    assert "canary" not in str(check.differences)


def test_a_view_that_is_not_there_is_said(store: BaseStore, views: str) -> None:
    with pytest.raises(StoreNotFound):
        check_view(counting, store, views)
    publish(Projection("another", initial=dict), store, views)
    with pytest.raises(StoreNotFound, match="it has no view of 'counting'"):
        check_view(counting, store, views)


# The commands


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk_at(tmp_path, monkeypatch) as desk:
        desk.write("projections/counting.py", WAITING)
        with freeze_time("2026-03-03T00:00:00Z"):
            desk.store(
                *(envelope("Counted", stream=name, time="2026-03-01T12:00:00Z", number=1) for name in ("a", "b")),
                envelope("Waiting", stream="b", time="2026-03-02T12:00:00Z", pipe="pipe"),
            )
        yield desk


PUBLISH = ("rebuild", "counting", "--all", "--into", "sqlite:///views.db")
CHECK = ("verify", "counting", "--against", "sqlite:///views.db")


def test_a_view_is_made_and_checked_by_commands(desk: Desk) -> None:
    done = desk.run(*PUBLISH)
    assert (done.code, done.out) == (0, "")
    assert done.talk[-1] == "eskit: 2 states in the view 'counting' of 'sqlite:///views.db'"
    assert desk.run(*CHECK).code == 0
    assert desk.process(*CHECK, "--workers", "2").code == 0
    assert desk.run("verify", "counting", "--all", "--workers", "2").code == 2
    change("sqlite:///views.db", "DELETE FROM counting WHERE stream = 'a'")
    done = desk.run(*CHECK)
    assert done.code == 1
    assert [(record["stream"], record["found"]) for record in done.records] == [("a", "missing")]
    desk.write("projections/counting.py", WAITING.replace("version=3", "version=4"))
    done = desk.process(*CHECK)
    assert "eskit: it was filled by other code, of version 3; the one here has version 4" in done.talk
    assert desk.run(*CHECK, "--all").code == 2


@pytest.mark.parametrize(("end", "kept"), [(signal.SIGKILL, []), (signal.SIGINT, [("a",)])])
def test_a_build_that_is_ended_is_seen_by_nobody_and_gone_on_with(
    desk: Desk, end: signal.Signals, kept: list[Any]
) -> None:
    assert desk.process(*PUBLISH).code == 0
    with freeze_time("2026-03-04T00:00:00Z"):
        desk.store(envelope("Counted", stream="a", time="2026-03-02T12:00:00Z", number=5))
    pipe = desk.folder / "pipe"
    os.mkfifo(pipe)
    with (
        desk.spawn(*PUBLISH, start_new_session=True) as process,
        pipe.open("rb", buffering=0) as reading,  # once a handler opens it, too
    ):
        try:
            assert reading.read(4) == b"here"
            process.send_signal(end)
            _, talk = process.communicate(timeout=30)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    if end is signal.SIGINT:
        assert process.returncode == 130
        said = "interrupted; 'sqlite:///views.db' has what it had; the same command with --resume goes on"
        assert talk.decode().splitlines()[-1] == f"eskit: {said}"
    assert rows("sqlite:///views.db", TOTALS) == [("a", 1), ("b", 1)]
    assert rows("sqlite:///views.db", "SELECT stream FROM eskit_build_2") == kept
    pipe.unlink()
    done = desk.process(*PUBLISH, "--resume")
    assert done.code == 0
    assert any(line.startswith("eskit: going on with what began at 20") for line in done.talk)
    assert rows("sqlite:///views.db", TOTALS) == [("a", 6), ("b", 1)]


def test_a_build_of_which_another_process_has_built_a_later_one_ends_with_an_error(desk: Desk) -> None:
    pipe = desk.folder / "pipe"
    os.mkfifo(pipe)
    with desk.spawn(*PUBLISH) as earlier:
        with pipe.open("rb", buffering=0) as reading:  # once a handler opens it, too
            assert reading.read(4) == b"here"
            pipe.unlink()
            with freeze_time("2026-03-04T00:00:00Z"):
                desk.store(envelope("Counted", stream="a", time="2026-03-02T12:00:00Z", number=5))
            assert desk.process(*PUBLISH).code == 0
        _, talk = earlier.communicate(timeout=60)
    assert earlier.returncode == 4
    assert b"the view of 'counting' at 'sqlite:///views.db' was replaced by a later build while building it" in talk
    assert rows("sqlite:///views.db", TOTALS) == [("a", 6), ("b", 1)]
    left = "SELECT name FROM sqlite_schema WHERE name LIKE 'eskit_build_%'"
    assert rows("sqlite:///views.db", left) == [("eskit_builds",)]


def test_the_exit_code_tells_that_the_old_rows_stay(desk: Desk) -> None:
    with freeze_time("2026-03-03T00:00:00Z"):
        desk.store(envelope("Broken", stream="a", id="e-9", time="2026-03-02T12:00:00Z", note="canary"))
    done = desk.run(*PUBLISH)
    assert done.code == 3
    assert done.talk[-1] == "eskit: 1 stream failed, so 'sqlite:///views.db' has what it had"
    assert "failed at event 'e-9'" in done.err
    assert "canary" not in done.err


@pytest.mark.parametrize("more", [["-o", "states"], ["--strict"]])
def test_options_that_do_not_go_with_a_table_are_refused(desk: Desk, more: list[str]) -> None:
    assert desk.run(*PUBLISH, *more).code == 2
    assert not (desk.folder / "views.db").exists()
