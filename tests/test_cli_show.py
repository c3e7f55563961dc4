from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

import pytest

from eventsourcing_kit.testing import envelope
from tests.eskit import Desk, desk_at
from tests.rows import RawRows, older

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

HOSTILE = "[red]x[/red] \x1b[2J \x9b \u202e \u2066 \u2028 :smile: end "
ESCAPED = "[red]x[/red] \\x1b[2J \\x9b \\u202e \\u2066 \\u2028 :smile: end"


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk_at(tmp_path, monkeypatch) as desk:
        yield desk


@pytest.fixture
def order(desk: Desk) -> Desk:
    """A desk whose store has five events of one order, a minute apart."""
    types = ("Placed", "Paid", "Shipped", "Returned", "Refunded")
    desk.store(
        *(
            envelope(name, id=f"e-{minute}", time=f"2026-03-01T11:0{minute}:00.5Z", amount=minute)
            for minute, name in enumerate(types)
        )
    )
    return desk


def ids(records: list[Any]) -> list[str]:
    return [record["id"] for record in records]


def test_streams_are_listed_in_order(desk: Desk) -> None:
    desk.store(*(envelope("Placed", stream=stream) for stream in ("b", "a", "ab", "ä")))
    assert desk.run("streams").out == '{"stream":"a"}\n{"stream":"ab"}\n{"stream":"b"}\n{"stream":"ä"}\n'
    assert desk.run("streams", "a").out == '{"stream":"a"}\n{"stream":"ab"}\n'
    assert desk.run("streams", "--format", "table").out.split() == ["stream", "a", "ab", "b", "ä"]


def test_streams_with_details_say_what_is_in_them(order: Desk) -> None:
    order.store(envelope("Placed", stream="a", time="2026-01-01T00:00:00Z"))
    assert order.run("streams", "--details").records == [
        {
            "stream": "a",
            "events": 1,
            "first": "2026-01-01T00:00:00.000000000Z",
            "last": "2026-01-01T00:00:00.000000000Z",
            "types": {"Placed": 1},
        },
        {
            "stream": "order-17",
            "events": 5,
            "first": "2026-03-01T11:00:00.500000000Z",
            "last": "2026-03-01T11:04:00.500000000Z",
            "types": {"Paid": 1, "Placed": 1, "Refunded": 1, "Returned": 1, "Shipped": 1},
        },
    ]
    table = order.run("streams", "--details", "--format", "table").out.splitlines()
    assert table[1].split() == ["a", "1", *["2026-01-01T00:00:00.000000000Z"] * 2, "1", "Placed"]


def test_a_stream_of_events_as_json_has_all_that_names_them_and_the_detail(order: Desk) -> None:
    first = order.run("events", "order-17", "--limit", "1").records[0]
    recorded = first.pop("recorded_at")
    assert len(recorded) == len("2026-03-01T11:00:00.500000Z")
    assert first == {
        "stream": "order-17",
        "key": "2026-03-01T11:00:00.500Z#Placed",
        "moment": "2026-03-01T11:00:00.500000000Z",
        "type": "Placed",
        "id": "e-0",
        "source": "shop",
        "correlation_id": None,
        "causation_id": None,
        "detail": {
            "metaData": {"time": "2026-03-01T11:00:00.5Z"},
            "data": {"primaryKey": "order-17", "amount": 0},
        },
    }


def test_a_window_of_moments_takes_in_both_ends(order: Desk) -> None:
    done = order.run(
        "events",
        "order-17",
        "--start",
        "2026-03-01 12:01:00.5",
        "--at",
        "2026-03-01 12:03:00.5",
        "--tz",
        "Europe/Berlin",
    )
    assert ids(done.records) == ["e-1", "e-2", "e-3"]
    assert done.talk == ["eskit: at 2026-03-01T11:03:00.500000000Z, from 2026-03-01T11:01:00.500000000Z"]


def test_the_first_and_the_last_few_can_be_asked_for(order: Desk) -> None:
    assert ids(order.run("events", "order-17", "--limit", "2").records) == ["e-0", "e-1"]
    assert ids(order.run("events", "order-17", "--tail", "2").records) == ["e-3", "e-4"]
    assert ids(order.run("events", "order-17", "--tail", "9").records) == ["e-0", "e-1", "e-2", "e-3", "e-4"]
    both = order.run("events", "order-17", "--limit", "1", "--tail", "1")
    assert (both.code, both.err) == (2, "eskit: --limit and --tail contradict each other; give one of them\n")


