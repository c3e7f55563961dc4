from __future__ import annotations

from itertools import permutations
from typing import TYPE_CHECKING, Any

import pytest

from eventsourcing_kit import Projection, check_ties, open_store
from eventsourcing_kit.errors import FoldFailed, InvalidOption
from eventsourcing_kit.testing import event
from eventsourcing_kit.verifying.ties import count_orders, other_orders

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventsourcing_kit import Event
    from eventsourcing_kit.stores.base import BaseStore

MOMENT = "2026-03-01T12:00:00.000000001Z"


@pytest.fixture
def memory() -> Iterator[BaseStore]:
    with open_store("sqlite://") as store:
        yield store


def tied(number: int, *, time: str = MOMENT, sequence: int | None = None, stream: str = "a", **data: Any) -> Event:
    metadata = {} if sequence is None else {"sequence": sequence}
    return event(f"Type{number}", stream=stream, time=time, metadata=metadata, number=number, **data)


last: Projection[int, int] = Projection("last", initial=int)


@last.on()
def last_number(state: int, event: Event) -> int:
    number: int = event.data["number"]
    return number


total: Projection[int, int] = Projection("total", initial=int)


@total.on()
def add(state: int, event: Event) -> int:
    number: int = event.data["number"]
    return state + number


def test_which_projections_depend_on_the_order_inside_one_moment(store: BaseStore) -> None:
    store.append_many([tied(1, time="2026-03-01T11:00:00Z"), tied(2), tied(3), tied(9, time="2026-03-02T00:00:00Z")])
    answer = check_ties([last, total], store)
    assert [check.depends for check in answer] == [True, False]
    check = answer["last"]
    assert (check.moments, check.dependent, check.stream, check.pointers) == (1, 1, "a", ("",))
    assert [each.type for each in check.declared] == ["Type2", "Type3"]
    assert [each.type for each in check.other] == ["Type3", "Type2"]
    stored = {each.type: each for each in store.read("a")}
    assert check.declared[0] == (stored["Type2"].id, stored["Type2"].key, "Type2")
    assert not answer.ok
    assert repr(answer) == "<TieChecks of 2 projections: 'last' depends on the order inside one moment>"


def test_a_dict_that_is_filled_in_another_order_is_no_other_state(memory: BaseStore) -> None:
    named: Projection[dict[str, int], dict[str, int]] = Projection("named", initial=dict[str, int])
    named.on()(lambda state, event: {**state, event.type: event.data["number"]})
    memory.append_many([tied(1), tied(2), tied(3)])
    assert check_ties(named, memory).ok


def test_one_millisecond_is_not_one_moment(memory: BaseStore) -> None:
    memory.append_many([tied(1), tied(2, time="2026-03-01T12:00:00.000000002Z")])
    answer = check_ties(last, memory)
    assert answer.ok
    assert answer["last"].moments == 0


def test_what_a_sequence_orders_is_no_tie(memory: BaseStore) -> None:
    memory.append_many([tied(1, sequence=2), tied(2, sequence=1)])
    assert check_ties(last, memory).ok
    memory.append(tied(3))  # nobody says where it belongs
    answer = check_ties(last, memory)
    assert answer["last"].depends
    assert [each.type for each in answer["last"].declared] == ["Type3", "Type2", "Type1"]


def test_a_later_event_does_not_hide_what_was_wrong_at_the_moment(memory: BaseStore) -> None:
    memory.append_many([tied(1), tied(2), tied(3, time="2026-03-03T00:00:00Z")])
    assert check_ties(last, memory)["last"].depends
    assert not check_ties(last, memory, at="2026-03-01")["last"].depends
    assert not check_ties(last, memory, ["other"])["last"].depends


def test_an_order_in_which_it_raises_is_found(memory: BaseStore) -> None:
    opened: Projection[list[int], list[int]] = Projection("opened", initial=list)

    @opened.on()
    def keep(state: list[int], event: Event) -> list[int]:
        if event.data["number"] == 2 and not state:
            raise LookupError
        return sorted([*state, event.data["number"]])

    memory.append_many([tied(1), tied(2)])
    check = check_ties(opened, memory)["opened"]
    assert check.raised == "LookupError was raised"


