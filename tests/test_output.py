from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from pyarrow import parquet  # type: ignore[import-untyped]

from eventsourcing_kit import Event, Projection, open_store, output, rebuild, rebuild_all
from eventsourcing_kit.errors import InvalidOption, InvalidProjection, StoreUnavailable
from eventsourcing_kit.testing import Clock, event

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from eventsourcing_kit import Rebuilt
    from eventsourcing_kit.outcomes import StreamFailure
    from eventsourcing_kit.stores.base import BaseStore


PAID = event("Paid", id="e-1", time="2026-03-01T11:03:27.123456789Z", amount=12)
paid: Projection[dict[str, Any]] = Projection("paid", initial=dict, version=3)


@paid.on("Paid")
def add(state: dict[str, Any], event: Event) -> dict[str, Any]:
    return {**state, **event.data}


@pytest.fixture
def store() -> Iterator[BaseStore]:
    with open_store("sqlite://", clock=Clock()) as store:
        store.append(PAID)
        yield store


def answers(store: BaseStore, *streams: str) -> Iterator[Rebuilt[Any]]:
    return rebuild_all(paid, store, streams=streams or None, at="2026-03-02", clock=Clock())


def test_an_answer_as_json_has_all_that_it_is_worth(store: BaseStore) -> None:
    store.append(event("Lost", time="2026-03-01T12:00:00Z"))
    answer = rebuild(paid, store, "order-17", at="2026-03-02", known_at="2026-03-03", clock=Clock())
    assert json.loads(output.to_json(paid, answer)) == {
        "stream": "order-17",
        "projection": "paid",
        "version": 3,
        "at": "2026-03-02T00:00:00.000000000Z",
        "known_at": "2026-03-03T00:00:00.000000000Z",
        "events": 1,
        "last": {"id": "e-1", "key": "2026-03-01T11:03:27.123Z#Paid", "type": "Paid"},
        "complete": True,
        "warnings": [
            {
                "kind": "unknown type",
                "count": 1,
                "message": answer.warnings[0].message,
                "keys": ["2026-03-01T12:00:00.000Z#Lost"],
            }
        ],
        "state": {"primaryKey": "order-17", "amount": 12},
    }


def test_an_answer_without_any_event_says_so(store: BaseStore) -> None:
    answer = rebuild(paid, store, "order-18")
    found = json.loads(output.to_json(paid, answer))
    assert (found["events"], found["last"], found["at"], found["known_at"], found["state"]) == (0, None, None, None, {})


def test_integers_beyond_a_double_keep_all_their_digits(store: BaseStore) -> None:
    store.append(event("Paid", stream="big", amount=123456789012345678901234567890))
    text = output.to_json(paid, rebuild(paid, store, "big"))
    assert '"amount":123456789012345678901234567890' in text


def test_what_a_terminal_would_obey_is_escaped_and_means_the_same(store: BaseStore) -> None:
    hostile = "\x1b[31m \x9b2J \u202e \u2066 \u2028 \x7f \ufeff"
    store.append(event("Paid", stream=hostile, note=hostile))
    text = output.to_json(paid, rebuild(paid, store, hostile))
    assert text.isprintable()
    assert text.isascii()
    assert (json.loads(text)["stream"], json.loads(text)["state"]["note"]) == (hostile, hostile)


def test_text_that_only_is_not_ascii_stays_as_it_is(store: BaseStore) -> None:
    store.append(event("Paid", stream="größe-漢字-😀"))
    assert '"größe-漢字-😀"' in output.to_json(paid, rebuild(paid, store, "größe-漢字-😀"))


def test_a_state_that_is_no_json_is_an_error_without_anything_of_it() -> None:
    odd: Projection[dict[str, Any]] = Projection("odd", initial=dict)

    @odd.on()
    def keep(state: dict[str, Any], event: Event) -> dict[str, Any]:
        return {"note": event.data["note"] + "\ud800"}

    with open_store("sqlite://") as store:
        store.append(event("Paid", note="canary"))
        answer = rebuild(odd, store, "order-17")
    with pytest.raises(InvalidProjection) as raised:
        output.to_json(odd, answer)
    assert raised.value.projection == "odd"
    assert "'order-17'" in str(raised.value)
    assert "canary" not in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_a_state_of_another_type_than_the_initial_one_warns_nobody_of_its_content() -> None:
    total = Projection("total", initial=int)

    @total.on()
    def keep(state: int, event: Event) -> int:
        note: int = event.data["note"]
        return note

    with open_store("sqlite://") as store:
        store.append(event("Paid", note="canary"))
        assert output.state_json(total, rebuild(total, store, "order-17")) == '"canary"'  # and no warning fails this


