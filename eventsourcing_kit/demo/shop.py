"""A month of a small shop as the events that it sent, and as the deliveries that arrived of them.

Everything follows from one seed: no clock, no global randomness. Of `random`, only what Python promises to keep from
version to version is used (a seed from text, and `random()`), so that the month is the same one everywhere.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID, uuid5
from zoneinfo import ZoneInfo

from eventsourcing_kit.moment import from_datetime, to_canonical, to_datetime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = ["DOUBLE_REFUND", "OFFLINE_TERMINAL", "ORDERS", "correlation_of", "deliveries"]

ORDERS: Final = 300
OFFLINE_TERMINAL: Final = 131  # the order whose payment was recorded three days late
DOUBLE_REFUND: Final = 187  # the order whose cancellation was refunded twice

_SEED: Final = "a small shop"
_IDS: Final = UUID("6f0c1a52-8f0e-4c8e-9a58-0c6f4f1e2d03")
_ZONE: Final = ZoneInfo("Europe/Berlin")  # its clocks go forward on 29 March: the offset in the orders' times changes
_START: Final = datetime(2026, 3, 1, tzinfo=_ZONE)
_END: Final = datetime(2026, 4, 1, tzinfo=_ZONE)
_MS: Final = 1_000_000
_SECOND: Final = 1_000 * _MS
_MINUTE: Final = 60 * _SECOND
_DAY: Final = 24 * 60 * _MINUTE

_PRICES: Final = {  # cents
    "sku-apron": 2750,
    "sku-bowl": 1290,
    "sku-candle": 890,
    "sku-jug": 2490,
    "sku-mug": 1040,
    "sku-plate": 1180,
    "sku-saucer": 620,
    "sku-teapot": 4400,
    "sku-tray": 1980,
    "sku-vase": 3650,
}

# Each service spells its moments in a way of its own.
_SPELLINGS: Final[dict[str, Callable[[int], str]]] = {
    "shop.orders": lambda ns: to_datetime(ns).astimezone(_ZONE).isoformat(timespec="milliseconds"),
    "shop.payments": to_canonical,
    "shop.stock": lambda ns: to_datetime(ns).isoformat(timespec="microseconds"),
}


@dataclass(frozen=True)
class Fact:
    """One event of the shop: what its producer knows when it sends it. `delay` is the time until it arrives."""

    moment: int
    stream: str
    source: str
    type: str
    producer: str
    correlation: str
    data: dict[str, Any]
    cause: Fact | None = None
    sequence: int | None = None
    delay: int | None = None  # None: as long as the network takes

    @property
    def id(self) -> str:
        return _id(self.stream, self.type, self.moment, self.data)

    def envelope(self, *, event_id: str, sent: int) -> str:
        metadata = {
            "time": _SPELLINGS[self.source](self.moment),
            "correlationId": self.correlation,
            "producer": self.producer,
        }
        if self.cause is not None:
            metadata["causationId"] = self.cause.id
        detail = {"metaData": metadata, "data": {"primaryKey": self.stream, **self.data}}
        if self.sequence is not None:
            detail["metaData"]["sequence"] = self.sequence
        return json.dumps(
            {
                "version": "0",
                "id": event_id,
                "detail-type": self.type,
                "source": self.source,
                "account": "123456789012",
                "time": to_datetime(sent).isoformat(timespec="seconds")[:19] + "Z",
                "region": "eu-central-1",
                "resources": [],
                "detail": detail,
            }
        )


def deliveries() -> Iterator[tuple[int, str]]:
    """Each delivery of the month in the order of arrival: when it arrived, in nanoseconds, and the envelope's JSON.

    At least once is the bus's promise, so some envelopes arrive again, some after others that were sent later; some
    producers saw no answer and sent theirs again under a new id.
    """
    arrivals: list[tuple[int, str]] = []
    chance = Random(f"{_SEED}: network")  # noqa: S311 - a demo, no secret
    for fact in sorted(_month(), key=lambda fact: (fact.moment, fact.id)):
        delay = int((0.1 + 2 * chance.random()) * _SECOND) if fact.delay is None else fact.delay
        arrived = fact.moment + delay
        envelope = fact.envelope(event_id=fact.id, sent=fact.moment)
        arrivals.append((arrived, envelope))
        luck = chance.random()
        if luck < 0.05:
            arrivals.append((arrived + int(chance.random() * 10 * _MINUTE), envelope))
        elif luck < 0.065:
            sent = fact.moment + 3 * _SECOND
            again = fact.envelope(event_id=_id(fact.id, "sent again"), sent=sent)
            arrivals.append((sent + delay, again))
    return iter(sorted(arrivals))


def _month() -> Iterator[Fact]:
    end = from_datetime(_END)
    yield from _goods_received()
    for number, moment in enumerate(_moments_of_orders(), start=1):
        yield from (fact for fact in _order(number, moment) if fact.moment < end)


def _moments_of_orders() -> list[int]:
    chance = Random(f"{_SEED}: customers")  # noqa: S311 - a demo, no secret
    start = from_datetime(_START)
    open_from, open_for = 8 * 60 * _MINUTE, 14 * 60 * _MINUTE
    return sorted(
        start + int(chance.random() * 31) * _DAY + open_from + int(chance.random() * open_for) for _ in range(ORDERS)
    )


def _goods_received() -> Iterator[Fact]:
    first = datetime.combine(_START, time(7), _ZONE)
    days = [first, *(first + timedelta(days=monday) for monday in (1, 8, 15, 22, 29))]
    for day in days:
        note = f"delivery-note-{day:%m%d}"
        for sku in _PRICES:
            moment = from_datetime(day.astimezone(UTC))
            data = {"quantity": 40 if day is first else 20, "note": note}
            yield Fact(moment, sku, "shop.stock", "StockReceived", "warehouse", _id(note), data)


@dataclass(frozen=True)
class _Order:
    number: int
    lines: list[dict[str, Any]]

    @property
    def name(self) -> str:
        return f"order-{self.number:04d}"

    @property
    def total(self) -> int:
        return sum(line["quantity"] * line["price"] for line in self.lines)

    def fact(
        self, at: int, source: str, type_: str, producer: str, data: dict[str, Any], cause: Fact | None = None
    ) -> Fact:
        return Fact(at, self.name, source, type_, producer, correlation_of(self.name), data, cause)

    def moved(self, at: int, type_: str, cause: Fact) -> Iterator[Fact]:
        """The lines of an order move at one moment: two lines of one thing are twins in the stream of that thing."""
        for place, line in enumerate(self.lines, start=1):
            data = {"order": self.name, "line": place, "quantity": line["quantity"]}
            yield Fact(
                at,
                line["sku"],
                "shop.stock",
                type_,
                "warehouse",
                correlation_of(self.name),
                data,
                cause,
                sequence=place,
            )


def _order(number: int, moment: int) -> Iterator[Fact]:
    """All that happens to one order: placed, its lines reserved, paid; then shipped, or cancelled and refunded."""
    chance = Random(f"{_SEED}: order {number}")  # noqa: S311 - a demo, no secret
    order = _Order(number, _lines(number, chance))
    data = {"customer": f"customer-{int(chance.random() * 120):03d}", "lines": order.lines, "total": order.total}
    moment -= moment % _MS  # as finely as the orders' service tells it
    placed = order.fact(moment, "shop.orders", "OrderPlaced", "web-shop", data)
    yield placed
    yield from order.moved(moment + int((5 + 40 * chance.random()) * _MS), "StockReserved", placed)
    yield _paid(order, moment + int((5 + 80 * chance.random()) * _SECOND), placed)
    if chance.random() < 0.06 or number == DOUBLE_REFUND:
        yield from _cancelled(order, placed, chance)
    else:
        at = _pickup(moment) + int(chance.random() * 10 * _MINUTE)
        shipped = order.fact(at, "shop.orders", "OrderShipped", "warehouse", {"parcel": f"parcel-{number:04d}"}, placed)
        yield shipped
        yield from order.moved(at + 20 * _MS, "StockShipped", shipped)


def _paid(order: _Order, at: int, placed: Fact) -> Fact:
    offline = order.number == OFFLINE_TERMINAL
    producer = "terminal-7" if offline else "card-gateway"
    paid = order.fact(at, "shop.payments", "PaymentCaptured", producer, {"amount": order.total}, placed)
    return replace(paid, delay=3 * _DAY) if offline else paid


def _cancelled(order: _Order, placed: Fact, chance: Random) -> Iterator[Fact]:
    at = placed.moment + int((30 + 800 * chance.random()) * _MINUTE)  # before any parcel leaves
    cancelled = order.fact(at, "shop.orders", "OrderCancelled", "web-shop", {"reason": "changed my mind"}, placed)
    yield cancelled
    yield from order.moved(at + 20 * _MS, "StockReleased", cancelled)
    at += int((1 + 9 * chance.random()) * _MINUTE)
    data = {"cancellation": cancelled.id, "amount": order.total}
    yield order.fact(at, "shop.payments", "PaymentRefunded", "card-gateway", data, cancelled)
    if order.number == DOUBLE_REFUND:
        later = at + 2 * _DAY + 97 * _MINUTE
        yield order.fact(later, "shop.payments", "PaymentRefunded", "support-desk", data, cancelled)


def _lines(number: int, chance: Random) -> list[dict[str, Any]]:
    if number == DOUBLE_REFUND:
        return [_line("sku-teapot", 1), _line("sku-mug", 2)]
    skus = [_pick(tuple(_PRICES), chance)]
    while len(skus) < 3 and chance.random() < 0.35:
        skus.append(_pick((*_PRICES, skus[0], skus[0]), chance))  # the same thing twice is a gift with another text
    return [_line(sku, 1 + int(chance.random() * 2)) for sku in skus]


def _line(sku: str, quantity: int) -> dict[str, Any]:
    return {"sku": sku, "quantity": quantity, "price": _PRICES[sku]}


def _pick(choices: Sequence[str], chance: Random) -> str:
    return choices[int(chance.random() * len(choices))]


def _pickup(placed: int) -> int:
    """The parcel service comes at 15:00 on every day but Sunday; an order is packed by the day after."""
    day = to_datetime(placed).astimezone(_ZONE) + timedelta(days=1)
    if day.isoweekday() == 7:
        day += timedelta(days=1)
    return from_datetime(datetime.combine(day, time(15), _ZONE))


def correlation_of(order: str) -> str:
    """The correlation id that all events about an order bear."""
    return _id(order)


def _id(*parts: object) -> str:
    return str(uuid5(_IDS, json.dumps(parts)))
