from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from eventsourcing_kit.testing import envelope
from tests.eskit import Desk, desk_at, without_projections

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PROJECTIONS = """
from eventsourcing_kit import Projection

print("imported")
total = Projection("total", initial=int)
colours = Projection("colours", initial=dict)
broken = Projection("broken", initial=int)
last = Projection("last", initial=str)
ending = Projection("ending", initial=str)


@total.on()
def add(state, event):
    print("handling")
    return state + event.data["amount"]


@colours.on()
def keep(state, event):
    return {"hash": hash(event.type), "type": "any"}


@broken.on()
def fail(state, event):
    raise KeyError(event.data["amount"])


@ending.on()
def end(state, event):
    raise SystemExit(0)


@last.on()
def latest(state, event):
    return event.type
"""


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk_at(tmp_path, monkeypatch) as desk:
        desk.write("projections/verified.py", PROJECTIONS)
        desk.store(
            envelope("Placed", stream="order-1", amount=770077),
            envelope("Paid", stream="order-1", amount=880088),
            envelope("Placed", stream="order-2", amount=99),
        )
        yield desk


def test_a_projection_that_is_the_same_everywhere_ends_with_0(desk: Desk) -> None:
    done = desk.run("verify", "total", "--all")
    assert (done.code, done.out) == (0, "")
    assert "eskit: changed: process, second fold, order of streams, hash seed (4), time zone (2), clock" in done.err
    assert "eskit: not changed: page size, as this store is not read in pages" in done.err
    assert done.talk[-1] == ("eskit: 'total' version 1: the same bytes for 3 events of 2 streams in 14 other worlds")


def test_a_difference_ends_with_1_and_says_where(desk: Desk) -> None:
    done = desk.run("verify", "colours", "order-2", "--change", "hash seed")
    assert done.code == 1
    (record,) = done.records
    assert len(record.pop("id")) == 36
    assert record == {
        "stream": "order-2",
        "projection": "colours",
        "version": 1,
        "changed": "hash seed",
        "detail": "PYTHONHASHSEED 1, not 0",
        "pointers": ["/hash"],
        "key": "2026-03-01T11:03:27.000Z#Placed",
        "type": "Placed",
        "raised": None,
        "order": [],
    }


def test_on_a_terminal_it_is_a_table(desk: Desk) -> None:
    done = desk.run("verify", "last", "order-1", "--change", "order of ties", "--format", "table")
    assert done.code == 1
    head, row = done.out.splitlines()
    assert head.split()[:3] == ["stream", "changed", "differs"]
    assert row.startswith("order-1  order of ties  the whole state")


def test_a_projection_that_raises_ends_with_3_and_quotes_nothing(desk: Desk) -> None:
    done = desk.run("verify", "broken", "--all", "--change", "process")
    assert (done.code, done.out) == (3, "")
    assert "'order-1'" in done.err
    assert "KeyError was raised" in done.err
    assert "770077" not in done.err
    assert "880088" not in done.err
    done = desk.run("verify", "ending", "--all", "--change", "process")
    assert (done.code, done.out) == (3, "")
    assert "did not get beyond stream 'order-1': it ended with exit code 0" in done.err


def test_what_can_not_be_meant_ends_with_2(desk: Desk) -> None:
    assert desk.run("verify", "total").code == 2
    done = desk.run("verify", "total", "--all", "--change", "weather")
    assert done.code == 2
    assert "changes: found 'weather'" in done.err
    assert desk.run("verify", "nobody", "--all").code == 2
    assert desk.run("check-ties", "--all", "--projection", "nobody").code == 2


def test_check_ties_says_for_each_projection_whether_it_depends_on_the_order(desk: Desk) -> None:
    done = desk.run("check-ties", "--all", "--projection", "total", "--projection", "last")
    assert done.code == 1
    total, last = done.records
    assert (total["projection"], total["depends"], total["moments"]) == ("total", False, 1)
    assert (last["depends"], last["stream"]) == (True, "order-1")
    assert [event["type"] for event in last["other"]] == ["Placed", "Paid"]
    assert desk.run("check-ties", "order-2", "--projection", "last").code == 0
    done = desk.run("check-ties", "order-2", "last", "--projection", "last")
    assert done.talk[-1] == "eskit: not covered: stream 'last' has no event"
    desk.write("projections/missing.py", "import nothing_of_that_name")
    done = desk.run("check-ties", "--all", "--projection", "broken", "--projection", "last")
    assert done.code == 3
    assert [record["projection"] for record in done.records] == ["broken", "last"]
    with without_projections():
        desk.write("projections/verified.py", PROJECTIONS.partition("@ending")[0].replace("ending", "other"))
        done = desk.run("check-ties", "--all")
    assert "eskit: left out: 'projections.missing': ModuleNotFoundError: No module named" in done.err
    assert [record["projection"] for record in done.records] == ["broken", "colours", "last", "other", "total"]


def test_check_ties_without_a_projection_has_checked_nothing(desk: Desk) -> None:
    desk.write("bare.py", "")
    done = desk.run("check-ties", "--all", "--app", "bare")
    assert (done.code, done.out) == (2, "")
    assert "there is no projection to check" in done.err


def test_check_ties_on_a_terminal_is_a_table(desk: Desk) -> None:
    done = desk.run("check-ties", "order-1", "--projection", "last", "--format", "table")
    head, row = done.out.splitlines()
    assert head.split()[:4] == ["projection", "depends", "moments", "dependent"]
    assert row.split()[:5] == ["last", "yes", "1", "1", "order-1"]


WAITING = """
from eventsourcing_kit import Projection

waiting = Projection("waiting", initial=int)


@waiting.on()
def wait(state, event):
    with open(PIPE, "wb", buffering=0) as pipe:
        pipe.write(b"here")
        while True:
            state += 1
"""


def test_an_interrupt_ends_all_its_processes(desk: Desk) -> None:
    pipe = desk.folder / "pipe"
    os.mkfifo(pipe)
    desk.write("projections/waiting.py", WAITING.replace("PIPE", repr(str(pipe))))
    with (
        desk.spawn("verify", "waiting", "order-2", "--change", "process", start_new_session=True) as process,
        pipe.open("rb", buffering=0) as reading,  # once a handler opens it, too
    ):
        try:
            assert reading.read(4) == b"here"
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=30)
            assert reading.read() in (b"", b"here")  # to its end: nobody holds the other end any more
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 130
    assert err.decode().splitlines()[-1] == "eskit: interrupted"
