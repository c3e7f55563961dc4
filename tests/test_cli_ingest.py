from __future__ import annotations

import gzip
import json
import signal
from typing import TYPE_CHECKING, Any

import pytest

from eventsourcing_kit import open_store
from eventsourcing_kit.cli.ingest import BATCH
from eventsourcing_kit.stores.sqlite import SQLiteStore
from eventsourcing_kit.testing import envelope
from tests.eskit import Desk, desk_at, lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from eventsourcing_kit import Event
    from eventsourcing_kit.errors import EventRefused
    from eventsourcing_kit.stores.contract import Outcome

ENVELOPES = [envelope("Counted", id=f"e-{number}", number=number) for number in range(3)]
NOTHING = {"stored": 0, "twins": 0, "duplicate": 0, "other_id": 0, "refused": 0, "unreadable": 0}


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk_at(tmp_path, monkeypatch) as desk:
        yield desk


def stored(stream: str = "order-17", url: str = "sqlite:///events.db") -> list[str]:
    with open_store(url) as store:
        return sorted(event.id for event in store.read(stream))


def counts(**expected: int) -> dict[str, int]:
    return {**NOTHING, **expected}


def test_a_file_is_stored_and_its_counts_are_the_only_data(desk: Desk) -> None:
    desk.write("events.jsonl", lines(ENVELOPES))
    done = desk.run("ingest", "events.jsonl")
    assert done.records == [counts(stored=3, twins=2)]
    assert (done.code, done.err) == (0, "eskit: store 'sqlite:///events.db' (the default)\n")
    assert stored() == ["e-0", "e-1", "e-2"]


def test_a_second_time_all_are_duplicates(desk: Desk) -> None:
    desk.write("events.jsonl", lines([ENVELOPES[0], envelope("Counted", id="retry", number=0)]))
    assert desk.run("ingest", "events.jsonl").records == [counts(stored=1, duplicate=1, other_id=1)]
    again = desk.run("ingest", "events.jsonl", "events.jsonl")
    assert (again.code, again.records) == (0, [counts(duplicate=4, other_id=2)])


def test_with_identity_id_each_id_is_an_event_of_its_own(desk: Desk) -> None:
    desk.write("events.jsonl", lines([ENVELOPES[0], envelope("Counted", id="second", number=0)]))
    assert desk.run("ingest", "events.jsonl", "--identity", "id").records == [counts(stored=2, twins=1)]
    assert stored() == ["e-0", "second"]


def test_the_rest_is_stored_where_some_are_refused_and_each_refusal_is_told(desk: Desk) -> None:
    no_key = envelope("Counted", id="no-key")
    del no_key["detail"]["data"]["primaryKey"]
    conflict = envelope("Counted", id="e-0", number=99)
    text = [json.dumps(ENVELOPES[0]), '{"id":', json.dumps(no_key), json.dumps(conflict), json.dumps(ENVELOPES[1])]
    desk.write("events.jsonl", "\n".join(text))
    done = desk.run("ingest", "events.jsonl")
    assert done.code == 1
    assert done.records == [counts(stored=2, twins=1, refused=3)]
    assert done.talk == [
        "eskit: events.jsonl:2: envelope: found text that is not JSON at character 6 (Expecting value), "
        "expected a JSON object",
        "eskit: events.jsonl:3: detail.data.primaryKey: found nothing, expected text of 1 to 2,048 bytes",
        "eskit: events.jsonl:4: event 'e-0' conflicts with '2026-03-01T11:03:27.000Z#Counted' in stream 'order-17': "
        "the same id, other content",
    ]
    assert stored() == ["e-0", "e-1"]


def test_refusals_can_go_to_a_file_as_json_lines(desk: Desk) -> None:
    desk.write("events.jsonl", lines(ENVELOPES) + "[]\n")
    done = desk.run("ingest", "events.jsonl", "--refused", "refused.jsonl")
    assert (done.code, done.talk) == (1, [])
    assert [json.loads(line) for line in (desk.folder / "refused.jsonl").read_text().splitlines()] == [
        {
            "file": "events.jsonl",
            "line": 4,
            "field": "envelope",
            "reason": "found an array, expected a JSON object",
            "error": "InvalidEnvelope",
        }
    ]


