"""`eskit test-case`: what it prints is Python that fails now, and passes once the projection is repaired."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from freezegun import freeze_time

from eventsourcing_kit import parse
from eventsourcing_kit.errors import FoldFailed
from eventsourcing_kit.testing import envelope
from tests.eskit import Desk, Done, desk_at
from tests.hostile import HOSTILE
from tests.rows import RawRows, older

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ORDERS = """
from eventsourcing_kit import Projection

orders = Projection("orders", initial=dict, version=2)


@orders.on("Paid", "Café \\u202e\\"'")
def paid(state, event):
    return {**state, "balance": state.get("balance", 0) + event.data["amount"]}


@orders.on("Refunded")
def refunded(state, event):
    return {**state, "balance": state["balance"] - event.data["amount"]}


@orders.on("Seen")
def seen(state, event):
    return state
"""
NEVER_BELOW = ORDERS.replace(
    'state["balance"] - event.data["amount"]', 'max(0, state["balance"] - event.data["amount"])'
)
IGNORING = ORDERS.replace('state["balance"] - event.data["amount"]', 'state["balance"]')

HISTORY = [
    envelope("Paid", id="e-1", time="2026-03-01T11:00:00Z", amount=5),
    envelope("Refunded", id="e-2", time="2026-03-01T11:01:00Z", amount=5),
    envelope("Refunded", id="e-3", time="2026-03-01T11:02:00Z", amount=5),
    envelope("Paid", id="e-4", time="2026-03-01T11:03:00Z", amount=9),
]


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk_at(tmp_path, monkeypatch) as desk:
        desk.write("projections/__init__.py", "")
        desk.write("projections/orders.py", ORDERS)
        yield desk


@pytest.fixture
def shop(desk: Desk) -> Desk:
    desk.store(*HISTORY, envelope("Paid", stream="order-18", id="e-9", amount=1))
    return desk


def run_pytest(desk: Desk, source: str) -> tuple[int, str]:
    desk.write("test_found.py", source)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "test_found.py"]
    done = subprocess.run(
        command, cwd=desk.folder, env=desk.environ(), capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, done.stdout


def names_of(source: str) -> dict[str, Any]:
    """What the printed module defines. It is ASCII, so that it means the same in any file."""
    assert source.isascii()
    assert [line for line in source.splitlines() if not line.isprintable()] == []
    names: dict[str, Any] = {}
    exec(compile(source, "test_found.py", "exec"), names)  # noqa: S102 - what pytest would do with it
    return names


def call(names: dict[str, Any]) -> None:
    (function,) = (value for name, value in names.items() if name.startswith("test_"))
    function()


def source_of(done: Done) -> str:
    assert done.code == 0, done.err
    return done.out


def test_a_check_that_does_not_hold_becomes_a_test_that_fails_until_the_projection_is_repaired(shop: Desk) -> None:
    done = shop.run("test-case", "e-3", "--check", "balance >= `0`")
    code, said = run_pytest(shop, source_of(done))
    assert code == 1
    assert "projection 'orders' gives a state for 3 events for which 'balance >= `0`' does not hold:" in said
    assert "FAILED test_found.py::test_refunded" in said
    shop.write("projections/orders.py", NEVER_BELOW)
    assert run_pytest(shop, done.out)[0] == 0


def test_without_a_check_the_state_before_is_expected_until_the_right_one_is_written(shop: Desk) -> None:
    done = shop.run("test-case", "e-3")
    code, said = run_pytest(shop, source_of(done))
    assert code == 1
    assert "-{'balance': 0}" in said
    assert "+{'balance': -5}" in said
    shop.write("projections/orders.py", NEVER_BELOW)
    assert run_pytest(shop, done.out)[0] == 0


def test_the_module_as_it_is_printed(shop: Desk) -> None:
    done = shop.run("test-case", "event:2", "--stream", "order-17")
    lines = [line if '"detail"' not in line else "    ..." for line in source_of(done).splitlines()]
    assert lines == [
        '"""A failing test, made by `eskit test-case`."""',
        "",
        "from eventsourcing_kit import parse",
        "from eventsourcing_kit.testing import given",
        "",
        "from projections.orders import orders",
        "",
        "# Event 2 'Refunded' at '2026-03-01T11:01:00.000Z#Refunded', id 'e-2',",
        "# of stream 'order-17', through projection 'orders', version 2.",
        "HISTORY = [",
        "    ...",
        "    ...",
        "]",
        "",
        "# EXPECTED is the state before the event: write down what it should be after it.",
        "# This is what the event makes of it now:",
        "#   /balance: expected 5, found 0",
        'EXPECTED = {"balance": 5}',
        "",
        "",
        "def test_refunded() -> None:",
        "    events = [parse(envelope) for envelope in HISTORY]",
        "    given(orders, *events).then_json(EXPECTED)",
    ]
    names = names_of(done.out)
    assert [json.loads(line) for line in names["HISTORY"]] == HISTORY[:2]


def test_what_is_printed_is_formatted_as_ruff_formats(shop: Desk) -> None:
    wide: dict[str, Any] = {
        f"a member {number}": ["text 'with' quotes", {"inner": [number] * 30}] for number in range(9)
    }
    shop.store(envelope("Odd", stream="s", id="e-7", **wide))
    shop.write("projections/odd.py", ODD)
    for arguments in (["e-3"], ["e-3", "--check", "balance >= `0`"], ["e-7", "--projection", "odd"]):
        source = source_of(shop.run("test-case", *arguments))
        command = [sys.executable, "-m", "ruff", "format", "--isolated", "--diff", "-"]
        done = subprocess.run(command, input=source, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout
        checked = [*command[:3], "check", "--isolated", "--select", "F,I,W,RUF", "-"]
        assert subprocess.run(checked, input=source, capture_output=True, text=True, check=False).returncode == 0


ODD = """
from eventsourcing_kit import Projection

odd = Projection("odd", initial=list)


@odd.on("Odd", "Odder")
def keep(state, event):
    if event.type == "Odder":
        raise ValueError("canary")
    return [*state, event.data]
"""


def test_where_the_projection_raises_that_is_what_fails(desk: Desk) -> None:
    desk.store(*HISTORY[1:2])
    done = desk.run("test-case", "e-2")
    assert "# Now it fails: KeyError was raised." in done.out
    names = names_of(source_of(done))
    with pytest.raises(FoldFailed) as raised:
        call(names)
    assert raised.value.event_id == "e-2"
    assert "orders.fold(events)" in done.out
    assert "eskit: event 1 of stream 'order-17' through projection 'orders'; the test fails: KeyError was raised" in (
        done.talk
    )
    checked = desk.run("test-case", "e-2", "--check", "balance == `0`")
    assert 'given(orders, *events).then_holds("balance == `0`")' in checked.out
    with pytest.raises(FoldFailed):
        call(names_of(checked.out))
    desk.write("projections/orders.py", ORDERS.replace('state["balance"]', 'event.data["amount"]'))
    assert run_pytest(desk, done.out)[0] == 0
    assert run_pytest(desk, checked.out)[0] == 0


def test_a_projection_that_raises_at_an_earlier_event_is_said(desk: Desk) -> None:
    desk.store(*HISTORY[1:])
    done = desk.run("test-case", "e-4")
    assert (done.code, done.out) == (3, "")
    assert "event 'e-2'" in done.err


def test_an_event_that_changes_nothing_still_fails(shop: Desk) -> None:
    shop.store(envelope("Seen", id="e-5", time="2026-03-02T00:00:00Z"))
    done = shop.run("test-case", "e-5")
    assert "# The event changes nothing: write down what the state should be after it." in done.out
    assert '#   {"balance": 4}' in done.out
    with pytest.raises(AssertionError, match="gives another state"):
        call(names_of(source_of(done)))


LONG = [envelope("Paid", id=f"p-{n}", time=f"2026-03-01T11:{n:02}:00Z", amount=n) for n in range(45)]


def test_behind_many_events_the_test_begins_with_the_state_before(desk: Desk) -> None:
    desk.store(*LONG, envelope("Refunded", id="e-2", time="2026-03-02T00:00:00Z", amount=2_000))
    done = desk.run("test-case", "e-2", "--check", "balance >= `0`")
    assert "# BEFORE is the state before it, as 45 events had made it." in done.out
    names = names_of(source_of(done))
    assert names["BEFORE"] == '{"balance":990}'
    assert len(names["HISTORY"]) == 1
    with pytest.raises(AssertionError, match="for 1 event for which"):
        call(names)
    without = desk.run("test-case", "e-2")
    assert "given(orders, *events, start=orders.from_json(BEFORE)).then_json(EXPECTED)" in without.out
    with pytest.raises(AssertionError):
        call(names_of(without.out))
    at_thirty = names_of(source_of(desk.run("test-case", "p-29")))
    assert (len(at_thirty["HISTORY"]), "BEFORE" in at_thirty) == (30, False)
    desk.write("projections/orders.py", NEVER_BELOW)
    assert run_pytest(desk, done.out)[0] == 0
    desk.write("projections/orders.py", IGNORING)
    assert run_pytest(desk, without.out)[0] == 0


def test_where_the_projection_raises_behind_many_events(desk: Desk) -> None:
    late = envelope("Refunded", id="e-2", time="2026-03-02T00:00:00Z")
    desk.store(*LONG, late)
    done = desk.run("test-case", "e-2")
    assert "orders.fold(events, orders.from_json(BEFORE))" in done.out
    with pytest.raises(FoldFailed):
        call(names_of(source_of(done)))


def test_a_state_that_does_not_come_back_from_its_json_is_not_begun_with(desk: Desk) -> None:
    desk.write(
        "projections/orders.py",
        """
from eventsourcing_kit import Projection

orders = Projection("orders", initial=dict)


@orders.on("Paid")
def paid(state, event):
    seen = {**state.get("seen", {}), event.data["amount"]: True}  # whose keys are text, once they were JSON
    return {"seen": seen, "most": max(seen)}
""",
    )
    desk.store(*LONG)
    done = desk.run("test-case", "p-44", "--check", "most < `44`")
    assert len(names_of(source_of(done))["HISTORY"]) == 45


def test_every_digit_is_kept(desk: Desk) -> None:
    text = json.dumps(HISTORY[0]).replace('"amount": 5', '"amount": 12345678901234567890.123456789012345678901e0')
    desk.write("events.jsonl", text)
    assert desk.run("ingest", "events.jsonl").code == 0
    done = desk.run("test-case", "e-1")
    assert "12345678901234567890.123456789012345678901e0" in source_of(done)
    (line,) = names_of(done.out)["HISTORY"]
    assert parse(line) == parse(text)


@pytest.mark.parametrize(
    "hostile",
    [*HOSTILE, "'''", '"""', "\\", "\\'", "\\\"\"\"'''\n\r\x0c\x1c\u2028", "{}{0}%s", "# noqa", "\ud800 \\ud800"],
)
def test_hostile_texts_are_data(desk: Desk, hostile: str) -> None:
    name = hostile.encode("utf-8", "replace").decode()[:400]
    sample = envelope("Paid", stream=name, id=name, source=name, amount=3, note=hostile)
    sample["detail"]["data"][hostile] = hostile
    sample["detail-type"] = "Café \u202e\"'"
    desk.store(sample)
    desk.write("projections/notes.py", NOTES)
    for arguments in (["--projection", "notes"], ["--projection", "notes", "--check", "contains(@, 'x') && `false`"]):
        done = desk.run("test-case", f"event:{name}", *arguments)
        names = names_of(source_of(done))
        (line,) = names["HISTORY"]
        assert parse(line).detail == sample["detail"]
        assert (parse(line).id, parse(line).type) == (name, sample["detail-type"])
        with pytest.raises(AssertionError):
            call(names)


