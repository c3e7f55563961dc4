from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import closing, suppress
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from pydantic import BaseModel, create_model

from eventsourcing_kit import Projection, open_store, rebuild_all
from eventsourcing_kit.carried import error_of, facts_of
from eventsourcing_kit.errors import (
    EventNotFound,
    FoldCrashed,
    FoldFailed,
    ForeignKey,
    IncompleteStream,
    InvalidOption,
    InvalidProjection,
    RebuildsFailed,
    StoreDamaged,
    StoreUnavailable,
)
from eventsourcing_kit.moment import from_rfc3339
from eventsourcing_kit.testing import event
from eventsourcing_kit.workers import code_of
from tests.counting import counting, loose
from tests.eskit import ROOT, is_let_go

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from eventsourcing_kit import Event
    from eventsourcing_kit.outcomes import StreamFailure
    from eventsourcing_kit.stores.base import BaseStore


NOW = from_rfc3339("2026-03-10T00:00:00Z")


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BaseStore]:
    with open_store(f"sqlite:///{tmp_path / 'events.db'}") as store:
        store.create_table()
        yield store


def counted(store: BaseStore, *streams: str, events: int = 3) -> None:
    store.append_many(
        event("Counted", stream=stream, time=f"2026-03-0{1 + number}T12:00:00Z", number=number)
        for stream in streams
        for number in range(events)
    )


def all_facts(answers: Iterator[Any]) -> list[tuple[object, ...]]:
    return [
        (each.stream, each.state, each.at_ns, each.known_at_ns, each.events, each.last, each.complete, each.warnings)
        for each in answers
    ]


@pytest.mark.parametrize(
    ("workers", "question"),
    [(2, {}), (8, {"at": "9999-12-31T23:59:59Z"}), (2, {"at": "event:2", "known_at": "2030-01-01"})],
)
def test_the_answers_and_their_order_are_those_of_one_process(
    store: BaseStore, workers: int, question: dict[str, str]
) -> None:
    counted(store, *(f"s-{number:03}" for number in range(90)))
    counted(store, "s-007", events=9)
    store.append(event("Unknown", stream="s-050"))
    alone = all_facts(rebuild_all(counting, store, clock=lambda: NOW, **question))  # type: ignore[arg-type]
    spread = rebuild_all(counting, store, clock=lambda: NOW, workers=workers, **question)  # type: ignore[arg-type]
    assert len(alone) == 90
    assert all_facts(spread) == alone


def test_workers_read_a_table_too(dynamodb_url: str) -> None:
    with open_store(dynamodb_url) as table:
        table.create_table()
        counted(table, "a", "b", "c")
        alone = all_facts(rebuild_all(counting, table, clock=lambda: NOW))
        assert len(alone) == 3
        assert all_facts(rebuild_all(counting, table, clock=lambda: NOW, workers=2)) == alone


def test_a_state_may_be_wider_than_a_pipe(store: BaseStore) -> None:
    store.append_many(
        event("Counted", stream=stream, id=f"{number}-{'x' * 1_000}", number=number)
        for stream in ("a", "b")
        for number in range(500)
    )
    alone = all_facts(rebuild_all(counting, store, clock=lambda: NOW))
    assert all_facts(rebuild_all(counting, store, clock=lambda: NOW, workers=2)) == alone


def test_a_list_keeps_its_order_and_the_last_event_is_whole(store: BaseStore) -> None:
    counted(store, "a", "b", "c")
    answers = list(rebuild_all(counting, store, streams=["c", "a", "b"], workers=2))
    assert [answer.stream for answer in answers] == ["c", "a", "b"]
    last = answers[0].last
    assert last is not None
    assert (last.data["number"], last.recorded_at is None) == (2, False)


def test_a_stream_that_fails_does_not_stop_the_others_and_the_place_goes_along(store: BaseStore) -> None:
    counted(store, "a", "b", "c")
    store.append(event("Broken", stream="b", id="e-9", time="2026-03-05T12:00:00Z", note="canary"))
    failures: list[StreamFailure] = []
    answers = list(rebuild_all(counting, store, workers=2, failures=failures))
    assert [answer.stream for answer in answers] == ["a", "c"]
    ((stream, error),) = failures
    assert stream == "b"
    assert isinstance(error, FoldFailed)
    assert (error.event_id, error.reason) == ("e-9", "KeyError was raised")
    assert [note.partition(":")[0] for note in error.__notes__] == ["tests/counting.py"]
    assert "canary" not in f"{error} {error.__notes__}"
    with pytest.raises(RebuildsFailed, match="for 1 streams, the first being 'b'"):
        list(rebuild_all(counting, store, workers=2))
    with pytest.raises(FoldFailed, match="e-9"):
        list(rebuild_all(counting, store, workers=2, strict=True))