def test_a_refusal_shows_nothing_of_the_payload(desk: Desk) -> None:
    for field, value in (("time", "canary"), ("detail-type", ""), ("id", ["canary"]), ("source", None)):
        broken: dict[str, Any] = {**envelope("Counted", note="canary"), field: value}
        if field == "time":
            broken["detail"]["metaData"]["time"] = "canary"
        desk.write("events.jsonl", lines([broken]) + '{"canary": canary}\n')
        done = desk.run("ingest", "events.jsonl")
        assert done.records == [counts(refused=2)]
        assert "canary" not in done.err


def test_strict_stops_at_the_first_refusal_and_what_was_before_it_is_stored(desk: Desk) -> None:
    desk.write("events.jsonl", lines(ENVELOPES[:1]) + "[]\n" + lines(ENVELOPES[1:]))
    desk.write("more.jsonl", lines(ENVELOPES[1:]))
    done = desk.run("ingest", "--strict", "events.jsonl", "more.jsonl")
    assert (done.code, done.records) == (1, [counts(stored=1, refused=1)])
    assert done.talk[-1] == "eskit: stopped in 'events.jsonl' at the first refusal, as --strict asks"
    assert stored() == ["e-0"]


def test_strict_stops_at_what_the_store_refuses_too(desk: Desk) -> None:
    too_large = envelope("T" * 1_000, id="too-large")
    desk.write("events.jsonl", lines([ENVELOPES[0], too_large, *ENVELOPES[1:]]))
    desk.write("more.jsonl", lines([envelope("Counted", stream="later")]))
    done = desk.run("ingest", "--strict", "events.jsonl", "more.jsonl")
    assert (done.code, done.records[0]["refused"]) == (1, 1)
    assert "e-0" in stored()
    assert stored("later") == []


def test_compression_is_seen_by_the_first_bytes_and_not_by_the_name(desk: Desk) -> None:
    desk.write("plain.gz", lines(ENVELOPES[:1]))
    desk.write("packed.jsonl", gzip.compress(lines(ENVELOPES[1:2]).encode()) + gzip.compress(b"\n\n"))
    assert desk.run("ingest", "plain.gz", "packed.jsonl").records == [counts(stored=2, twins=1)]


def test_blank_lines_carriage_returns_and_a_byte_order_mark_do_no_harm(desk: Desk) -> None:
    first, second, third = (json.dumps(each).encode() for each in ENVELOPES)
    desk.write("events.jsonl", b"\xef\xbb\xbf" + first + b"\r\n\r\n \t\n\n" + second + b"\r\n" + b"{}\r\n" + third)
    done = desk.run("ingest", "events.jsonl")
    assert done.records == [counts(stored=3, twins=2, refused=1)]
    assert [line.partition(": ")[2][:16] for line in done.talk] == ["events.jsonl:6: "]  # as an editor counts them


def test_an_empty_file_is_fine(desk: Desk) -> None:
    desk.write("empty.jsonl", "")
    done = desk.run("ingest", "empty.jsonl")
    assert (done.code, done.records) == (0, [NOTHING])


def test_a_line_of_half_a_megabyte_is_a_line_as_any_other(desk: Desk) -> None:
    desk.write("events.jsonl", lines([envelope("Long", id="long", text="x" * 500_000), ENVELOPES[0]]))
    assert desk.run("ingest", "events.jsonl").records == [counts(stored=2)]


