from __future__ import annotations

import sys
import tracemalloc
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pytest
import traitlets

from eventsourcing_kit import Event, History, Projection, history, open_store, parse, rebuild
from eventsourcing_kit.errors import EventNotFound, FoldFailed, InvalidMoment, InvalidOption
from eventsourcing_kit.frames.marked import marked_lines
from eventsourcing_kit.questions.travel import Checkpoints
from eventsourcing_kit.questions.walk import Walk
from eventsourcing_kit.span import Span
from eventsourcing_kit.testing import envelope
from tests.hostile import HOSTILE, Elements

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventsourcing_kit.frames.travel import TimeSlider
    from eventsourcing_kit.stores.base import BaseStore


@dataclass(frozen=True)
class Account:
    balance: int = 0
    last: str = ""


accounts = Projection("accounts", initial=Account)


@accounts.on("Paid")
def paid(account: Account, event: Event) -> Account:
    if event.data["amount"] < 0:
        raise ValueError("a negative amount")
    return replace(account, balance=account.balance + event.data["amount"], last=event.data.get("by", ""))


def at_second(second: int) -> str:
    return f"2026-03-01T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}Z"


@pytest.fixture
def bank() -> Iterator[BaseStore]:
    with open_store("sqlite://") as store:
        yield store


def fill(store: BaseStore, count: int, *, first: int = 1) -> None:
    """Payments of 1, 2, 3, ..., one a second."""
    numbers = range(first, first + count)
    store.append_many(parse(envelope("Paid", amount=number, time=at_second(number))) for number in numbers)


def points(store: BaseStore, *, most: int = 8, **options: Any) -> Checkpoints[Account]:
    span = Span.of(store, "order-17", **options)
    return Checkpoints(Walk(accounts, span), most=most)


def account(store: BaseStore, **options: Any) -> History[Account]:
    return history(accounts, store, "order-17", **options)


def shown(slider: TimeSlider) -> list[str]:
    return [text.strip() for text, changed in slider.step["lines"] if changed]


# Checkpoints


def test_every_stop_has_the_state_that_a_rebuild_gives(bank: BaseStore) -> None:
    fill(bank, 100)
    stops = points(bank)
    assert stops.count == 100
    for position in (100, 1, 50, 49, 51, 99, 2, 0, 64, 63, 65):
        stop = stops.stop(position)
        assert stop.state.balance == position * (position + 1) // 2
        at = stops.at(stop)
        assert at is not None
        assert rebuild(accounts, bank, "order-17", at=at).state == stop.state
        assert stops.find(at) == position


def test_a_jump_folds_no_more_events_than_lie_between_two_kept_places(bank: BaseStore) -> None:
    fill(bank, 1_000)
    folded: list[int] = []
    counting = Projection("counting", initial=int)

    @counting.on()
    def count(state: int, event: Event) -> int:
        folded.append(1)
        return state + 1

    stops = Checkpoints(Walk(counting, Span.of(bank, "order-17")), most=16)
    assert len(stops._kept) <= 16
    for position in (1_000, 1, 500, 777):
        folded.clear()
        assert stops.stop(position).state == position
        assert len(folded) <= 1_000 / 8


def test_large_states_are_kept_in_smaller_number(bank: BaseStore) -> None:
    texts = Projection("texts", initial=str)

    @texts.on()
    def longer(state: str, event: Event) -> str:
        return state + "x" * 1_000

    fill(bank, 200)
    stops = Checkpoints(Walk(texts, Span.of(bank, "order-17")), room=500_000)
    assert sum(len(kept.place.state) for kept in stops._kept) <= 500_000
    assert [len(stops.stop(position).state) for position in (200, 3)] == [200_000, 3_000]


def test_memory_does_not_grow_with_the_stream(bank: BaseStore) -> None:
    used = []
    for first, count in ((1, 1_000), (1_001, 4_000)):
        fill(bank, count, first=first)
        points(bank)  # whatever is loaded once
        tracemalloc.start()
        kept = points(bank)
        used.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        assert len(kept.ticks.drawn()["ticks"]) <= 1_500
    assert used[1] < used[0] * 2 + 100_000


