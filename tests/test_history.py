"""What questions promise beyond their answers: states of their own, flat memory, what is said when a handler raises."""

from __future__ import annotations

import tracemalloc
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from eventsourcing_kit import Event, Projection, bisect, blame, diff, history, open_store, revisions
from eventsourcing_kit.errors import (
    CheckFailed,
    EndsAgree,
    FoldFailed,
    IncompleteStream,
    InvalidOption,
    InvalidProjection,
)
from eventsourcing_kit.testing import Clock, event

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventsourcing_kit.stores.base import BaseStore


@dataclass
class Account:
    balance: int = 0
    seen: set[str] = field(default_factory=set)
    tags: dict[str, Any] = field(default_factory=dict)


accounts = Projection("accounts", initial=Account)


@accounts.on("Paid")
def paid(state: Account, event: Event) -> Account:
    state.balance += event.data["amount"]  # in place, and data is spoilt, too
    state.seen.add(event.id)
    event.data["amount"] = 0
    if state.balance > 100:
        raise ValueError(f"too rich: {state.balance}")
    return state


def at(second: int) -> str:
    return f"2026-03-01T11:00:{second:02d}Z"


def payments(*amounts: int) -> list[Event]:
    return [event("Paid", time=at(second), id=f"paid-{second}", amount=each) for second, each in enumerate(amounts)]


@pytest.fixture
def memory() -> Iterator[BaseStore]:
    with open_store("sqlite://") as store:
        yield store


def test_the_state_of_a_step_stays_what_it_was_though_handlers_work_in_place(memory: BaseStore) -> None:
    memory.append_many(payments(1, 2, 3))
    steps = list(history(accounts, memory, "order-17"))
    assert [step.state.balance for step in steps] == [1, 3, 6]
    assert [len(step.state.seen) for step in steps] == [1, 2, 3]
    assert [step.event.data["amount"] for step in steps] == [1, 2, 3]
    assert steps[0].patch == [
        {"op": "replace", "path": "/balance", "value": 1},
        {"op": "add", "path": "/seen/0", "value": "paid-0"},
    ]
    assert [next(step.alterations()).old for step in steps] == [0, 1, 3]


def test_a_history_can_be_gone_over_again_and_sees_what_came_since(memory: BaseStore) -> None:
    memory.append_many(payments(1))
    answer = history(accounts, memory, "order-17")
    assert [step.number for step in answer] == [1]
    memory.append(event("Paid", time=at(5), amount=4))
    assert [step.number for step in answer] == [1, 2]
    assert repr(answer) == "<History of 'order-17' by projection 'accounts'>"


def test_a_history_of_no_event_is_empty_and_still_a_table(memory: BaseStore) -> None:
    memory.append_many(payments(1))
    answer = history(accounts, memory, "nobody")
    assert (list(answer), answer.to_dicts()) == ([], [])
    assert answer.to_polars().columns == [
        *("stream", "number", "key", "moment", "type", "id", "correlation_id", "folded", "patch", "state")
    ]


def test_memory_does_not_grow_with_a_history(memory: BaseStore) -> None:
    memory.append_many(event("Paid", id=str(number), sequence=number, amount=0, time=at(0)) for number in range(20))
    memory.append_many(
        event("Paid", stream="long", time=f"2026-03-01T11:{number // 60:02d}:{number % 60:02d}Z", amount=0, n=number)
        for number in range(3_000)
    )

    def peak(stream: str) -> int:
        tracemalloc.start()
        for step in history(flat, memory, stream):
            assert step.patch is not None
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    flat = Projection("flat", initial=int)
    flat.on("Paid")(lambda state, event: state + 1)
    peak("order-17")
    assert peak("long") < peak("order-17") + 800_000  # some blocks of events; all 3,000 take 3 MB


def test_diff_restores_the_types_that_the_state_declares(memory: BaseStore) -> None:
    memory.append_many(payments(1, 2, 3))
    found = diff(accounts, memory, "order-17", at(0), at(2))
    assert isinstance(found.after, Account)
    assert found.apply(found.before) == found.after
    assert found.apply(found.before).seen == {"paid-0", "paid-1", "paid-2"}
    assert found.before.balance == 1
    with pytest.raises(InvalidOption, match="the state that it was made from"):
        diff(tagged, memory, "order-17", at(0), at(2)).apply({})


tagged = Projection("tagged", initial=dict[str, int])


@tagged.on("Paid")
def tag(state: dict[str, int], event: Event) -> dict[str, int]:
    return {event.id: event.data["amount"]}