def test_types_can_be_chosen(order: Desk) -> None:
    assert ids(order.run("events", "order-17", "--type", "Paid", "--type", "Refunded").records) == ["e-1", "e-4"]


def test_numbers_in_a_detail_stay_exactly_as_they_arrived(desk: Desk) -> None:
    text = json.dumps(envelope("Paid", amount="NUMBERS"))
    numbers = "[1.10,1e2,-0.0,123456789012345678901234567890,0.1234567890123456789]"
    desk.write("events.jsonl", text.replace('"NUMBERS"', numbers))
    desk.run("ingest", "events.jsonl")
    assert f'"amount":{numbers}' in desk.run("events", "order-17").out
    shown = desk.run("events", "order-17", "--details", "--format", "table").out
    assert "".join(shown.split()).partition('"amount":')[2].startswith(numbers)


def test_a_table_shows_no_details_unless_asked(order: Desk) -> None:
    plain = order.run("events", "order-17", "--format", "table").out.splitlines()
    assert plain[0].split() == ["key", "moment", "type", "id", "source", "recorded", "at"]
    assert plain[1].split()[:5] == [
        "2026-03-01T11:00:00.500Z#Placed",
        "2026-03-01T11:00:00.500000000Z",
        "Placed",
        "e-0",
        "shop",
    ]
    assert len(plain) == 6
    assert "primaryKey" not in "".join(plain)
    detailed = order.run("events", "order-17", "--format", "table", "--details").out
    assert detailed.count('"primaryKey": "order-17"') == 5


