from __future__ import annotations

import csv
import io
import math
import sys
from datetime import UTC, datetime
from itertools import zip_longest
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import duckdb
import ibis  # type: ignore[import-untyped]
import pandas as pd  # type: ignore[import-untyped]
import polars as pl
import pyarrow as pa  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsourcing_kit.errors import InvalidOption
from eventsourcing_kit.frames import Column, Tabular, arrow
from eventsourcing_kit.moment import MAX_NS, MIN_NS, from_rfc3339
from tests.hostile import FORMULA, HOSTILE

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

COLUMNS = (
    Column("name"),
    Column("number", "int"),
    Column("share", "float"),
    Column("open", "bool"),
    Column("moment", "moment"),
    Column("detail", "json"),
    Column("found", "value"),
)
NOON = from_rfc3339("2026-03-01T12:00:00.123456789Z")
ROW = ("a", 1, 0.5, True, NOON, '{"b":[1,2]}', 7)
NOTHING = (None,) * 7


class Answer(Tabular):
    """A table of these rows."""

    def __init__(self, *rows: tuple[Any, ...], columns: tuple[Column, ...] = COLUMNS) -> None:
        self._given = rows
        self._names = columns

    def _columns(self) -> tuple[Column, ...]:
        return self._names

    def _rows(self) -> Iterable[tuple[Any, ...]]:
        return iter(self._given)


def one(*values: Any, kind: Any = "value") -> Answer:
    return Answer(*((value,) for value in values), columns=(Column("found", kind),))


def test_a_row_as_a_dict_has_python_values_with_moments_floored_to_the_microsecond() -> None:
    assert Answer(ROW, NOTHING).to_dicts() == [
        {
            "name": "a",
            "number": 1,
            "share": 0.5,
            "open": True,
            "moment": datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC),
            "detail": {"b": [1, 2]},
            "found": 7,
        },
        dict.fromkeys([column.name for column in COLUMNS]),
    ]


POLARS = {
    "name": pl.String,
    "number": pl.Int64,
    "share": pl.Float64,
    "open": pl.Boolean,
    "moment": pl.Datetime("us", "UTC"),
    "detail": pl.String,
}


def test_an_empty_answer_has_the_same_columns_and_types_as_any_other() -> None:
    for answer in (Answer(), Answer(NOTHING), Answer(ROW)):
        schema = answer.to_polars().schema
        assert {name: schema[name] for name in POLARS} == POLARS
    assert Answer().to_polars().schema["found"] == pl.String
    assert Answer().to_pandas().dtypes.to_dict() == Answer(NOTHING).to_pandas().dtypes.to_dict()
    assert Answer().to_dicts() == []
    assert Answer().to_csv() == "name,number,share,open,moment,detail,found\r\n"


def test_polars_pandas_duckdb_ibis_and_pyarrow_take_an_answer_itself() -> None:
    answer = Answer(ROW, NOTHING)
    assert pl.DataFrame(answer)["number"].to_list() == [1, None]
    assert pd.DataFrame.from_arrow(answer)["name"][0] == "a"
    assert pa.table(answer).column("open").to_pylist() == [True, None]
    with duckdb.connect() as connection:
        assert connection.sql("SELECT sum(number), max(moment) FROM answer").fetchall()[0][0] == 1
    assert ibis.memtable(answer).share.sum().to_pyarrow().as_py() == 0.5


def test_pandas_has_types_that_know_missing_values_and_do_not_follow_them() -> None:
    frame = Answer(ROW, NOTHING).to_pandas()
    assert [str(frame[column.name].dtype) for column in COLUMNS] == [
        *("string", "Int64", "float64", "boolean", "datetime64[us, UTC]", "string", "Int64")
    ]
    assert frame["moment"][0] == pd.Timestamp("2026-03-01T12:00:00.123456Z")
    assert frame.isna().sum().tolist() == [1] * 7


@pytest.mark.parametrize(
    "moment", ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999999999Z", "9999-12-31T23:59:59.999999999Z"]
)
def test_a_moment_of_any_year_is_in_a_frame(moment: str) -> None:
    answer = one(from_rfc3339(moment), kind="moment")
    expected = answer.to_dicts()[0]["found"]
    assert expected == datetime.fromisoformat(moment[:26].replace("Z", "") + "+00:00")
    assert answer.to_polars()["found"][0] == expected
    assert answer.to_pandas()["found"][0] == expected
    assert answer.to_csv() == f"found\r\n{moment[:19]}.{moment[20:-1]:0<9}Z\r\n"


