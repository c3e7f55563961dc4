"""Golden histories: what is compared, what is said where two part, and that nothing passes by not being there."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as for_all
from hypothesis import strategies as st

from eventsourcing_kit import Event, Projection, open_store, parse
from eventsourcing_kit.errors import EventConflict, FoldFailed, IncompleteStream, InvalidEnvelope, InvalidOption
from eventsourcing_kit.testing import Clock, EventFactory, assert_replay, envelope, write_history
from eventsourcing_kit.testing.updating import UPDATED
from tests.eskit import lines
from tests.hostile import HOSTILE


@dataclass(frozen=True)
class Order:
    status: str = "new"
    paid: int = 0
    lines: tuple[str, ...] = ()


def orders(*, fee: int = 0, version: int = 1, name: str = "orders") -> Projection[Order]:
    made = Projection(name, initial=Order, version=version)

    @made.on("ItemAdded")
    def added(state: Order, event: Event) -> Order:
        return replace(state, lines=(*state.lines, event.data["item"]))

    @made.on("Paid")
    def paid(state: Order, event: Event) -> Order:
        return replace(state, status="paid", paid=state.paid + event.data["amount"] + fee)

    @made.on("Broken")
    def broken(state: Order, event: Event) -> Order:
        raise KeyError("canary")

    return made


HISTORY = [
    envelope("ItemAdded", id="e-1", time="2026-03-01T11:00:00Z", item="pen"),
    envelope("Noted", id="e-2", time="2026-03-01T11:01:00Z"),
    envelope("Paid", id="e-3", time="2026-03-01T11:02:00Z", amount=3),
]
GOLDEN = """\
{"projection":"orders","version":1,"initial":{"status":"new","paid":0,"lines":[]}}
{"stream":"order-17","number":1,"type":"ItemAdded","id":"e-1","key":"2026-03-01T11:00:00.000Z#ItemAdded",\
"patch":[{"op":"add","path":"/lines/0","value":"pen"}]}
{"stream":"order-17","number":2,"type":"Noted","id":"e-2","key":"2026-03-01T11:01:00.000Z#Noted","patch":[]}
{"stream":"order-17","number":3,"type":"Paid","id":"e-3","key":"2026-03-01T11:02:00.000Z#Paid",\
"patch":[{"op":"replace","path":"/status","value":"paid"},{"op":"replace","path":"/paid","value":3}]}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with one history and its golden file."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "h").mkdir()
    (tmp_path / "h" / "a.jsonl").write_text(lines(HISTORY))
    (tmp_path / "h" / "a.orders.golden.jsonl").write_text(GOLDEN)
    return tmp_path


def parts(folder: Path, projection: Projection[Any, Any], **options: Any) -> list[str]:
    """The lines that say where a projection parts from the golden file."""
    with pytest.raises(AssertionError) as raised:
        assert_replay(folder / "h/*.jsonl", projection, **options)
    return str(raised.value).splitlines()


def test_a_golden_file_has_each_event_with_the_change_that_it_makes(folder: Path) -> None:
    (folder / "h/a.orders.golden.jsonl").unlink()
    assert_replay(folder / "h/*.jsonl", orders(), update=True)
    written = (folder / "h/a.orders.golden.jsonl").read_text()
    assert sorted(json.dumps(json.loads(line), sort_keys=True) for line in written.splitlines()[:3]) == sorted(
        json.dumps(json.loads(line), sort_keys=True) for line in GOLDEN.splitlines()[:3]
    )
    assert_replay(folder / "h/*.jsonl", orders())


def test_the_same_code_agrees_with_its_golden_file(folder: Path) -> None:
    assert_replay(folder / "h/*.jsonl", orders())
    assert_replay(folder / "h/a.jsonl", orders())


def test_the_first_event_at_which_the_states_part_is_named_with_both_values(folder: Path) -> None:
    assert parts(folder, orders(fee=1)) == [
        "'h/a.jsonl' through projection 'orders', version 1, parts from 'h/a.orders.golden.jsonl', of version 1, at "
        "event 3 'Paid' at '2026-03-01T11:02:00.000Z#Paid', id 'e-3', of stream 'order-17':",
        "  /paid: expected 3, found 4",
        "  where that is meant: raise its version, and pytest --update-golden",
    ]
    assert parts(folder, orders(fee=1, version=2))[-1] == "  where that is meant: pytest --update-golden"


def test_a_new_version_with_the_same_states_agrees(folder: Path) -> None:
    assert_replay(folder / "h/*.jsonl", orders(version=2))


