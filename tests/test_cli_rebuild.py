from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from freezegun import freeze_time
from pyarrow import parquet  # type: ignore[import-untyped]

from eventsourcing_kit.testing import envelope
from tests.eskit import Desk, desk_at
from tests.rows import RawRows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ORDERS = """
from eventsourcing_kit import Projection

print("imported")
orders = Projection("orders", initial=dict, version=2)


@orders.on("Placed", "Paid")
def keep(state, event):
    print("handling")
    return {**state, event.type: event.data["amount"]}


@orders.on("Broken")
def fail(state, event):
    return helper(event)


def helper(event):
    raise KeyError(event.data["note"])


@orders.on("Ends")
def end(state, event):
    raise SystemExit(0)


@orders.on("Odd")
def odd(state, event):
    return {"odd": event.data["note"] + "\\ud800"}
"""
TALK = ["imported", "handling"]  # what the user's own code prints


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk_at(tmp_path, monkeypatch) as desk:
        desk.write("projections/orders.py", ORDERS)
        yield desk


@pytest.fixture
def shop(desk: Desk) -> Desk:
    """A desk with three orders, each placed at noon and paid a day later."""
    for name in ("a", "b", "c"):
        desk.store(
            envelope("Placed", stream=f"order-{name}", id=f"{name}-1", time="2026-03-01T12:00:00Z", amount=1),
            envelope("Paid", stream=f"order-{name}", id=f"{name}-2", time="2026-03-02T12:00:00Z", amount=2),
        )
    return desk


def spoken(lines: list[str]) -> list[str]:
    return [line for line in lines if line not in TALK]


def states(records: list[dict[str, object]]) -> dict[str, object]:
    return {str(record["stream"]): record["state"] for record in records}


def test_a_state_at_a_moment_with_what_it_is_worth(shop: Desk) -> None:
    done = shop.run("rebuild", "orders", "order-a", "--at", "2026-03-02")
    (record,) = done.records
    record["warnings"] = [warning["kind"] for warning in record["warnings"]]
    assert record == {
        "stream": "order-a",
        "projection": "orders",
        "version": 2,
        "at": "2026-03-02T00:00:00.000000000Z",
        "known_at": None,
        "events": 1,
        "last": {"id": "a-1", "key": "2026-03-01T12:00:00.000Z#Placed", "type": "Placed"},
        "complete": True,
        "warnings": ["late"],
        "state": {"Placed": 1},
    }
    assert done.code == 0


def test_what_is_used_is_said_on_stderr_and_what_the_users_code_prints_too(shop: Desk) -> None:
    done = shop.run("rebuild", "orders", "order-a", "--at", "2026-03-02")
    assert done.err.splitlines() == [
        "eskit: store 'sqlite:///events.db' (the default)",
        "imported",
        f"eskit: projections from package 'projections' in '{shop.folder}'",
        "eskit: at 2026-03-02T00:00:00.000000000Z",
        "handling",
    ]


def test_the_moment_itself_is_included(shop: Desk) -> None:
    for at, events in (("2026-03-02T11:59:59.999Z", 1), ("2026-03-02T12:00:00Z", 2)):
        assert shop.run("rebuild", "orders", "order-a", "--at", at).records[0]["events"] == events


def test_times_are_read_in_the_zone_that_is_asked_for_and_said_in_utc(shop: Desk) -> None:
    done = shop.run("rebuild", "orders", "order-a", "--at", "2026-03-02 13:00", "--tz", "Europe/Berlin")
    assert done.records[0]["events"] == 2
    assert "eskit: at 2026-03-02T12:00:00.000000000Z" in done.talk


@freeze_time("2026-03-02T14:00:00Z")
def test_relative_times_count_from_now(shop: Desk) -> None:
    done = shop.run("rebuild", "orders", "order-a", "--at", "3h ago", "--start", "-2d")
    assert done.records[0]["at"] == "2026-03-02T11:00:00.000000000Z"
    assert "eskit: at 2026-03-02T11:00:00.000000000Z, from 2026-02-28T14:00:00.000000000Z" in done.talk


