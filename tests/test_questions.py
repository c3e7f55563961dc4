"""Every question, on every kind of store, from Python and from the command line, says what brute force says."""

from __future__ import annotations

import json
import math
from itertools import count, pairwise
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventsourcing_kit import bisect, blame, diff, history, open_store, parse, rebuild, revisions
from eventsourcing_kit.errors import EndsAgree
from eventsourcing_kit.moment import from_rfc3339, to_canonical
from eventsourcing_kit.patches import ABSENT, apply_patch
from eventsourcing_kit.testing import Clock, envelope
from tests.board import Board, board
from tests.eskit import Desk, desk_at
from tests.model import MISSING, Fact, Model, text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventsourcing_kit.stores.base import BaseStore

BEGIN: Final = from_rfc3339("2026-03-01T00:00:00Z")
HOUR: Final = 3_600 * 1_000_000_000
NAMES: Final = ("a", "b", "~/")
VALUES: Final = st.sampled_from([0, 1, 1.0, True, None, "x", "", [], [1], [True], {"b": 1}, {"b": 1.0}, {}, 2**70])
POINTERS: Final = ("", "/count", "/notes", "/notes/0", "/notes/1", "/places/a", "/places/a/b", "/places/b/0", "/none")
STREAMS: Final = count(1)

changes = st.one_of(
    st.fixed_dictionaries({"type": st.just("Set"), "name": st.sampled_from(NAMES), "value": VALUES}),
    st.fixed_dictionaries({"type": st.just("Removed"), "name": st.sampled_from(NAMES)}),
    st.fixed_dictionaries({"type": st.just("Noted"), "at": st.integers(0, 2), "value": VALUES}),
    st.fixed_dictionaries({"type": st.just("Forgotten")}),
    st.fixed_dictionaries({"type": st.just("Unheard"), "value": VALUES}),
)
# Whole hours with a few nanoseconds, so that moments, milliseconds and times of recording coincide now and then.
moments = st.tuples(st.integers(0, 8), st.integers(0, 3)).map(lambda pair: BEGIN + pair[0] * HOUR + pair[1])
histories = st.lists(st.tuples(changes, moments, st.integers(0, 5)), min_size=1, max_size=9)
asked = st.integers(0, 10).map(lambda hours: BEGIN + hours * HOUR)


class Told:
    """A store whose clock the tests set, and what they have put into it."""

    def __init__(self, store: BaseStore, clock: Clock) -> None:
        self.store = store
        self.clock = clock

    def tell(self, history_: list[Any]) -> tuple[str, Model]:
        """A stream of its own with these events, and the model of it."""
        stream = f"board-{next(STREAMS)}"
        model = Model()
        for number, (change, ns, delay) in enumerate(history_):
            recorded = ns - ns % 1_000 + delay * HOUR
            self.clock.set(to_canonical(recorded))
            data = {name: value for name, value in change.items() if name != "type"}
            sample = envelope(change["type"], stream=stream, time=to_canonical(ns), seed=number, **data)
            event = parse(sample)
            assert self.store.append(event) == "stored"
            model.facts.append(Fact(event, ns, recorded, change["type"], data))
        return stream, model


@pytest.fixture(scope="module", params=["sqlite", "dynamodb"])
def told(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Told]:
    """One store of each kind for all examples: each has a stream of its own."""
    clock = Clock()
    url = f"sqlite:///{tmp_path_factory.mktemp('board')}/events.db"
    if request.param == "dynamodb":
        endpoint = request.getfixturevalue("dynamodb_endpoint")
        url = f"dynamodb://eskit-test-board?region=eu-west-1&endpoint_url={endpoint}"
    with open_store(url, clock=clock) as store:
        store.create_table()
        yield Told(store, clock)


many = settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])


def numbers(steps: Any) -> list[int]:
    return [step.number for step in steps]


def documents(states: Any) -> list[str]:
    return [text(state) for state in states]


