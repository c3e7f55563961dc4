"""What the cases of the contract share: the hooks that an adapter's author brings, and what follows from them."""
# ruff: noqa: S101 - cases assert

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, ClassVar, Final, Protocol, TypeVar

import pytest

from eventsourcing_kit.testing.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.stores.contract import Store

__all__ = ["KNOWN_LIMITS", "Contract", "Item", "OpenStore", "ids", "needs", "shown"]

Case = TypeVar("Case", bound="Callable[..., object]")
Item = dict[str, Any]  # attribute name -> str, int, float or bytes

KNOWN_LIMITS: Final[Mapping[str, str]] = {
    "absence": "opening a place where nothing is yet, and being told so",
    "fractions": "holding an `expireRecord` with a fraction",
    "pages": "streams of more than a megabyte",
    "places": "two open stores, one after another or at once, that see the same events",
    "sizes": "items of up to 400 KB",
    "snapshots": "keeping snapshots",
    "threads": "appends of several threads at once",
}
"""What an engine may be unable to do, by the name under which `Contract.limits` gives the reason."""


class OpenStore(Protocol):
    def __call__(
        self,
        *,
        retention_days: int | None = None,
        legacy: bool = False,
        clock: Callable[[], int] | None = None,
        token: Callable[[], str] | None = None,
    ) -> Store:
        """A store at the place of this test. `token` gives the `putToken` of each call; see `BaseStore`."""
        ...


class Contract:
    """The hooks. `open_store`, `put_item` and `items` are the author's; the rest is made of them."""

    limits: ClassVar[Mapping[str, str]] = {}

    @pytest.fixture
    def open_store(self) -> OpenStore:
        raise NotImplementedError("bring a fixture 'open_store' that answers a function; see StoreContract")

    def put_item(self, store: Store, item: Item) -> None:
        """Writes one item with exactly these attributes, as another writer would, without asking the store."""
        raise NotImplementedError

    def items(self, store: Store, stream: str) -> list[Item]:
        """The attributes of every item of a stream, bookkeeping too, by ascending `sk`; none that is absent."""
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def _skip_what_it_can_not_do(self, request: pytest.FixtureRequest) -> None:
        for need in getattr(request.function, "needs", ()):
            if need in self.limits:
                pytest.skip(f"{need}: {self.limits[need]}")

    @pytest.fixture
    def clock(self) -> Clock:
        return Clock("2026-03-02T00:00:00Z")

    @pytest.fixture
    def opened(self, open_store: OpenStore, clock: Clock) -> Iterator[OpenStore]:
        """Opens a store with the test's clock and makes its table; closes it when the test is over."""
        with ExitStack() as stack:

            def opened(
                *,
                retention_days: int | None = None,
                legacy: bool = False,
                clock: Callable[[], int] | None = clock,
                token: Callable[[], str] | None = None,
            ) -> Store:
                store = open_store(retention_days=retention_days, legacy=legacy, clock=clock, token=token)
                stack.enter_context(store)
                store.create_table()
                return store

            yield opened

    @pytest.fixture
    def store(self, opened: OpenStore) -> Store:
        """A store without retention."""
        return opened()

    def test_its_limits_are_ones_that_the_contract_knows(self) -> None:
        assert sorted(set(self.limits) - set(KNOWN_LIMITS)) == []


def needs(*names: str) -> Callable[[Case], Case]:
    """Marks a case that is skipped where one of these is in the adapter's `limits`."""
    assert set(names) <= set(KNOWN_LIMITS)

    def mark(case: Case) -> Case:
        case.needs = names  # type: ignore[attr-defined]  # any function takes an attribute
        return case

    return mark


def ids(events: Iterable[Event]) -> list[str]:
    return [event.id for event in events]


def shown(text: str) -> str:
    """A name for a case: hostile texts do not belong on a terminal."""
    return text.encode("ascii", "backslashreplace").decode()[:40].replace("\x00", "NUL") or "empty"