NOTES = """
from eventsourcing_kit import Projection

notes = Projection("notes", initial=list)


@notes.on()
def note(state, event):
    return [*state, event.id, {event.stream: event.source}]
"""


@pytest.mark.parametrize(
    ("spec", "content", "importing", "using"),
    [
        ("shop_case:holder.orders", "class holder:\n    orders = made", "import holder", "given(holder.orders, "),
        ("shop_case:everything", "everything = [other, made]", "import everything", "given(everything[1], "),
        ("shop_case:parse", "parse = made", "import parse as projection", "given(projection, "),
        ("shop_case:test_it", "test_it = [other, made]", "import test_it as projection", "given(projection[1], "),
    ],
)
def test_the_projection_is_imported_from_where_it_was_found(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, spec: str, content: str, importing: str, using: str
) -> None:
    monkeypatch.syspath_prepend(str(desk.folder))
    made = ORDERS.replace("orders", "made").replace('"made"', '"orders"')
    desk.write("shop_case.py", f"{made}\nother = Projection('other', initial=dict)\n{content}\n")
    desk.store(*HISTORY)
    monkeypatch.delitem(sys.modules, "shop_case", raising=False)
    done = desk.run("test-case", "e-3", "--app", spec)
    assert f"from shop_case {importing}\n" in source_of(done)
    assert using in done.out
    with pytest.raises(AssertionError, match="gives another state"):
        call(names_of(done.out))
    monkeypatch.delitem(sys.modules, "shop_case", raising=False)


