"""The questions answered by brute force, over a list in memory: what the real answers are compared with.

It folds from zero for every single state, compares whole documents, and knows no pages, checkpoints or patches.
Nothing of the kit is used but the digest, which breaks the ties of order.
"""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass, field
from typing import Any, Final

from eventsourcing_kit.record import digest

MISSING: Final = "nothing stands here"


@dataclass
class Fact:
    """What a test has stored: an event, when it happened and when it was recorded, in nanoseconds."""

    event: Any
    ns: int
    recorded: int
    type: str
    data: dict[str, Any]
    number: int = 0


def step(state: dict[str, Any], fact: Fact) -> dict[str, Any]:
    """The state after a fact: what `tests.board` does, in other words."""
    state = copy.deepcopy(state)
    if fact.type == "Set":
        state["places"][fact.data["name"]] = fact.data["value"]
    elif fact.type == "Removed":
        state["places"].pop(fact.data["name"], None)
    elif fact.type == "Noted":
        state["notes"].insert(fact.data["at"], fact.data["value"])
    elif fact.type == "Forgotten" and state["notes"]:
        state["notes"].pop(0)
    if fact.type in ("Set", "Removed", "Noted", "Forgotten"):
        state["count"] += 1
    return state


def text(value: Any) -> str:
    """Equal for equal JSON only: 1, 1.0 and true are three values."""
    return json.dumps(value, sort_keys=True)


def place(document: Any, pointer: str) -> Any:
    for escaped in pointer.split("/")[1:]:
        part = escaped.replace("~1", "/").replace("~0", "~")
        if isinstance(document, list):
            if not part.isdigit() or int(part) >= len(document):
                return MISSING
            document = document[int(part)]
        elif isinstance(document, dict) and part in document:
            document = document[part]
        else:
            return MISSING
    return document


@dataclass
class Model:
    facts: list[Fact] = field(default_factory=list)

    def numbered(self) -> list[Fact]:
        ordered = sorted(self.facts, key=lambda fact: (fact.ns, fact.type, digest(fact.event)))
        for number, fact in enumerate(ordered, start=1):
            fact.number = number
        return ordered

    def known(self, at: int | None, known_at: int | None) -> list[Fact]:
        return [
            fact
            for fact in self.numbered()
            if (at is None or fact.ns <= at) and (known_at is None or fact.recorded <= known_at)
        ]

    def states(self, facts: list[Fact]) -> list[dict[str, Any]]:
        """The state before the first one, then after each."""
        states: list[dict[str, Any]] = [{"places": {}, "notes": [], "count": 0}]
        for fact in facts:
            states.append(step(states[-1], fact))
        return states

    def blame(self, facts: list[Fact], pointer: str) -> list[tuple[int, Any, Any]]:
        values = [place(state, pointer) for state in self.states(facts)]
        pairs = zip(facts, values, values[1:], strict=False)
        return [(fact.number, old, new) for fact, old, new in pairs if text(old) != text(new)][::-1]

    def touched(self, facts: list[Fact], since: int, pointer: str) -> int:
        """The number of the last fact from place `since` on that changed the pointer, or else what it lies in."""
        while True:
            found = [number for number, _, _ in self.blame(facts, pointer) if number > since]
            if found or not pointer:
                return found[0]
            pointer = pointer.rpartition("/")[0]

    def flips(self, facts: list[Fact], limit: int) -> list[tuple[int, bool]]:
        passes = [state["count"] - len(state["notes"]) <= limit for state in self.states(facts)]
        pairs = zip(facts, passes, passes[1:], strict=False)
        return [(fact.number, after) for fact, before, after in pairs if before != after]
