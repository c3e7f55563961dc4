from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import pytest

from eventsourcing_kit.testing import envelope
from tests.eskit import Desk, desk_at, lines
from tests.rows import RawRows, older

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ORDERS = "from eventsourcing_kit import Projection\norders = Projection('orders', initial=dict)\n"
HANDLER = "@orders.on('Placed')\ndef placed(state, event):\n    return state\n"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk_at(tmp_path, monkeypatch) as desk:
        yield desk


# create-table


def test_create_table_makes_a_file_that_streams_can_be_listed_of(desk: Desk) -> None:
    for _ in range(2):
        done = desk.run("create-table")
        assert (done.code, done.out, done.talk) == (0, "", ["eskit: there is a store at 'sqlite:///events.db'"])
    assert desk.run("streams").code == 0


def test_a_table_that_is_not_there_is_code_4_and_can_be_made_and_filled(desk: Desk, dynamodb_url: str) -> None:
    missing = desk.run("streams", "--store", dynamodb_url)
    assert missing.code == 4
    assert missing.talk[-1].endswith("'eskit create-table' makes it")
    desk.run("create-table", "--store", dynamodb_url)
    desk.write("events.jsonl", lines([envelope("Placed", id="e-1"), envelope("Placed", id="retry")]) + "[]\n")
    done = desk.run("ingest", "events.jsonl", "--store", dynamodb_url)
    counts = done.records[0]
    assert (done.code, counts["stored"], counts["duplicate"], counts["refused"]) == (1, 1, 1, 1)
    assert len(desk.run("events", "order-17", "--store", dynamodb_url).records) == 1


def test_an_endpoint_that_nobody_answers_at_is_code_4(desk: Desk) -> None:
    done = desk.run("streams", "--store", "dynamodb://events?region=eu-west-1&endpoint_url=http://127.0.0.1:9")
    assert (done.code, done.out, len(done.talk)) == (4, "", 1)
    assert "EndpointConnectionError" in done.talk[0]


# migrate


def test_migrate_shows_what_it_would_do_and_then_does_it(desk: Desk) -> None:
    desk.store()
    raw = RawRows("sqlite:///events.db")
    raw.put(older(envelope("Placed", time="2026-03-01T11:03:27Z"), "2026-03-01T11:03:27Z#Placed"))
    row = {
        "stream": "order-17",
        "old_key": "2026-03-01T11:03:27Z#Placed",
        "new_key": "2026-03-01T11:03:27.000Z#Placed",
        "outcome": "rewritten",
    }
    planned = desk.run("migrate", "--dry-run")
    assert (planned.code, planned.records) == (1, [row])
    assert planned.talk == ["eskit: 1 row would be moved, 0 can not be moved"]
    assert raw.keys("order-17") == ["2026-03-01T11:03:27Z#Placed"]
    done = desk.run("migrate")
    assert (done.code, done.records) == (0, [row])
    assert raw.keys("order-17") == ["2026-03-01T11:03:27.000Z#Placed"]
    again = desk.run("migrate", "--dry-run")
    assert (again.code, again.out) == (0, "")


def test_a_reader_who_has_seen_enough_does_not_end_a_migration(desk: Desk) -> None:
    desk.store()
    raw = RawRows("sqlite:///events.db")
    for number in range(250):
        time = f"2026-03-01T{number // 60:02}:{number % 60:02}:00Z"
        raw.put(older(envelope("Placed", time=time), f"{time}#Placed"))
    with desk.spawn("migrate") as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(timeout=60) == 0
    assert {key[19:] for key in raw.keys("order-17")} == {".000Z#Placed"}


def test_a_row_that_can_not_be_migrated_is_listed_and_code_1(desk: Desk) -> None:
    desk.store()
    row = older(envelope("Placed", time="2026-03-01T11:03:27Z"), "undefined#Placed")
    RawRows("sqlite:///events.db").put({**row, "eventTime": "undefined", "eventDetail": "{}"})
    done = desk.run("migrate")
    assert (done.code, done.records[0]["new_key"]) == (1, None)
    assert done.talk == ["eskit: 0 rows moved, 1 can not be moved"]
    assert "undefined#Placed" in desk.run("migrate", "--format", "table").out


# doctor


def test_doctor_is_content_with_a_sound_store(desk: Desk) -> None:
    desk.store(envelope("Placed"))
    desk.write("projections/orders.py", ORDERS + HANDLER)
    done = desk.run("doctor")
    assert (done.code, [record for record in done.records if not record["ok"]]) == (0, [])
    assert done.records[0]["check"] == "store"
    assert desk.run("doctor", "--format", "table").out.startswith("ok  store: ")


def test_doctor_needs_no_projections(desk: Desk) -> None:
    desk.store(envelope("Placed"))
    assert desk.run("doctor").code == 0


def test_doctor_finds_what_is_wrong_with_a_store_and_with_projections(desk: Desk) -> None:
    desk.store(envelope("Placed"))
    RawRows("sqlite:///events.db").put(older(envelope("Paid"), "2026-03-01T11:03:27Z#Paid"))
    desk.write("projections/orders.py", ORDERS + HANDLER)
    desk.write("projections/broken.py", "print('talk')\nimport no_such_library\n")
    done = desk.run("doctor")
    assert done.code == 1
    wrong = "\n".join(str(record) for record in done.records if not record["ok"])
    assert "2026-03-01T11:03:27Z#Paid" in wrong
    assert "no_such_library" in wrong
    assert "talk" in done.err.splitlines()
    table = desk.run("doctor", "--format", "table").out
    assert "\n!!  " in table
    assert "no_such_library" in table


def test_doctor_says_code_4_where_there_is_no_store(desk: Desk) -> None:
    done = desk.run("doctor")
    assert done.code == 4
    assert done.records[0]["ok"] is False


# demo


def test_the_demo_prints_what_to_try_next_and_those_commands_work(desk: Desk) -> None:
    done = desk.process("demo")
    assert done.code == 0
    commands = [shlex.split(line)[1:] for line in done.out.splitlines() if line.startswith("  eskit ")]
    assert len(commands) == 9
    for command in commands:
        found = desk.run(*command)
        assert (found.code, len(found.records) > 0) == (0, True), command


def test_the_demo_asks_nobody_for_a_store(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ESKIT_STORE", "sqlite:///precious.db")
    assert desk.run("demo").code == 0
    assert not (desk.folder / "precious.db").exists()
    assert (desk.folder / "demo.db").exists()