def test_streams_may_stand_elsewhere(desk: Desk) -> None:
    sample = {**HISTORY[0], "detail": {"order": "o-1", "data": {"amount": 3}}}
    desk.write("events.jsonl", json.dumps(sample))
    desk.run("ingest", "events.jsonl", "--stream-path", "detail.order")
    done = desk.run("test-case", "e-1")
    assert (done.code, done.out) == (2, "")
    assert done.talk[-1] == (
        "eskit: stream_path: found 'none', expected the place of the stream's key in an envelope, for event 'e-1' "
        "(detail.data.primaryKey: found nothing, expected text of 1 to 2,048 bytes)"
    )
    done = desk.run("test-case", "e-1", "--stream-path", "detail.order")
    assert 'parse(envelope, "detail.order")' in source_of(done)
    with pytest.raises(AssertionError):
        call(names_of(done.out))


def test_the_event_is_found_by_id_or_key_in_all_streams_or_by_number_in_one(shop: Desk) -> None:
    one = source_of(shop.run("test-case", "e-3", "--stream", "order-17"))
    for name in ("e-3", "event:e-3", "2026-03-01T11:02:00.000Z#Refunded"):
        done = shop.run("test-case", name)
        assert done.out == one
        found = name.removeprefix("event:")
        assert f"eskit: looking for '{found}' in all streams; --stream says in which one it is" in done.talk
    assert shop.run("test-case", "3", "--stream", "order-17").out == one


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["e-0"], "no stream has an event with the id or key 'e-0'"),
        (["event:3"], "no stream has an event with the id or key '3'; a number needs --stream"),
        (["e-0", "--stream", "order-17"], "names no event of stream 'order-17'"),
        (["e-3", "--stream", "order-18"], "names no event of stream 'order-18'"),
        (["e-3", "--projection", "nobody"], "'nobody' was not found"),
        (["e-3", "--check", "balance =="], "check: found 'balance =='"),
        (["e-3", "--check", "length(balance)"], "expected one that can be asked of every state"),
        (["e-3", "--check", "balance < `0`"], "expected one that fails after that event, and this one passes there"),
    ],
)
def test_what_can_not_be_meant_prints_no_test(shop: Desk, arguments: list[str], said: str) -> None:
    done = shop.run("test-case", *arguments)
    assert (done.code, done.out) == (2, "")
    assert said in done.talk[-1]


