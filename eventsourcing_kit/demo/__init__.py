"""The demo: a month of a small shop, from its events as they arrive to its states at any moment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from eventsourcing_kit.demo.example import copy_example, load_example
from eventsourcing_kit.demo.shop import deliveries
from eventsourcing_kit.demo.tale import tell_ingest, tell_knowledge, tell_moments, tell_next, tell_search
from eventsourcing_kit.envelope import parse
from eventsourcing_kit.errors import EventRefused
from eventsourcing_kit.stores import open_store
from eventsourcing_kit.stores.contract import Counts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from eventsourcing_kit.stores.contract import Store

__all__ = ["deliveries", "run"]

_WINDOW: Final = 300 * 1_000_000_000  # nanoseconds of arrivals that make one batch, as a queue before a Lambda has them


def run(url: str, *, say: Callable[[str], None], directory: Path) -> None:
    """Brings the month into the store at `url`, rebuilds states from it, and tells `say`, line by line, what came out.

    Where `directory` has no `projections`, the worked example is put there, so that the commands named at the end work
    in it. Running it twice is fine: everything is a duplicate then, and the answers are the same.

    Raises StoreError, and EventRefused where the store holds something else under the same keys.
    """
    orders = load_example().orders
    clock = _Clock()
    with open_store(url, clock=clock) as store:
        tell_ingest(say, _ingest(store, clock), url)
        tell_search(say, orders, store)
        tell_moments(say, orders, store)
        tell_knowledge(say, orders, store)
    tell_next(say, url, directory, copied=copy_example(directory))


class _Clock:
    """Stands at the arrival of what is being stored, so that `recordedAt` is in March 2026, too."""

    now = 0

    def __call__(self) -> int:
        return self.now


def _ingest(store: Store, clock: _Clock) -> Counts:
    counts = Counts()
    for batch in _batches(deliveries()):
        clock.now = batch[-1][0]
        for outcome in store.append_each(parse(envelope) for _, envelope in batch):
            if isinstance(outcome, EventRefused):
                raise outcome
            counts = counts.plus(outcome)
    return counts


def _batches(arrivals: Iterable[tuple[int, str]]) -> Iterator[list[tuple[int, str]]]:
    batch: list[tuple[int, str]] = []
    for arrival in arrivals:
        if batch and arrival[0] > batch[0][0] + _WINDOW:
            yield batch
            batch = []
        batch.append(arrival)
    yield batch