def test_a_line_that_is_too_long_to_hold_is_refused_and_passed_over(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventsourcing_kit.lines.MAX_LINE", 1_000)
    desk.write("events.jsonl", f"{'x' * 2_500}\n{lines(ENVELOPES[:1])}{'x' * 1_000}")
    done = desk.run("ingest", "events.jsonl")
    assert done.records == [counts(stored=1, refused=2)]
    assert [line.partition(": found")[0] for line in done.talk] == [
        "eskit: events.jsonl:1: envelope",
        "eskit: events.jsonl:3: envelope",
    ]


def test_of_a_truncated_file_all_that_can_be_read_is_stored(desk: Desk) -> None:
    many = [envelope("Counted", id=f"e-{number}", time=f"2026-03-01T11:{number % 60:02}:00Z") for number in range(200)]
    packed = gzip.compress(lines(many).encode())
    desk.write("broken.gz", packed[: len(packed) // 2])
    desk.write("whole.jsonl", lines([envelope("Counted", stream="other")]))
    done = desk.run("ingest", "broken.gz", "whole.jsonl")
    assert done.code == 1
    assert done.records[0]["unreadable"] == 1
    assert 1 < done.records[0]["stored"] < 201
    assert done.records[0]["stored"] == len(stored()) + len(stored("other"))
    (message,) = done.talk
    assert message.startswith("eskit: 'broken.gz' can not be read behind line ")
    assert message.endswith(": the compressed data ends too early")


def test_damaged_compression_is_said(desk: Desk) -> None:
    packed = bytearray(gzip.compress(lines(ENVELOPES).encode()))
    packed[-8] ^= 0xFF  # its checksum
    desk.write("damaged.gz", bytes(packed))
    done = desk.run("ingest", "damaged.gz")
    assert (done.code, done.records[0]["unreadable"]) == (1, 1)
    assert "the compressed data is damaged" in done.talk[0]


def test_text_in_utf_16_is_named_for_what_it_is(desk: Desk) -> None:
    desk.write("events.jsonl", lines(ENVELOPES).encode("utf-16"))
    done = desk.run("ingest", "events.jsonl")
    assert (done.code, done.records) == (1, [counts(unreadable=1)])
    assert done.talk == ["eskit: 'events.jsonl' can not be read: it is text in UTF-16, expected UTF-8"]


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["events.jsonl", "nowhere.jsonl"], "there is no file 'nowhere.jsonl'"),
        (["events.jsonl", "folder"], "'folder' is a folder; name the files in it"),
        (["-", "-"], "stdin, which is '-', can be read once only"),
    ],
)
def test_a_name_that_is_no_file_is_refused_before_anything_is_stored(
    desk: Desk, names: list[str], message: str
) -> None:
    desk.write("events.jsonl", lines(ENVELOPES))
    (desk.folder / "folder").mkdir()
    done = desk.run("ingest", *names)
    assert (done.code, done.out, done.err) == (2, "", f"eskit: {message}\n")
    assert not (desk.folder / "events.db").exists()


def test_the_key_can_stand_elsewhere(desk: Desk) -> None:
    desk.write("events.jsonl", lines(ENVELOPES))
    assert desk.run("ingest", "events.jsonl", "--stream-path", "source").code == 0
    assert stored("shop") == ["e-0", "e-1", "e-2"]
    done = desk.run("ingest", "events.jsonl", "--stream-path", "detail.(")
    assert (done.code, done.talk) == (2, ["eskit: stream_path: found 'detail.(', expected a JMESPath"])


def test_what_links_events_can_stand_elsewhere(desk: Desk) -> None:
    desk.write("events.jsonl", lines(ENVELOPES))
    paths = ("--correlation-path", "source", "--causation-path", "detail.data.primaryKey")
    assert desk.run("ingest", "events.jsonl", *paths).code == 0
    with open_store("sqlite:///events.db") as store:
        assert {(found.correlation_id, found.causation_id) for found in store.correlated("shop")} == {
            ("shop", ENVELOPES[0]["detail"]["data"]["primaryKey"])
        }
    done = desk.run("ingest", "events.jsonl", "--causation-path", "detail.(")
    assert (done.code, done.talk) == (2, ["eskit: causation_path: found 'detail.(', expected a JMESPath"])


def test_more_than_one_batch_is_stored_and_counted(desk: Desk) -> None:
    many = [envelope("Counted", stream=f"s-{number % 7}", number=number) for number in range(2 * BATCH + 1)]
    many.insert(BATCH + 3, {"id": "bad"})
    desk.write("events.jsonl", lines(many))
    done = desk.run("ingest", "events.jsonl")
    assert done.records == [counts(stored=2 * BATCH + 1, twins=2 * BATCH + 1 - 7, refused=1)]
    assert done.talk[0].startswith(f"eskit: events.jsonl:{BATCH + 4}: ")


