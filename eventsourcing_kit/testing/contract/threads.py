"""Several threads at once: no event is lost, and none is stored twice."""
# ruff: noqa: S101 - cases assert

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from itertools import chain
from threading import Barrier
from typing import TYPE_CHECKING, Final, TypeVar

from eventsourcing_kit.testing.contract.base import Contract, ids, needs
from eventsourcing_kit.testing.samples import event

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.stores.contract import Outcome, Store
    from eventsourcing_kit.testing.clock import Clock
    from eventsourcing_kit.testing.contract.base import OpenStore

__all__ = ["Threads"]

THREADS: Final = 8
Answer = TypeVar("Answer")


def at_once(work: Callable[[int], Answer]) -> list[Answer]:
    """What `work(0)` to `work(7)` answer, all begun at the same time, each in a thread of its own."""
    barrier = Barrier(THREADS, timeout=30)

    def one(n: int) -> Answer:
        barrier.wait()
        return work(n)

    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(one, range(THREADS)))


class Threads(Contract):
    @needs("threads")
    def test_one_event_from_all_threads_is_stored_by_one_of_them(self, store: Store) -> None:
        outcomes = at_once(lambda _: store.append(event("OrderPlaced", id="e-1")))
        assert sorted(outcomes) == ["duplicate"] * 7 + ["stored"]
        assert ids(store.read("order-17")) == ["e-1"]

    @needs("threads")
    def test_a_producers_retries_from_all_threads_are_one_event(self, store: Store) -> None:
        outcomes = at_once(lambda n: store.append(event("OrderPlaced", id=f"e-{n}")))
        assert sorted(outcomes) == ["duplicate"] * 7 + ["stored"]
        (kept,) = store.read("order-17")
        assert [outcome.other_id for outcome in outcomes if outcome == "duplicate"] == [kept.id] * 7

    @needs("threads")
    def test_twins_from_all_threads_are_all_stored(self, store: Store) -> None:
        outcomes = at_once(lambda n: store.append(event("ItemAdded", id=f"e-{n}", item=n)))
        assert outcomes == ["stored"] * 8
        assert sorted(outcome.twin for outcome in outcomes) == [False] + [True] * 7
        assert sorted(ids(store.read("order-17"))) == [f"e-{n}" for n in range(8)]

    @needs("threads")
    def test_twins_and_redeliveries_from_all_threads_are_stored_once_each(self, store: Store) -> None:
        twins = [event("ItemAdded", id=f"e-{n}", item=n) for n in range(24)]

        def work(n: int) -> list[Outcome]:
            return [store.append(each) for each in random.Random(n).sample(twins, len(twins))]  # noqa: S311 - a seed

        outcomes: list[str] = list(chain.from_iterable(at_once(work)))
        assert outcomes.count("stored") == 24
        assert outcomes.count("duplicate") == 24 * 7
        assert sorted(ids(store.read("order-17"))) == sorted(ids(twins))

    @needs("threads")
    def test_a_stream_for_each_thread_is_whole(self, store: Store) -> None:
        def work(n: int) -> int:
            return sum(
                store.append(event("ItemAdded", stream=f"order-{n}", item=item)) == "stored" for item in range(20)
            )

        assert at_once(work) == [20] * 8
        assert [len(list(store.read(f"order-{n}"))) for n in range(8)] == [20] * 8

    @needs("threads")
    def test_batches_from_all_threads_are_stored_once(self, store: Store) -> None:
        events = [event("ItemAdded", stream=f"order-{n % 3}", item=n) for n in range(60)]
        counts = at_once(lambda _: store.append_many(events))
        assert sum(count.stored for count in counts) == 60
        assert sum(count.duplicate for count in counts) == 60 * 7

    @needs("threads", "places")
    def test_stores_opened_by_each_thread_hold_an_event_once(self, opened: OpenStore) -> None:
        stores = [opened() for _ in range(THREADS)]
        twins = [event("ItemAdded", id=f"e-{n}", item=n) for n in range(6)]
        outcomes: list[str] = list(chain.from_iterable(at_once(lambda n: [stores[n].append(each) for each in twins])))
        assert outcomes.count("stored") == 6
        assert sorted(ids(stores[0].read("order-17"))) == sorted(ids(twins))

    @needs("threads")
    def test_the_head_is_the_lowest_of_what_all_threads_have_brought(self, opened: OpenStore, clock: Clock) -> None:
        clock.set("2099-01-02T00:00:00Z")
        store = opened(retention_days=30)
        at_once(
            lambda n: [store.append(event("Ticked", time=f"2099-01-01T{20 - tick:02d}:0{n}:00Z")) for tick in range(6)]
        )
        (head, *events) = self.items(store, "order-17")
        assert head["eventDetail"] == '{"firstMoment":"2099-01-01T15:00:00.000000000Z","firstExpires":4073554800}'
        assert len(events) == 48

    @needs("threads")
    def test_whoever_reads_meanwhile_sees_a_stream_in_its_order(self, store: Store) -> None:
        def work(n: int) -> bool:
            if n % 2:
                return all(_is_sorted(list(store.read("order-17"))) for _ in range(10))
            for tick in range(20):
                store.append(event("Ticked", time=f"2026-03-01T11:{tick:02d}:0{n}Z"))
            return True

        assert at_once(work) == [True] * 8
        assert len(list(store.read("order-17"))) == 80


def _is_sorted(events: list[Event]) -> bool:
    moments = [each.moment_ns for each in events]
    return moments == sorted(moments)