@pytest.mark.parametrize(
    ("type_", "reason"),
    [("Crashing", "it ended with exit code 7"), ("Leaving", "the projections' code made Python exit")],
)
def test_a_process_that_dies_is_an_error(store: BaseStore, type_: str, reason: str) -> None:
    counted(store, "a", "b")
    store.append(event(type_, stream="b"))
    with pytest.raises(FoldCrashed, match=reason) as caught:
        list(rebuild_all(counting, store, workers=2))
    assert caught.value.stream == "b"


def test_a_state_that_json_does_not_bring_back_is_refused_by_name(store: BaseStore) -> None:
    counted(store, "a")
    assert next(rebuild_all(loose, store)).state == {"types": {"Counted"}}
    with pytest.raises(InvalidProjection, match=r"'a' does not come back from JSON as it was.*workers=1"):
        list(rebuild_all(loose, store, workers=2))


def test_a_projection_that_is_in_no_module_says_to_put_it_into_one(store: BaseStore) -> None:
    counted(store, "a")
    with pytest.raises(InvalidProjection, match="put it into a module of its own"):
        list(rebuild_all(Projection("here", initial=dict), store, workers=2))


class Price(BaseModel):
    amount: int


class Weight(msgspec.Struct):
    amount: int


@pytest.mark.parametrize(
    ("model", "other"),
    [
        (Price, create_model("Price", __module__=__name__, amount=(str, ...))),
        (Weight, msgspec.defstruct("Weight", [("amount", str)], module=__name__)),
    ],
    ids=["pydantic", "msgspec"],
)
def test_code_with_another_model_is_other_code(model: type[Any], other: type[Any]) -> None:
    def keep(state: int, event: Event) -> int:
        return state

    def code_with(model: type[Any]) -> str | None:
        projection: Projection[int] = Projection("priced", initial=int)
        projection.on("Priced", model=model)(keep)
        return code_of(projection)

    assert code_with(model) == code_with(model)
    assert None not in (code_with(model), code_with(other))
    assert code_with(model) != code_with(other)


def test_a_store_in_memory_can_not_be_shared() -> None:
    with open_store("sqlite://") as memory:
        counted(memory, "a")
        with pytest.raises(InvalidOption, match="workers: found 'a store in memory', expected a store that other"):
            list(rebuild_all(counting, memory, workers=2))


def test_less_than_one_worker_is_refused(store: BaseStore) -> None:
    with pytest.raises(InvalidOption, match="workers: found '0', expected a whole number from 1"):
        list(rebuild_all(counting, store, workers=0))


def test_no_process_outlives_answers_that_nobody_asks_for(store: BaseStore, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    counted(store, "a")
    store.append(event("Waiting", stream="b", pipe=str(pipe)))
    with closing(rebuild_all(counting, store, workers=2)) as answers:  # type: ignore[type-var]
        assert next(answers).stream == "a"
        with pipe.open("rb", buffering=0) as reading:
            assert reading.read(4) == b"here"
            answers.close()  # type: ignore[attr-defined]
            assert is_let_go(reading)


SCRIPT = """
from eventsourcing_kit import open_store, rebuild_all
from eventsourcing_kit.workers import code_of
from tests.counting import counting
with open_store("sqlite:///events.db") as store:
    list(rebuild_all(counting, store, workers=2))
"""


def test_no_process_outlives_one_that_was_killed(store: BaseStore, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    store.append(event("Waiting", stream="b", pipe=str(pipe)))
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", SCRIPT], cwd=tmp_path, env=environ) as process:
        try:
            with pipe.open("rb", buffering=0) as reading:
                assert reading.read(4) == b"here"
                process.kill()
                assert is_let_go(reading)
        finally:
            with suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)


@pytest.mark.parametrize(
    "error",
    [
        EventNotFound(where="stream 'a'", wanted="5", reason="it has 3 events"),
        FoldFailed(projection="p", stream="a", key="k", event_id="e", reason="r", fields=("x", "y")),
        ForeignKey("sqlite:///a.db", stream="a", key="k"),
        IncompleteStream(stream="a", projection="p", since=None),
        InvalidOption("workers", found="0", expected="more"),
        InvalidProjection("p", "reason"),
        StoreDamaged("sqlite:///a.db", "reason"),
        StoreUnavailable("sqlite:///a.db", code="full", doing="reading"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_an_error_is_the_same_in_another_process(error: Any) -> None:
    carried = error_of(facts_of(error))
    assert type(carried) is type(error)
    assert str(carried) == str(error)
    assert vars(carried) == vars(error)
