from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eventsourcing_kit.cli.costs import dollars
from eventsourcing_kit.testing import envelope
from tests.eskit import Desk, desk_at
from tests.servers import lossy_proxy

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROJECTION = """
from eventsourcing_kit import Projection

orders = Projection("orders", initial=dict)


@orders.on()
def keep(state, event):
    raise SystemExit("a dry run folds nothing")
"""
STALE = "DynamoDB tells a table's size as it was up to six hours ago; what was written since is not counted"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk_at(tmp_path, monkeypatch) as desk:
        desk.write("projections/orders.py", PROJECTION)
        yield desk


def stored(desk: Desk, url: str) -> None:
    desk.store(*(envelope("Placed", stream=f"order-{number}", id=f"e-{number}") for number in range(9)), url=url)


def test_a_dry_run_says_what_a_table_costs_and_reads_nothing(
    desk: Desk, dynamodb_url: str, dynamodb_endpoint: str
) -> None:
    stored(desk, dynamodb_url)
    with lossy_proxy(dynamodb_endpoint) as proxy:
        url = f"{dynamodb_url.partition('?')[0]}?region=eu-west-1&endpoint_url={proxy.url}"
        for target in ([], ["-o", "states/"], ["--into", "sqlite:///views.db"], ["-o", "states.jsonl"]):
            done = desk.run("rebuild", "orders", "--all", "--dry-run", "--store", url, *target)
            assert (done.code, done.talk) == (0, [])
            (record,) = done.records
            assert (record["way"], record["streams"], record["items"]) == ("scan", None, 18)
            assert (record["read_units"], record["read_units_at_most"]) == (4, 4)
            assert record["usd"] == pytest.approx(4 * 0.125 / 1_000_000)
            assert record["notes"] == [STALE]
        assert {operation for operation, _ in proxy.asked} == {"DescribeTable"}
    assert [path.name for path in desk.folder.iterdir()] == ["projections"]


def test_a_dry_run_on_a_terminal_is_a_table_of_facts(desk: Desk, dynamodb_url: str) -> None:
    stored(desk, dynamodb_url)
    command = ("rebuild", "orders", "--all", "--dry-run", "--store", dynamodb_url, "--format", "table")
    done = desk.run(*command, "--way", "query", "--price", "1000")
    assert done.out.splitlines() == [
        "way                 stream by stream",
        "streams             not known before they are read",
        "items in the table  18",
        "size of the table   3,600 bytes",
        "read units          1 to 20",
        "cost                $0.001 to $0.02",
        f"note                {STALE}",
    ]
    assert "read units          4\ncost                below $0.0001\n" in desk.run(*command).out


def test_of_an_sqlite_file_nothing_is_charged(desk: Desk) -> None:
    stored(desk, "sqlite:///events.db")
    done = desk.run("rebuild", "orders", "--prefix", "order-", "--dry-run", "--format", "table")
    assert done.out.splitlines() == [
        "way      stream by stream",
        "streams  9",
        "note     nothing is charged for reading an SQLite file",
    ]
    done = desk.run("rebuild", "orders", "order-1", "order-2", "--dry-run")
    assert [record["streams"] for record in done.records] == [2]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--all", "--price", "1"], "--price is what --dry-run reckons with; add --dry-run"),
        (
            ["--all", "--into", "sqlite:///views.db", "--way", "query"],
            "--into takes the way that costs least",
        ),
        (["--all", "--way", "scan"], "way: found 'scan', expected 'auto' or 'query', as this store reads one stream"),
        (["--all", "--way", "scan", "--dry-run"], "way: found 'scan', expected 'auto' or 'query'"),
        (["--all", "--way", "scan", "-o", "states/"], "way: found 'scan', expected 'auto' or 'query'"),
        (["--dry-run"], "say which streams"),
        (["--all", "--dry-run", "--price", "-1"], ""),
    ],
)
def test_what_can_not_be_meant_is_refused(desk: Desk, arguments: list[str], said: str) -> None:
    stored(desk, "sqlite:///events.db")
    done = desk.run("rebuild", "orders", *arguments)
    assert done.code == 2
    assert said in done.err
    assert sorted(path.name for path in desk.folder.glob("[!.]*")) == ["events.db", "projections"]


def test_a_dry_run_of_a_projection_or_table_that_is_not_there_says_so(desk: Desk, dynamodb_url: str) -> None:
    assert desk.run("rebuild", "ordres", "--all", "--dry-run").code == 2
    assert desk.run("rebuild", "orders", "--all", "--dry-run", "--store", dynamodb_url).code == 4


@pytest.mark.parametrize(
    ("amount", "said"),
    [(0, "$0.00"), (0.00002, "below $0.0001"), (0.0034567, "$0.0035"), (0.5, "$0.5"), (12_345.678, "$12,345.68")],
)
def test_dollars(amount: float, said: str) -> None:
    assert dollars(amount) == said
