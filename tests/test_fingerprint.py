"""A fingerprint changes with whatever decides what a fold comes to, wherever it stands, and with nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

CODE = """
from dataclasses import dataclass, field
from pydantic import BaseModel, Field, field_validator
from eventsourcing_kit import Projection, Upcasters
from rules import weigh
import rules

RATES = {"a": 1, "b": [2, {3}]}

class Base:
    def doubled(self, n): return 2 * n

@dataclass
class Inner(Base):
    n: int = 0

@dataclass
class State:
    total: int = 0
    inner: "list[Inner]" = field(default_factory=list)

class Placed(BaseModel):
    n: int = Field(0, ge=0)

    @field_validator("n")
    @classmethod
    def checked(cls, value): return value

upcasters = Upcasters()

@upcasters.on("Old", to="Placed")
def old(data, event): return {**data, "n": 1}

def helper(n): return rules.scale(n) + weigh(n) * RATES["a"]

def closed(factor): return lambda state, event: State(state.total + factor)

p = Projection("p", initial=State, upcasters=upcasters, key=lambda event: event.data.n)

@p.on(Placed)
def placed(state, event):
    from rules import inside
    return State(helper(event.data.n) + inside(), state.inner)

p.on("Other")(closed(3))

from eventsourcing_kit.resuming import identity_of
i = identity_of(p)
print(i.code, i.state)
"""
RULES = """
LIMIT = 10
def weigh(n): return min(n, LIMIT)
def scale(n): return _deeper(n)
def _deeper(n): return n + 1
def inside(): return 5
"""


def fingerprint(folder: Path, code: str = CODE, rules: str = RULES) -> str:
    (folder / "rules.py").write_text(rules)
    (folder / "shop.py").write_text(code)
    command = [sys.executable, "-B", "-c", "import shop"]
    environment = {"PYTHONPATH": f"{folder}:{Path(__file__).parents[1]}", "PYTHONHASHSEED": "random"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True).stdout


def test_it_is_the_same_in_every_process_and_without_regard_to_comments_and_lines(tmp_path: Path) -> None:
    expected = fingerprint(tmp_path)
    assert fingerprint(tmp_path) == expected
    assert fingerprint(tmp_path, "\n# a comment\n" + CODE, "# another\n\n" + RULES + "\nUNUSED = 1\n") == expected


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("2 * n", "3 * n"),
        ("n: int = 0\n\n@dataclass\nclass State", "n: int = 1\n\n@dataclass\nclass State"),
        ('"b": [2, {3}]', '"b": [2, {4}]'),
        ("ge=0", "ge=1"),
        ("checked(cls, value): return value", "checked(cls, value): return value + 1"),
        ('"n": 1}', '"n": 2}'),
        ('to="Placed"', 'to="Other"'),
        ("closed(3)", "closed(4)"),
        ("key=lambda event: event.data.n", "key=lambda event: event.id"),
        ('"Other"', '"Others"'),
        ("LIMIT = 10", "LIMIT = 11"),
        ("return n + 1", "return n + 2"),
        ("return 5", "return 6"),
        ("min(n, LIMIT)", "max(n, LIMIT)"),
    ],
)
def test_it_changes_with_what_a_fold_depends_on(tmp_path: Path, old: str, new: str) -> None:
    assert (old in CODE) != (old in RULES)
    assert fingerprint(tmp_path, CODE.replace(old, new), RULES.replace(old, new)) != fingerprint(tmp_path)
