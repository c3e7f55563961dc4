"""eventsourcing_kit: rebuild any state at any moment from stored EventBridge events.

    store = open_store("sqlite:///events.db")
    store.append(parse(envelope))

    orders = Projection("orders", initial=dict)

    @orders.on("OrderPlaced")
    def placed(state, event):
        return {**state, event.id: event.data["total"]}

    rebuild(orders, store, "order-17", at="2026-03-01T11:03:27Z").state

Importing this package loads no driver, no pydantic, and reads no environment.
"""

from __future__ import annotations

from eventsourcing_kit.envelope import parse
from eventsourcing_kit.errors import EventSourcingError
from eventsourcing_kit.event import Event
from eventsourcing_kit.projection import Projection
from eventsourcing_kit.rebuild import Rebuilt, rebuild, rebuild_all
from eventsourcing_kit.stores import open_store
from eventsourcing_kit.upcast import Upcasters

__all__ = [
    "Event",
    "EventSourcingError",
    "Projection",
    "Rebuilt",
    "Upcasters",
    "open_store",
    "parse",
    "rebuild",
    "rebuild_all",
]
