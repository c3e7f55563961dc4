"""Text that tries to be more than text, in every field of an event and of a state, through every question asked."""

from __future__ import annotations

import csv
import io
import unicodedata
from typing import TYPE_CHECKING, Any

import pytest

from eventsourcing_kit.testing import envelope
from tests.eskit import Desk, Done, desk_at
from tests.hostile import FORMULA, HOSTILE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

APP = """
from eventsourcing_kit import Projection

notes = Projection("notes", initial=dict)

@notes.on()
def noted(state, event):
    return {**state, event.data["name"]: [event.id, event.source, event.data["name"]]}
"""
TEXTS = [text[:200] for text in HOSTILE]


def told(text: str, second: int) -> dict[str, Any]:
    sample = envelope(
        text,
        stream=text,
        id=f"{text}{second}",
        source=text,
        time=f"2026-03-01T11:00:0{second}Z",
        name=f"{text}{second}",
    )
    sample["detail"]["metaData"] |= {"correlationId": text, "causationId": text}
    return sample


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    with desk_at(tmp_path, monkeypatch) as desk:
        desk.write("projections/notes.py", APP)
        yield desk


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_hostile_text_is_only_text(desk: Desk, text: str) -> None:
    desk.store(told(text, 1), told(text, 2))
    name = f"{text}2"
    pointer = "/" + name.replace("~", "~0").replace("/", "~1")
    questions = [
        ("timeline", "notes", text),
        ("diff", "notes", text, "event:1", "event:2"),
        ("blame", "notes", text, pointer),
        ("bisect", "notes", text, "length(keys(@)) < `2`"),
        ("revisions", "notes", text, "2026-03-02"),
        ("events", text),
        ("streams",),
        ("rebuild", "notes", text),
        ("trail", text),
        ("check-ties", text),
    ]

    def run(question: tuple[str, ...], *options: str) -> Done:
        done = desk.run(question[0], *options, "--", *question[1:])
        assert done.code == 0, done.err
        assert inert(done.err)
        return done

    for question in questions:
        piped = run(question)
        assert all(isinstance(record, dict) for record in piped.records)
        assert inert(piped.out)
        assert inert(run(question, "--format", "table").out)
        for row in csv.reader(io.StringIO(run(question, "--format", "csv").out, newline="")):
            for cell in row:
                assert inert(cell)
                assert not looks_like_a_formula(cell)
    (found,) = run(questions[2]).records
    assert found["new"] == [name, text, name]


def inert(shown: str) -> bool:
    """Whether a terminal would only show it: no control but line breaks, nothing that is unseen or turns the text."""
    return all(char in "\r\n" or unicodedata.category(char) not in ("Cc", "Cf", "Zl", "Zp") for char in shown)


def looks_like_a_formula(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell.lstrip().startswith(FORMULA)
    return False
