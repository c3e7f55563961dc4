"""`eskit timeline`, `diff`, `blame`, `bisect` and `revisions`, as a person and as a program meet them."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest

from eventsourcing_kit import open_store, parse
from eventsourcing_kit.testing import Clock, envelope
from tests.eskit import Desk, desk_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

APP = """
from eventsourcing_kit import Projection

account = Projection("account", initial=dict)

@account.on("Paid")
def paid(state, event):
    print("a handler talks")
    balance = state.get("balance", 0) + event.data["amount"]
    if balance > 100:
        state["balance"] = "spoilt"
        raise ValueError("secret")
    return {**state, "balance": balance, "last": event.data.get("note")}
"""


def paid(second: int, amount: int, **more: Any) -> dict[str, Any]:
    return envelope("Paid", time=f"2026-03-01T11:00:{second:02d}Z", id=f"paid-{second}", amount=amount, **more)


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk_at(tmp_path, monkeypatch) as desk:
        desk.write("projections/account.py", APP)
        desk.store(
            paid(1, 10), paid(2, -30), paid(3, 5), envelope("Unheard", time="2026-03-01T11:00:04Z", id="unheard")
        )
        yield desk


ASKED = {
    "timeline": ["timeline", "account", "order-17"],
    "diff": ["diff", "account", "order-17", "event:1", "event:3"],
    "blame": ["blame", "account", "order-17", "/balance"],
    "bisect": ["bisect", "account", "order-17", "balance == null || balance >= `0`"],
    "revisions": ["revisions", "account", "order-17", "2026-03-01T11:00:04Z"],
}


@pytest.mark.parametrize("question", ASKED)
def test_stdout_has_only_the_answer(desk: Desk, question: str) -> None:
    done = desk.run(*ASKED[question])
    assert done.code == 0
    assert done.records
    assert "a handler talks" in done.err
    assert all(record["stream"] == "order-17" for record in done.records)


def test_a_timeline_shows_what_each_event_changed(desk: Desk) -> None:
    done = desk.run(*ASKED["timeline"], "--format", "table")
    lines = [line.split() for line in done.out.splitlines()]
    assert lines[0] == ["#", "moment", "type", "id", "change"]
    assert lines[1][:4] == ["1", "2026-03-01T11:00:01.000Z", "Paid", "paid-1"]
    assert lines[1][4:] == ["/balance", "nothing", "->", "10,", "/last", "nothing", "->", "null"]
    assert lines[2][4:] == ["/balance", "10", "->", "-20"]
    assert lines[4] == ["4", "2026-03-01T11:00:04.000Z", "Unheard", "unheard"]


def test_one_answer_leads_to_the_next_question(desk: Desk) -> None:
    (found,) = desk.run(*ASKED["bisect"]).records
    assert (found["id"], found["number"], found["before"], found["after"]) == (
        *("paid-2", 2),
        *({"balance": 10, "last": None}, {"balance": -20, "last": None}),
    )
    for name in (found["id"], found["key"], str(found["number"])):
        (shown,) = desk.run("rebuild", "account", "order-17", "--at", f"event:{name}").records
        assert shown["state"] == found["after"]


def test_tables_for_people(desk: Desk) -> None:
    shown = desk.run(*ASKED["diff"], "--format", "table").out
    assert [line.split() for line in shown.splitlines()] == [
        ["place", "old", "new", "touched", "last", "by", "#", "id"],
        ["/balance", "10", "-15", "3", "Paid", "paid-3"],
    ]
    shown = desk.run(*ASKED["bisect"], "--flips", "--format", "table").out
    assert "event   2 Paid" in shown
    assert "/balance  10      -20" in shown
    assert "fails" in shown
    assert "3  2026-03-01T11:00:03.000Z  Paid  -20      -15" in desk.run(*ASKED["blame"], "--format", "table").out
    assert "as known then" in desk.run(*ASKED["revisions"], "--format", "table").out


@pytest.mark.parametrize("format", ["table", "jsonl"])
def test_what_is_not_there_is_said(desk: Desk, format: str) -> None:  # noqa: A002 - the option's name
    nothing = desk.run("diff", "account", "order-17", "event:3", "event:4", "--format", format)
    assert (nothing.code, nothing.out) == (0, "")
    assert nothing.talk[-1] == "eskit: no difference; 'eskit timeline' shows what each event changed"
    nothing = desk.run("blame", "account", "order-17", "/nowhere", "--format", format)
    assert (nothing.code, nothing.out) == (0, "")
    assert "no event set '/nowhere'" in nothing.err
    nothing = desk.run("timeline", "account", "nobody", "--format", format)
    assert (nothing.code, nothing.out) == (0, "")
    assert "stream 'nobody' has no event" in nothing.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["blame", "account", "order-17", "balance"], "pointer: found 'balance', expected a JSON Pointer"),
        (
            ["bisect", "account", "order-17", "balance >"],
            "check: found 'balance >', expected a function",
        ),
        (["bisect", "account", "order-17", "`true`"], "the check passes at both ends"),
        (["bisect", "account", "order-17", "`false`"], "the check fails at the good end already"),
        (["diff", "account", "order-17", "event:1", "event:9"], "'event:9' names no event of stream 'order-17'"),
        (["diff", "account", "order-17", "soon", "now"], "'soon' is not a moment"),
        (["timeline", "nobody", "order-17"], "there are 'account'"),
    ],
)
def test_what_can_not_be_meant_is_a_matter_of_usage(desk: Desk, arguments: list[str], message: str) -> None:
    done = desk.run(*arguments)
    assert (done.code, done.out) == (2, "")
    assert message in done.err


def test_a_check_that_raises_is_the_users(desk: Desk) -> None:
    done = desk.run("bisect", "account", "order-17", "length(balance) < `0`", "--good", "event:1")
    assert done.code == 3
    assert "after event 'paid-1'" in done.err
    assert "JMESPathTypeError was raised, as length() takes string or array or object, not number" in done.talk[-1]


UP_TO_THERE = {
    "timeline": ["paid-1", "paid-2", "paid-3", "unheard"],
    "diff": ["paid-3"],
    "blame": ["paid-3", "paid-2", "paid-1"],
    "bisect": ["paid-2"],
    "revisions": [],
}


@pytest.mark.parametrize("question", ASKED)
def test_where_a_handler_raises_there_is_the_answer_up_to_there_and_the_state_before(desk: Desk, question: str) -> None:
    desk.store(paid(9, 1_000))
    arguments = [*ASKED[question][:-1], "now"] if question in ("diff", "revisions") else ASKED[question]
    done = desk.run(*arguments)
    assert done.code == 3
    *found, failure = done.records
    assert [record["id"] for record in found] == UP_TO_THERE[question]
    assert failure == {
        "stream": "order-17",
        "failed": {
            "number": 5,
            "key": "2026-03-01T11:00:09.000Z#Paid",
            "type": "Paid",
            "id": "paid-9",
            "reason": "ValueError was raised",
        },
        "state": {"balance": -15, "last": None},
    }
    assert "secret" not in done.err
    assert "projections/account.py:12 in paid" in done.err
    table = desk.run(*arguments, "--format", "table")
    found_in_table, _, _ = table.out.partition("raised at event 5")
    assert [name for name in UP_TO_THERE[question] if name not in found_in_table] == []
    assert "raised at event 5 'Paid', id paid-9; the state before it:" in table.out
    assert '"balance": -15' in table.out


def test_csv_is_for_spreadsheets(desk: Desk) -> None:
    desk.store(paid(5, 1, note="=HYPERLINK(1)"), envelope("=Type", time="2026-03-01T11:00:06Z", id="+id"))
    done = desk.run(*ASKED["timeline"], "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.out, newline="")))
    assert [row["type"] for row in rows][-2:] == ["Paid", "'=Type"]
    assert rows[-1]["id"] == "'+id"
    assert json.loads(rows[4]["state"])["last"] == "=HYPERLINK(1)"
    assert rows[0]["number"] == "1"
    # Commands that print records do so, too.
    rows = list(csv.DictReader(io.StringIO(desk.run("events", "order-17", "--format", "csv").out, newline="")))
    assert [row["id"] for row in rows] == ["paid-1", "paid-2", "paid-3", "unheard", "paid-5", "'+id"]
    assert json.loads(rows[0]["detail"])["data"]["amount"] == 10
    (row,) = csv.DictReader(io.StringIO(desk.run("rebuild", "account", "order-17", "--format", "csv").out, newline=""))
    assert (row["events"], row["known_at"], json.loads(row["state"])["balance"]) == ("4", "", -14)


def test_revisions_name_the_late_events(desk: Desk) -> None:
    clock = Clock("2026-03-01T11:00:05Z")
    with open_store("sqlite:///late.db", clock=clock) as store:
        store.append(parse(paid(1, 10)))
        clock.set("2026-03-03T00:00:00Z")
        store.append(parse(paid(2, 5)))
    done = desk.run("revisions", "account", "order-17", "2026-03-02", "--store", "sqlite:///late.db")
    assert [(record["known_at"], record["came"], record["state"]["balance"]) for record in done.records] == [
        ("2026-03-02T00:00:00.000000000Z", [], 10),
        ("2026-03-03T00:00:00.000000000Z", [{"id": "paid-2", "key": "2026-03-01T11:00:02.000Z#Paid"}], 15),
    ]
