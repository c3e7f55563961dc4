"""What tests need: sample events, `given(...).then(...)` for projections, golden histories, and the suite for stores.

    def test_an_order_sums_up():
        given(orders, event("OrderPlaced", total=3)).then({"total": 3})

    def test_the_orders_of_march():
        assert_replay("histories/*.jsonl", orders)

    class TestMyStore(StoreContract):
        @pytest.fixture
        def open_store(self, tmp_path):
            return lambda **options: MyStore(tmp_path / "events", **options)

`StoreContract` needs pytest; nothing else here does. Each name is loaded when it is first asked for: with pytest's
plugin, which `plugin` is, this package is imported into test runs that have nothing to do with it.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eventsourcing_kit.testing.clock import Clock
    from eventsourcing_kit.testing.contract import StoreContract
    from eventsourcing_kit.testing.golden import assert_replay, write_history
    from eventsourcing_kit.testing.samples import OPTIONAL, EventFactory, envelope, event, pair
    from eventsourcing_kit.testing.scenario import Scenario, given

__all__ = [
    "OPTIONAL",
    "Clock",
    "EventFactory",
    "Scenario",
    "StoreContract",
    "assert_replay",
    "envelope",
    "event",
    "given",
    "pair",
    "write_history",
]

_PLACES = {
    "OPTIONAL": "samples",
    "Clock": "clock",
    "EventFactory": "samples",
    "Scenario": "scenario",
    "StoreContract": "contract",
    "assert_replay": "golden",
    "envelope": "samples",
    "event": "samples",
    "given": "scenario",
    "pair": "samples",
    "write_history": "golden",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    place = f"{__name__}.{_PLACES[name]}"
    if name == "StoreContract" and place not in sys.modules:
        import pytest

        pytest.register_assert_rewrite(place)  # a failing case then shows both values
    value = globals()[name] = getattr(import_module(place), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
