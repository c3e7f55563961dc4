"""No payload in any error or log line: a canary is fed through every refusal, and must not come out."""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import traceback
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import BaseModel

from eventsourcing_kit import Event, EventSourcingError, Projection, Upcasters, open_store, parse, rebuild
from eventsourcing_kit.errors import EventConflict, EventExpired, EventTooLarge, FoldFailed, InvalidEnvelope
from eventsourcing_kit.moment import from_rfc3339

CANARY = "tweety"


def envelope(**data: Any) -> dict[str, Any]:
    return {
        "id": "e-1",
        "source": "shop",
        "detail-type": "OrderPlaced",
        "time": "2026-03-01T11:03:28Z",
        "detail": {"metaData": {"time": "2026-03-01T11:03:27Z"}, "data": {"primaryKey": "order-17", **data}},
    }


def broken(path: str, value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(envelope(name=CANARY))
    *parents, name = path.split(".")
    place = changed
    for parent in parents:
        place = place[parent]
    place[name] = value
    return changed


CASES: list[Any] = [
    *(
        broken(field, value)
        for field in ("id", "source", "detail-type", "time")
        for value in (None, [CANARY], {CANARY: 1})
    ),
    *(broken(field, [CANARY]) for field in ("account", "region", "replay-name", "detail", "detail.data.primaryKey")),
    *(broken("detail.metaData.time", value) for value in (CANARY, [CANARY], f"2026-03-01T11:03:27{CANARY}")),
    broken("time", {CANARY: CANARY}),
    broken("resources", {CANARY: CANARY}),
    broken("detail.data.primaryKey", CANARY * 400),
    broken("detail.data.primaryKey", f"{CANARY}\ud800"),
    broken("detail.data.name", {1: CANARY}),
    broken("detail.data.name", [CANARY, float("inf")]),
    broken("detail.data.name", CANARY.encode()),
    json.dumps(envelope(name=CANARY))[:-1],
    json.dumps(envelope(name=CANARY)).replace(f'"{CANARY}"', f'"{CANARY}", "name": "{CANARY}"'),
    json.dumps(envelope(name=CANARY)).replace(f'"{CANARY}"', f"{CANARY}"),
    json.dumps(envelope(name=CANARY)).replace(f'"{CANARY}"', f'["{CANARY}", NaN]'),
    json.dumps(envelope(name=CANARY)).replace(f'"{CANARY}"', "[" * 700 + f'"{CANARY}"' + "]" * 700),
    json.dumps(envelope(name=CANARY)).encode() + b"\xff",
]


def silent(error: BaseException) -> bool:
    """Whether neither the error, nor what is chained to it and printed with it, nor its facts hold the canary."""
    shown = "".join(traceback.format_exception(error, limit=0))
    return CANARY not in shown and CANARY not in repr(vars(error))


@pytest.mark.parametrize("case", CASES, ids=range(len(CASES)))
def test_no_refused_envelope_shows_its_payload(case: Any) -> None:
    with pytest.raises(InvalidEnvelope) as refusal:
        parse(case)
    assert silent(refusal.value)


def too_large() -> None:
    noise = "".join(hashlib.sha256(str(number).encode()).hexdigest() for number in range(15_000))
    with open_store("sqlite://") as store:
        store.append(parse(envelope(name=CANARY, noise=noise)))


def conflicting() -> None:
    with open_store("sqlite://") as store:
        store.append(parse(envelope(name=CANARY)))
        store.append(parse(envelope(name=f"other {CANARY}")))


def expired() -> None:
    with open_store("sqlite://?retention_days=1", clock=lambda: from_rfc3339("2026-04-01T00:00:00Z")) as store:
        store.append(parse(envelope(name=CANARY)))


@pytest.mark.parametrize(
    ("refuse", "kind"), [(too_large, EventTooLarge), (conflicting, EventConflict), (expired, EventExpired)]
)
def test_no_refused_append_shows_its_payload(refuse: Callable[[], None], kind: type[EventSourcingError]) -> None:
    with pytest.raises(kind) as refusal:
        refuse()
    assert silent(refusal.value)


class Placed(BaseModel):
    name: int


def test_no_failed_model_or_upcaster_shows_its_payload() -> None:
    upcasters = Upcasters()
    modelled: Projection[list[Any]] = Projection("modelled", initial=list)
    modelled.on("OrderPlaced", model=Placed)(lambda state, _: state)
    nothing: Projection[list[Any]] = Projection("nothing", initial=list)
    nothing.on()(lambda state, event: None)
    upcast: Projection[list[Any]] = Projection("upcast", initial=list, upcasters=upcasters)
    upcasters.on("OrderPlaced")(lambda data, event: {"name": data["name"] + CANARY})
    upcast.on("OrderPlaced", model=Placed)(lambda state, _: state)
    for projection in (modelled, nothing, upcast):
        with open_store("sqlite://") as store:
            store.append(parse(envelope(name=CANARY)))
            with pytest.raises(FoldFailed) as failure:
                rebuild(projection, store, "order-17")
        assert silent(failure.value)


def test_a_failed_handlers_own_error_stays_its_cause_and_out_of_the_message() -> None:
    projection: Projection[list[Any]] = Projection("raising", initial=list)

    @projection.on()
    def raising(state: list[Any], event: Event) -> list[Any]:
        raise ValueError(event.data["name"])

    with pytest.raises(FoldFailed) as failure:
        projection.fold([parse(envelope(name=CANARY))])
    assert CANARY not in str(failure.value)
    assert CANARY in str(failure.value.__cause__)


def test_no_log_line_and_no_repr_shows_a_payload(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    first = envelope(name=CANARY)
    with open_store("sqlite://") as store:
        store.append(parse(first))
        store.append(parse({**first, "id": "e-2"}))
        store.append(parse({**envelope(name=f"other {CANARY}"), "id": "e-3"}))
        events = list(store.read("order-17"))
        reprs = repr((events, store, [event.data and event for event in events]))
    assert len(caplog.records) == 2
    assert CANARY not in caplog.text
    assert CANARY not in reprs
