"""What holds for views in every place: a file, and a table on each of the servers."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest

from eventsourcing_kit import Projection, check_view, open_store, publish, read_view
from eventsourcing_kit.errors import InvalidOption, InvalidProjection, RebuildsFailed, StoreNotFound, ViewReplaced
from eventsourcing_kit.jobs.building import create_view_table, target_at
from eventsourcing_kit.moment import from_rfc3339
from eventsourcing_kit.testing import event
from tests.counting import counting

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from eventsourcing_kit import View
    from eventsourcing_kit.stores.base import BaseStore

NOW = from_rfc3339("2026-03-10T00:00:00Z")
SECOND = 1_000_000_000
DAY = 86_400 * SECOND


class StoppedError(Exception):
    pass


def stop_at(rows: int) -> Callable[[View, int], None]:
    def progress(_: View, done: int) -> None:
        if done == rows:
            raise StoppedError

    return progress


@pytest.fixture(params=["sqlite", "moto", "dynamodb"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'views.db'}"
    url: str = request.getfixturevalue("moto_url" if request.param == "moto" else "dynamodb_url")
    create_view_table(url)
    return url


@pytest.fixture(autouse=True)
def _each_row_is_written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("eventsourcing_kit.jobs.building._ROWS", 1)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[BaseStore]:
    """Five streams with an event each."""
    with open_store(f"sqlite:///{tmp_path / 'events.db'}", clock=lambda: NOW - DAY) as store:
        for name in ("a", "b", "c", "d", "e"):
            count(store, name, 1)
        yield store


def count(store: BaseStore, stream: str, number: int, **more: Any) -> None:
    store.append(event("Counted", stream=stream, time="2026-03-01T12:00:00Z", **{"number": number, **more}))


def totals(place: str) -> dict[str, int]:
    with read_view(counting, place) as reading:
        return {stream: state.total for stream, state in reading.states()}


def unfinished(place: str) -> int:
    with target_at(place, "counting", option="place") as target:
        return len(target.unfinished())


def made(store: BaseStore, place: str, **more: Any) -> View:
    return publish(counting, store, place, **{"clock": lambda: NOW, **more})


# What a view shows


@pytest.mark.parametrize("workers", [1, 2])
def test_a_view_has_the_states_of_the_streams_that_were_folded(store: BaseStore, place: str, workers: int) -> None:
    store.append(event("Unknown", stream="other", time="2026-03-01T12:00:00Z"))
    view = made(store, place, at="2026-03-05", workers=workers)
    assert (view.states, view.events) == (5, 5)
    with read_view(counting, place) as reading:
        assert reading.view == view
        assert [stream for stream, _ in reading.states()] == ["a", "b", "c", "d", "e"]
        assert reading.state("b") == dict(reading.states())["b"]
        assert [state.total for _, state in reading.states()] == [1, 1, 1, 1, 1]
        assert reading.state("other") is None
    assert check_view(counting, store, place, workers=workers).ok


def test_what_is_not_there_is_said(store: BaseStore, place: str) -> None:
    with pytest.raises(StoreNotFound), read_view(counting, place):
        pass
    with pytest.raises(StoreNotFound):
        check_view(counting, store, place)
    publish(Projection("another", initial=dict), store, place)
    with pytest.raises(StoreNotFound, match="it has no view of 'counting'"):
        check_view(counting, store, place)


def test_readers_see_the_old_rows_until_all_new_ones_are_there(store: BaseStore, place: str) -> None:
    made(store, place)
    count(store, "b", 5)
    count(store, "f", 7)
    seen: list[Any] = []
    made(store, place, progress=lambda *_: seen.append(totals(place)))
    assert seen == [{"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}] * 6
    assert totals(place) == {"a": 1, "b": 6, "c": 1, "d": 1, "e": 1, "f": 7}


def test_a_stream_that_fails_leaves_the_old_rows_and_nothing_besides(store: BaseStore, place: str) -> None:
    made(store, place)
    count(store, "a", 5)
    store.append(event("Broken", stream="d", time="2026-03-02T12:00:00Z", note="canary"))
    with pytest.raises(RebuildsFailed, match="for 1 streams, the first being 'd'"):
        made(store, place)
    assert totals(place) == {"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}
    assert unfinished(place) == 0


def test_a_state_that_json_can_not_say_leaves_nothing(store: BaseStore, place: str) -> None:
    odd: Projection[Any] = Projection("counting", initial=dict)
    odd.on("Counted")(lambda state, _: {"all": object()})
    with pytest.raises(InvalidProjection):
        publish(odd, store, place)
    assert unfinished(place) == 0


def test_streams_and_states_of_every_kind_come_back_in_order(
    store: BaseStore, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventsourcing_kit.jobs.building._ROWS", 200)
    wordy: Projection[dict[str, str]] = Projection("wordy", initial=dict)
    wordy.on("Said")(lambda _, event: {"text": event.data["text"] * 6})
    noise = random.Random(7)  # noqa: S311 - no secret
    wide = "".join(chr(noise.randrange(0x100, 0x2000)) for _ in range(45_000))  # six of them do not fit into an item
    names = [
        *("a", "a\0", "a\0b", "a#b", "ä", "z" * 899, "z" * 900, "z" * 901, "z" * 2_048),
        *(f"{'z' * 899}ä", f"{'z' * 899}äz", f"{'z' * 899}\U0001f408z", "\U0001f408" * 511, "\U0001f408" * 512),
    ]
    texts = {name: wide if name in ("a", "z" * 901) else f"of {number}" for number, name in enumerate(names)}
    for name, text in texts.items():
        store.append(event("Said", stream=name, time="2026-03-01T12:00:00Z", text=text))
    publish(wordy, store, place, streams=names)
    with read_view(wordy, place) as reading:
        assert [name for name, _ in reading.states()] == sorted(names, key=str.encode)
        assert {name: reading.state(name) for name in names} == dict(reading.states())
        assert dict(reading.states()) == {name: {"text": text * 6} for name, text in texts.items()}
    assert check_view(wordy, store, place).ok


def test_a_name_that_no_view_can_have_is_refused(store: BaseStore, place: str) -> None:
    with pytest.raises(InvalidOption, match="begins with none of"):
        publish(Projection("eskit_views", initial=dict), store, place)
    with pytest.raises(InvalidOption, match="a projection whose name takes 1,000 bytes at most"):
        publish(Projection("ä" * 501, initial=dict), store, place)


# Several builds at once


def test_of_two_builds_the_one_that_was_begun_last_wins(store: BaseStore, place: str) -> None:
    def while_another_is_built(_: View, done: int) -> None:
        if done == 3:
            count(store, "a", 5)
            made(store, place)

    with pytest.raises(ViewReplaced, match="was replaced by a later build while building it"):
        made(store, place, progress=while_another_is_built)
    assert totals(place) == {"a": 6, "b": 1, "c": 1, "d": 1, "e": 1}
    assert unfinished(place) == 0


def test_a_build_takes_the_place_of_one_that_was_begun_before_it_and_is_there_already(
    store: BaseStore, place: str
) -> None:
    with target_at(place, "counting", option="place") as earlier:
        with pytest.raises(StoppedError):
            made(store, place, progress=stop_at(3))
        ((name, begun),) = earlier.unfinished()

        def switch_to_the_other(_: View, done: int) -> None:
            if done == 3:
                earlier.switch(name, begun.done(states=3, events=3))
                assert totals(place) == {"a": 1, "b": 1, "c": 1}

        count(store, "a", 5)
        made(store, place, progress=switch_to_the_other)
    assert totals(place) == {"a": 6, "b": 1, "c": 1, "d": 1, "e": 1}


# Going on


def test_a_build_that_was_stopped_is_gone_on_with(
    store: BaseStore, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(StoppedError):
        made(store, place, progress=stop_at(3))
    assert capsys.readouterr().out.count("talk") == 3
    seen: list[tuple[str, int]] = []
    view = made(
        store, place, resume=True, clock=lambda: NOW + DAY, progress=lambda view, rows: seen.append((view.began, rows))
    )
    assert capsys.readouterr().out.count("talk") == 2
    assert seen == [("2026-03-10T00:00:00.000000000Z", 4), ("2026-03-10T00:00:00.000000000Z", 5)]
    assert (view.states, view.events, view.began) == (5, 5, "2026-03-10T00:00:00.000000000Z")
    assert totals(place) == {"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}
    assert unfinished(place) == 0
    assert check_view(counting, store, place).ok


@pytest.mark.parametrize("workers", [1, 2])
def test_what_comes_or_expires_meanwhile_changes_nothing(tmp_path: Path, place: str, workers: int) -> None:
    url = f"sqlite:///{tmp_path / 'kept.db'}?retention_days=10"  # until the 11th of March
    with open_store(url, clock=lambda: NOW - DAY) as store:
        for name in ("a", "b", "c", "d", "e"):
            count(store, name, 1)
        with pytest.raises(StoppedError):
            made(store, place, progress=stop_at(2), workers=workers)
    with open_store(url, clock=lambda: NOW + 10 * DAY) as store:
        store.append(event("Counted", stream="b0", time="2026-03-19T12:00:00Z", number=100))
        store.append(event("Counted", stream="d", time="2026-03-19T12:00:00Z", number=100))
        made(store, place, resume=True, clock=lambda: NOW + 10 * DAY, workers=workers)
    assert totals(place) == {"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}


def test_resuming_where_nothing_was_begun_begins(store: BaseStore, place: str) -> None:
    assert made(store, place, resume=True).states == 5
    count(store, "a", 5)
    assert made(store, place, resume=True).states == 5
    assert totals(place)["a"] == 6


def test_a_build_that_was_stopped_is_removed_by_the_next_one(store: BaseStore, place: str) -> None:
    with pytest.raises(StoppedError):
        made(store, place, progress=stop_at(3))
    assert unfinished(place) == 1
    made(store, place)
    assert unfinished(place) == 0


@pytest.mark.parametrize(
    ("other", "message"),
    [
        ({"at": "2026-03-06"}, "at 2026-03-06T00:00:00.000000000Z', expected at 2026-03-05T00:00:00.000000000Z"),
        ({"at": None}, "no at', expected at 2026-03-05T00:00:00.000000000Z"),
        ({"known_at": "2026-03-06"}, "known_at 2026-03-06T00:00:00.000000000Z', expected no known_at"),
        ({"streams": "a"}, """streams "a"', expected streams null"""),
        ({"on_error": "skip"}, "on_error skip', expected on_error raise"),
    ],
    ids=str,
)
def test_a_build_of_another_question_is_not_gone_on_with(
    store: BaseStore, place: str, other: dict[str, Any], message: str
) -> None:
    with pytest.raises(StoppedError):
        made(store, place, at="2026-03-05", progress=stop_at(3))
    with pytest.raises(InvalidOption) as caught:
        made(store, place, resume=True, **{"at": "2026-03-05", **other})
    assert message in str(caught.value)
    assert unfinished(place) == 1


def test_the_build_of_the_same_question_is_found_among_others(
    store: BaseStore, place: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(StoppedError):
        made(store, place, at="6d ago", progress=stop_at(4))
    with pytest.raises(StoppedError):
        made(store, place, at="2026-03-07", progress=stop_at(1))
    capsys.readouterr()
    view = made(store, place, at="6d ago", resume=True, clock=lambda: NOW + DAY)
    assert view.at == "2026-03-04T00:00:00.000000000Z"
    assert capsys.readouterr().out.count("talk") == 1
    assert unfinished(place) == 1  # the other one was begun later


def test_a_build_of_other_code_is_not_gone_on_with(store: BaseStore, place: str) -> None:
    with pytest.raises(StoppedError):
        made(store, place, progress=stop_at(3))
    other: Projection[int] = Projection("counting", initial=int, version=3)
    other.on("Counted")(lambda state, _: state + 1)
    with pytest.raises(InvalidOption, match="expected fingerprint"):
        publish(other, store, place, resume=True, clock=lambda: NOW)
