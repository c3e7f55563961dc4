"""Builders and readers of one view in any order, with killed builders, lost answers and throttled batches: what a
reader sees is one whole build, the one begun last of those that were switched to; and in the end nothing else is left.
"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from eventsourcing_kit.errors import StoreNotFound, StoreUnavailable, ViewReplaced
from eventsourcing_kit.jobs.asking import Typed
from eventsourcing_kit.jobs.view import Begun, Row, Shown
from eventsourcing_kit.jobs.view_table import ViewTable
from eventsourcing_kit.jobs.views import ViewFile
from tests.memory_table import OF_BATCHES, FaultyClient, MemoryTable, OneAfterTheOther, untranslated

if TYPE_CHECKING:
    from collections.abc import Iterator

STREAMS = ["a", "b", "c", "d" * 20, "d" * 30, "e"]
MOST = 3  # builders at a time
WHICH = st.integers(0, 5)
SOME = st.sets(st.sampled_from(STREAMS), min_size=1)
FAULTS = ["none", "none", "lost before", "lost after", "twice", *OF_BATCHES]
TROUBLE: st.SearchStrategy[list[str]] = st.one_of(
    st.just([]), st.just([]), st.lists(st.sampled_from(FAULTS), max_size=4)
)


@dataclass
class Builder:
    """What a builder knows of its own build."""

    target: Any
    name: str
    turn: int
    rows: dict[str, bytes] = field(default_factory=dict)


def begun(number: int) -> Begun:
    now = f"2026-03-01T00:00:{number % 60:02}.000000000Z"
    return Begun(
        projection="p",
        version=1,
        fingerprint="f",
        store="sqlite://",
        streams="null",
        at=None,
        known_at=now,
        start=None,
        began=now,
        allow_incomplete=False,
        on_error="raise",
        typed=Typed(None, None, None, "UTC"),
    )


class Views(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.ending = ExitStack()
        self.plan: list[str] = []
        self.pauses: list[float] = []
        self.builders: list[Builder] = []
        self.dead: list[tuple[str, int]] = []  # builds whose builders were killed
        self.turns = 0
        self.shown: tuple[int, dict[str, bytes]] | None = None
        self.switches = 0
        self.gone: set[str] = set()
        self.readers: list[tuple[Any, Any, list[tuple[str, bytes]], dict[str, bytes], int]] = []
        self.prepare()

    can_fail = True

    def prepare(self) -> None:
        raise NotImplementedError

    def target(self) -> Any:
        raise NotImplementedError

    def content(self, turn: int, stream: str) -> bytes:
        return b'{"n": %d, "of": "%b"}' % (turn, stream.encode() * (turn % 4))

    @contextmanager
    def troubled(self, faults: list[str]) -> Iterator[None]:
        self.plan[:] = faults
        try:
            yield
        finally:
            self.plan.clear()

    # Building

    @precondition(lambda self: len(self.builders) < MOST)
    @rule(streams=SOME, faults=TROUBLE)
    def begin(self, streams: set[str], faults: list[str]) -> None:
        target = self.target()
        self.turns += 1
        # Where it fails it may be there or not, and nobody knows its name.
        with self.troubled(faults), suppress(StoreUnavailable):
            self.builders.append(Builder(target, target.begin(begun(self.turns)), self.turns))
            self.write(len(self.builders) - 1, streams, [])

    @precondition(lambda self: self.builders)
    @rule(which=WHICH, streams=SOME, faults=TROUBLE)
    def write(self, which: int, streams: set[str], faults: list[str]) -> None:
        builder = self.builders[which % len(self.builders)]
        rows = {stream: self.content(builder.turn, stream) for stream in sorted(streams)}
        try:
            try:
                with self.troubled(faults):
                    self.written(builder, rows)
            except StoreUnavailable:
                assert self.can_fail
                if which % 2:
                    self.builders.remove(builder)
                    self.dead.append((builder.name, builder.turn))
                    return
                self.written(builder, rows)  # as a builder that goes on
        except ViewReplaced:
            assert builder.name in self.gone
            self.builders.remove(builder)
        else:
            assert builder.name not in self.gone
            builder.rows |= rows

    def written(self, builder: Builder, rows: dict[str, bytes]) -> None:
        made = [Row(stream, state, 1, None, None, None, True, "[]") for stream, state in rows.items()]
        builder.target.write(builder.name, made)

    @precondition(lambda self: self.builders)
    @rule(which=WHICH, faults=TROUBLE)
    def switch(self, which: int, faults: list[str]) -> None:
        builder = self.builders.pop(which % len(self.builders))
        view = begun(builder.turn).done(states=len(builder.rows), events=len(builder.rows))
        try:
            with self.troubled(faults):
                builder.target.switch(builder.name, view)
        except ViewReplaced:
            assert builder.name in self.gone
            return
        except StoreUnavailable:
            assert self.can_fail
            if self.seen_turn() != builder.turn:
                self.dead.append((builder.name, builder.turn))
                return
        assert builder.name not in self.gone
        self.shown = builder.turn, dict(builder.rows)
        self.switches += 1
        others = [*((each.name, each.turn) for each in self.builders), *self.dead]
        self.gone |= {name for name, turn in others if turn < builder.turn}

    @precondition(lambda self: self.builders)
    @rule(streams=SOME, faults=TROUBLE)
    def switch_to_the_first(self, streams: set[str], faults: list[str]) -> None:
        """The more builds there are, the more of them are replaced."""
        first = self.builders[0]
        self.write(0, streams, [])
        if first in self.builders:
            self.switch(0, faults)

    @precondition(lambda self: len(self.builders) > 1)
    @rule(streams=SOME)
    def switch_to_the_last(self, streams: set[str]) -> None:
        last = self.builders[-1]
        self.write(len(self.builders) - 1, streams, [])
        if last in self.builders:
            self.switch(self.builders.index(last), [])

    @precondition(lambda self: self.builders)
    @rule(which=WHICH)
    def kill(self, which: int) -> None:
        builder = self.builders.pop(which % len(self.builders))
        self.dead.append((builder.name, builder.turn))

    @precondition(lambda self: self.builders)
    @rule(which=WHICH, faults=TROUBLE)
    def give_up(self, which: int, faults: list[str]) -> None:
        builder = self.builders.pop(which % len(self.builders))
        with self.troubled(faults), suppress(StoreUnavailable):
            builder.target.give_up(builder.name)

    @precondition(lambda self: self.dead and len(self.builders) < MOST)
    @rule(which=WHICH)
    def go_on(self, which: int) -> None:
        """With a build that was killed, as another process would."""
        name, turn = self.dead.pop(which % len(self.dead))
        target = self.target()
        there = dict(target.unfinished())
        assert (name in there) == (name not in self.gone)
        if name in there:
            assert there[name] == begun(turn)
            rows = {stream: self.content(turn, stream) for stream, _ in target.written(name)}
            self.builders.append(Builder(target, name, turn, rows))

    # Reading

    def seen(self) -> dict[str, bytes] | None:
        try:
            with self.target().reading() as shown:
                rows = list(shown.rows())
        except StoreNotFound:
            return None
        assert [stream for stream, _ in rows] == sorted((stream for stream, _ in rows), key=str.encode)
        return dict(rows)

    def seen_turn(self) -> int:
        try:
            with self.target().reading() as shown:
                return int(shown.view.began[17:19])
        except StoreNotFound:
            return 0

    @invariant()
    def readers_see_the_build_that_was_switched_to_last(self) -> None:
        assert self.seen() == (None if self.shown is None else self.shown[1])

    @precondition(lambda self: self.shown is not None)
    @rule()
    def begin_to_read(self) -> None:
        assert self.shown is not None
        stack = ExitStack()
        shown: Shown = stack.enter_context(self.target().reading())
        rows = shown.rows()
        first = [row for row in [next(rows, None)] if row is not None]
        self.readers.append((stack, rows, first, self.shown[1], self.switches))

    @precondition(lambda self: self.readers)
    @rule(which=WHICH)
    def read_to_the_end(self, which: int) -> None:
        stack, rows, first, expected, switches = self.readers.pop(which % len(self.readers))
        with stack:
            try:
                assert dict([*first, *rows]) == expected
            except ViewReplaced:
                assert self.switches > switches

    def teardown(self) -> None:
        for stack, *_ in self.readers:
            stack.close()
        target = self.target()
        for _ in range(2):  # the second one finds what the first left for it
            self.turns += 1
            name = target.begin(begun(self.turns))
            target.switch(name, begun(self.turns).done(states=0, events=0))
        assert target.unfinished() == []
        assert self.left_over() == []
        self.ending.close()

    def left_over(self) -> list[Any]:
        """What is there beside the view."""
        raise NotImplementedError


class ViewsInATable(Views):
    def prepare(self) -> None:
        patch = self.ending.enter_context(pytest.MonkeyPatch.context())
        patch.setattr("eventsourcing_kit.jobs.view_items._PART", 20)
        patch.setattr("eventsourcing_kit.jobs.view_items.COMPRESS_ABOVE", 40)
        patch.setattr("eventsourcing_kit.jobs.view_items._LONGEST_KEY", 16)
        patch.setattr("eventsourcing_kit.jobs.view_items._SORTED_BY", 12)
        patch.setattr("eventsourcing_kit.jobs.view_items._BATCH", 3)
        patch.setattr("eventsourcing_kit.jobs.view_items._PARTITIONS", "01")
        patch.setattr("eventsourcing_kit.jobs.view_items.ThreadPoolExecutor", OneAfterTheOther)
        self.table = MemoryTable()

    def target(self) -> ViewTable:
        target = ViewTable("views", url="dynamodb://views", projection="p", sleep=self.pauses.append)
        target.__dict__["_connected"] = FaultyClient(self.table, self.plan), untranslated
        return target

    def left_over(self) -> list[Any]:
        return [key for key in self.table.items if key[0] != "eskit_views"]


class ViewsInAFile(Views):
    can_fail = False

    def prepare(self) -> None:
        self.folder = tempfile.mkdtemp()
        self.ending.callback(shutil.rmtree, self.folder)

    def target(self) -> ViewFile:
        path = Path(self.folder) / "views.db"
        target = ViewFile(str(path), url=f"sqlite:///{path}", projection="p")
        self.ending.callback(target.close)
        return target

    def left_over(self) -> list[Any]:
        with self.target()._transaction() as _:
            pass
        target = self.target()
        tables = (
            target._opened().execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
        )
        return sorted({name for (name,) in tables} - {"eskit_builds", "eskit_views", "p", "sqlite_sequence"})


TestViewsInATable = ViewsInATable.TestCase
TestViewsInATable.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
TestViewsInAFile = ViewsInAFile.TestCase
TestViewsInAFile.settings = settings(max_examples=20, stateful_step_count=40, deadline=None)