@pytest.mark.parametrize(
    ("values", "type_", "expected"),
    [
        ([1, None, -(2**63)], pl.Int64, [1, None, -(2**63)]),
        ([1, 2**63], pl.String, ["1", "9223372036854775808"]),
        ([1, 0.5, None], pl.Float64, [1.0, 0.5, None]),
        ([2**53 + 1, 0.5], pl.String, ["9007199254740993", "0.5"]),
        ([True, None], pl.Boolean, [True, None]),
        ([True, 1], pl.String, ["true", "1"]),
        (["a", None], pl.String, ["a", None]),
        (["a", 1], pl.String, ['"a"', "1"]),
        ([{"b": [1]}, None], pl.String, ['{"b":[1]}', None]),
        ([None], pl.String, [None]),
    ],
)
def test_the_type_of_values_is_the_narrowest_that_changes_none_of_them(
    values: list[Any], type_: Any, expected: list[Any]
) -> None:
    frame = one(*values).to_polars()
    assert frame.schema["found"] == type_
    assert frame["found"].to_list() == expected
    assert one(*values).to_pandas()["found"].astype(object).where(lambda kept: kept.notna(), None).tolist() == expected


JSON_VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**65), 2**65), st.floats(allow_nan=False), st.sampled_from(["a", "\ud800"])
)


@given(
    st.lists(st.one_of(st.none(), st.just(1)))
    | st.lists(st.none() | st.integers(-(2**63), 2**63 - 1))
    | st.lists(st.integers(0, 3) | st.floats(allow_nan=False))
    | st.lists(JSON_VALUES),
    st.integers(1, 4),
)
def test_in_batches_values_are_of_the_same_type(values: list[Any], size: int) -> None:
    whole = one(*values).to_arrow()
    with patch.object(arrow, "BATCH", size):
        parts = one(*values).to_arrow()
    assert parts.schema == whole.schema
    assert pl.DataFrame(parts).equals(pl.DataFrame(whole))


@given(st.lists(JSON_VALUES), st.lists(st.none() | st.integers(MIN_NS, MAX_NS), min_size=1))
def test_pandas_has_the_same_frame_whether_pyarrow_is_there_or_not(
    values: list[Any], moments: list[int | None]
) -> None:
    answer = Answer(*zip_longest(moments, values), columns=(Column("at", "moment"), Column("found", "value")))
    frame = answer.to_pandas()
    for missing in ("pyarrow", "arro3.core"):
        with patch.dict(sys.modules, {missing: None}):
            pd.testing.assert_frame_equal(answer.to_pandas(), frame)


def test_half_of_a_surrogate_pair_is_shown_as_its_escape() -> None:
    for kind in ("text", "json", "value"):
        answer = one("ok", '"\ud800"', kind=kind)
        assert answer.to_polars()["found"].to_list() == ["ok", '"\\ud800"']
        assert answer.to_pandas()["found"].tolist() == ["ok", '"\\ud800"']
        assert "\\ud800" in str(answer.to_csv())


def test_more_rows_than_a_batch_come_in_their_order() -> None:
    rows = [(*ROW[:1], number, *ROW[2:-1], number) for number in range(10_000)]
    frame = Answer(*rows).to_polars()
    assert frame["number"].to_list() == frame["found"].to_list() == list(range(10_000))


@pytest.mark.parametrize(
    "text", [*HOSTILE, *(f"{first}1" for first in FORMULA), " =1", "\u3000=1", "\x00-1", "\ufe66" + "1"]
)
def test_no_text_is_a_formula_or_a_control_character_in_a_spreadsheet(text: str) -> None:
    answer = Answer((text, text), columns=(Column("name"), Column(text, "value")))
    lines = list(csv.reader(io.StringIO(answer.to_csv(), newline="")))
    assert len(lines) == 2
    for cell in (lines[0][1], *lines[1]):
        assert cell.isprintable()
        assert not cell.lstrip().startswith(FORMULA)


def test_numbers_in_a_spreadsheet_stay_numbers_and_only_texts_get_an_apostrophe() -> None:
    columns = (Column("int", "int"), Column("float", "float"), Column("found", "value"), Column("text"))
    text = Answer((-1, -0.5, -3, "-3"), (None, math.inf, True, 'a "b", c'), columns=columns).to_csv()
    assert text == 'int,float,found,text\r\n-1,-0.5,-3,\'-3\r\n,inf,true,"a ""b"", c"\r\n'


def test_csv_goes_into_a_file_where_there_is_a_path(tmp_path: Path) -> None:
    assert Answer(ROW).to_csv(tmp_path / "answer.csv") is None
    assert (tmp_path / "answer.csv").read_bytes().decode() == Answer(ROW).to_csv()


def test_csv_of_rows_that_break_off_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "answer.csv"
    path.write_text("before")
    with pytest.raises(ValueError, match="argument 2"):
        Answer(ROW, ("too", "short")).to_csv(path)
    assert [found.name for found in tmp_path.iterdir()] == ["answer.csv"]
    assert path.read_text() == "before"


@pytest.mark.parametrize(
    ("module", "method", "command"),
    [
        ("arro3.core", "to_arrow", "pip install 'eventsourcing-kit[notebook]'"),
        ("polars", "to_polars", "pip install polars"),
        ("pandas", "to_pandas", "pip install pandas"),
    ],
)
def test_a_missing_library_is_an_error_that_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, module: str, method: str, command: str
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InvalidOption, match=method) as caught:
        getattr(Answer(ROW), method)()
    assert command in str(caught.value)
