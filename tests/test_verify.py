from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from eventsourcing_kit import Projection, Verification, open_store, verify
from eventsourcing_kit.catalog import load
from eventsourcing_kit.errors import FoldCrashed, FoldFailed, InvalidOption, InvalidProjection
from eventsourcing_kit.moment import from_rfc3339
from eventsourcing_kit.testing import Clock, event
from tests import planted
from tests.clean import CLEAN, clean
from tests.eskit import without_projections
from tests.servers import lossy_proxy

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
    for stream in EXPECTED:
        store.append_many(counted(stream, price=ord(stream[-1])))
    for type_ in ("Opened", "Closed"):
        store.append(event(type_, stream="tie", time="2026-03-05T00:00:00Z"))
    verification = verify(planted.planted, store, clock=lambda: NOW)
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
                more: dict[str, Any] = {"number": number, "colour": "red", "price": 1}
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
    page = verification._repr_html_()
    assert "hash seed" in page  # what has been tried
    assert "this store is not read in pages" in page


def test_a_second_fault_is_found_behind_one_that_differs_everywhere(store: BaseStore) -> None:
    store.append_many(counted("a"))
    verification = verify(planted.several, store, changes=["process", "time zone"])
    assert found(verification) == {"a": {"process", "time zone"}}
    process, zone = verification.differences
    assert {pointer.split("/")[1] for pointer in process.pointers} == {"token", "cards"}
    assert zone.pointers == ("/local",)


def test_the_first_event_behind_which_the_states_part_is_named_in_a_long_stream(store: BaseStore) -> None:
    store.append_many(counted("a", count=2_400))
    verification = verify(planted.late, store, changes=["hash seed"])
    (difference,) = verification.differences
    assert difference.pointers == ("",)
    (parting,) = (each for each in store.read("a") if each.data["number"] == 2_345)
    assert difference.event == (parting.id, parting.key, "Counted")


