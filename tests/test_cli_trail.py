from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from eventsourcing_kit import open_store, trail
from eventsourcing_kit.testing import envelope
from tests.eskit import Desk, desk_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOSTILE = "[red]x[/red] \x1b[2J \x9b \u202e :smile: end "
ESCAPED = "[red]x[/red] \\x1b[2J \\x9b \\u202e :smile: end\\x20"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk_at(tmp_path, monkeypatch) as desk:
        yield desk


@pytest.fixture
def shop(desk: Desk) -> Desk:
    """A desk whose store has the trail `cart-5`, and two others that began like it and were shipped."""
    facts = [
        ("cart-5", "e-1", None, "Placed", "order-17", "11:00:00.000000001"),
        ("cart-5", "e-2", "e-1", "Reserved", "sku-mug", "11:00:00.5"),
        ("cart-5", "e-3", "e-1", "Reserved", "sku-jug", "11:00:00.5"),
        ("cart-5", "e-4", "e-2", "Packed", "sku-mug", "11:00:00.4"),
        ("cart-5", "e-5", "lost", "Mailed", "mail-1", "11:02:03"),
        ("cart-6", "f-1", None, "Placed", "order-18", "12:00:00"),
        ("cart-6", "f-2", None, "Shipped", "order-18", "12:30:00"),
        ("cart-7", "g-1", None, "Placed", "order-19", "12:00:00"),
        ("cart-7", "g-2", None, "Shipped", "order-19", "13:00:00"),
    ]
    desk.store(
        *(
            envelope(
                type_,
                id=event_id,
                stream=stream,
                time=f"2026-03-01T{clock}Z",
                metadata={"correlationId": correlation} | ({} if cause is None else {"causationId": cause}),
            )
            for correlation, event_id, cause, type_, stream, clock in facts
        )
    )
    return desk


def test_in_a_pipe_an_event_is_a_line_and_a_cause_comes_before_its_effects(shop: Desk) -> None:
    done = shop.run("trail", "cart-5")
    assert done.code == 0
    records = done.records
    assert {record["id"] for record in records} == {"e-1", "e-2", "e-3", "e-4", "e-5"}
    assert [(record["id"], record["depth"]) for record in records if record["id"] in ("e-1", "e-2", "e-4", "e-5")] == [
        ("e-1", 0),
        ("e-2", 1),
        ("e-4", 2),
        ("e-5", 0),
    ]
    (packed,) = (record for record in records if record["id"] == "e-4")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", packed.pop("recorded_at"))
    assert packed == {
        "stream": "sku-mug",
        "key": "2026-03-01T11:00:00.400Z#Packed",
        "moment": "2026-03-01T11:00:00.400000000Z",
        "type": "Packed",
        "id": "e-4",
        "source": "shop",
        "depth": 2,
        "cause_id": "e-2",
        "cause": "here",
        "gap": -0.1,
        "after": 0.399999999,
        "unordered": False,
    }
    assert [record["cause"] for record in records if record["id"] == "e-5"] == ["missing"]
    assert done.talk == [
        "eskit: 5 events in 4 streams over 2m2s; 1 event points at an event that is not here",
    ]


def test_it_answers_as_python_does(shop: Desk) -> None:
    with open_store("sqlite:///events.db") as store:
        expected = trail(store, "cart-5").to_dicts()
    found = shop.run("trail", "cart-5").records
    times = ("moment", "recorded_at")
    assert [{name: record[name] for name in record if name not in times} for record in found] == [
        {name: row[name] for name in row if name not in times} for row in expected
    ]
    assert [record["moment"][:26] for record in found] == [f"{row['moment']:%Y-%m-%dT%H:%M:%S.%f}" for row in expected]


def test_as_a_table_it_is_a_tree_with_what_is_to_be_known_below(shop: Desk) -> None:
    done = shop.run("trail", "cart-5", "--format", "table")
    lines = [line.rstrip() for line in done.out.splitlines()]
    assert lines[0].split() == ["after", "gap", "event", "stream", "id", "key"]
    assert lines[1].split()[:4] == ["0s", "Placed", "order-17", "e-1"]
    tree = {line.split()[-2]: line for line in lines[1:6]}
    assert tree["e-2"].startswith("499ms  +499ms  · Reserved ~  sku-mug   e-2  2026-03-01T11:00:00.500Z#Reserved")
    assert tree["e-3"].startswith("499ms  +499ms  · Reserved ~  sku-jug   e-3")
    assert tree["e-4"].startswith("399ms  -100ms  · · Packed    sku-mug   e-4")
    assert lines[6] == ""
    assert lines[7:] == [
        "events            5 in 4 streams from 1 source",
        "from              2026-03-01T11:00:00.000000001Z",
        "to                2026-03-01T11:02:03.000000000Z, 2m2s later",
        "longest wait      499ms, Placed to Reserved (id " + _first_reserved(shop) + ")",
        "missing causes    1 event points at an event that is not here: lost",
        "unordered         ~ 1 group of siblings of one moment: nobody knows their order",
        "before its cause  1 effect, up to 100ms, Reserved to Packed (id e-4): clocks differ",
    ]
    assert done.talk == []


def _first_reserved(shop: Desk) -> str:
    return next(str(each["id"]) for each in shop.run("trail", "cart-5").records if each["type"] == "Reserved")