def dumped(state: Board) -> str:
    return text(json.loads(board.to_json(state)))


@many
@given(histories, st.none() | asked, st.none() | asked, st.none() | asked)
def test_history_is_what_the_model_says(
    told: Told, history_: list[Any], start: int | None, at: int | None, known_at: int | None
) -> None:
    stream, model = told.tell(history_)
    facts = model.known(at, known_at)
    states = model.states(facts)
    shown = [place for place, fact in enumerate(facts) if start is None or fact.ns >= start]
    found = history(board, told.store, stream, start=moment(start), at=moment(at), known_at=moment(known_at))
    steps = list(found)
    assert numbers(steps) == [facts[place].number for place in shown]
    assert [dumped(step.state) for step in steps] == documents(states[place + 1] for place in shown)
    for step, place in zip(steps, shown, strict=True):
        assert text(apply_patch(states[place], step.patch)) == text(states[place + 1])
        assert bool(step.patch) == (text(states[place]) != text(states[place + 1]))
        assert step.folded == (facts[place].type != "Unheard")
    assert [text(row["state"]) for row in found.to_dicts()] == documents(states[place + 1] for place in shown)
    if steps:
        assert dumped(steps[-1].state) == dumped(rebuild_all_of(told, stream, at, known_at))


@many
@given(histories, st.data())
def test_diff_is_what_the_model_says(told: Told, history_: list[Any], data: st.DataObject) -> None:
    stream, model = told.tell(history_)
    known_at = data.draw(st.none() | asked)
    ends = []
    for _ in range(2):
        number = data.draw(st.none() | st.integers(1, len(history_)))
        ends.append((data.draw(asked), None) if number is None else (None, number))
    facts = model.known(None, known_at)
    states = model.states(facts)
    places = [
        sum(fact.ns <= (ns or 0) if number is None else fact.number <= number for fact in facts) for ns, number in ends
    ]
    texts = [f"event:{number}" if ns is None else to_canonical(ns) for ns, number in ends]
    found = diff(board, told.store, stream, *texts, known_at=moment(known_at))
    before, after = (states[place] for place in places)
    assert (dumped(found.before), dumped(found.after)) == (text(before), text(after))
    assert text(apply_patch(before, found.patch)) == text(after)
    assert dumped(found.apply(found.before)) == text(after)
    assert bool(found) == (text(before) != text(after))
    last = facts[: max(places)]
    since = facts[min(places) - 1].number if min(places) else 0
    for pointer, number in found.numbers.items():
        assert number == model.touched(last, since, pointer)
        assert found.touched[pointer].id == next(fact.event.id for fact in facts if fact.number == number)
    assert set(found.touched) >= {operation["path"] for operation in found.patch}


@many
@given(histories, st.sampled_from(POINTERS), st.none() | asked, st.none() | asked)
def test_blame_is_what_the_model_says(
    told: Told, history_: list[Any], pointer: str, at: int | None, known_at: int | None
) -> None:
    stream, model = told.tell(history_)
    found = blame(board, told.store, stream, pointer, at=moment(at), known_at=moment(known_at))
    expected = model.blame(model.known(at, known_at), pointer)
    shown = [
        (each.number, *(MISSING if value is ABSENT else value for value in (each.old, each.new))) for each in found
    ]
    assert [(number, text(old), text(new)) for number, old, new in shown] == [
        (number, text(old), text(new)) for number, old, new in expected
    ]