def test_a_check_that_failed_before_leads_to_bisect(shop: Desk) -> None:
    done = shop.run("test-case", "e-2", "--check", "balance > `99`")
    assert done.code == 0
    assert "eskit: the check does not hold before that event either; 'eskit bisect' finds the first one" in done.talk


def test_an_id_in_several_streams_has_to_be_told_apart(shop: Desk) -> None:
    shop.store(envelope("Paid", stream="order-19", id="e-3", amount=1))
    done = shop.run("test-case", "e-3")
    assert (done.code, done.out) == (2, "")
    assert done.talk[-1] == (
        "eskit: 2 events have the id or key 'e-3': event:3 in 'order-17', event:1 in 'order-19'; name one with --stream"
    )


def test_several_projections_or_none_have_to_be_named(shop: Desk) -> None:
    shop.write("projections/more.py", NOTES)
    shop.write("projections/broken.py", "import nothing_of_that_name\n")
    done = shop.run("test-case", "e-3")
    assert (done.code, done.out) == (2, "")
    assert "the projections that handle 'Refunded' are: 'notes', 'orders'; name one with --projection" in done.talk[-1]
    assert "'projections.broken'" in done.talk[-1]
    assert "given(notes, " in shop.run("test-case", "e-3", "--projection", "notes").out