def test_blame_of_a_moved_place_names_the_event_that_moved_it(memory: BaseStore) -> None:
    memory.append_many(payments(1, 2))
    places = [(change.op, change.event.id) for change in blame(tagged, memory, "order-17", "/paid-0")]
    assert places == [("remove", "paid-1"), ("add", "paid-0")]


# A handler that raises


@pytest.fixture
def poisoned(memory: BaseStore) -> BaseStore:
    memory.append_many(payments(1, 99, 5, 1))
    return memory


def test_a_history_from_an_event_on_begins_there_though_late_events_come_in_before_it(memory: BaseStore) -> None:
    memory.append_many(payments(1, 2, 3))
    answer = history(accounts, memory, "order-17", start="event:2")
    memory.append(event("Paid", time="2026-03-01T10:00:00Z", id="late", amount=4))
    assert [(step.number, step.event.id, step.state.balance) for step in answer] == [
        (3, "paid-1", 7),
        (4, "paid-2", 10),
    ]


def test_a_history_goes_up_to_the_event_at_which_a_handler_raises(poisoned: BaseStore) -> None:
    steps: list[Any] = []
    with pytest.raises(FoldFailed) as failed:
        steps.extend(history(accounts, poisoned, "order-17"))
    assert [step.state.balance for step in steps] == [1, 100]
    assert_failure(failed.value)


def assert_failure(failed: FoldFailed) -> None:
    assert (failed.number, failed.event.id, failed.event.data["amount"]) == (3, "paid-2", 5)
    assert (failed.state.balance, failed.state.seen) == (100, {"paid-0", "paid-1"})  # not as the handler left it
    assert isinstance(failed.__cause__, ValueError)
    assert "too rich" not in str(failed)


def test_other_questions_bring_what_they_found_up_to_there(poisoned: BaseStore) -> None:
    with pytest.raises(FoldFailed) as failed:
        diff(accounts, poisoned, "order-17", at(0), at(3))
    assert (failed.value.answer.before.balance, failed.value.answer.after.balance) == (1, 100)
    assert failed.value.answer.touched["/balance"].id == "paid-1"
    assert_failure(failed.value)
    with pytest.raises(FoldFailed) as failed:
        blame(accounts, poisoned, "order-17", "/balance")
    assert [change.new for change in failed.value.answer] == [100, 1]
    assert_failure(failed.value)
    for flips in (False, True):
        with pytest.raises(FoldFailed) as failed:
            bisect(accounts, poisoned, "order-17", "balance < `50`", flips=flips)
        assert failed.value.answer.event.id == "paid-1"
        assert_failure(failed.value)
        with pytest.raises(FoldFailed) as failed:
            bisect(accounts, poisoned, "order-17", "balance < `500`", flips=flips)
        assert failed.value.answer is None
    with pytest.raises(FoldFailed):
        list(revisions(accounts, poisoned, "order-17", at=at(3)))


# Bisect


def test_a_bisection_names_both_states_and_folds_no_more_than_it_says(memory: BaseStore) -> None:
    memory.append_many(
        event("Paid", time=f"2026-03-01T{n // 3600:02d}:{n // 60 % 60:02d}:{n % 60:02d}Z", amount=1, n=n)
        for n in range(1_000)
    )
    seen = 0

    counting = Projection("counting", initial=int)

    @counting.on("Paid")
    def counted(state: int, event: Event) -> int:
        nonlocal seen
        seen += 1
        return state + 1

    for first in (1, 2, 500, 999, 1_000):
        seen = 0
        found = bisect(counting, memory, "order-17", first.__gt__)
        assert (found.number, found.before, found.after) == (first, first - 1, first)
        assert found.folds <= 11  # ceil(log2 1,000) + 1
        assert seen < 2 * 1_000


def test_the_ends_of_a_bisection_have_to_differ(memory: BaseStore) -> None:
    memory.append_many(payments(1, 2, 3))
    with pytest.raises(EndsAgree, match="passes at both ends") as refused:
        bisect(accounts, memory, "order-17", "balance < `100`")
    assert refused.value.passes
    with pytest.raises(EndsAgree, match="fails at the good end already"):
        bisect(accounts, memory, "order-17", "balance > `1`", good=at(0))
    with pytest.raises(InvalidOption, match="good: found '2026-03-01T11:00:02Z', expected a moment before the bad one"):
        bisect(accounts, memory, "order-17", "balance < `2`", good=at(2), bad=at(0))
    with pytest.raises(InvalidOption, match="check: found 'balance <', expected a function of a state, or a JMESPath"):
        bisect(accounts, memory, "order-17", "balance <")