def test_a_state_that_is_changed_in_place_does_not_leak_from_one_order_into_the_next(memory: BaseStore) -> None:
    kept: Projection[list[int], list[int]] = Projection("kept", initial=list)

    @kept.on()
    def keep(state: list[int], event: Event) -> list[int]:
        event.data["number"] += 1
        state.append(event.data["number"])
        state.sort()
        return state

    memory.append_many([tied(number) for number in range(4)])
    check = check_ties(kept, memory)["kept"]
    assert (check.moments, check.dependent, check.unsteady) == (1, 0, 0)


def test_a_projection_that_is_not_repeatable_is_not_blamed_on_the_order(memory: BaseStore) -> None:
    calls = [0]
    counting = Projection("counting", initial=int)

    @counting.on()
    def count(state: int, event: Event) -> int:
        calls[0] += 1
        return calls[0]

    memory.append_many([tied(1), tied(2)])
    check = check_ties(counting, memory)["counting"]
    assert (check.depends, check.unsteady) == (False, 1)


def test_a_stream_that_can_not_be_folded_does_not_stop_the_others(memory: BaseStore) -> None:
    picky = Projection("picky", initial=int)

    @picky.on()
    def pick(state: int, event: Event) -> int:
        return int(event.data["number"] / event.data.get("by", 1))

    memory.append_many([tied(1), tied(2, by=0), tied(1, stream="b"), tied(2, stream="b")])
    answer = check_ties(picky, memory)
    (failure,) = answer["picky"].failures
    assert failure.stream == "a"
    assert isinstance(failure.error, FoldFailed)
    assert (answer["picky"].depends, answer["picky"].stream) == (True, "b")


def test_every_allowed_order_is_tried_once() -> None:
    free = [tied(number) for number in range(4)]
    orders = [tuple(map(id, order)) for order in other_orders(free)]
    assert sorted([tuple(map(id, free)), *orders]) == sorted(tuple(map(id, order)) for order in permutations(free))
    mixed = [tied(1), tied(2, sequence=1), tied(3, sequence=2), tied(4, sequence=2)]
    assert count_orders(mixed) == 8  # the free one at four places, and the two of sequence 2 either way
    tried = [[each.data["number"] for each in order] for order in other_orders(mixed)]
    assert len(tried) == 7
    assert len({tuple(order) for order in tried} | {(1, 2, 3, 4)}) == 8
    assert all(order.index(2) < min(order.index(3), order.index(4)) for order in tried)


def test_of_too_many_orders_those_are_tried_first_that_most_tell(memory: BaseStore) -> None:
    many = [tied(number) for number in range(8)]
    orders = [[each.data["number"] for each in order] for order in other_orders(many, limit=30)]
    assert len(orders) <= 30
    assert orders[0] == [7, 6, 5, 4, 3, 2, 1, 0]
    assert {order[-1] for order in orders} == {*range(8)} == {order[0] for order in orders}
    assert orders == [[each.data["number"] for each in order] for order in other_orders(many, limit=30)]
    memory.append_many(many)
    check = check_ties(last, memory, orders=30)["last"]
    assert (check.depends, check.sampled) == (True, 1)


def test_no_order_at_all_can_not_be_meant(memory: BaseStore) -> None:
    with pytest.raises(InvalidOption, match="orders: found '0', expected a whole number from 1"):
        check_ties(last, memory, orders=0)


def test_a_projection_is_a_row_of_a_table(memory: BaseStore) -> None:
    memory.append_many([tied(1), tied(2)])
    one, other = check_ties([last, total], memory).to_dicts()
    assert one["projection"] == "last"
    assert one["depends"] is True
    assert [each["type"] for each in one["other"]] == ["Type2", "Type1"]
    assert other["stream"] is None
