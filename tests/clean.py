"""Twenty projections that are determined by their events, although each looks a little as if it were not. `clean`
folds each event through all of them, so that one look at it is a look at all."""

from __future__ import annotations

import hashlib
import random
import uuid
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final
from zoneinfo import ZoneInfo

from pydantic import BaseModel, Field

from eventsourcing_kit import Event, Projection, Upcasters

JSON = dict[str, Any]

CLEAN: Final[list[Projection[Any, Any]]] = []


def projection(name: str, initial: Any, **more: Any) -> Projection[Any, Any]:
    made: Projection[Any, Any] = Projection(name, initial=initial, **more)
    CLEAN.append(made)
    return made


@projection("a sorted set", list).on()
def sorted_set(state: list[str], event: Event) -> list[str]:
    return sorted({*state, event.data["colour"]})


@projection("a set that is only asked", int).on()
def asked_set(state: int, event: Event) -> int:
    return state + (event.data["colour"] in {"red", "green"})


@projection("decimals", lambda: Decimal(0)).on()
def decimals(state: Decimal, event: Event) -> Decimal:
    return state + Decimal(event.data["price"]) / 100


@projection("a dict in the order of events", dict).on("Counted")
def ordered_dict(state: JSON, event: Event) -> JSON:
    return {**state, event.id: event.data["number"]}


@projection("a local time of the event's", str).on("Counted")
def berlin(state: str, event: Event) -> str:
    return event.moment.astimezone(ZoneInfo("Europe/Berlin")).strftime("%Y-%m-%d %H:%M")


@projection("the date of an event", dict).on()
def dates(state: dict[date, int], event: Event) -> dict[date, int]:
    return state | {event.moment.date(): state.get(event.moment.date(), 0) + 1}


@projection("a distance in time", lambda: timedelta(0)).on()
def distance(state: timedelta, event: Event) -> timedelta:
    return max(state, event.moment - datetime(2026, 1, 1, tzinfo=UTC))


keyed = projection("by colour", int, key=lambda event: event.data["colour"] if event.type == "Counted" else None)


@keyed.on("Counted")
def by_colour(state: int, event: Event) -> int:
    return state + 1


upcasters = Upcasters()


@upcasters.on("Counted")
def with_currency(data: JSON, event: Event) -> JSON:
    return {"currency": "EUR", **data}


@projection("upcast", dict, upcasters=upcasters).on("Counted")
def upcast(state: JSON, event: Event) -> JSON:
    return {**state, "currency": event.data["currency"]}


class Counted(BaseModel):
    number: int
    colour: str
    seen: list[str] = Field(default_factory=list)


class Basket(BaseModel):
    last: datetime | None = None
    colours: list[str] = Field(default_factory=list)


@projection("pydantic models", Basket).on(Counted)
def basket(state: Basket, event: Event[Counted]) -> Basket:
    return Basket(last=event.moment, colours=[*state.colours, event.data.colour])


@dataclass
class Shelf:
    things: list[int] = field(default_factory=list)


@projection("a state changed in place", Shelf).on("Counted")
def in_place(state: Shelf, event: Event) -> Shelf:
    state.things.append(event.data["number"])
    return state


@dataclass(frozen=True)
class Total:
    cents: int = 0


@projection("a frozen state", Total).on()
def frozen(state: Total, event: Event) -> Total:
    return replace(state, cents=state.cents + event.data["price"])


@lru_cache(maxsize=4)
def _square(number: int) -> int:
    return number * number


@projection("a cache of what is always so", int).on()
def cached(state: int, event: Event) -> int:
    return state + _square(event.data["number"])


@projection("a generator seeded by the event", float).on("Counted")
def seeded(state: float, event: Event) -> float:
    return random.Random(event.id).random()  # noqa: S311 - no secret


@projection("a digest", str).on("Counted")
def digested(state: str, event: Event) -> str:
    return hashlib.sha256(f"{state}{event.id}".encode()).hexdigest()


@projection("a name made of names", str).on("Counted")
def named(state: str, event: Event) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, event.id))


@projection("a defaultdict and a counter", lambda: defaultdict(Counter)).on("Counted")
def counted(state: defaultdict[str, Counter[str]], event: Event) -> defaultdict[str, Counter[str]]:
    state["colours"][event.data["colour"]] += 1
    return state


class Colour(StrEnum):
    red = "red"
    green = "green"
    blue = "blue"


@projection("enums and tuples", tuple).on("Counted")
def enums(state: tuple[Colour, ...], event: Event) -> tuple[Colour, ...]:
    return (*state, Colour(event.data["colour"]))[-3:]


@projection("data changed on the way", int).on()
def changed_data(state: int, event: Event) -> int:
    event.data["price"] += 1  # each fold has its own copy
    return state + int(event.data["price"])


@projection("events in their sequence", list).on("Stepped")
def stepped(state: list[int], event: Event) -> list[int]:
    return [*state, event.data["number"]]


clean = Projection("clean", initial=lambda: {each.name: None for each in CLEAN})


@clean.on()
def all_of_them(state: JSON, event: Event) -> JSON:
    return {each.name: each.fold_counted([event.fresh()], state[each.name]).state for each in CLEAN}