def test_a_fold_that_raises_in_one_world_only_is_a_difference(
    store: BaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = [sys.executable, "-c", "print(hash('raises'))"]
    at_baseline = subprocess.run(script, env={"PYTHONHASHSEED": "0"}, capture_output=True, text=True, check=True).stdout
    monkeypatch.setenv("RAISES_NOT_AT", at_baseline)
    store.append_many(counted("a"))
    verification = verify(planted.raising, store, changes=["hash seed"])
    (difference,) = verification.differences
    assert difference.raised == "ValueError was raised"
    assert difference.event is not None
    assert difference.event.id == next(store.read("a")).id
    assert verification.failures == ()


def test_a_stream_that_can_not_be_folded_at_all_is_a_failure_and_quotes_no_payload(store: BaseStore) -> None:
    store.append_many(counted("a"))
    verification = verify(planted.broken, store, changes=["process"])
    assert verification.differences == ()
    (failure,) = verification.failures
    assert failure.stream == "a"
    assert isinstance(failure.error, FoldFailed)
    assert failure.error.event_id == next(store.read("a")).id
    assert "KeyError" in str(failure.error)
    assert "red" not in str(failure.error)
    assert not verification.ok


def test_a_process_that_ends_itself_is_named_with_its_world_and_stream(
    store: BaseStore, capfd: pytest.CaptureFixture[str]
) -> None:
    store.append_many(counted("a"))
    with pytest.raises(
        FoldCrashed, match="'as it is' did not get beyond stream 'a': it ended with exit code 7"
    ) as info:
        verify(planted.ending, store, changes=[])
    assert (info.value.projection, info.value.stream) == ("ending", "a")
    assert capfd.readouterr() == ("", "")


def test_a_process_that_does_not_end_is_ended(store: BaseStore) -> None:
    store.append_many(counted("a"))
    with pytest.raises(FoldCrashed, match="it was not done after 1 seconds"):
        verify(planted.endless, store, changes=["process"], timeout=1)


def test_only_events_up_to_a_moment_and_known_by_then_are_folded(store: BaseStore) -> None:
    store.append_many(counted("a", count=4))
    verification = verify(clean, store, "a", at="2026-03-02 00:30", tz="Europe/Berlin", changes=["process"])
    assert (verification.streams, verification.events) == (1, 1)
    verification = verify(clean, store, "a", at="event:3", changes=["process"])
    assert (verification.streams, verification.events) == (1, 3)
    verification = verify(clean, store, ["a", "none"], known_at="2026-03-01", changes=["process"])
    assert (verification.streams, verification.events) == (0, 0)
    assert verification.not_covered == ("no event of 2 of the streams: 'a', 'none'",)


def test_a_projection_of_a_script_or_a_function_is_refused(store: BaseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    local: Projection[Any, Any] = Projection("local", initial=dict)
    with pytest.raises(InvalidProjection, match=r"under no name of a module.*put it into a module of its own"):
        verify(local, store)
    monkeypatch.setattr(sys.modules["__main__"], "local", local, raising=False)
    with pytest.raises(InvalidProjection, match="in the script or notebook that runs"):
        verify(local, store)


MODULE = """
from eventsourcing_kit import Projection

print("imported")
kept = Projection("kept", initial=dict)


@kept.on()
def keep(state, event):
    return {**state, event.id: event.data["number"]}


everything = [kept]
"""


@pytest.mark.parametrize("has_init", [True, False])
def test_a_projection_of_a_folder_that_was_found_by_itself(store: BaseStore, tmp_path: Path, *, has_init: bool) -> None:
    package = tmp_path / "work" / "projections"
    package.mkdir(parents=True)
    (package / "kept.py").write_text(MODULE)
    if has_init:
        (package / "__init__.py").touch()
    store.append_many(counted("a"))
    with without_projections():
        kept = load(directory=tmp_path / "work").get("kept")
        verification = verify(kept, store, changes=["process", "folder and user", "locale"])
    assert verification.ok
    assert verification.not_covered == ()


def test_a_module_that_needs_its_environment_leaves_that_world_uncovered_and_says_so(
    store: BaseStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_MODE", "live")
    (tmp_path / "needing.py").write_text(f"import os\nos.environ['SHOP_MODE']\n{MODULE}")
    store.append_many(counted("a"))
    kept = load("needing", directory=tmp_path).get("kept")
    verification = verify(kept, store, changes=["process", "environment variables"])
    assert verification.ok
    (note,) = verification.not_covered
    assert note.startswith("environment variables (none but those of the system and of Python): the module can not be")
    assert "KeyError: 'SHOP_MODE'" in note
    monkeypatch.delenv("SHOP_MODE")
    with pytest.raises(InvalidProjection, match="a fresh process can not import its module: KeyError"):
        verify(kept, store, changes=["process"])


def test_pages_of_other_sizes_are_read_where_a_store_has_pages(dynamodb_url: str, dynamodb_endpoint: str) -> None:
    table, _, _ = dynamodb_url.partition("?")
    with (
        lossy_proxy(dynamodb_endpoint) as proxy,
        open_store(f"{table}?region=eu-west-1&endpoint_url={proxy.url}", clock=Clock("2026-03-01T12:00:00Z")) as store,
    ):
        store.create_table()
        store.append_many(counted("a", count=11))
        verification = verify(clean, store, changes=["page size"])
        assert verification.ok
        limits = [asked.get("Limit") for operation, asked in proxy.asked if operation == "Query"]
        assert [limit for limit in limits if limit != 1] == [None, *[3] * 4, 100]  # 1: where does a long stream end?
        assert [each.detail for each in verification.variants] == ["3 events to a page", "100 events to a page"]
        assert [each.skipped for each in verification.variants] == [None, None]


class Pages:
    """A store in pages that loses the last event of each page, unless one page holds them all."""

    def __init__(self, events: Iterable[Event]) -> None:
        self.url = "memory of a test"
        self.page_size: int | None = None
        self.events = list(events)

    def read(self, stream: str, **window: Any) -> Any:
        return Read(each for number, each in enumerate(self.events, 1) if self.page_size != 3 or number % 3)

    def streams(self, prefix: str = "") -> Iterator[str]:
        return iter(["a"])


class Read:
    expired_since = "2026-02-01T00:00:00Z"

    def __init__(self, events: Iterable[Event]) -> None:
        self._events = iter(events)

    def __iter__(self) -> Iterator[Event]:
        return self._events

    def __next__(self) -> Event:
        return next(self._events)


def test_a_store_that_loses_events_between_its_pages_is_found() -> None:
    verification = verify(clean, Pages(counted("a", count=7)), changes=["page size"])
    assert found(verification) == {"a": {"page size"}}
    assert verification.not_covered == ("the beginning, which has expired, of 1 of the streams: 'a'",)


def test_events_that_come_meanwhile_are_no_difference() -> None:
    class Growing(Pages):
        def read(self, stream: str, **window: Any) -> Any:
            self.events = list(counted("a", count=len(self.events) + 1))
            return Read(self.events)

    verification = verify(clean, Growing([]), changes=["page size"])
    assert verification.ok
    assert verification.not_covered[0] == "the page size, as other events came meanwhile, of 1 of the streams: 'a'"


def test_nothing_is_left_behind(store: BaseStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    store.append_many(counted("a"))
    assert verify(clean, store, changes=["process", "folder and user"]).ok
    with pytest.raises(FoldCrashed):
        verify(planted.ending, store, changes=["process"])
    assert list(tmp_path.iterdir()) == []


def test_an_unknown_change_is_refused(store: BaseStore) -> None:
    with pytest.raises(InvalidOption, match="changes: found 'weather', expected some of 'process'"):
        verify(clean, store, changes=["weather"])


def test_without_its_library_it_says_what_to_install(store: BaseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "time_machine", None)
    with pytest.raises(InvalidOption, match=r"pip install 'eventsourcing-kit\[verify\]'"):
        verify(clean, store)


def test_a_difference_is_a_row_of_a_table(store: BaseStore) -> None:
    store.append_many(counted("hash"))
    verification = verify(planted.planted, store, changes=["hash seed"])
    (row,) = verification.to_dicts()
    first = next(store.read("hash"))
    assert row == {
        "stream": "hash",
        "projection": "planted",
        "version": 1,
        "changed": "hash seed",
        "detail": "PYTHONHASHSEED 1, not 0",
        "pointers": ["/value"],
        "id": first.id,
        "key": first.key,
        "type": "Counted",
        "raised": None,
        "order": [],
    }
    assert str(verification.differences[0]) == (
        f"stream 'hash' differs by hash seed at '/value', from event '{first.id}' ('{first.key}') on"
    )
    assert "hash seed" in verification._repr_html_()
