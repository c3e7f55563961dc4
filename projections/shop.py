"""Three questions to a shop, each answered as of any moment: how stand an order, its refunds, the stock of a thing?

    eskit rebuild orders order-0217 --at 2026-03-24

Amounts are whole cents.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from pydantic import BaseModel

from eventsourcing_kit import Event, Projection


@dataclass(frozen=True)
class Order:
    status: str = "unknown"
    total: int = 0
    paid: int = 0
    refunded: int = 0
    balance: int = 0  # below 0: more was given back than had come in


class OrderPlaced(BaseModel):  # what a handler needs of an event's data; whatever else is in there is passed over
    total: int


class Payment(BaseModel):
    amount: int


orders = Projection("orders", initial=Order)


@orders.on(OrderPlaced)
def placed(order: Order, event: Event[OrderPlaced]) -> Order:
    return replace(order, status="placed", total=event.data.total)


@orders.on("PaymentCaptured", model=Payment)
def captured(order: Order, event: Event[Payment]) -> Order:
    amount = event.data.amount
    return replace(order, status="paid", paid=order.paid + amount, balance=order.balance + amount)


@orders.on("PaymentRefunded", model=Payment)
def refunded(order: Order, event: Event[Payment]) -> Order:
    amount = event.data.amount
    return replace(order, refunded=order.refunded + amount, balance=order.balance - amount)


@orders.on("OrderShipped", "OrderCancelled")
def closed(order: Order, event: Event) -> Order:
    return replace(order, status="shipped" if event.type == "OrderShipped" else "cancelled")


# With a key one stream has many states, here one for each cancellation; events whose key is None go into none.
refunds = Projection("refunds", initial=int, key=lambda event: event.data.get("cancellation"))


@refunds.on("PaymentRefunded", model=Payment)
def given_back(amount: int, event: Event[Payment]) -> int:
    return amount + event.data.amount


@refunds.on()  # all other types: without this, each answer would warn of events that no handler takes
def passed_over(amount: int, _: Event) -> int:
    return amount


@dataclass(frozen=True)
class Stock:
    on_hand: int = 0
    reserved: int = 0


stock = Projection("stock", initial=Stock)


@stock.on("StockReceived", "StockReserved", "StockReleased", "StockShipped")
def moved(before: Stock, event: Event) -> Stock:
    on_hand, reserved = MOVES[event.type]
    quantity = event.data["quantity"]  # without a model, data is the JSON as it came
    return Stock(before.on_hand + on_hand * quantity, before.reserved + reserved * quantity)


MOVES = {"StockReceived": (1, 0), "StockReserved": (0, 1), "StockReleased": (0, -1), "StockShipped": (-1, -1)}