def test_with_a_start_positions_count_from_there_and_states_are_true(bank: BaseStore) -> None:
    fill(bank, 30)
    stops = points(bank, start=at_second(11), at="event:20")
    assert stops.count == 10
    assert [stops.stop(position).state.balance for position in (0, 1, 10)] == [55, 66, 210]
    assert [stops.at(stops.stop(position)) for position in (0, 1)] == [
        "2026-03-01T00:00:10.999999999Z",
        "2026-03-01T00:00:11.000000000Z",
    ]
    assert stops.find("2026-03-02") == 10
    assert stops.find("2026-02-01") == 0
    with pytest.raises(EventNotFound, match="not among those of this history"):
        stops.find("event:25")


def test_events_of_one_moment_are_stops_of_their_own_and_named_as_events(bank: BaseStore) -> None:
    for amount in (1, 2, 4):
        bank.append(parse(envelope("Paid", amount=amount)))
    stops = points(bank)
    names = [stops.at(stops.stop(position)) for position in range(1, 4)]
    assert [(name or "")[:6] for name in names] == ["event:", "event:", "2026-0"]
    for position, at in enumerate(names, start=1):
        assert at is not None
        assert stops.find(at) == position
        assert rebuild(accounts, bank, "order-17", at=at).state == stops.stop(position).state


def test_before_the_first_event_is_a_stop_and_without_events_the_only_one(bank: BaseStore) -> None:
    stops = points(bank)
    assert (stops.count, stops.stop(0).state, stops.at(stops.stop(0))) == (0, Account(), None)
    fill(bank, 1)
    stops = points(bank)
    assert stops.stop(0).state == Account()
    assert stops.at(stops.stop(0)) == "2026-03-01T00:00:00.999999999Z"


def test_what_is_recorded_later_moves_nothing(bank: BaseStore) -> None:
    fill(bank, 20)
    stops = points(bank)
    bank.append(parse(envelope("Paid", amount=1_000, time="2026-03-01T00:00:05.5Z")))
    assert [stops.stop(position).state.balance for position in (5, 6, 20)] == [15, 21, 210]
    assert stops.find("2026-03-02") == 20


def test_what_a_caller_does_with_a_state_changes_no_other_one(bank: BaseStore) -> None:
    lists = Projection("lists", initial=list[int])

    @lists.on()
    def add(state: list[int], event: Event) -> list[int]:
        state.append(event.data["amount"])
        return state

    fill(bank, 10)
    stops = Checkpoints(Walk(lists, Span.of(bank, "order-17")), most=4)
    for position in (0, 4, 8):
        stops.stop(position).state.append(99)
    assert [stops.stop(position).state for position in (0, 1, 4)] == [[], [1], [1, 2, 3, 4]]
    assert stops.stop(9).before == b"[1,2,3,4,5,6,7,8]"


def test_a_projection_that_raises_ends_the_travel_before_that_event(bank: BaseStore) -> None:
    fill(bank, 5)
    bank.append(parse(envelope("Paid", amount=-1, time=at_second(6), id="poison")))
    fill(bank, 5, first=7)
    slider = account(bank).travel()
    assert (slider.index, slider.state.balance) == (5, 15)
    assert "event 6 'Paid'" in slider.about["stopped"]
    assert "id 'poison'" in slider.about["stopped"]
    assert "ValueError" in slider.about["stopped"]
    assert "negative amount" not in slider.about["stopped"]
    slider.index = 11
    assert slider.index == 5


def test_a_start_whose_state_can_not_be_made_is_an_error(bank: BaseStore) -> None:
    fill(bank, 5)
    bank.append(parse(envelope("Paid", amount=-1, time=at_second(6))))
    fill(bank, 5, first=7)
    with pytest.raises(FoldFailed):
        account(bank, start="event:8").travel()


# The slider in Python