def test_the_order_of_lines_and_redeliveries_do_not_matter(folder: Path) -> None:
    (folder / "h/a.jsonl").write_text(lines([*reversed(HISTORY), *HISTORY]))
    assert_replay(folder / "h/*.jsonl", orders())


def test_twins_are_two_events_and_stand_in_the_stores_order(folder: Path) -> None:
    twins = [envelope("ItemAdded", time="2026-03-01T11:00:00.000001Z", item=item) for item in ("ink", "cap", "nib")]
    (folder / "h/b.jsonl").write_text(lines(twins))
    assert_replay(folder / "h/b.jsonl", orders(), update=True)
    (folder / "h/b.jsonl").write_text(lines(twins[::-1]))
    assert_replay(folder / "h/*.jsonl", orders())
    assert len((folder / "h/b.orders.golden.jsonl").read_text().splitlines()) == 4


def test_other_operations_that_come_to_the_same_state_agree(folder: Path) -> None:
    whole = '[{"op":"replace","path":"","value":{"lines":["pen"],"paid":0,"status":"new"}}]'
    golden = GOLDEN.replace('[{"op":"add","path":"/lines/0","value":"pen"}]', whole)
    assert whole in golden
    (folder / "h/a.orders.golden.jsonl").write_text(golden)
    assert_replay(folder / "h/*.jsonl", orders())


def test_an_initial_state_that_changed_is_seen_at_the_first_event_unless_that_overwrites_it(folder: Path) -> None:
    (folder / "h/a.orders.golden.jsonl").write_text(GOLDEN.replace('"status":"new"', '"status":"open"'))
    assert parts(folder, orders())[1] == '  /status: expected "open", found "new"'
    assert "event 1 'ItemAdded'" in parts(folder, orders())[0]


def test_one_and_one_point_nought_and_true_are_three_values(folder: Path) -> None:
    (folder / "h/a.orders.golden.jsonl").write_text(GOLDEN.replace('"value":3', '"value":3.0'))
    assert parts(folder, orders())[1] == "  /paid: expected 3.0, found 3"


def test_a_new_event_and_a_missing_one_are_named(folder: Path) -> None:
    late = envelope("Noted", id="e-9", time="2026-03-01T11:01:30Z")
    (folder / "h/a.jsonl").write_text(lines([*HISTORY, late]))
    new = parts(folder, orders())
    assert "at event 3 'Noted' at '2026-03-01T11:01:30.000Z#Noted', id 'e-9'" in new[0]
    assert new[1:] == [
        "  the golden file has no such event (1 new, 0 missing)",
        "  where that is meant: pytest --update-golden",
    ]
    (folder / "h/a.jsonl").write_text(lines(HISTORY[:1] + HISTORY[2:]))
    missing = parts(folder, orders())
    assert "at event 2 'Noted' at '2026-03-01T11:01:00.000Z#Noted', id 'e-2'" in missing[0]
    assert missing[1] == "  the history has no such event (0 new, 1 missing)"
    (folder / "h/a.jsonl").write_text(lines(HISTORY[:2]))
    assert "at event 3 'Paid'" in parts(folder, orders())[0]
    (folder / "h/a.jsonl").write_text(lines([*HISTORY[:2], envelope("Paid", id="e-4", amount=1)]))
    assert parts(folder, orders())[1] == "  the golden file has no such event (1 new, 1 missing)"


def test_an_event_at_another_place_is_named(folder: Path) -> None:
    moved = GOLDEN.splitlines(keepends=True)
    (folder / "h/a.orders.golden.jsonl").write_text("".join([moved[0], moved[2], moved[1], moved[3]]))
    assert parts(folder, orders())[1] == "  it stood at another place (0 new, 0 missing)"


def test_a_state_that_parts_before_an_event_is_new_is_what_is_named(folder: Path) -> None:
    (folder / "h/a.jsonl").write_text(lines([*HISTORY, envelope("Noted", id="e-9", time="2026-03-01T12:00:00Z")]))
    assert "at event 3 'Paid'" in parts(folder, orders(fee=1))[0]


def test_several_streams_of_a_file_are_folded_each_by_itself(folder: Path) -> None:
    (folder / "h/a.jsonl").write_text(
        lines([envelope("Paid", stream=name, amount=number) for name in ("b", "a") for number in (1, 2)])
    )
    assert_replay(folder / "h/a.jsonl", orders(), update=True)
    entries = [json.loads(line) for line in (folder / "h/a.orders.golden.jsonl").read_text().splitlines()[1:]]
    assert [(entry["stream"], entry["number"]) for entry in entries] == [("a", 1), ("a", 2), ("b", 1), ("b", 2)]
    assert_replay(folder / "h/a.jsonl", orders())
    assert ", of stream 'a':" in parts(folder, orders(fee=1))[0]