def test_no_projection_that_handles_the_type_is_said(desk: Desk) -> None:
    desk.store(envelope("Nobody", id="e-1"))
    assert "the projections that handle 'Nobody' are: none; name one" in desk.run("test-case", "e-1").talk[-1]


def test_a_stream_whose_beginning_has_expired_needs_a_word(desk: Desk) -> None:
    url = "sqlite:///events.db?retention_days=30"
    desk.write("projections/orders.py", NOTES)
    with freeze_time("2026-03-01T12:00:00Z"):
        desk.store(*HISTORY, url=url)
    with freeze_time("2026-03-31T11:00:30Z"):
        refused = desk.run("test-case", "e-4", "--store", url)
        done = desk.run("test-case", "e-4", "--store", url, "--allow-incomplete")
    assert (refused.code, refused.out) == (3, "")
    assert "--allow-incomplete" in refused.talk[-1]
    assert [json.loads(line)["id"] for line in names_of(source_of(done))["HISTORY"]] == ["e-2", "e-3", "e-4"]


def test_an_older_writers_event_is_the_same_fact_in_the_test(desk: Desk) -> None:
    desk.store()
    row = older(HISTORY[0], "2026-03-01T11:00:00.000Z#Paid", eventDetail=json.dumps(HISTORY[0]["detail"], indent=1))
    RawRows("sqlite:///events.db").put(row)
    done = desk.run("test-case", "e-1")
    (line,) = names_of(source_of(done))["HISTORY"]
    assert parse(line).detail == HISTORY[0]["detail"]


def test_nothing_of_a_payload_is_said_beside_the_test(shop: Desk) -> None:
    shop.store(envelope("Refunded", id="e-5", time="2026-03-02T00:00:00Z", amount=1, note="canary-7"))
    done = shop.run("test-case", "e-5")
    assert "canary-7" in done.out
    assert "canary-7" not in done.err


def test_as_a_process_in_a_pipe_it_is_a_file_that_pytest_takes(shop: Desk) -> None:
    done = shop.process("test-case", "e-3", "--check", "balance >= `0`")
    assert done.code == 0
    assert os.linesep == "\n"
    code, said = run_pytest(shop, done.out)
    assert (code, "1 failed" in said) == (1, True)
