"""Projections that are not determined by their events, one for each way in which that happens. Each folds the stream
that bears its name; `planted` is all of them."""

from __future__ import annotations

import locale
import os
import random
import secrets
import time
import uuid
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final

from eventsourcing_kit import Event, Projection

State = dict[str, Any]

planted: Projection[State, State] = Projection("planted", initial=dict)

_counted = [0]
_prices: dict[str, int] = {}


@planted.on()
def handled(state: State, event: Event) -> State:
    return {**state, "value": KINDS[event.stream.partition("/")[0]](event)}


def of_a_set(event: Event) -> Any:
    return list({"red", "green", "blue", "yellow", event.data["colour"]})


def of_hash(event: Event) -> Any:
    return hash(event.data["colour"])


def of_the_clock(event: Event) -> Any:
    return datetime.now(UTC).isoformat()


def of_seconds(event: Event) -> Any:
    return time.time()


def of_today(event: Event) -> Any:
    return date.today().isoformat()  # noqa: DTZ011 - the fault


def of_the_zone(event: Event) -> Any:
    return datetime.fromtimestamp(event.moment.timestamp()).isoformat()  # noqa: DTZ006 - the fault


def of_random(event: Event) -> Any:
    return random.random()  # noqa: S311 - the fault


def of_a_shuffle(event: Event) -> Any:
    return random.sample(range(40), 40)


def of_uuid(event: Event) -> Any:
    return {str(uuid.uuid4()): 1}


def of_secrets(event: Event) -> Any:
    return secrets.token_hex(8)


def of_an_address(event: Event) -> Any:
    return repr(object())


def of_the_process(event: Event) -> Any:
    return os.getpid()


def of_a_counter(event: Event) -> Any:
    _counted[0] += 1
    return _counted[0]


def of_a_default(event: Event, seen: list[str] = []) -> Any:  # noqa: B006 - the fault
    seen.append(event.id)
    return len(seen)


def of_a_cache(event: Event) -> Any:
    return _prices.setdefault("price", event.data["price"])


def of_a_tie(event: Event) -> Any:
    return event.type


def of_a_variable(event: Event) -> Any:
    return os.environ.get("SHOP_MODE")


def of_the_folder(event: Event) -> Any:
    return str(Path.cwd())


def of_the_user(event: Event) -> Any:
    return str(Path.home())


def of_the_locale(event: Event) -> Any:
    return locale.getpreferredencoding(do_setlocale=False)


KINDS: Final = {
    "set": of_a_set,
    "hash": of_hash,
    "clock": of_the_clock,
    "seconds": of_seconds,
    "today": of_today,
    "zone": of_the_zone,
    "random": of_random,
    "shuffle": of_a_shuffle,
    "uuid": of_uuid,
    "secrets": of_secrets,
    "address": of_an_address,
    "pid": of_the_process,
    "counter": of_a_counter,
    "default": of_a_default,
    "cache": of_a_cache,
    "tie": of_a_tie,
    "variable": of_a_variable,
    "folder": of_the_folder,
    "user": of_the_user,
    "locale": of_the_locale,
}


several: Projection[State, State] = Projection(
    "several", initial=dict
)  # two faults at once, of which one differs everywhere


@several.on()
def both(state: State, event: Event) -> State:
    return {**state, "token": of_uuid(event), "cards": of_a_shuffle(event), "local": of_the_zone(event)}


late = Projection("late", initial=int)  # only the 2,345th event shows it


@late.on()
def shows(state: int, event: Event) -> int:
    return hash("shows") if event.data["number"] == 2_345 else state + 1


raising = Projection("raising", initial=int)


@raising.on()
def raises_at_one_seed(state: int, event: Event) -> int:
    if hash("raises") != int(os.environ["RAISES_NOT_AT"]):
        raise ValueError
    return state


broken = Projection("broken", initial=int)


@broken.on()
def raises(state: int, event: Event) -> int:
    raise KeyError(event.data["colour"])


ending = Projection("ending", initial=int)


@ending.on()
def ends(state: int, event: Event) -> int:
    print("a word on stdout", flush=True)
    os._exit(7)


endless = Projection("endless", initial=int)


@endless.on()
def never_ends(state: int, event: Event) -> int:
    while True:
        state += 1