def test_a_pattern_that_names_no_history_is_an_error(folder: Path) -> None:
    for pattern in ("none/*.jsonl", "*.golden.jsonl", "h"):
        with pytest.raises(AssertionError, match="names no history in"):
            assert_replay(folder / pattern, orders())


def test_a_folder_is_taken_as_it_is_called_and_only_the_pattern_is_one(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = (folder / "h").rename(folder / "orders [march]")
    monkeypatch.chdir(odd)
    caller = compile("assert_replay('a*.jsonl', projection)", "test_x.py", "exec")
    exec(caller, {"assert_replay": assert_replay, "projection": orders(), "__file__": str(odd / "test_x.py")})  # noqa: S102 - a caller in that folder


def test_a_pattern_starts_from_the_folder_of_the_file_that_calls(folder: Path) -> None:
    (folder / "deep").mkdir()
    code = compile("assert_replay('../h/a*.jsonl', projection)", "test_x.py", "exec")
    names = {"assert_replay": assert_replay, "projection": orders()}
    exec(code, {**names, "__file__": str(folder / "deep" / "test_x.py")})  # noqa: S102 - a caller in another folder
    with pytest.raises(AssertionError, match="names no history"):
        exec(code, dict(names))  # noqa: S102 - a caller without a file
    exec(code.replace(co_consts=("h/a.jsonl", None)), dict(names))  # noqa: S102 - as above


def test_a_history_may_be_compressed(folder: Path) -> None:
    (folder / "h/a.jsonl").rename(folder / "h/plain")
    (folder / "h/a.jsonl.gz").write_bytes(gzip.compress((folder / "h/plain").read_bytes()))
    assert_replay(folder / "h/*.jsonl.gz", orders())


def test_two_histories_do_not_share_a_golden_file(folder: Path) -> None:
    (folder / "h/a.jsonl.gz").write_bytes(gzip.compress(lines(HISTORY).encode()))
    with pytest.raises(AssertionError, match=r"two histories would share the golden file 'h/a\.orders"):
        assert_replay(folder / "h/a.jsonl*", orders())


def test_a_history_without_an_event_is_an_error(folder: Path) -> None:
    (folder / "h/a.jsonl").write_text("\n\n")
    assert parts(folder, orders()) == ["the history 'h/a.jsonl' has no event"]


def test_a_missing_golden_file_is_an_error_that_says_how_to_make_it_and_is_not_made(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CI", "true")
    (folder / "h/a.orders.golden.jsonl").unlink()
    assert parts(folder, orders()) == [
        "there is no golden file 'h/a.orders.golden.jsonl'; make it, look at it, and commit it: pytest --update-golden"
    ]
    assert [path.name for path in (folder / "h").iterdir()] == ["a.jsonl"]


@pytest.mark.parametrize(
    ("golden", "reason"),
    [
        ("", "it is not of projection 'orders'"),
        (GOLDEN.replace('"orders"', '"others"'), "it is not of projection 'orders'"),
        (GOLDEN[:-20] + "\n", "line 4 is none that it can have"),
        (GOLDEN.replace('"number":2', '"number":"2"'), "line 3 is none that it can have"),
        ("<<<<<<< HEAD\n" + GOLDEN, "line 1 is none that it can have"),
        (GOLDEN.replace("/lines/0", "/lines/7"), "its patch does not fit at event 1 'ItemAdded'"),
        (GOLDEN.replace('"op":"add"', '"op":"adds"'), "its patch does not fit at event 1 'ItemAdded'"),
        (GOLDEN.replace('"op":"add",', ""), "its patch does not fit at event 1 'ItemAdded'"),
    ],
)
def test_a_golden_file_that_is_none_is_an_error(folder: Path, golden: str, reason: str) -> None:
    (folder / "h/a.orders.golden.jsonl").write_text(golden)
    (line,) = parts(folder, orders())
    assert line.startswith(f"the golden file 'h/a.orders.golden.jsonl' can not be read: {reason}")
    assert line.endswith("; write it anew: pytest --update-golden")


def test_a_projection_that_raises_is_fold_failed_with_the_event_and_the_file(folder: Path) -> None:
    (folder / "h/a.jsonl").write_text(lines([*HISTORY, envelope("Broken", id="e-4", time="2026-03-01T12:00:00Z")]))
    before = (folder / "h/a.orders.golden.jsonl").read_bytes()
    for update in (False, True):
        with pytest.raises(FoldFailed) as raised:
            assert_replay(folder / "h/*.jsonl", orders(), update=update)
        assert raised.value.event_id == "e-4"
        assert raised.value.__notes__ == ["in the history 'h/a.jsonl'"]
    assert (folder / "h/a.orders.golden.jsonl").read_bytes() == before
    assert len(list((folder / "h").iterdir())) == 2


def test_a_line_that_is_no_event_is_named(folder: Path) -> None:
    (folder / "h/a.jsonl").write_text(lines(HISTORY) + '\n{"id":7}\n')
    with pytest.raises(InvalidEnvelope) as raised:
        assert_replay(folder / "h/*.jsonl", orders())
    assert raised.value.__notes__ == ["in the history 'h/a.jsonl', line 5"]
    (folder / "h/a.jsonl").write_text(lines([*HISTORY, {**HISTORY[0], "source": "another"}]))
    with pytest.raises(EventConflict) as refused:
        assert_replay(folder / "h/*.jsonl", orders())
    assert refused.value.__notes__ == ["in the history 'h/a.jsonl', line 4"]


def test_golden_files_are_written_anew_only_where_they_differ(folder: Path) -> None:
    assert_replay(folder / "h/*.jsonl", orders(), update=True)
    written = (folder / "h/a.orders.golden.jsonl").stat()
    token = UPDATED.set([])
    try:
        assert_replay(folder / "h/*.jsonl", orders())
        assert UPDATED.get() == []
        assert (folder / "h/a.orders.golden.jsonl").stat() == written
        assert parts(folder, orders(fee=1), update=False)
        assert_replay(folder / "h/*.jsonl", orders(fee=1))
        assert UPDATED.get() == [folder / "h/a.orders.golden.jsonl"]
    finally:
        UPDATED.reset(token)
    assert parts(folder, orders())[1] == "  /paid: expected 4, found 3"


def test_new_code_is_compared_with_old(folder: Path) -> None:
    (folder / "h/a.orders.golden.jsonl").unlink()
    assert_replay(folder / "h/*.jsonl", orders(version=2), against=orders())
    assert parts(folder, orders(fee=1, version=2), against=orders(), update=True) == [
        "'h/a.jsonl' through projection 'orders', version 2, parts from projection 'orders', version 1, at "
        "event 3 'Paid' at '2026-03-01T11:02:00.000Z#Paid', id 'e-3', of stream 'order-17':",
        "  /paid: expected 3, found 4",
    ]
    assert [path.name for path in (folder / "h").iterdir()] == ["a.jsonl"]


def becoming(document: Any) -> Projection[Any]:
    made: Projection[Any] = Projection("p", initial=dict)
    made.on("Paid")(lambda _state, _event: document)
    return made


def test_each_kind_of_difference_is_told(folder: Path) -> None:
    def states(*documents: Any) -> list[str]:
        old, new = (becoming(document) for document in documents)
        with pytest.raises(AssertionError) as raised:
            assert_replay(folder / "h/*.jsonl", new, against=old)
        return str(raised.value).splitlines()[1:]

    assert states({"a": 1}, {"a": None}) == ["  /a: expected 1, found null"]
    assert states({"a": 1}, {}) == ["  /a: expected 1, found nothing"]
    assert states({}, {"a": 1}) == ["  /a: expected nothing, found 1"]
    assert states({"a": [7]}, {"b": [7]}) == ["  /b: expected nothing, found [7], expected at /a"]
    assert states({"a": 1}, {"a": "x" * 400}) == [f'  /a: expected 1, found "{"x" * 299}...']
    assert states({"a": 10**40}, {"a": 10**40 + 1}) == [f"  /a: expected {10**40}, found {10**40 + 1}"]
    many = states({}, {f"m{number:02}": number for number in range(30)})
    assert (len(many), many[-1]) == (11, "  ...")


def test_streams_may_stand_elsewhere_and_equal_facts_may_be_two(folder: Path) -> None:
    elsewhere = [{**HISTORY[2], "id": name, "detail": {"order": "o-1", "data": {"amount": 3}}} for name in ("x", "y")]
    (folder / "h/a.jsonl").write_text(lines(elsewhere))
    assert_replay(folder / "h/a.jsonl", orders(), update=True, stream_path="detail.order", identity="id")
    entries = (folder / "h/a.orders.golden.jsonl").read_text().splitlines()[1:]
    assert [json.loads(entry)["stream"] for entry in entries] == ["o-1", "o-1"]
    assert_replay(folder / "h/a.jsonl", orders(), stream_path="detail.order", identity="id")
    missing = parts(folder, orders(), stream_path="detail.order")
    assert missing[1] == "  the history has no such event (0 new, 1 missing)"


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_texts_are_told_and_do_nothing(folder: Path, hostile: str) -> None:
    sample = envelope("Paid", amount=1, stream=hostile[:500], id=hostile[:500], source=hostile)
    (folder / "h/a.jsonl").write_text(lines([sample]))
    assert_replay(folder / "h/*.jsonl", orders(name=f"../{hostile[:40]}\x00/"), update=True)
    (golden,) = (path for path in (folder / "h").iterdir() if path.name not in ("a.jsonl", "a.orders.golden.jsonl"))
    assert golden.read_bytes().count(b"\n") == 2
    assert_replay(folder / "h/*.jsonl", orders(name=f"../{hostile[:40]}\x00/"))
    said = parts(folder, orders(name=f"../{hostile[:40]}\x00/", fee=1))
    assert [line for line in said if not line.isprintable()] == []


def test_a_keyed_projection_has_golden_files_too(folder: Path) -> None:
    by_item = Projection("by_item", initial=int, key=lambda event: event.data.get("item"))

    @by_item.on()
    def count(state: int, _: Event) -> int:
        return state + 1

    assert_replay(folder / "h/*.jsonl", by_item, update=True)
    assert_replay(folder / "h/*.jsonl", by_item)
    golden = (folder / "h/a.by_item.golden.jsonl").read_text().splitlines()
    assert json.loads(golden[1])["patch"] == [{"op": "add", "path": "/pen", "value": 1}]


texts = st.text(st.characters(codec="utf-8"), max_size=5)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@for_all(st.lists(json_values, min_size=1, max_size=5))
def test_whatever_the_states_are_a_golden_file_says_them_again(
    tmp_path_factory: pytest.TempPathFactory, states: list[Any]
) -> None:
    folder = tmp_path_factory.mktemp("golden")
    make = EventFactory("s")
    with open_store("sqlite://") as store:
        store.append_many(make("T", n=number) for number in range(len(states)))
        write_history(store, "s", folder / "s.jsonl")
    either: Projection[Any] = Projection("either", initial=dict)

    @either.on()
    def become(state: Any, event: Event) -> Any:
        return {"value": states[event.data["n"]]}

    assert_replay(folder / "s.jsonl", either, update=True)
    assert_replay(folder / "s.jsonl", either, update=False)


# Histories out of a store


def test_a_stream_becomes_a_history_of_the_same_events(tmp_path: Path) -> None:
    with open_store("sqlite://") as store:
        store.append_many(map(parse, HISTORY))
        store.append(parse(envelope("Paid", stream="another", amount=1)))
        assert write_history(store, "order-17", tmp_path / "a.jsonl") == 3
        assert write_history(store, "order-17", tmp_path / "a.jsonl.gz", at="event:e-2") == 2
    assert [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()] == HISTORY
    packed = gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()).decode()
    assert packed == "".join((tmp_path / "a.jsonl").read_text().splitlines(keepends=True)[:2])


def test_the_same_events_make_the_same_compressed_bytes(tmp_path: Path) -> None:
    with open_store("sqlite://") as store:
        store.append_many(map(parse, HISTORY))
        for name in ("a.gz", "b.gz"):
            write_history(store, "order-17", tmp_path / name)
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()
    assert int.from_bytes((tmp_path / "a.gz").read_bytes()[4:8], "little") == 0


def test_a_stream_without_an_event_or_without_its_beginning_becomes_none(tmp_path: Path) -> None:
    clock = Clock("2026-03-01T12:00:00Z")
    with open_store("sqlite://?retention_days=1", clock=clock) as store:
        with pytest.raises(InvalidOption, match="expected a stream that has an event"):
            write_history(store, "order-17", tmp_path / "a.jsonl")
        store.append_many(map(parse, HISTORY))
        clock.set("2026-03-02T11:01:30Z")
        with pytest.raises(IncompleteStream, match="'order-17'"):
            write_history(store, "order-17", tmp_path / "a.jsonl")
    assert list(tmp_path.iterdir()) == []
