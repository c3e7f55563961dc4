"""Views in a DynamoDB table: what that place alone can do wrong."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from itertools import chain, cycle, repeat
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

import pytest
from freezegun import freeze_time

from eventsourcing_kit import check_view, open_store, publish, read_view
from eventsourcing_kit.errors import (
    InvalidOption,
    StoreDamaged,
    StoreNotFound,
    StoreUnavailable,
    ViewReplaced,
)
from eventsourcing_kit.jobs.building import create_view_table
from eventsourcing_kit.jobs.view import Row
from eventsourcing_kit.jobs.view_table import ViewTable
from eventsourcing_kit.moment import from_rfc3339
from eventsourcing_kit.testing import envelope, event
from tests.counting import counting
from tests.eskit import Desk, desk_at
from tests.memory_table import FaultyClient
from tests.proxy import FAULTS, faulty_proxy
from tests.servers import lossy_proxy
from tests.test_view_laws import begun

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb.client import DynamoDBClient

    from eventsourcing_kit.stores.base import BaseStore

NOW = from_rfc3339("2026-03-10T00:00:00Z")
STREAMS = [f"s-{number}" for number in range(60)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BaseStore]:
    with open_store(f"sqlite:///{tmp_path / 'events.db'}", clock=lambda: NOW - 1) as store:
        store.append_many(event("Counted", stream=stream, time="2026-03-01T12:00:00Z", number=1) for stream in STREAMS)
        yield store


@pytest.fixture
def views(dynamodb_url: str) -> str:
    create_view_table(dynamodb_url)
    return dynamodb_url


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that botocore and the kit would have made."""
    pauses: list[float] = []
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=pauses.append))
    return pauses


def through(views: str, proxy: str) -> str:
    return f"dynamodb://{urlsplit(views).netloc}?region=eu-west-1&endpoint_url={quote(proxy, safe='')}"


def totals(views: str) -> list[int]:
    with read_view(counting, views) as reading:
        return [state.total for _, state in reading.states()]


def items(views: str, client: DynamoDBClient) -> list[Any]:
    return client.scan(TableName=urlsplit(views).netloc, ConsistentRead=True)["Items"]


def table(views: str) -> ViewTable:
    return ViewTable(urlsplit(views).netloc, url=views, projection="counting", sleep=lambda _: None)


# Faults


def test_answers_that_are_lost_change_nothing(
    store: BaseStore, views: str, dynamodb_endpoint: str, dynamodb_client: DynamoDBClient, pauses: list[float]
) -> None:
    publish(counting, store, views)
    store.append(event("Counted", stream="s-0", time="2026-03-02T12:00:00Z", number=5))
    with lossy_proxy(dynamodb_endpoint) as proxy:
        proxy.lose = {"PutItem": 3, "BatchWriteItem": 3, "Query": 2, "GetItem": 2}
        publish(counting, store, through(views, proxy.url))
        assert set(proxy.lose.values()) == {0}
    assert sum(totals(views)) == 65
    assert len(items(views, dynamodb_client)) == 61


def test_a_build_that_the_table_fails_is_gone_on_with_and_readers_see_one_or_the_other(
    store: BaseStore, views: str, dynamodb_endpoint: str, monkeypatch: pytest.MonkeyPatch, pauses: list[float]
) -> None:
    monkeypatch.setattr("eventsourcing_kit.jobs.building._ROWS", 5)
    monkeypatch.setattr("eventsourcing_kit.jobs.view_items._BATCH", 2)
    publish(counting, store, views)
    store.append(event("Counted", stream="s-0", time="2026-03-02T12:00:00Z", number=5))
    kinds = cycle([each for each in FAULTS if each != "slow"])
    # Twelve that fail in a row are more than botocore has patience for.
    fails = [False] * 20 + [True] * 12
    course = chain(fails, fails, [False] * 30, fails, repeat(False))
    failed = 0
    with faulty_proxy(dynamodb_endpoint, lambda: next(kinds) if next(course) else None) as proxy:
        for _ in range(20):
            try:
                publish(counting, store, through(views, proxy.url), resume=True, clock=lambda: NOW)
            except StoreUnavailable:
                failed += 1
            if sum(totals(views)) != 60:
                break
    assert failed > 1
    assert sum(totals(views)) == 65
    assert check_view(counting, store, views).ok


