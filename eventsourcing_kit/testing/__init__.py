"""What tests need: sample events, `given(...).then(...)` for projections, and the suite that every store must pass.

    def test_an_order_sums_up():
        given(orders, event("OrderPlaced", total=3)).then({"total": 3})

    class TestMyStore(StoreContract):
        @pytest.fixture
        def open_store(self, tmp_path):
            return lambda **options: MyStore(tmp_path / "events", **options)

`StoreContract` needs pytest; nothing else here does.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from eventsourcing_kit.testing.clock import Clock
from eventsourcing_kit.testing.samples import OPTIONAL, envelope, event, pair
from eventsourcing_kit.testing.scenario import Scenario, given

if TYPE_CHECKING:
    from eventsourcing_kit.testing.contract import StoreContract

__all__ = ["OPTIONAL", "Clock", "Scenario", "StoreContract", "envelope", "event", "given", "pair"]


def __getattr__(name: str) -> type[StoreContract]:
    if name != "StoreContract":
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    import pytest

    suite = f"{__name__}.contract"
    if suite not in sys.modules:
        pytest.register_assert_rewrite(suite)  # a failing case then shows both values
    from eventsourcing_kit.testing.contract import StoreContract

    return StoreContract