@many
@given(histories, st.integers(0, 4), st.none() | asked, st.booleans())
def test_bisect_is_what_the_model_says(
    told: Told, history_: list[Any], limit: int, known_at: int | None, as_text: bool
) -> None:
    stream, model = told.tell(history_)
    facts = model.known(None, known_at)
    states = model.states(facts)
    flips = model.flips(facts, limit)
    check: Any = lambda state: state.count - len(state.notes) <= limit  # noqa: E731
    if as_text:
        check = f"count <= sum([length(notes), `{limit}`])"
    options: dict[str, Any] = {"known_at": moment(known_at)}
    failing = [number for number, passes in flips if not passes]
    if not failing:
        for flips_too in (False, True):
            with pytest.raises(EndsAgree):
                bisect(board, told.store, stream, check, flips=flips_too, **options)
        return
    all_of_them = bisect(board, told.store, stream, check, flips=True, **options)
    assert [(flip.number, flip.passes) for flip in all_of_them.flips] == flips
    assert all_of_them.number == failing[0]
    if flips[-1][1]:  # it passes at the end again
        with pytest.raises(EndsAgree):
            bisect(board, told.store, stream, check, **options)
        return
    found = bisect(board, told.store, stream, check, **options)
    assert found.number in failing
    assert found.folds <= math.ceil(math.log2(max(len(history_), 1))) + 1
    for each in (found, all_of_them):
        place = [fact.number for fact in facts].index(each.number)
        assert (dumped(each.before), dumped(each.after)) == (text(states[place]), text(states[place + 1]))


@many
@given(histories, asked)
def test_revisions_are_what_the_model_says(told: Told, history_: list[Any], at: int) -> None:
    stream, model = told.tell(history_)
    late = sorted({fact.recorded for fact in model.known(at, None) if fact.recorded > at})
    found = list(revisions(board, told.store, stream, at=to_canonical(at)))
    assert [revision.known_at_ns for revision in found] == [at, *late]
    for revision in found:
        facts = model.known(at, revision.known_at_ns)
        assert text(revision.document) == text(model.states(facts)[-1])
        came = [fact.event.id for fact in facts if fact.recorded == revision.known_at_ns > at]
        assert sorted(event.id for event in revision.came) == sorted(came)
    for before, after in pairwise(found):
        assert text(apply_patch(before.document, after.patch)) == text(after.document)


@many
@given(histories, st.none() | asked, st.sampled_from(POINTERS))
def test_the_command_line_and_a_frame_say_the_same(
    told: Told, desk: Desk, history_: list[Any], known_at: int | None, pointer: str
) -> None:
    stream, model = told.tell(history_)
    options = [] if known_at is None else ["--known-at", to_canonical(known_at)]
    known: dict[str, Any] = {"known_at": moment(known_at)}
    first, last = f"event:{len(history_)}", to_canonical(BEGIN + 4 * HOUR)

    def said(*arguments: str) -> list[str]:
        done = desk.run(*arguments, *options, "--app", "tests.board", "--store", told.store.url)
        assert done.code == 0, done.err
        return done.out.splitlines()

    store = told.store
    assert said("timeline", "board", stream) == list(history(board, store, stream, **known).to_json_lines())
    assert said("diff", "board", stream, first, last) == list(
        diff(board, store, stream, first, last, **known).to_json_lines()
    )
    assert said("blame", "board", stream, pointer) == list(
        blame(board, store, stream, pointer, **known).to_json_lines()
    )
    assert said("revisions", "board", stream, last) == list(
        revisions(board, store, stream, at=last, **known).to_json_lines()
    )
    failing = [number for number, passes in model.flips(model.known(None, known_at), 1) if not passes]
    if failing:
        check = "count <= sum([length(notes), `1`])"
        assert said("bisect", "board", stream, check, "--flips") == list(
            bisect(board, store, stream, check, flips=True, **known).to_json_lines()
        )


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with pytest.MonkeyPatch.context() as patch, desk_at(tmp_path_factory.mktemp("desk"), patch) as desk:
        yield desk


def moment(ns: int | None) -> str | None:
    return None if ns is None else to_canonical(ns)


def rebuild_all_of(told: Told, stream: str, at: int | None, known_at: int | None) -> Board:
    return rebuild(board, told.store, stream, at=moment(at), known_at=moment(known_at)).state