def test_what_was_not_known_yet_is_left_out(desk: Desk) -> None:
    with freeze_time("2026-03-02T00:00:00Z"):
        desk.store(envelope("Placed", time="2026-03-01T12:00:00Z", amount=1))
    with freeze_time("2026-03-05T00:00:00Z"):
        desk.store(envelope("Paid", time="2026-03-01T13:00:00Z", amount=2))
    arguments = ("rebuild", "orders", "order-17", "--at", "2026-03-02", "--known-at")
    assert desk.run(*arguments, "2026-03-04").records[0]["state"] == {"Placed": 1}
    later = desk.run(*arguments, "2026-03-06")
    assert later.records[0]["state"] == {"Placed": 1, "Paid": 2}
    assert later.records[0]["known_at"] == "2026-03-06T00:00:00.000000000Z"


def test_several_streams_a_prefix_and_all(shop: Desk) -> None:
    shop.store(envelope("Placed", stream="other", amount=3))
    assert list(states(shop.run("rebuild", "orders", "order-b", "order-a").records)) == ["order-b", "order-a"]
    assert list(states(shop.run("rebuild", "orders", "--prefix", "order-").records)) == [
        "order-a",
        "order-b",
        "order-c",
    ]
    every = shop.run("rebuild", "orders", "--all")
    assert list(states(every.records)) == ["order-a", "order-b", "order-c", "other"]
    assert every.talk[-1] == "eskit: 4 states, 4 with warnings"


@pytest.mark.parametrize("streams", [[], ["order-a", "--all"], ["--all", "--prefix", "o"]])
def test_which_streams_has_to_be_said_in_one_way(shop: Desk, streams: list[str]) -> None:
    done = shop.run("rebuild", "orders", *streams)
    assert (done.code, done.out) == (2, "")
    assert done.err == "eskit: say which streams: their keys, or --prefix, or --all; one of the three\n"


def test_a_stream_without_an_event_by_then_is_named(shop: Desk) -> None:
    done = shop.run("rebuild", "orders", "order-a", "nowhere", "--at", "2026-03-02")
    assert states(done.records) == {"order-a": {"Placed": 1}, "nowhere": {}}
    assert "eskit: no event up to then, so the initial state, for 1 stream: 'nowhere'" in done.talk


# Failures


def test_a_handler_that_raises_is_named_with_the_place_and_without_its_message(desk: Desk) -> None:
    desk.store(envelope("Broken", id="e-9", time="2026-03-01T12:00:00Z", note="canary"))
    done = desk.run("rebuild", "orders", "order-17")
    assert (done.code, done.out) == (3, "")
    assert spoken(done.talk) == [
        "eskit: projection 'orders' failed at event 'e-9' ('2026-03-01T12:00:00.000Z#Broken' in stream 'order-17'): "
        "KeyError was raised",
        "eskit:   projections/orders.py:16 in fail",
        "eskit:   projections/orders.py:20 in helper",
    ]
    assert "canary" not in done.err


def test_a_stream_that_fails_is_listed_and_does_not_stop_the_others(shop: Desk) -> None:
    shop.store(envelope("Broken", stream="order-b", time="2026-03-03T12:00:00Z", note="canary"))
    done = shop.run("rebuild", "orders", "--all")
    assert done.code == 3
    assert list(states(done.records)) == ["order-a", "order-c"]
    assert [line for line in done.talk if "in stream 'order-b'" in line] != []
    assert done.talk[-1] == "eskit: 2 states, 2 with warnings; 1 stream failed"


def test_strict_stops_at_the_first_stream_that_fails(shop: Desk) -> None:
    shop.store(envelope("Broken", stream="order-b", time="2026-03-03T12:00:00Z", note="canary"))
    done = shop.run("rebuild", "orders", "--all", "--strict", "-o", "orders.jsonl")
    assert (done.code, done.out) == (3, "")
    assert not (shop.folder / "orders.jsonl").exists()
    assert list(states(shop.run("rebuild", "orders", "--all", "--strict").records)) == ["order-a"]


def test_events_that_fail_can_be_skipped_and_are_counted(shop: Desk) -> None:
    shop.store(envelope("Broken", stream="order-b", time="2026-03-03T12:00:00Z", note="canary"))
    done = shop.run("rebuild", "orders", "order-b", "--on-error", "skip")
    assert done.code == 0
    skipped = [warning for warning in done.records[0]["warnings"] if warning["kind"] == "skipped"]
    assert [warning["keys"] for warning in skipped] == [["2026-03-03T12:00:00.000Z#Broken"]]
    assert "canary" not in done.out + done.err


