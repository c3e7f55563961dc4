"""`event:N`, `event:ID` and `event:KEY` wherever a moment may stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eventsourcing_kit import Projection, diff, history, rebuild, rebuild_all
from eventsourcing_kit.errors import EventNotFound, InvalidMoment, RebuildsFailed
from eventsourcing_kit.testing import Clock, event
from tests.eskit import Desk, desk_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from eventsourcing_kit import Event
    from eventsourcing_kit.stores.base import BaseStore

NOON = "2026-03-01T12:00:00Z"
# Three of one moment: in the order of their types.
EVENTS = [
    event("A", time="2026-03-01T11:00:00Z", id="first"),
    *(event(type_, time=NOON, id=f"noon-{type_}") for type_ in "BCD"),
    event("E", time="2026-03-01T13:00:00Z", id="last"),
]

types = Projection("types", initial=list[str])


@types.on()
def seen(state: list[str], event: Event) -> list[str]:
    return [*state, event.type]


@pytest.fixture
def filled(store: BaseStore) -> BaseStore:
    store.append_many(EVENTS)
    return store


@pytest.mark.parametrize("at", ["event:3", "event:noon-C", "event:2026-03-01T12:00:00.000Z#C"])
def test_an_event_as_the_end_leaves_out_others_of_its_moment(filled: BaseStore, at: str) -> None:
    assert rebuild(types, filled, "order-17", at=at).state == ["A", "B", "C"]
    assert rebuild(types, filled, "order-17", at=NOON).state == ["A", "B", "C", "D"]


def test_an_event_as_the_start_leaves_out_those_before_it_in_its_moment(filled: BaseStore) -> None:
    assert rebuild(types, filled, "order-17", start="event:3").state == ["C", "D", "E"]
    assert rebuild(types, filled, "order-17", start="event:3", at="event:noon-D").state == ["C", "D"]
    shown = list(history(types, filled, "order-17", start="event:3", at="event:4"))
    assert [(step.number, step.state) for step in shown] == [(3, ["A", "B", "C"]), (4, ["A", "B", "C", "D"])]


def test_two_events_of_one_moment_are_two_moments(filled: BaseStore) -> None:
    assert diff(types, filled, "order-17", "event:2", "event:4").patch == [
        {"op": "add", "path": "/2", "value": "C"},
        {"op": "add", "path": "/3", "value": "D"},
    ]
    back = diff(types, filled, "order-17", NOON, "event:2")  # the moment stands behind each of its events
    assert (back.before, back.after) == (["A", "B", "C", "D"], ["A", "B"])


def test_as_known_at_an_event_is_the_moment_at_which_it_was_recorded(open_clocked: Clocked) -> None:
    store, clock = open_clocked
    for number, each in enumerate(reversed(EVENTS)):
        clock.set(f"2026-03-02T0{number}:00:00Z")
        store.append(each)
    known = rebuild(types, store, "order-17", known_at="event:noon-C")
    assert known.state == ["C", "D", "E"]
    assert str(known.known_at) == "2026-03-02 02:00:00+00:00"


def test_an_id_of_digits_is_a_number_and_its_key_names_it_still(store: BaseStore) -> None:
    store.append_many([event("A", id="7"), event("B", id="1")])
    assert rebuild(types, store, "order-17", at="event:1").state == ["A"]
    assert rebuild(types, store, "order-17", at="event:2026-03-01T11:03:27.000Z#B").state == ["A", "B"]


@pytest.mark.parametrize(
    ("at", "message"),
    [
        ("event:6", "'event:6' names no event of stream 'order-17': it has 5 events, counted from 1"),
        ("event:0", "'event:0' names no event of stream 'order-17': it has 5 events, counted from 1"),
        (
            f"event:{'9' * 5_000}",
            f"'event:{'9' * 5_000}' names no event of stream 'order-17': it has 5 events, counted from 1",
        ),
        ("event:nobody", "'event:nobody' names no event of stream 'order-17': none has that id or key"),
        ("event:", "'event:' names no event of stream 'order-17': none has that id or key"),
    ],
)
def test_a_name_of_no_event_is_refused(filled: BaseStore, at: str, message: str) -> None:
    with pytest.raises(EventNotFound) as refused:
        rebuild(types, filled, "order-17", at=at)
    assert str(refused.value) == message


def test_an_id_that_two_events_share_is_refused_with_their_keys(store: BaseStore) -> None:
    store.append_many([event("A", id="same"), event("B", id="same")])
    with pytest.raises(EventNotFound, match=r"2 events have that id; name one by its key: '.*#A', '.*#B'"):
        rebuild(types, store, "order-17", at="event:same")


def test_an_event_without_a_time_of_recording_is_no_moment_of_knowing(store: BaseStore) -> None:
    store.append(event("A", id="a"))
    with pytest.raises(InvalidMoment):
        rebuild(types, store, "order-17", known_at="event")


def test_over_several_streams_each_has_its_own(filled: BaseStore) -> None:
    filled.append(event("A", stream="order-18"))
    answers = list(rebuild_all(types, filled, at="event:1"))
    assert [(each.stream, each.state) for each in answers] == [("order-17", ["A"]), ("order-18", ["A"])]
    with pytest.raises(RebuildsFailed, match="order-18"):
        list(rebuild_all(types, filled, at="event:2"))


def test_the_command_line_takes_them_everywhere(desk: Desk) -> None:
    desk.write("projections/types.py", "from tests.test_span import types\n")
    from eventsourcing_kit import open_store

    with open_store("sqlite:///events.db") as store:
        store.append_many(EVENTS)
    shown = desk.run("events", "order-17", "--start", "event:noon-C", "--at", "event:4")
    assert [record["type"] for record in shown.records] == ["C", "D"]
    rebuilt = desk.run("rebuild", "types", "order-17", "--at", "event:3", "--start", "event:2")
    assert rebuilt.records[0]["state"] == ["B", "C"]
    refused = desk.run("rebuild", "types", "order-17", "--at", "event:9")
    assert (refused.code, refused.out) == (2, "")
    assert "it has 5 events" in refused.err


Clocked = tuple["BaseStore", Clock]


@pytest.fixture
def open_clocked() -> Iterator[Clocked]:
    from eventsourcing_kit import open_store

    clock = Clock()
    with open_store("sqlite://", clock=clock) as store:
        yield store, clock


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk_at(tmp_path, monkeypatch) as desk:
        yield desk
