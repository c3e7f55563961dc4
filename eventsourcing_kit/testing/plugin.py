"""pytest's plugin: `event_store`, `given`, `event_factory`, and `--update-golden`.

    def test_a_payment_is_stored_and_folded(event_store, event_factory, given):
        paid = event_factory("OrderPaid", amount=3)
        assert event_store.append(paid) == "stored"
        given(orders, paid).then({"paid": 3})

An installed kit brings it into every run of pytest by itself, under the name `eventsourcing_kit` (so that
`-p no:eventsourcing_kit` keeps it out). It loads nothing of the kit before a test asks for one of its fixtures.

A test that takes `given` from hypothesis has that one: the name in a module goes before the fixture.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Final

import pytest

from eventsourcing_kit.testing.updating import UPDATED

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eventsourcing_kit.stores.base import BaseStore
    from eventsourcing_kit.testing.samples import EventFactory
    from eventsourcing_kit.testing.scenario import Scenario

__all__ = ["event_factory", "event_store", "given"]

_TOKEN: Final = pytest.StashKey[Any]()  # what UPDATED was before


@pytest.fixture
def event_store() -> Iterator[BaseStore]:
    """An empty store in memory, which is closed when the test is over."""
    from eventsourcing_kit import open_store

    with open_store("sqlite://") as store:
        store.create_table()
        yield store


@pytest.fixture
def given() -> Callable[..., Scenario[Any]]:
    """The function `eventsourcing_kit.testing.given`: `given(projection, *events).then(state)`."""
    from eventsourcing_kit.testing.scenario import given as function

    return function


@pytest.fixture
def event_factory(request: pytest.FixtureRequest) -> EventFactory:
    """Makes events of a stream of this test's own, each a second behind the one before it."""
    from eventsourcing_kit.testing.samples import EventFactory

    return EventFactory(request.node.nodeid)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("eventsourcing_kit", "golden histories of eventsourcing_kit")
    group.addoption(
        "--update-golden",
        action="store_true",
        help="write the golden files of assert_replay anew, from what the projections make of their histories now",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_TOKEN] = UPDATED.set([] if config.getoption("update_golden") else None)


def pytest_unconfigure(config: pytest.Config) -> None:
    if _TOKEN in config.stash:  # else another plugin stopped this run before it began
        UPDATED.reset(config.stash[_TOKEN])
        del config.stash[_TOKEN]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    for path in UPDATED.get() or ():
        terminalreporter.write_line(f"golden file written: {os.path.relpath(path)}")