def test_a_bisection_whose_good_event_expires_meanwhile_is_incomplete() -> None:
    clock = Clock("2026-03-01T12:00:00Z")
    with open_store("sqlite://?retention_days=1", clock=clock) as store:
        store.append_many(payments(1, 2, 3))

        def check(state: Account) -> bool:
            clock.set("2026-03-02T11:00:01Z")  # a day behind the second event
            return state.balance < 4

        with pytest.raises(IncompleteStream):
            bisect(accounts, store, "order-17", check, good="event:2")
        clock.set("2026-03-01T12:00:00Z")
        found = bisect(accounts, store, "order-17", check, good="event:2", allow_incomplete=True)
        assert found.event.id == "paid-2"


def test_a_check_that_raises_is_named_with_the_event_and_without_its_words(memory: BaseStore) -> None:
    memory.append_many(payments(1, 2))
    with pytest.raises(CheckFailed, match="at the initial state: KeyError was raised") as failed:
        bisect(tagged, memory, "order-17", lambda state: state["paid-0"])
    assert isinstance(failed.value.__cause__, KeyError)
    with pytest.raises(CheckFailed, match=r"after event 'paid-1' \('2026-03-01T11:00:01.000Z#Paid'\): KeyError"):
        bisect(tagged, memory, "order-17", lambda state: state["paid-0"], good=at(0))
    with pytest.raises(CheckFailed, match=r"as length\(\) takes string or array or object, not number; it has to"):
        bisect(accounts, memory, "order-17", "length(balance) < `1`")
    with pytest.raises(CheckFailed, match=r"UnknownFunctionError was raised: Unknown function: size\(\)"):
        bisect(accounts, memory, "order-17", "size(balance) < `1`")


def test_a_state_that_json_can_not_say_is_not_the_checks_fault(memory: BaseStore) -> None:
    memory.append_many(payments(1))
    beyond: Projection[object, object] = Projection("beyond", initial=object)
    with pytest.raises(InvalidProjection, match="'beyond': a state of the type object"):
        bisect(beyond, memory, "order-17", "@ == `1`")


def test_a_check_that_goes_to_and_fro_is_told_by_its_flips(memory: BaseStore) -> None:
    memory.append_many(payments(1, -1, 1, -1, 1))
    found = bisect(accounts, memory, "order-17", "balance == `0`", flips=True)
    assert found.event.id == "paid-0"
    assert [(flip.number, flip.passes) for flip in found.flips] == [
        (1, False),
        (2, True),
        (3, False),
        (4, True),
        (5, False),
    ]
    assert (found.before.balance, found.after.balance, found.folds) == (0, 1, 3)


# Expiry and knowledge


def test_a_question_to_a_stream_without_its_beginning_is_refused_unless_that_is_allowed() -> None:
    clock = Clock("2026-03-01T12:00:00Z")
    with open_store("sqlite://?retention_days=10", clock=clock) as store:
        store.append_many(payments(1, 2))
        store.append(event("Paid", time="2026-03-08T00:00:00Z", amount=5))
        clock.set("2026-03-12T00:00:00Z")
        for ask in (
            lambda **more: list(history(accounts, store, "order-17", **more)),
            lambda **more: diff(accounts, store, "order-17", at(0), "2026-03-09", **more),
            lambda **more: blame(accounts, store, "order-17", "/balance", **more),
            lambda **more: bisect(accounts, store, "order-17", "balance < `1`", **more),
            lambda **more: list(revisions(accounts, store, "order-17", at="2026-03-09", **more)),
        ):
            with pytest.raises(IncompleteStream):
                ask()
            assert ask(allow_incomplete=True)


def test_revisions_that_come_together_are_one(memory: BaseStore) -> None:
    clock = Clock()
    with open_store("sqlite://", clock=clock) as store:
        for number, recorded in enumerate(["11:00:09", "11:30:00", "11:30:00.500", "11:30:01.4", "11:40:00"]):
            clock.set(f"2026-03-01T{recorded}Z")
            store.append(event("Paid", time=at(number), id=str(number), amount=1))
        found = list(revisions(accounts, store, "order-17", at="2026-03-01T11:10:00Z"))
        assert [[each.id for each in revision.came] for revision in found] == [[], ["1", "2", "3"], ["4"]]
        assert [(revision.events, revision.state.balance) for revision in found] == [(1, 1), (4, 4), (5, 5)]
        assert str(found[1].known_at) == "2026-03-01 11:30:01.400000+00:00"
        early = list(revisions(accounts, store, "order-17", at="2026-03-01T11:10:00Z", known_at="2026-03-01T11:35:00Z"))
        assert [revision.events for revision in early] == [1, 4]
        before = list(revisions(accounts, store, "order-17", at="2026-03-01T11:10:00Z", known_at=at(0)))
        assert [revision.events for revision in before] == [0]