def test_the_slider_begins_at_the_end_and_follows_its_index(bank: BaseStore) -> None:
    fill(bank, 10)
    slider = account(bank).travel()
    assert (slider.index, slider.at, slider.state.balance) == (10, "2026-03-01T00:00:10.000000000Z", 55)
    slider.index = 3
    assert (slider.at, slider.state) == ("2026-03-01T00:00:03.000000000Z", Account(balance=6))
    assert shown(slider) == ['"balance": 6,']
    assert slider.step["changes"] == [["replace", "/balance", None, "3", "6"]]
    slider.index = 0
    assert (slider.state, slider.step["changes"], slider.step["facts"]) == (Account(), [], [])
    slider.index = 99
    assert slider.index == 10
    slider.index = -1
    assert slider.index == 0


def test_setting_at_goes_there_by_the_grammar_of_moments_and_events(bank: BaseStore) -> None:
    fill(bank, 10)
    slider = account(bank).travel()
    for at, index in (
        ("2026-03-01 00:00:04.5", 4),
        ("event:7", 7),
        ("2026-02-28", 0),
        ("2026-03-01T01:00:03+01:00", 3),
        (parse(envelope("Paid", time=at_second(2))).moment, 2),
        ("2027-01-01", 10),
    ):
        slider.at = at
        assert (slider.index, slider.state.balance) == (index, index * (index + 1) // 2)
        assert slider.at != at or index == 0
        assert slider.step["index"] == index
    for wrong, error in (
        ("yesterdayish", InvalidMoment),
        ("event:11", EventNotFound),
        (7, traitlets.TraitError),
    ):
        with pytest.raises(error):
            slider.at = wrong
        assert (slider.index, slider.at) == (10, "2026-03-01T00:00:10.000000000Z")


def test_who_observes_the_state_is_told_once_and_of_one_place(bank: BaseStore) -> None:
    fill(bank, 10)
    slider = account(bank).travel()
    told: list[tuple[Any, ...]] = []

    def tell(change: Any) -> None:
        told.append((change["new"].balance, slider.index, slider.at, slider.step["index"]))

    slider.observe(tell, "state")
    slider.set_state({"index": 2})  # as the browser does
    slider.at = "event:4"
    assert told == [
        (3, 2, "2026-03-01T00:00:02.000000000Z", 2),
        (10, 4, "2026-03-01T00:00:04.000000000Z", 4),
    ]


def test_an_event_without_a_handler_is_a_stop_that_says_so(bank: BaseStore) -> None:
    fill(bank, 1)
    bank.append(parse(envelope("Seen", time=at_second(2))))
    slider = account(bank).travel()
    assert (slider.step["type"], slider.step["note"]) == ("Seen", "No handler takes this type")
    assert slider.state == Account(balance=1)


def test_a_store_that_fails_is_said_in_both_halves(bank: BaseStore) -> None:
    fill(bank, 10)
    slider = account(bank).travel()
    bank.close()
    with pytest.raises(Exception, match="closed"):
        slider.index = 3
    assert slider.step["index"] == 3
    assert slider.step["problem"]


def test_a_large_state_is_cut_around_its_first_change(bank: BaseStore) -> None:
    many = Projection("many", initial=dict[str, int])

    @many.on()
    def count(state: dict[str, int], event: Event) -> dict[str, int]:
        amount = event.data["amount"]
        return {str(number): number for number in range(5_000)} | {"3000": amount, "4999": amount}

    fill(bank, 2)
    slider = history(many, bank, "order-17").travel()
    step = slider.step
    assert (step["above"], len(step["lines"]), step["below"]) == (2_981, 1_000, 1_021)
    assert shown(slider) == ['"3000": 2,']
    slider.index = 1
    assert (slider.step["more"], len(slider.step["changes"])) == (4_800, 200)


def test_many_types_share_the_colours_and_rare_ones_keep_their_ticks(bank: BaseStore) -> None:
    fill(bank, 2_000)
    bank.append_many(parse(envelope(f"Rare{number}", time=at_second(number))) for number in range(20))
    about = account(bank).travel().about
    assert about["count"] == 2_020
    assert len(about["ticks"]) <= 1_500
    assert [name for name, _ in about["types"]] == [
        "Paid",
        *(f"Rare{number}" for number in (0, 1, 10, 11, 12, 13)),
        "others",
    ]
    assert about["ends"] == ["2026-03-01 00:00:00Z", "2026-03-01 00:33:20Z"]


def test_hostile_text_comes_to_the_browser_with_nothing_that_can_not_be_seen(bank: BaseStore) -> None:
    names = Projection("<b>names</b>", initial=dict[str, str])

    @names.on()
    def name(state: dict[str, str], event: Event) -> dict[str, str]:
        return {**state, event.data["text"]: event.data["text"]}

    bank.append_many(parse(envelope("Named", text=text, time=at_second(place))) for place, text in enumerate(HOSTILE))
    slider = history(names, bank, "order-17").travel()
    for index in range(len(HOSTILE) + 1):
        slider.index = index
        step = slider.step
        for text in [text for text, _ in step["lines"]] + [text for row in step["changes"] for text in row if text]:
            assert text.isprintable()
            assert len(text) < 5_000


def test_where_no_widget_shows_there_is_the_place_as_inert_html(bank: BaseStore) -> None:
    for place, text in enumerate(HOSTILE, start=1):
        bank.append(parse(envelope("Paid", amount=place, by=text, time=at_second(place))))
    slider = account(bank).travel()
    for index in range(len(HOSTILE) + 1):
        slider.index = index
        bundle = slider._repr_mimebundle_()
        assert bundle is not None
        assert "application/vnd.jupyter.widget-view+json" in bundle[0]
        page = Elements(bundle[0]["text/html"])
        assert page.names <= {"div", "style", "p", "table", "thead", "tbody", "tr", "th", "td", "pre", "del", "ins"}
        assert f"{index} of {len(HOSTILE)}" in page.shown
        assert f'"balance": {index * (index + 1) // 2}' in page.shown
        assert index == 0 or f"/balance {index * (index - 1) // 2} → {index * (index + 1) // 2}" in page.shown
    assert repr(slider) == "<TimeSlider of 'accounts: order-17': 13 of 13, at '2026-03-01T00:00:13.000000000Z'>"


def test_without_anywidget_it_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch, bank: BaseStore) -> None:
    monkeypatch.setitem(sys.modules, "anywidget", None)
    with pytest.raises(InvalidOption, match=r"travel: .* pip install 'eventsourcing-kit\[notebook\]'"):
        account(bank).travel()