@pytest.mark.parametrize("name", ["answers.jsonl", "answers.parquet"])
def test_the_ending_decides_the_format(store: BaseStore, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert output.write(path, paid, answers(store)) == 1
    if name.endswith(".jsonl"):
        found = [json.loads(line)["state"]["amount"] for line in path.read_text().splitlines()]
    else:
        found = [json.loads(row["state"])["amount"] for row in parquet.read_table(path).to_pylist()]
    assert found == [12]


def test_a_row_of_parquet_has_typed_columns(store: BaseStore, tmp_path: Path) -> None:
    path = tmp_path / "answers.parquet"
    output.write(path, paid, answers(store, "order-17", "order-18"))
    table = parquet.read_table(path)
    assert {field.name: str(field.type) for field in table.schema} == {
        "stream": "string",
        "projection": "string",
        "version": "int64",
        "at": "timestamp[us, tz=UTC]",
        "known_at": "timestamp[us, tz=UTC]",
        "events": "int64",
        "last_id": "string",
        "last_key": "string",
        "last_type": "string",
        "complete": "bool",
        "warnings": "list<element: string>",
        "state": "string",
    }
    assert table.to_pylist() == [
        {
            "stream": "order-17",
            "projection": "paid",
            "version": 3,
            "at": datetime(2026, 3, 2, tzinfo=UTC),
            "known_at": None,
            "events": 1,
            "last_id": "e-1",
            "last_key": "2026-03-01T11:03:27.123Z#Paid",
            "last_type": "Paid",
            "complete": True,
            "warnings": [],
            "state": '{"primaryKey":"order-17","amount":12}',
        },
        {
            "stream": "order-18",
            "projection": "paid",
            "version": 3,
            "at": datetime(2026, 3, 2, tzinfo=UTC),
            "known_at": None,
            "events": 0,
            "last_id": None,
            "last_key": None,
            "last_type": None,
            "complete": True,
            "warnings": [],
            "state": "{}",
        },
    ]


def test_no_answer_at_all_is_a_parquet_file_without_rows(store: BaseStore, tmp_path: Path) -> None:
    path = tmp_path / "answers.parquet"
    assert output.write(path, paid, iter(())) == 0
    assert parquet.read_table(path).num_rows == 0
    assert "state" in parquet.read_table(path).column_names


def test_parquet_is_written_in_row_groups_of_bounded_size(
    store: BaseStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output, "_GROUP_ROWS", 2)
    path = tmp_path / "answers.parquet"
    assert output.write(path, paid, answers(store, *"abcde")) == 5
    groups = parquet.ParquetFile(path).metadata
    assert [groups.row_group(number).num_rows for number in range(groups.num_row_groups)] == [2, 2, 1]
    monkeypatch.setattr(output, "_GROUP_TEXT", 2)
    output.write(path, paid, answers(store, *"abc"))
    assert parquet.ParquetFile(path).metadata.num_row_groups == 3


def test_each_answer_is_written_before_the_next_one_is_asked_for(store: BaseStore, tmp_path: Path) -> None:
    read: list[str] = []

    def watched() -> Iterator[Rebuilt[Any]]:
        for answer in answers(store, "order-17", "order-18"):
            read.append(answer.stream)
            yield answer

    for index, line in enumerate(output._each(output.to_json, paid, watched(), None), start=1):
        assert json.loads(line)["stream"] == read[-1]
        assert len(read) == index


@pytest.mark.parametrize("name", ["answers.jsonl", "answers.parquet"])
def test_a_file_that_could_not_be_finished_leaves_the_old_one_and_no_trace(
    store: BaseStore, tmp_path: Path, name: str
) -> None:
    path = tmp_path / name
    path.write_text("yesterday's")

    def broken() -> Iterator[Rebuilt[Any]]:
        yield from answers(store)
        raise StoreUnavailable("sqlite://", code="gone", doing="reading")

    with pytest.raises(StoreUnavailable):
        output.write(path, paid, broken())
    assert path.read_text() == "yesterday's"
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_an_interrupted_file_leaves_no_trace(store: BaseStore, tmp_path: Path) -> None:
    def interrupted() -> Iterator[Rebuilt[Any]]:
        yield from answers(store)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        output.write(tmp_path / "answers.jsonl", paid, interrupted())
    assert list(tmp_path.iterdir()) == []


def test_a_link_stays_a_link(store: BaseStore, tmp_path: Path) -> None:
    target, link = tmp_path / "real.jsonl", tmp_path / "answers.jsonl"
    link.symlink_to(target)
    output.write(link, paid, answers(store))
    assert link.is_symlink()
    assert json.loads(target.read_text())["stream"] == "order-17"


def test_the_file_has_the_rights_that_any_new_file_has(store: BaseStore, tmp_path: Path) -> None:
    (tmp_path / "ordinary").touch()
    output.write(tmp_path / "answers.jsonl", paid, answers(store))
    assert (tmp_path / "answers.jsonl").stat().st_mode == (tmp_path / "ordinary").stat().st_mode


@pytest.mark.parametrize("name", ["answers.jsonl", "answers.parquet"])
def test_a_state_that_is_no_json_is_listed_and_the_others_are_written(tmp_path: Path, name: str) -> None:
    odd: Projection[dict[str, Any]] = Projection("odd", initial=dict)

    @odd.on("Odd")
    def spoil(state: dict[str, Any], event: Event) -> dict[str, Any]:
        return {"not": object()}

    failures: list[StreamFailure] = []
    with open_store("sqlite://") as store:
        store.append_many([event("Odd", stream="a"), event("Even", stream="b"), event("Odd", stream="c")])
        assert output.write(tmp_path / name, odd, rebuild_all(odd, store), failures=failures) == 1
        assert [failure.stream for failure in failures] == ["a", "c"]
        with pytest.raises(InvalidProjection):
            output.write(tmp_path / f"strict-{name}", odd, rebuild_all(odd, store))
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("name", ["answers.csv", "answers", "nowhere/answers.jsonl", "folder.jsonl"])
def test_a_path_that_can_not_be_written_is_refused_before_anything_is_rebuilt(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder.jsonl").mkdir()

    def never() -> Iterator[Rebuilt[Any]]:
        raise AssertionError("asked for an answer")
        yield

    with pytest.raises(InvalidOption, match="output: found"):
        output.write(tmp_path / name, paid, never())


def test_without_pyarrow_parquet_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(InvalidOption, match=r"pip install 'eventsourcing-kit\[parquet\]'"):
        output.check_output(tmp_path / "answers.parquet")
    output.check_output(tmp_path / "answers.jsonl")
