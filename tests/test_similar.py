"""Similar trails: what usually comes, counted over the trails that began in the same way."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsourcing_kit import open_store, parse, similar_trails, trail
from eventsourcing_kit.errors import InvalidOption
from eventsourcing_kit.record import split_key
from eventsourcing_kit.testing import Clock, envelope
from tests.hostile import Elements
from tests.rows import RawRows, older

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from eventsourcing_kit.stores.base import BaseStore
    from eventsourcing_kit.trails import Usual

NOON = Clock("2026-03-01T12:00:00Z")


@pytest.fixture
def memory() -> Iterator[BaseStore]:
    with open_store("sqlite://") as store:
        yield store


def cart(name: str, *types: str, minute: int = 0, **more: Any) -> list[dict[str, Any]]:
    """A trail whose events come one second after the other; `Type@30` comes half a minute after the first one."""
    envelopes = []
    for number, each in enumerate(types):
        type_, _, second = each.partition("@")
        time = f"2026-03-01T11:{minute:02d}:{int(second or number):02d}Z"
        metadata = {"correlationId": name, **more}
        envelopes.append(envelope(type_, stream=f"{name}-{number}", time=time, metadata=metadata))
    return envelopes


def filled(store: BaseStore, *trails: list[dict[str, Any]]) -> None:
    store.append_many(parse(each) for envelopes in trails for each in envelopes)


def asked(store: BaseStore, name: str, **options: Any) -> dict[str, Usual]:
    answer = similar_trails(store, trail(store, name), clock=NOON, **options)
    return {usual.type: usual for usual in answer.types}


SHOP = (
    cart("a", "Placed", "Paid@10", "Shipped@30"),
    cart("b", "Placed", "Paid@20", "Shipped@40"),
    cart("c", "Placed", "Paid@30", "Cancelled@40"),
    cart("mine", "Placed", "Paid@12"),
    cart("other", "Received", "Placed", "Exploded"),
)


def test_what_most_others_have_and_this_one_has_not_is_missing(store: BaseStore) -> None:
    filled(store, *SHOP)
    answer = similar_trails(store, trail(store, "mine"), clock=NOON)
    assert (answer.correlation_id, answer.first_type, answer.others) == ("mine", "Placed", 3)
    assert [usual.type for usual in answer.types] == ["Placed", "Paid", "Shipped", "Cancelled"]
    assert [usual.standing for usual in answer.types] == ["came", "came", "overdue", "seldom"]
    (missing,) = answer.missing
    assert (missing.type, missing.here, missing.usual, missing.nth, missing.trails) == ("Shipped", 0, 1, 1, 2)
    assert missing.share == pytest.approx(2 / 3)
    assert (missing.delay, missing.delay_90) == (30_000_000_000, 40_000_000_000)
    assert repr(answer) == "<SimilarTrails of 'mine': 3 others, missing here: 'Shipped'>"


def test_a_scan_learns_the_same(store: BaseStore) -> None:
    filled(store, *SHOP)
    by_index, by_scan = trail(store, "mine"), trail(store, "mine", scan=True)
    assert similar_trails(store, by_index, clock=NOON) == similar_trails(store, by_scan, clock=NOON)


def test_it_learns_where_the_trail_was_looked_for(memory: BaseStore) -> None:
    for name, types in {"a": ("Placed", "Paid"), "b": ("Placed", "Paid"), "mine": ("Placed",)}.items():
        for number, type_ in enumerate(types):
            time = f"2026-03-01T11:00:0{number}Z"
            memory.append(parse(envelope(type_, stream=f"{name}-{number}", time=time, order=name)))
    answer = similar_trails(memory, trail(memory, "mine", correlation_path="detail.data.order"), clock=NOON)
    assert (answer.others, [usual.type for usual in answer.missing]) == (2, ["Paid"])


def test_how_often_something_came_counts(memory: BaseStore) -> None:
    filled(
        memory,
        cart("a", "Placed", "Reserved@2", "Reserved@5"),
        cart("b", "Placed", "Reserved@3", "Reserved@7", "Reserved@9"),
        cart("c", "Placed", "Reserved@4"),
        cart("mine", "Placed", "Reserved@2"),
    )
    reserved = asked(memory, "mine")["Reserved"]
    assert (reserved.here, reserved.usual, reserved.nth, reserved.trails) == (1, 2, 2, 2)
    assert (reserved.delay, reserved.delay_90) == (5_000_000_000, 7_000_000_000)  # of the second one
    assert reserved.standing == "overdue"
    filled(memory, cart("many", "Placed", "Reserved@2", "Reserved@3", "Reserved@4"))
    reserved = asked(memory, "many")["Reserved"]
    assert (reserved.here, reserved.usual, reserved.nth, reserved.trails, reserved.standing) == (3, 2, 3, 1, "more")


def test_the_share_from_which_on_something_is_usual_can_be_chosen(memory: BaseStore) -> None:
    filled(memory, *SHOP)
    assert {name: usual.usual for name, usual in asked(memory, "mine").items()} == {
        "Placed": 1,
        "Paid": 1,
        "Shipped": 1,
        "Cancelled": 0,
    }
    assert asked(memory, "mine", share=0.3)["Cancelled"].usual == 1
    assert asked(memory, "mine", share=0.7)["Shipped"].usual == 0
    assert asked(memory, "mine", share=1)["Paid"].usual == 1


@pytest.mark.parametrize("share", [0, -1, 1.01, float("nan")])
def test_a_share_that_is_none_is_an_invalid_option(memory: BaseStore, share: float) -> None:
    with pytest.raises(InvalidOption, match="share"):
        similar_trails(memory, trail(memory, "mine"), share=share)


@pytest.mark.parametrize(
    ("now", "standing"),
    [
        ("2026-03-01T11:00:30Z", "waiting"),
        ("2026-03-01T11:00:30.001Z", "late"),
        ("2026-03-01T11:00:40Z", "late"),
        ("2026-03-01T11:00:40.001Z", "overdue"),
    ],
)
def test_what_is_missing_may_still_come(memory: BaseStore, now: str, standing: str) -> None:
    filled(memory, *SHOP)
    answer = similar_trails(memory, trail(memory, "mine"), clock=Clock(now))
    assert [usual.standing for usual in answer.missing] == [standing]


def test_a_trail_of_an_earlier_known_at_has_waited_until_then() -> None:
    with open_store("sqlite://", clock=Clock("2026-03-01T11:00:13Z")) as store:
        filled(store, *SHOP)
        early = trail(store, "mine", known_at="2026-03-01T11:00:15Z")
        assert [usual.standing for usual in similar_trails(store, early, clock=NOON).missing] == ["waiting"]


def test_of_several_types_in_the_first_millisecond_each_may_be_the_first(memory: BaseStore) -> None:
    filled(memory, cart("a", "Placed@0", "Arrived@0", "Paid@3"), cart("mine", "Placed"), cart("b", "Arrived@0"))
    answer = similar_trails(memory, trail(memory, "mine"), clock=NOON)
    assert (answer.others, [usual.type for usual in answer.missing]) == (1, ["Arrived", "Paid"])


def test_without_others_nothing_is_usual(memory: BaseStore) -> None:
    filled(memory, cart("mine", "Placed", "Paid"))
    answer = similar_trails(memory, trail(memory, "mine"), clock=NOON)
    assert (answer.others, answer.missing) == (0, ())
    assert [(usual.type, usual.standing, usual.share, usual.delay) for usual in answer.types] == [
        ("Paid", "more", 0.0, None),
        ("Placed", "more", 0.0, None),
    ]


def test_an_empty_trail_has_no_similar_ones(memory: BaseStore) -> None:
    filled(memory, *SHOP)
    answer = similar_trails(memory, trail(memory, "nope"))
    assert (answer.first_type, answer.others, answer.types, answer.to_dicts()) == (None, 0, (), [])
    assert "no event" in answer._repr_html_()


def test_so_many_others_are_enough(memory: BaseStore) -> None:
    filled(memory, *SHOP)
    assert similar_trails(memory, trail(memory, "mine"), limit=2).others == 2


def test_a_twin_is_of_the_type_of_its_key(memory: BaseStore) -> None:
    twins = [envelope("Placed", stream="s", metadata={"correlationId": "a"}, line=line) for line in (1, 2)]
    filled(memory, twins, cart("mine", "Placed"))
    placed = asked(memory, "mine")["Placed"]
    assert (placed.usual, placed.standing) == (2, "overdue")


@pytest.mark.parametrize(
    ("key", "parts"),
    [
        ("2026-03-01T11:03:27.000Z#Paid", ("2026-03-01T11:03:27.000Z", "Paid")),
        ("2026-03-01T11:03:27.000Z#Paid##0123456789abcdef", ("2026-03-01T11:03:27.000Z", "Paid")),
        ("2026-03-01T11:03:27.000Z#a#b##c", ("2026-03-01T11:03:27.000Z", "a#b##c")),
        ("2026-03-01T11:03:27.000Z#Paid##0123456789abcdef\n", ("2026-03-01T11:03:27.000Z", "Paid##0123456789abcdef\n")),
        ("undefined", ("undefined", "")),
    ],
)
def test_a_key_has_a_time_and_a_type(key: str, parts: tuple[str, str]) -> None:
    assert split_key(key) == parts


def test_keys_without_a_time_are_passed_over(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'events.db'}"
    with open_store(url) as store:
        filled(store, cart("a", "Placed", "Paid"), cart("mine", "Placed"))
    row = older(envelope("Lost", stream="s"), "undefined#Lost", correlationId="a")
    RawRows(url).put(row)
    with open_store(url) as store:
        assert sorted(asked(store, "mine")) == ["Paid", "Placed"]


def test_as_a_table_it_has_a_row_for_each_type(memory: BaseStore) -> None:
    filled(memory, *SHOP)
    answer = similar_trails(memory, trail(memory, "mine"), clock=NOON)
    assert answer.to_dicts()[2] == {
        "type": "Shipped",
        "here": 0,
        "usual": 1,
        "nth": 1,
        "trails": 2,
        "share": 2 / 3,
        "delay": 30.0,
        "delay_90": 40.0,
        "standing": "overdue",
    }
    page = Elements(answer._repr_html_()).shown
    assert "Trail mine beside 3 others that began with Placed" in page
    assert "Shipped011267%30s40soverdue" in page


@given(st.lists(st.lists(st.tuples(st.sampled_from("ABC"), st.integers(0, 9)), min_size=1, max_size=6), max_size=6))
def test_it_counts_as_one_would_by_hand(trails: list[list[tuple[str, int]]]) -> None:
    named = {f"t-{number}": events for number, events in enumerate([[("A", 0)], *trails])}
    with open_store("sqlite://") as store:
        filled(store, *(cart(name, *(f"{type_}@{at}" for type_, at in events)) for name, events in named.items()))
        answer = similar_trails(store, trail(store, "t-0"), clock=NOON)
    others = [events for events in trails if ("A", min(at for _, at in events)) in events]
    assert answer.others == len(others)
    for found in answer.types:
        counts = [sum(type_ == found.type for type_, _ in events) for events in others]
        usual = [n for n in range(1, 7) if others and sum(count >= n for count in counts) * 2 >= len(others)]
        assert found.usual == max(usual, default=0)
        assert found.trails == sum(count >= found.nth for count in counts)
        firsts = [min(at for _, at in events) for events in others]
        delays = sorted(
            sorted(at - first for type_, at in events if type_ == found.type)[found.nth - 1]
            for events, first, count in zip(others, firsts, counts, strict=True)
            if count >= found.nth
        )
        assert found.delay == (delays[(len(delays) - 1) // 2] * 1_000_000_000 if delays else None)