def test_what_dynamodb_leaves_undone_is_done(views: str) -> None:
    target = table(views)
    client, translated = target._connected
    plan: list[str] = []
    target.__dict__["_connected"] = FaultyClient(client, plan), translated
    name = target.begin(begun(1))
    plan[:] = ["left undone", "all left undone", "left undone"]
    rows = [Row(stream, b"{}", 1, None, None, None, True, "[]") for stream in STREAMS]
    target.write(name, rows[:25])
    assert plan == []
    assert [stream for stream, _ in target.written(name)] == sorted(STREAMS[:25])
    plan[:] = ["all left undone"] * 8
    with pytest.raises(StoreUnavailable, match="nothing was taken in 8 tries"):
        target.write(name, rows[25:50])
    target.close()


def test_a_row_is_not_there_before_all_parts_of_its_state_are(views: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventsourcing_kit.jobs.view_items._PART", 10)
    monkeypatch.setattr("eventsourcing_kit.jobs.view_items.COMPRESS_ABOVE", 10)
    target = table(views)
    client, translated = target._connected
    plan: list[str] = []
    target.__dict__["_connected"] = FaultyClient(client, plan), translated
    name = target.begin(begun(1))
    plan[:] = ["lost before", "none", "none"]  # the second batch, behind the look at the head
    state = b'{"some": "state"}'
    with pytest.raises(StoreUnavailable):
        target.write(name, [Row("a", state, 1, None, None, None, True, "[]")])
    assert list(target.written(name)) == []
    target.write(name, [Row("a", state, 1, None, None, None, True, "[]")])
    target.switch(name, begun(1).done(states=1, events=1))
    with target.reading() as shown:
        assert list(shown.rows()) == [("a", state)]
    target.close()


@pytest.mark.parametrize(("fault", "there"), [("lost before", 60), ("lost after", 65)])
def test_a_switch_that_fails_is_done_or_not_done(
    store: BaseStore, views: str, monkeypatch: pytest.MonkeyPatch, fault: str, there: int
) -> None:
    publish(counting, store, views)
    store.append(event("Counted", stream="s-0", time="2026-03-02T12:00:00Z", number=5))
    switch = ViewTable.switch

    def failing(self: ViewTable, build: str, view: Any) -> None:
        client, translated = self._connected
        self.__dict__["_connected"] = FaultyClient(client, [fault, "none"]), translated  # first it reads the head
        switch(self, build, view)

    with monkeypatch.context() as patch:
        patch.setattr(ViewTable, "switch", failing)
        with pytest.raises(StoreUnavailable):
            publish(counting, store, views, clock=lambda: NOW)
    assert sum(totals(views)) == there
    publish(counting, store, views, resume=True, clock=lambda: NOW)
    assert sum(totals(views)) == 65


# Readers of an old version


def test_whoever_reads_an_old_version_comes_to_its_end_or_is_told(store: BaseStore, views: str) -> None:
    publish(counting, store, views)
    store.append(event("Counted", stream="s-0", time="2026-03-02T12:00:00Z", number=5))
    with read_view(counting, views) as begun, read_view(counting, views) as waiting:
        states = begun.states()
        first = next(states)
        publish(counting, store, views)
        assert sum(state.total for _, state in [first, *states]) == 60  # all pages were there already
        with pytest.raises(ViewReplaced, match="was replaced by a later build while reading it"):
            list(waiting.states())
        with pytest.raises(ViewReplaced):
            waiting.state("s-0")
    with read_view(counting, views) as reading:
        assert sum(state.total for _, state in reading.states()) == 65


def test_rows_that_somebody_has_changed_are_found(
    store: BaseStore, views: str, dynamodb_client: DynamoDBClient
) -> None:
    publish(counting, store, views)
    name = urlsplit(views).netloc
    rows = {item["stream"]["S"]: item for item in items(views, dynamodb_client) if "stream" in item}
    dynamodb_client.delete_item(TableName=name, Key={key: rows["s-7"][key] for key in ("pk", "sk")})
    dynamodb_client.put_item(TableName=name, Item={**rows["s-8"], "state": {"S": '{"total": 9, "seen": []}'}})
    check = check_view(counting, store, views)
    assert [(each.stream, each.found) for each in check.differences] == [("s-7", "missing"), ("s-8", "differs")]


# What is left, and what is not touched


def test_only_the_rows_of_the_view_are_left(store: BaseStore, views: str, dynamodb_client: DynamoDBClient) -> None:
    for _ in range(3):
        publish(counting, store, views)
    found = items(views, dynamodb_client)
    assert len(found) == 61
    assert len({item["pk"]["S"].split("#")[1] for item in found if "stream" in item}) == 1


def test_a_table_of_something_else_is_left_alone(
    store: BaseStore, dynamodb_url: str, dynamodb_client: DynamoDBClient
) -> None:
    with open_store(dynamodb_url) as other:
        other.create_table()
        with pytest.raises(InvalidOption, match="expected another table than that of the events"):
            publish(counting, other, dynamodb_url)
        other.append(event("Counted", stream="a", time="2026-03-01T12:00:00Z", number=1))
    before = items(dynamodb_url, dynamodb_client)
    with pytest.raises(StoreDamaged, match="it is not a table of views, as other items are in it"):
        publish(counting, store, dynamodb_url)
    assert items(dynamodb_url, dynamodb_client) == before


def test_a_library_that_is_missing_is_said(store: BaseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "eventsourcing_kit.jobs.view_table")
    monkeypatch.setitem(sys.modules, "botocore.exceptions", None)
    with pytest.raises(InvalidOption, match="expected the library boto3: pip install"):
        publish(counting, store, "dynamodb://views?region=eu-west-1")


def test_a_table_that_is_not_there_is_said(store: BaseStore, dynamodb_url: str) -> None:
    with pytest.raises(StoreNotFound, match="'eskit create-table --views' makes it"):
        publish(counting, store, dynamodb_url)


def test_more_names_of_streams_than_an_item_holds_are_refused(
    store: BaseStore, views: str, dynamodb_client: DynamoDBClient
) -> None:
    names = [f"{number:032x}" for number in range(13_000)]
    with pytest.raises(InvalidOption, match=r"bytes of names.*expected fewer of them"):
        publish(counting, store, views, streams=names)
    assert items(views, dynamodb_client) == []  # before anything was folded


def test_a_view_of_another_format_is_refused(store: BaseStore, views: str, dynamodb_client: DynamoDBClient) -> None:
    publish(counting, store, views, streams=[])
    (head,) = items(views, dynamodb_client)
    dynamodb_client.put_item(TableName=urlsplit(views).netloc, Item={**head, "format": {"N": "2"}})
    with pytest.raises(StoreDamaged, match="its format is not 1"), read_view(counting, views):
        pass


# The commands


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk_at(tmp_path, monkeypatch) as desk:
        desk.write("projections/counting.py", (Path(__file__).parent / "counting.py").read_text())
        with freeze_time("2026-03-03T00:00:00Z"):
            desk.store(
                *(envelope("Counted", stream=name, time="2026-03-01T12:00:00Z", number=1) for name in ("a", "b")),
                envelope("Waiting", stream="b", time="2026-03-02T12:00:00Z", pipe="pipe"),
            )
        yield desk


def test_a_view_is_made_and_checked_by_commands(desk: Desk, dynamodb_url: str) -> None:
    done = desk.run("create-table", "--views", dynamodb_url)
    assert (done.code, done.out) == (0, "")
    done = desk.run("rebuild", "counting", "--all", "--into", dynamodb_url)
    assert (done.code, done.out) == (0, "")
    assert done.talk[-1] == f"eskit: 2 states in the view 'counting' of '{dynamodb_url}'"
    assert desk.run("verify", "counting", "--against", dynamodb_url).code == 0
    assert desk.run("create-table", "--views", dynamodb_url, "--snapshots").code == 2


def test_a_build_that_is_killed_leaves_the_old_rows_and_is_gone_on_with(
    desk: Desk, views: str, dynamodb_client: DynamoDBClient
) -> None:
    command = ("rebuild", "counting", "--all", "--into", views)
    assert desk.process(*command).code == 0
    with freeze_time("2026-03-04T00:00:00Z"):
        desk.store(envelope("Counted", stream="b", time="2026-03-01T13:00:00Z", number=5))
    pipe = desk.folder / "pipe"
    os.mkfifo(pipe)
    with (
        desk.spawn(*command, start_new_session=True) as process,
        pipe.open("rb", buffering=0) as reading,  # once a handler opens it, too
    ):
        try:
            assert reading.read(4) == b"here"
            process.kill()
            process.communicate(timeout=30)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    pipe.unlink()
    assert totals(views) == [1, 1]
    done = desk.process(*command, "--resume")
    assert done.code == 0
    assert any(line.startswith("eskit: going on with what began at 20") for line in done.talk)
    assert totals(views) == [1, 6]
    assert len(items(views, dynamodb_client)) == 3