def test_a_handler_that_ends_the_process_does_not_end_it_in_silence(desk: Desk) -> None:
    desk.store(envelope("Ends"))
    done = desk.run("rebuild", "orders", "order-17")
    assert (done.code, done.out) == (3, "")
    assert spoken(done.talk) == [
        "eskit: the projections' code made Python exit",
        "eskit:   projections/orders.py:25 in end",
    ]


def test_a_state_that_is_no_json_fails_its_stream_only(shop: Desk) -> None:
    shop.store(envelope("Odd", stream="order-b", time="2026-03-03T12:00:00Z", note="canary"))
    for arguments in ([], ["--format", "table"], ["-o", "orders.jsonl"]):
        done = shop.run("rebuild", "orders", "--all", *arguments)
        assert done.code == 3
        assert "canary" not in done.out + done.err
        assert [line for line in done.talk if "the state of stream 'order-b' holds something" in line] != []
        assert "2 states" in done.talk[-1]
    assert len((shop.folder / "orders.jsonl").read_text().splitlines()) == 2
    for arguments in ([], ["-o", "strict.jsonl"]):
        strict = shop.run("rebuild", "orders", "order-b", "order-a", "--strict", *arguments)
        assert (strict.code, strict.out) == (3, "")
    assert not (shop.folder / "strict.jsonl").exists()


def test_an_incomplete_stream_is_an_error_until_it_is_allowed(desk: Desk) -> None:
    desk.store(envelope("Paid", time="2026-03-02T12:00:00Z", amount=2))
    RawRows("sqlite:///events.db").put(
        {
            "pk": "order-17",
            "sk": "2026-03-01T11:00:00.000Z#Placed",
            "eventTime": "2026-03-01T11:00:00Z",
            "eventDetail": "{}",
            "expireRecord": 1,
        }
    )
    refused = desk.run("rebuild", "orders", "order-17")
    assert (refused.code, refused.out) == (3, "")
    assert spoken(refused.talk)[0].endswith("(--allow-incomplete)")
    allowed = desk.run("rebuild", "orders", "order-17", "--allow-incomplete")
    assert (allowed.code, allowed.records[0]["complete"]) == (0, False)


def test_an_unknown_projection_is_answered_with_those_that_there_are(shop: Desk) -> None:
    shop.write("projections/broken.py", "import no_such_library\n")
    shop.write("projections/stock.py", ORDERS.replace('"orders"', '"stock"'))
    done = shop.run("rebuild", "ordres", "order-a")
    assert (done.code, done.out) == (2, "")
    where = shop.folder / "projections"
    assert spoken(done.talk) == [
        f"eskit: 'ordres' was not found in package 'projections' in '{shop.folder}': there are 'orders', 'stock'; "
        f"'projections.broken': ModuleNotFoundError: No module named 'no_such_library' ({where / 'broken.py'}:1); "
        "--app MODULE names another place"
    ]


@pytest.mark.parametrize("at", ["2026-13-01", "02/03/2026", "2026-03", "yesterday 25:00"])
def test_a_time_that_is_none_is_a_usage_error(shop: Desk, at: str) -> None:
    done = shop.run("rebuild", "orders", "order-a", "--at", at)
    assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)
    assert done.err.startswith(f"eskit: '{at}' is not a moment: ")


def test_a_time_that_happens_twice_is_refused_with_both_readings(shop: Desk) -> None:
    done = shop.run("rebuild", "orders", "order-a", "--at", "2026-10-25 02:30", "--tz", "Europe/Berlin")
    assert done.code == 2
    assert "2026-10-25T02:30:00+02:00 or 2026-10-25T02:30:00+01:00" in done.err


# Files


def test_states_can_be_written_as_json_lines(shop: Desk) -> None:
    done = shop.run("rebuild", "orders", "--all", "--at", "2026-03-02", "-o", "orders.jsonl")
    assert (done.code, done.out) == (0, "")
    written = [json.loads(line) for line in (shop.folder / "orders.jsonl").read_text().splitlines()]
    assert written == shop.run("rebuild", "orders", "--all", "--at", "2026-03-02").records
    assert done.talk[-1] == "eskit: 3 states in 'orders.jsonl', 3 with warnings"


