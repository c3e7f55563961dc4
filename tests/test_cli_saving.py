"""`--snapshots` of each command that takes it: it saves, changes no answer, and is refused where it would not help."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from eventsourcing_kit.testing import envelope
from tests.eskit import Desk, desk_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ORDERS = """
from eventsourcing_kit import Projection

orders = Projection("orders", initial=dict)


@orders.on("Paid")
def keep(state, event):
    return {"paid": state.get("paid", 0) + event.data["amount"]}
"""
ALL = ("rebuild", "orders", "--all", "--known-at", "2099-01-01")
TIMELINE = ("timeline", "orders", "order-a", "--start", "2026-03-03")


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    """Two orders, paid on each of the first three days of March."""
    with desk_at(tmp_path, monkeypatch) as desk:
        desk.write("projections/orders.py", ORDERS)
        desk.store(
            *(
                envelope(
                    "Paid", stream=f"order-{name}", id=f"{name}-{day}", time=f"2026-03-0{day}T12:00:00Z", amount=day
                )
                for name in "ab"
                for day in (1, 2, 3)
            )
        )
        yield desk


def paid(name: str, day: int) -> dict[str, Any]:
    return envelope("Paid", stream=f"order-{name}", id=f"{name}-{day}", time=f"2026-03-0{day}T12:00:00Z", amount=day)


def saved(desk: Desk) -> list[tuple[str, int]]:
    return sorted((record["stream"], record["number"]) for record in desk.run("snapshots", "--all").records)


EACH = [(f"order-{name}", number) for name in "ab" for number in (1, 2, 3)]


def test_a_job_in_a_folder_saves_and_has_the_same_parts(desk: Desk) -> None:
    assert desk.run(*ALL, "-o", "plain/").code == 0
    for folder, workers in (("one/", "1"), ("two/", "2")):
        done = desk.run(*ALL, "-o", folder, "--snapshots", "1", "--workers", workers)
        assert (done.code, done.talk[-1]) == (0, f"eskit: 2 states in 1 part in '{folder}', 2 with warnings")
        part = (desk.folder / folder / "part-00000.jsonl").read_bytes()
        assert part == (desk.folder / "plain" / "part-00000.jsonl").read_bytes()
        assert saved(desk) == EACH
    again = desk.run(*ALL, "-o", "two/", "--resume", "--snapshots", "auto")
    assert (again.code, again.talk[-2]) == (0, "eskit: 2 streams of 2 were done before")


def test_a_job_into_a_view_saves_and_has_the_same_rows(desk: Desk) -> None:
    for more in ([], ["--snapshots", "1"], ["--snapshots", "1"]):
        assert desk.run(*ALL, "--into", "sqlite:///views.db", *more).code == 0
        with closing(sqlite3.connect(desk.folder / "views.db")) as views:
            assert views.execute("SELECT stream, state FROM orders").fetchall() == [
                ("order-a", '{"paid":6}'),
                ("order-b", '{"paid":6}'),
            ]
        assert saved(desk) == (EACH if more else [])


def test_a_timeline_saves_and_has_the_same_rows(desk: Desk) -> None:
    plain = desk.run(*TIMELINE)
    assert [record["number"] for record in plain.records] == [3]
    for _ in range(2):
        done = desk.run(*TIMELINE, "--snapshots", "1")
        assert (done.code, done.out) == (0, plain.out)
        assert saved(desk) == EACH[:3]


TARGETS = [[], ["-o", "states/"], ["-o", "states.jsonl"], ["--into", "sqlite:///views.db"], ["--dry-run"]]
LEGACY = ("--store", "sqlite:///events.db?legacy=1")


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (["--start", "2026-03-02"], "eskit: with --start the fold begins there, so no snapshot can stand for it"),
        (["--at", "event:2"], "eskit: a snapshot stands at a moment, and --at names an event"),
        (LEGACY, "eskit: a store that is opened with legacy=1 has no snapshots"),
        (["--snapshots", "often"], "eskit: snapshots: found 'often', expected 'auto' or a whole number from 1"),
    ],
)
def test_a_rebuild_refuses_what_it_would_pass_over(desk: Desk, target: list[str], more: list[str], reason: str) -> None:
    done = desk.run(*ALL, "--snapshots", "1", *target, *more)
    assert (done.code, done.out) == (2, "")
    assert done.talk[-1].startswith(reason)
    assert saved(desk) == []
    assert sorted(path.name for path in desk.folder.iterdir() if path.name[:6] != "events") == ["projections"]


def test_one_pass_over_a_table_takes_no_snapshots(desk: Desk, dynamodb_url: str) -> None:
    desk.store(paid("a", 1), url=dynamodb_url)
    for target in ([], ["-o", "states/"], ["--dry-run"]):
        done = desk.run(*ALL, "--snapshots", "1", "--way", "scan", "--store", dynamodb_url, *target)
        assert done.code == 2
        assert "found 'scan', expected 'auto' or 'query', as snapshots spare the reading of events" in done.err
        assert not (desk.folder / "states").exists()


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        (LEGACY, "eskit: a store that is opened with legacy=1 has no snapshots"),
        (("--snapshots", "0"), "eskit: snapshots: found '0', expected 'auto' or a whole number from 1"),
    ],
)
def test_a_timeline_refuses_what_it_would_pass_over(desk: Desk, more: tuple[str, str], reason: str) -> None:
    done = desk.run(*TIMELINE, "--snapshots", "1", *more)
    assert (done.code, done.out) == (2, "")
    assert done.talk[-1].startswith(reason)


def test_a_dry_run_says_what_its_numbers_leave_out(desk: Desk, dynamodb_url: str) -> None:
    desk.store(envelope("Paid", amount=1), url=dynamodb_url)
    (record,) = desk.run("rebuild", "orders", "--all", "--dry-run", "--snapshots", "1", "--store", dynamodb_url).records
    assert record["way"] == "query"
    assert record["notes"][1] == (
        "what is read and written of snapshots comes on top; the most is read where none of them fits"
    )