def test_a_batch_of_long_lines_is_cut_short(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    append_each = SQLiteStore.append_each

    def watched(store: SQLiteStore, events: Iterable[Event]) -> Iterator[Outcome | EventRefused]:
        batch = list(events)
        sizes.append(len(batch))
        return append_each(store, batch)

    monkeypatch.setattr(SQLiteStore, "append_each", watched)
    monkeypatch.setattr("eventsourcing_kit.cli.ingest.BATCH_BYTES", 2_000)
    desk.write("events.jsonl", lines([*ENVELOPES, envelope("Long", text="x" * 2_000), *ENVELOPES]))
    assert desk.run("ingest", "events.jsonl").records == [counts(stored=4, twins=2, duplicate=3)]
    assert sizes == [4, 3]


def test_as_a_table_the_counts_stand_below_each_other(desk: Desk) -> None:
    desk.write("events.jsonl", lines(ENVELOPES))
    assert desk.run("ingest", "events.jsonl", "--format", "table").out == (
        "stored      3\ntwins       2\nduplicate   0\nother id    0\nrefused     0\nunreadable  0\n"
    )


def test_a_store_that_can_not_be_opened_is_one_line_and_code_4(desk: Desk) -> None:
    desk.write("events.jsonl", lines(ENVELOPES))
    done = desk.run("ingest", "events.jsonl", "--store", "sqlite:///no/such/folder/events.db")
    assert (done.code, done.out, len(done.talk)) == (4, "", 1)
    assert "'sqlite:///no/such/folder/events.db'" in done.talk[0]


def test_control_characters_in_a_refusal_are_shown_as_escapes(desk: Desk) -> None:
    hostile = envelope("T" * 1_000, id="\x1b[31mred\u202e\n[bold]")
    desk.write("events.jsonl", lines([hostile]))
    (refusal,) = desk.run("ingest", "events.jsonl").talk
    assert refusal.isprintable()
    assert "event '\\x1b[31mred\\u202e\\n[bold]'" in refusal


# As a process


def test_stdin_is_read_plain_and_compressed(desk: Desk) -> None:
    plain = desk.process("ingest", "-", stdin=lines(ENVELOPES[:1]).encode())
    assert (plain.code, plain.records) == (0, [counts(stored=1)])
    packed = desk.process("ingest", "-", stdin=gzip.compress(lines(ENVELOPES).encode()) + b"")
    assert (packed.code, packed.records) == (0, [counts(stored=2, twins=2, duplicate=1)])
    refused = desk.process("ingest", "-", stdin=b"[]")
    assert refused.talk == ["eskit: stdin:1: envelope: found an array, expected a JSON object"]


def test_an_interrupted_ingest_leaves_a_sound_store_with_whole_batches_and_can_go_on(desk: Desk) -> None:
    many = [envelope("Counted", stream=f"s-{number % 3}", number=number) for number in range(2 * BATCH + 500)]
    with desk.spawn("ingest", "-") as process:
        assert process.stdin is not None
        process.stdin.write(lines(many).encode())
        # More than a pipe holds: when it is written, all lines before it have been read, and whole batches stored.
        process.stdin.write(b"\n" * 1_000_000)
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
        out, err = process.communicate()
    assert (process.returncode, out) == (130, b"")
    assert err.decode().splitlines()[1:] == [
        f"eskit: interrupted; {2 * BATCH:,} stored, 0 duplicate, 0 refused so far; "
        "run it again to go on, what is stored is not stored twice"
    ]
    with open_store("sqlite:///events.db") as store:
        assert isinstance(store, SQLiteStore)
        assert store.check() == []
        assert sum(1 for stream in store.streams() for _ in store.read(stream)) == 2 * BATCH
    desk.write("events.jsonl", lines(many))
    again = desk.run("ingest", "events.jsonl").records
    assert (again[0]["stored"], again[0]["duplicate"]) == (500, 2 * BATCH)