# Marked lines


@pytest.mark.parametrize(
    ("before", "after", "marked"),
    [
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, ['"b": 3']),
        ({"a": 1}, {"a": 1, "b": [1]}, ['"b": [', "1", "]"]),
        ({"a": 1, "b": 2}, {"a": 1}, ["{"]),
        ({"a": {"x": 1}}, {"a": {}}, ['"a": {}']),
        ([1, 2, 3], [0, 1, 2, 3], ["0,"]),
        ([1, 2, 3], [1, 2, 9, 3], ["9,"]),
        ([1, 2, 3], [1, 3], ["["]),
        ([{"n": 1}, {"n": 2}], [{"n": 1}, {"n": 5}], ['"n": 5']),
        ({"a": 1}, {"a": True}, ['"a": true']),
        ({"a": 1}, {"a": 1}, []),
        ({"a": 1}, [1], ["[", "1", "]"]),
        (1, 1.0, ["1.0"]),
    ],
)
def test_lines_are_marked_where_something_is_other_than_before(before: Any, after: Any, marked: list[str]) -> None:
    assert [line.text.strip() for line in marked_lines(before, after) if line.changed] == marked


def test_lines_are_json() -> None:
    lines = marked_lines(None, {"a": [1, {"b": None}], "c": {}, "d": []})
    assert "\n".join(line.text for line in lines) == (
        '{\n  "a": [\n    1,\n    {\n      "b": null\n    }\n  ],\n  "c": {},\n  "d": []\n}'
    )
