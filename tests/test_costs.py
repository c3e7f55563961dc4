"""What a rebuild of many streams will read is said before it is read, and is what is read then."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

from eventsourcing_kit import estimate, open_store, rebuild_all
from eventsourcing_kit.costs import USD_PER_MILLION
from eventsourcing_kit.errors import InvalidOption, StoreNotFound
from eventsourcing_kit.stores.contract import TableSize
from eventsourcing_kit.testing import Clock, event
from tests.counting import counting
from tests.meter import Meter, meter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_dynamodb.client import DynamoDBClient

    from eventsourcing_kit.stores.base import BaseStore

SMALL, LARGE = 1, 40_000  # characters of a payload
TODAY = Clock("2026-03-01T12:00:00Z")


def fill(store: BaseStore, *, payload: int, streams: int = 20, events: int = 3) -> None:
    store.create_table()
    store.append_many(
        event("Counted", stream=f"s-{place:02}", time=f"2026-03-01T1{number}:00:00Z", number=1, note="x" * payload)
        for place in range(streams)
        for number in range(events)
    )


@contextmanager
def metered(store: BaseStore, endpoint: str, *, exact: bool) -> Iterator[tuple[BaseStore, Meter]]:
    table = store.url.partition("?")[0]
    with (
        meter(endpoint, exact=exact) as counted,
        open_store(f"{table}?region=eu-west-1&endpoint_url={counted.url}") as proxied,
    ):
        yield proxied, counted


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(("payload", "exact"), [(SMALL, False), (LARGE, True)])
def test_what_one_pass_reads_is_within_a_tenth_of_the_estimate(
    dynamodb_url: str, dynamodb_endpoint: str, payload: int, exact: bool, workers: int
) -> None:
    with open_store(dynamodb_url, clock=TODAY) as table:
        fill(table, payload=payload)
        with metered(table, dynamodb_endpoint, exact=exact) as (store, counted):
            said = estimate(store, workers=workers)
            assert counted.requests == 0
            assert len(list(rebuild_all(counting, store, workers=workers))) == 20
    assert said.way == "scan"
    assert said.read_units == said.read_units_at_most == pytest.approx(counted.units, rel=0.1)
    assert said.usd == pytest.approx(said.read_units * USD_PER_MILLION / 1_000_000)


@pytest.mark.parametrize("payload", [SMALL, 3_000])
@pytest.mark.parametrize("exact", [False, True])
def test_what_queries_of_short_streams_read_is_one_unit_for_each_at_least(
    dynamodb_url: str, dynamodb_endpoint: str, payload: int, exact: bool
) -> None:
    with open_store(dynamodb_url, clock=TODAY) as table:
        fill(table, payload=payload)
        with metered(table, dynamodb_endpoint, exact=exact) as (store, counted):
            names = list(table.streams())
            said = estimate(store, streams=names)
            assert len(list(rebuild_all(counting, store, streams=names))) == 20
    assert (said.way, said.streams, said.read_units) == ("query", 20, 20)
    assert said.read_units <= counted.units <= said.read_units_at_most
    if payload == SMALL:
        assert counted.units == said.read_units


@pytest.mark.parametrize(
    "question", [{}, {"at": "2026-03-01T11:00:00Z"}, {"start": "2026-03-01T11:00:00Z"}, {"streams": "s-1"}]
)
def test_listing_and_queries_lie_within_their_bounds_and_above_one_pass(
    dynamodb_url: str, dynamodb_endpoint: str, question: dict[str, Any]
) -> None:
    with open_store(dynamodb_url, clock=TODAY) as table:
        fill(table, payload=3_000)
        with metered(table, dynamodb_endpoint, exact=True) as (store, counted):
            said = estimate(store, way="query", **question)
            assert list(rebuild_all(counting, store, way="query", **question))
            assert said.streams is None
            assert said.read_units <= counted.units <= said.read_units_at_most
            assert estimate(store, **question).read_units < counted.units


def test_the_size_of_a_table_is_the_servers_and_may_be_hours_old(dynamodb_url: str) -> None:
    with open_store(dynamodb_url, clock=TODAY) as store:
        fill(store, payload=SMALL)
        said = estimate(store, usd_per_million=2)
    assert (said.items, said.bytes) == (60, 60 * 200)
    assert said.usd == pytest.approx(said.read_units * 2 / 1_000_000)
    assert said.notes == (
        "DynamoDB tells a table's size as it was up to six hours ago; what was written since is not counted",
    )


def test_a_table_with_provisioned_capacity_charges_no_single_unit(
    dynamodb_url: str, dynamodb_client: DynamoDBClient
) -> None:
    with open_store(dynamodb_url) as store:
        store.create_table()
        dynamodb_client.update_table(
            TableName=store.table,  # type: ignore[attr-defined]  # it is a table's
            BillingMode="PROVISIONED",
            ProvisionedThroughput={"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
            GlobalSecondaryIndexUpdates=[
                {
                    "Update": {
                        "IndexName": "correlationId",
                        "ProvisionedThroughput": {"ReadCapacityUnits": 5, "WriteCapacityUnits": 5},
                    }
                }
            ],
        )
        said = estimate(store)
    assert (said.read_units, said.usd) == (4, 0)
    assert said.notes[1].startswith("the table has provisioned capacity")


def test_an_sqlite_file_charges_nothing() -> None:
    with open_store("sqlite://") as store:
        fill(store, payload=SMALL)
        for streams, count in ((None, 20), ("s-1", 10), (["s-01", "s-02"], 2)):
            said = estimate(store, streams=streams)
            assert (said.way, said.streams, said.items, said.read_units, said.usd) == ("query", count, None, 0, 0)
            assert said.notes == ("nothing is charged for reading an SQLite file",)


@pytest.mark.parametrize(
    ("size", "units"),
    [(0, 4), (4 * 4_096, 4), (4 * 2**20, 4 * 256 + 2), (40 * 2**20, 40 * 256 + 20), (2**40, 2**28 + 2**19)],
)
def test_a_pass_takes_a_unit_for_4_kb_and_half_a_unit_for_each_page(
    size: int, units: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with open_store("dynamodb://events?region=eu-west-1") as store:
        monkeypatch.setattr(type(store), "measured", lambda self: TableSize(7, size, on_demand=True))
        assert estimate(store).read_units == units


def test_what_has_to_be_looked_up_comes_on_top(dynamodb_url: str) -> None:
    with open_store(dynamodb_url, clock=TODAY) as store:
        fill(store, payload=SMALL)
        assert estimate(store, at="event:1").notes[1] == "to find an event, a stream is read once more"
        assert estimate(store, snapshots="auto").notes[1].startswith("what is read and written of snapshots")
        assert estimate(store, at="event:1").way == "query"


def test_what_can_not_be_is_refused(dynamodb_url: str) -> None:
    with open_store(dynamodb_url) as store:
        with pytest.raises(StoreNotFound):
            estimate(store)
        with pytest.raises(InvalidOption, match="a number from 0"):
            estimate(store, usd_per_million=-1)
        with pytest.raises(InvalidOption, match="workers"):
            estimate(store, workers=0)
