from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from eventsourcing_kit import Projection, Verification, open_store, verify
from eventsourcing_kit.catalog import load
from eventsourcing_kit.errors import FoldCrashed, FoldFailed, InvalidOption, InvalidProjection
from eventsourcing_kit.moment import from_rfc3339
from eventsourcing_kit.testing import event
from tests import planted
from tests.clean import CLEAN, clean
from tests.eskit import ROOT, without_projections

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from eventsourcing_kit import Event
    from eventsourcing_kit.stores.base import BaseStore

COLOURS = ("red", "green", "blue")
NOW = from_rfc3339("2026-03-05T12:00:00Z")


@pytest.fixture
def store() -> Iterator[BaseStore]:
    with open_store("sqlite://") as store:
        yield store


def counted(stream: str, *, count: int = 3, price: int = 5) -> Iterator[Event]:
    for number in range(count):
        time = f"2026-03-0{1 + number % 4}T23:30:{number // 60 % 60:02}.{number:05}Z"
        yield event("Counted", stream=stream, time=time, number=number, colour=COLOURS[number % 3], price=price)


def found(verification: Verification) -> dict[str, set[str]]:
    """What was changed where a stream differs, for each stream that does."""
    changes: dict[str, set[str]] = {}
    for difference in verification.differences:
        changes.setdefault(difference.stream, set()).add(difference.changed)
    return changes


EXPECTED = {
    "set": {"hash seed"},
    "hash": {"hash seed"},
    "clock": {"clock"},
    "seconds": {"clock"},
    "today": {"clock", "time zone"},  # at noon it is tomorrow already in the first of the two zones
    "zone": {"time zone"},
    "random": {"process"},
    "shuffle": {"process"},
    "uuid": {"process"},
    "secrets": {"process"},
    "address": {"process"},
    "pid": {"process"},
    "counter": {"second fold"},
    "default": {"second fold"},
    "cache/a": {"order of streams"},
    "cache/b": {"order of streams"},
    "tie": {"order of ties"},
    "variable": {"environment variables"},
    "folder": {"folder and user"},
    "user": {"folder and user"},
    "locale": {"locale"},
}


def test_every_planted_kind_of_chance_is_found_and_named(store: BaseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_MODE", "live")
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    for stream in [*EXPECTED, "clean"]:
        store.append_many(counted(stream.replace("clean", "hash/none"), price=len(stream) + ord(stream[-1])))
    for type_ in ("Opened", "Closed"):
        store.append(event(type_, stream="tie", time="2026-03-05T00:00:00Z"))
    streams = [*EXPECTED]
    verification = verify(planted.planted, store, streams, clock=lambda: NOW)
    assert found(verification) == EXPECTED
    assert not verification.ok
    assert verification.failures == ()
    assert [variant.changed for variant in verification.variants if variant.skipped] == ["page size", "page size"]
    by_stream = {each.stream: each for each in verification.differences}
    assert by_stream["variable"].pointers == ("/value",)
    first = next(store.read("variable"))
    assert by_stream["variable"].event == (first.id, first.key, "Counted")
    assert [each.type for each in by_stream["tie"].order] == ["Opened", "Closed"]  # declared: by type
    assert by_stream["tie"].event is not None
    assert by_stream["tie"].event.type == "Closed"


def test_twenty_clean_projections_are_the_same_everywhere(tmp_path: Path) -> None:
    assert len(CLEAN) == 20
    with open_store(f"sqlite:///{tmp_path / 'events.db'}") as store:
        for stream in ("a", "b", "c"):
            store.append_many(counted(stream, count=7))
            for number in range(3):  # of one moment, and the producer says in which order
                more = {"number": number, "colour": "red", "price": 1}
                time, sequence = "2026-03-04T00:00:00Z", {"sequence": 10 - number}
                store.append(event("Stepped", stream=stream, time=time, metadata=sequence, **more))
                store.append(event("Tied", stream=stream, time="2026-03-05T00:00:00Z", **more))
        verification = verify(clean, store)
    assert verification.differences == ()
    assert verification.failures == ()
    assert verification.not_covered == ()
    assert verification.ok
    assert (verification.streams, verification.events) == (3, 39)
    assert repr(verification) == (
        "<Verification of 'clean' version 1: the same bytes for 39 events of 3 streams in 14 other worlds>"
    )
    ran = {variant.changed: variant.streams for variant in verification.variants if not variant.skipped}
    assert set(ran.values()) == {3}
    assert verification.to_dicts() == []