def test_on_a_narrow_terminal_the_key_is_left_out_and_then_one_of_the_two_times(
    shop: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "41")
    done = shop.run("trail", "cart-5", "--format", "table")
    assert done.out.splitlines()[0].split() == ["gap", "event", "stream", "id"]
    assert done.talk == ["eskit: no room here for 'key', 'after'; --format jsonl has everything"]
    monkeypatch.setenv("COLUMNS", "33")
    done = shop.run("trail", "cart-6", "--format", "table")  # in which no event names its cause
    assert done.out.splitlines()[0].split() == ["after", "event", "stream", "id"]


def test_what_usually_comes_is_asked_for_by_similar(shop: Desk) -> None:
    done = shop.run("trail", "cart-5", "--similar")
    assert done.code == 0
    assert done.records[1] == {
        "type": "Shipped",
        "here": 0,
        "usual": 1,
        "nth": 1,
        "trails": 2,
        "share": 1.0,
        "delay": 1800.0,
        "delay_90": 3600.0,
        "standing": "overdue",
    }
    assert done.talk == [
        "eskit: learnt from 2 other trails that began with 'Placed'",
        "eskit: missing here: 'Shipped' (overdue)",
    ]
    table = shop.run("trail", "cart-5", "--similar", "--format", "table").out.splitlines()
    assert table[2].split() == ["Shipped", "0", "1", "2", "of", "2", "30m", "1h", "overdue"]
    assert shop.run("trail", "cart-6", "--similar", "--share", "0.6").talk[1:] == []


def test_what_was_recorded_later_can_be_left_out(shop: Desk) -> None:
    done = shop.run("trail", "cart-5", "--known-at", "2026-03-01 12:00", "--tz", "Europe/Berlin")
    assert (done.code, done.out) == (0, "")
    assert done.talk[0] == "eskit: as known at 2026-03-01T11:00:00.000000000Z"


def test_a_trail_without_events_is_an_answer(shop: Desk) -> None:
    done = shop.run("trail", "cart-8")
    assert (done.code, done.out) == (0, "")
    hint = "eskit: no event has the correlation id 'cart-8'; --scan looks into the events of older writers, too"
    assert done.talk == [hint]
    done = shop.run("trail", "cart-8", "--scan", "--similar")
    assert (done.code, done.talk) == (0, ["eskit: no event has the correlation id 'cart-8'"])


def test_further_places_can_be_named(shop: Desk) -> None:
    done = shop.run("trail", "order-17", "--correlation-path", "detail.data.primaryKey", "--causation-path", "detail.x")
    assert [record["id"] for record in done.records] == ["e-1"]
    done = shop.run("trail", "order-17", "--causation-path", "detail.(")
    assert (done.code, done.talk) == (2, ["eskit: causation_path: found 'detail.(', expected a JMESPath"])


def test_a_store_that_is_not_there_is_told(desk: Desk) -> None:
    done = desk.run("trail", "cart-5")
    assert (done.code, done.out) == (4, "")
    assert "there is no store" in done.talk[0]


def test_a_table_without_the_index_is_told_with_the_option_that_does_without(desk: Desk, moto_url: str) -> None:
    desk.store(envelope("Placed", id="e-1", metadata={"correlationId": "cart-5"}), url=moto_url)
    client = boto3.client("dynamodb", region_name="eu-west-1")
    drop: Any = [{"Delete": {"IndexName": "correlationId"}}]
    client.update_table(TableName="eskit-test", GlobalSecondaryIndexUpdates=drop)
    client.close()
    done = desk.run("trail", "cart-5", "--store", moto_url)
    assert (done.code, done.out) == (4, "")
    assert done.talk[0].endswith("or read all streams instead, with scan=True (--scan)")
    assert [record["id"] for record in desk.run("trail", "cart-5", "--scan", "--store", moto_url).records] == ["e-1"]


def test_bytes_that_are_no_text_are_refused(shop: Desk) -> None:
    done = shop.run("trail", "\udcff")
    assert (done.code, done.out) == (2, "")


def test_hostile_text_is_inert(desk: Desk) -> None:
    first = envelope(HOSTILE, id=HOSTILE, stream=HOSTILE, metadata={"correlationId": HOSTILE, "causationId": HOSTILE})
    more = {"correlationId": HOSTILE, "causationId": f"{HOSTILE}?"}
    desk.store(first, envelope("Second", id="e-2", time="2026-03-01T11:03:28Z", metadata=more))
    for arguments in ((), ("--similar",), ("--format", "table"), ("--format", "table", "--similar")):
        done = desk.run("trail", HOSTILE, *arguments)
        assert done.code == 0
        assert not {"\x1b", "\x9b", "\u202e"} & set(done.out + done.err)
    assert ESCAPED in desk.run("trail", HOSTILE, "--format", "table").out
    assert desk.run("trail", HOSTILE).records[0]["id"] == HOSTILE
    assert not {"\x1b", "\x9b", "\u202e"} & set(desk.run("trail", f"{HOSTILE}?").err)


def test_a_share_without_similar_is_a_matter_of_usage(shop: Desk) -> None:
    done = shop.run("trail", "cart-6", "--share", "0.6")
    assert (done.code, done.out) == (2, "")
    assert "--share says what is usual, which only --similar shows" in done.err


@pytest.mark.parametrize("command", [["trail", "cart-6"], ["rebuild", "orders", "--all", "-o", "states"]])
def test_a_zone_that_is_none_is_said_also_where_no_time_needs_it(shop: Desk, command: list[str]) -> None:
    done = shop.run(*command, "--tz", "Mars/Phobos")
    assert (done.code, done.out) == (2, "")
    assert "tz: found 'Mars/Phobos', expected an IANA name such as 'Europe/Berlin'" in done.err