def test_a_narrow_table_leaves_columns_out_and_says_so(order: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    done = order.run("events", "order-17", "--format", "table")
    assert done.out.splitlines()[1].split() == ["2026-03-01T11:00:00.500Z#Placed", "e-0"]
    assert done.talk == [
        "eskit: no room here for 'moment', 'type', 'source', 'recorded at'; --format jsonl has everything"
    ]


def test_a_table_too_narrow_for_one_key_folds_it(order: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    done = order.run("events", "order-17", "--format", "table", "--limit", "1")
    assert "".join(done.out.split()) == "key2026-03-01T11:00:00.500Z#Placed"


def test_a_long_table_has_one_heading_and_straight_columns(desk: Desk) -> None:
    desk.store(*(envelope("Counted", id=f"id-{number}", number=number) for number in range(450)))
    table = desk.run("events", "order-17", "--format", "table").out.splitlines()
    assert len(table) == 451
    assert len({line.index(" shop ") for line in table[1:]}) == 1


def test_a_stream_that_is_not_there_is_no_data_and_one_line_of_talk(order: Desk) -> None:
    done = order.run("events", "order-18")
    assert (done.code, done.out) == (0, "")
    assert done.talk == ["eskit: stream 'order-18' has no such event"]


def test_an_expired_beginning_is_said(desk: Desk) -> None:
    desk.store(envelope("Placed", id="old", time="2026-03-01T11:00:00Z"), envelope("Paid", time="2099-01-01T00:00:00Z"))
    RawRows("sqlite:///events.db").put(
        {
            "pk": "order-17",
            "sk": "2026-03-01T11:00:00.000Z#Placed",
            "eventTime": "2026-03-01T11:00:00Z",
            "eventDetail": "{}",
            "expireRecord": 1,
        }
    )
    done = desk.run("events", "order-17")
    assert len(done.records) == 1
    assert done.talk == [
        "eskit: the beginning of the stream has expired; its first event was at 2026-03-01T11:00:00.000000000Z"
    ]


def test_hostile_names_are_shown_as_escapes_in_tables_and_on_stderr(desk: Desk) -> None:
    desk.store(envelope(HOSTILE, stream=HOSTILE, id=HOSTILE, source=HOSTILE, note=HOSTILE))
    for arguments in (["streams"], ["streams", "--details"], ["events", HOSTILE], ["events", HOSTILE, "--details"]):
        done = desk.run(*arguments, "--format", "table")
        assert ESCAPED in done.out
        assert all(line.isprintable() for line in (done.out + done.err).splitlines())
    missing = desk.run("events", HOSTILE + "?")
    assert missing.talk == [f"eskit: stream '{ESCAPED} ?' has no such event"]


def test_a_space_at_an_end_can_be_seen(desk: Desk) -> None:
    desk.store(*(envelope("Placed", stream=stream) for stream in ("a", "a ", " a", " ")))
    table = desk.run("streams", "--format", "table").out
    assert table.split() == ["stream", "\\x20", "\\x20a", "a", "a\\x20"]


def test_hostile_names_stay_json_in_json_lines(desk: Desk) -> None:
    desk.store(envelope(HOSTILE, stream=HOSTILE, id=HOSTILE, note=HOSTILE))
    assert desk.run("streams").records == [{"stream": HOSTILE}]
    done = desk.run("events", HOSTILE)
    assert all(line.isprintable() for line in done.out.splitlines())
    assert (done.records[0]["id"], done.records[0]["detail"]["data"]["note"]) == (HOSTILE, HOSTILE)


def test_half_of_a_surrogate_pair_in_a_detail_stays_the_escape_that_it_was(desk: Desk) -> None:
    desk.store(envelope("Placed", note="\ud800"))
    assert desk.run("events", "order-17").records[0]["detail"]["data"]["note"] == "\ud800"
    assert "\\ud800" in desk.run("events", "order-17", "--details", "--format", "table").out


@pytest.mark.parametrize(
    ("detail", "shown"),
    [
        ('{\n  "a": 1.10,\r\n  "b": [\n 1e2]}', '{   "a": 1.10,    "b": [  1e2]}'),
        ("{'a': 1}", "\"{'a': 1}\""),
        ('{"a": NaN}', '"{\\"a\\": NaN}"'),
        ("", '""'),
        ("[" * 5_000, f'"{"[" * 5_000}"'),
    ],
)
def test_what_older_writers_left_as_a_detail_is_one_line_of_json_in_any_case(
    desk: Desk, detail: str, shown: str
) -> None:
    desk.store()
    row = older(envelope("Placed", time="2026-03-01T11:03:27Z"), "2026-03-01T11:03:27.000Z#Placed")
    RawRows("sqlite:///events.db").put({**row, "eventDetail": detail})
    done = desk.run("events", "order-17")
    assert done.out.endswith(f'"detail":{shown}}}\n')
    assert len(done.records) == 1
    assert desk.run("events", "order-17", "--details", "--format", "table").code == 0


def test_a_packed_detail_that_does_not_unpack_is_damage(desk: Desk) -> None:
    desk.store()
    row = older(envelope("Placed", time="2026-03-01T11:03:27Z"), "2026-03-01T11:03:27.000Z#Placed")
    del row["eventDetail"]
    RawRows("sqlite:///events.db").put({**row, "eventDetailZ": zlib.compress(b"{}")[:-3]})
    done = desk.run("events", "order-17")
    assert done.code == 4
    assert "'2026-03-01T11:03:27.000Z#Placed'" in done.talk[-1]


def test_a_key_in_another_spelling_is_refused_and_read_with_legacy(desk: Desk) -> None:
    desk.store()
    row = older(envelope("Placed", time="2026-03-01T11:03:27Z"), "2026-03-01T11:03:27Z#Placed")
    RawRows("sqlite:///events.db").put(row)
    refused = desk.run("events", "order-17")
    assert (refused.code, refused.out) == (4, "")
    assert "legacy=1" in refused.talk[-1]
    assert len(desk.run("events", "order-17", "--store", "sqlite:///events.db?legacy=1").records) == 1


def test_bytes_that_are_no_text_are_a_usage_error(desk: Desk) -> None:
    done = desk.process("events", "\udcff")
    assert (done.code, done.err) == (2, "eskit: '\\udcff' is not text in UTF-8, as every stream's key is\n")


@pytest.mark.parametrize("command", [["streams"], ["events", "order-17"]])
def test_a_store_that_is_not_there_is_code_4(desk: Desk, command: list[str]) -> None:
    done = desk.run(*command)
    assert (done.code, done.out) == (4, "")
    assert done.talk == ["eskit: there is no store at 'sqlite:///events.db': the first append makes it"]


def test_a_file_that_is_no_store_is_code_4(desk: Desk) -> None:
    desk.write("events.db", "Dear diary," * 100)
    done = desk.run("streams")
    assert (done.code, done.out) == (4, "")
    assert done.talk == ["eskit: 'sqlite:///events.db' can not be read as a store: it is not an SQLite file"]
