"""The contract of a store, as a suite of pytest cases that any adapter can be held to."""

from __future__ import annotations

from eventsourcing_kit.testing.contract.appending import Appending
from eventsourcing_kit.testing.contract.batches import Batches
from eventsourcing_kit.testing.contract.correlated import Correlated
from eventsourcing_kit.testing.contract.equality import Equality
from eventsourcing_kit.testing.contract.legacy import Legacy
from eventsourcing_kit.testing.contract.limits import Limits
from eventsourcing_kit.testing.contract.opening import Opening
from eventsourcing_kit.testing.contract.order import Order
from eventsourcing_kit.testing.contract.reading import Reading
from eventsourcing_kit.testing.contract.retention import Retention
from eventsourcing_kit.testing.contract.snapshots import Snapshots
from eventsourcing_kit.testing.contract.streams import Streams
from eventsourcing_kit.testing.contract.text import Text
from eventsourcing_kit.testing.contract.threads import Threads
from eventsourcing_kit.testing.contract.twins import Twins

__all__ = ["StoreContract"]


class StoreContract(
    Opening,
    Appending,
    Equality,
    Twins,
    Batches,
    Order,
    Reading,
    Streams,
    Correlated,
    Retention,
    Snapshots,
    Limits,
    Text,
    Legacy,
    Threads,
):
    """Subclass it in a test module, bring the fixture `open_store`, and pytest holds your store to the contract.

        class TestMyStore(StoreContract):
            limits = {"threads": "its driver is not thread-safe"}

            @pytest.fixture
            def open_store(self, tmp_path):
                return lambda **options: MyStore(tmp_path / "events", **options)

            def put_item(self, store, item): ...
            def items(self, store, stream): ...

    `open_store(*, retention_days=None, legacy=False, clock=None, token=None)` answers a store at a place that is empty
    at a test's first call, and the same place at its further calls. `put_item` and `items` reach the stored attributes
    behind the store's back; `contract.base.Contract` says how. `limits` names what the engine can not do, each with
    the reason, which is shown with the cases that are skipped for it.
    """