def test_states_can_be_written_as_parquet(shop: Desk) -> None:
    assert shop.run("rebuild", "orders", "--all", "-o", "orders.parquet").code == 0
    rows = parquet.read_table(shop.folder / "orders.parquet").to_pylist()
    assert {row["stream"]: json.loads(row["state"]) for row in rows} == {
        f"order-{name}": {"Placed": 1, "Paid": 2} for name in "abc"
    }


def test_a_file_of_another_kind_is_refused_before_anything_is_read(desk: Desk) -> None:
    done = desk.run("rebuild", "orders", "--all", "-o", "orders.csv")
    assert (done.code, done.out) == (2, "")
    assert done.err == (
        "eskit: output: found 'orders.csv', expected a file whose name ends with '.jsonl' or '.parquet'\n"
    )


def test_without_a_store_no_file_is_left(desk: Desk) -> None:
    done = desk.run("rebuild", "orders", "--all", "-o", "orders.jsonl")
    assert done.code == 4
    assert sorted(path.name for path in desk.folder.iterdir()) == ["projections"]


# On a terminal


def test_for_people_a_state_is_shown_with_what_it_is_worth(shop: Desk) -> None:
    done = shop.run(
        "rebuild", "orders", "order-a", "--at", "2026-03-02", "--known-at", "2099-01-01", "--format", "table"
    )
    warning = [line for line in done.out.splitlines() if line.startswith("  warning")]
    assert [line for line in done.out.splitlines() if line not in warning] == [
        "order-a",
        "  projection  orders, version 2",
        "  at          2026-03-02T00:00:00.000000000Z",
        "  known at    2099-01-01T00:00:00.000000000Z",
        "  events      1",
        "  last        2026-03-01T12:00:00.000Z#Placed, id a-1",
        "  complete    yes",
        "  {",
        '    "Placed": 1',
        "  }",
    ]
    assert [line.endswith(": 2026-03-01T12:00:00.000Z#Placed") for line in warning] == [True]


def test_hostile_text_in_a_state_is_inert(desk: Desk) -> None:
    hostile = "[red]x[/red] \x1b[2J \x9b \u202e"
    desk.store(envelope("Placed", stream=hostile, id=hostile, amount=hostile))
    table = desk.run("rebuild", "orders", hostile, "--format", "table")
    assert all(line.isprintable() for line in (table.out + table.err).splitlines())
    assert '"Placed": "[red]x[/red] \\u001b[2J \\u009b \\u202e"' in table.out
    assert table.out.startswith("[red]x[/red] \\x1b[2J \\x9b \\u202e\n")
    assert desk.run("rebuild", "orders", hostile).records[0]["state"] == {"Placed": hostile}


def test_the_same_on_dynamodb(desk: Desk, dynamodb_url: str) -> None:
    assert desk.run("create-table", "--store", dynamodb_url).code == 0
    desk.store(
        envelope("Placed", stream="a", time="2026-03-01T12:00:00Z", amount=1),
        envelope("Paid", stream="a", time="2026-03-02T12:00:00Z", amount=2),
        url=dynamodb_url,
    )
    assert desk.run("streams", "--store", dynamodb_url).records == [{"stream": "a"}]
    done = desk.run("rebuild", "orders", "--all", "--at", "2026-03-02", "--store", dynamodb_url)
    assert (done.code, states(done.records)) == (0, {"a": {"Placed": 1}})


def test_with_snapshots_the_answer_is_the_same_and_what_is_no_setting_is_refused(shop: Desk) -> None:
    plain = shop.run("rebuild", "orders", "--all", "--format", "jsonl")
    for _ in range(2):
        saving = shop.run("rebuild", "orders", "--all", "--format", "jsonl", "--snapshots", "1")
        assert (saving.code, saving.out) == (plain.code, plain.out)
    refused = shop.run("rebuild", "orders", "--all", "--snapshots", "often")
    assert refused.code == 2
    assert "expected 'auto' or a whole number from 1" in refused.err
