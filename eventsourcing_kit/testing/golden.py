"""Golden histories: envelopes in files, and beside them what a projection makes of each event.

    def test_the_orders_of_march():
        assert_replay("histories/*.jsonl", orders)

`histories/order-17.jsonl` holds envelopes, one a line; `histories/order-17.orders.golden.jsonl` what the projection
`orders` makes of them: in the first line its name, its version and the initial state, and then each event, in the
store's order, with the RFC 6902 patch that it makes to the state. `pytest --update-golden` writes it. So a change of a
handler shows in a pull request as the events and places that it changes.
"""

from __future__ import annotations

import gzip
import inspect
from glob import escape
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote

from eventsourcing_kit.envelope import envelope_of, parse
from eventsourcing_kit.errors import EventRefused, EventSourcingError, InvalidEnvelope, InvalidOption
from eventsourcing_kit.event import decode_json
from eventsourcing_kit.inert import inert_json, visible
from eventsourcing_kit.lines import MAX_LINE, Source
from eventsourcing_kit.patches import same
from eventsourcing_kit.questions.history import history
from eventsourcing_kit.record import plain_key
from eventsourcing_kit.span import Span
from eventsourcing_kit.stores import open_store
from eventsourcing_kit.testing.differences import differences
from eventsourcing_kit.testing.golden_file import SUFFIX, UPDATE, Entry, Golden, Head, shown
from eventsourcing_kit.testing.updating import UPDATED
from eventsourcing_kit.wholefile import whole_file

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.lines import Line
    from eventsourcing_kit.projection import Projection
    from eventsourcing_kit.questions.history import Step
    from eventsourcing_kit.stores.base import BaseStore
    from eventsourcing_kit.stores.contract import Readable

    AnyProjection = Projection[Any, Any]

__all__ = ["assert_replay", "write_history"]


def assert_replay(
    pattern: str | Path,
    projection: AnyProjection,
    *,
    against: AnyProjection | None = None,
    update: bool | None = None,
    stream_path: str | None = None,
    identity: Literal["content", "id"] = "content",
) -> None:
    """Folds each history that `pattern` names, and compares the state after every event with the golden file beside it.

    `pattern` starts from the folder of the calling file, or the working directory where there is none; a history is
    JSON Lines of envelopes, plain or gzip, of one stream or of several, in any order. With `against`, another
    projection, there is no golden file: the states are compared with those that it makes. Golden files are written, and
    then agree, under `pytest --update-golden`, or with `update=True`; with `update=False` never. `stream_path` and
    `identity` as for `parse`.

    Raises AssertionError that names the first event at which the two part, with both values at each place that
    differs; where a golden file is missing or can not be read; and where `pattern` names no history. A projection that
    raises is FoldFailed; a line that is no event, an EventRefused with file and line as its note.
    """
    __tracebackhide__ = True
    written = UPDATED.get() if update is None else [] if update else None
    goldens: set[Path] = set()
    for file in _files(_folder(inspect.currentframe()), pattern):
        golden = file.with_name(f"{_stem(file)}.{quote(projection.name, safe=' ')}{SUFFIX}")
        if golden in goldens:
            raise AssertionError(f"two histories would share the golden file {shown(golden)}; name one otherwise")
        goldens.add(golden)
        with open_store("sqlite://") as store:
            _fill(store, file, stream_path, identity)
            try:
                if against is not None:
                    _compare(_Replay(file, projection, store), against)
                elif written is None:
                    _compare_with_file(_Replay(file, projection, store), Golden(golden, projection.name))
                elif _Replay(file, projection, store).write(golden):
                    written.append(golden)
            except EventSourcingError as error:
                error.add_note(f"in the history {shown(file)}")
                raise


def write_history(
    store: Readable,
    stream: str,
    path: str | Path,
    *,
    at: datetime | str | None = None,
    known_at: datetime | str | None = None,
) -> int:
    """Writes the events of `stream` into a file, as the envelopes that they came in; answers how many.

    `at` and `known_at` as in `history`. A path that ends with `.gz` is compressed. The file is written whole or not at
    all. Raises IncompleteStream where the beginning has expired, InvalidOption where there is no event, InvalidEnvelope
    where an older writer's event goes into no envelope, and StoreError.
    """
    path = Path(path)
    span = Span.of(store, stream, at=at, known_at=known_at)
    count = 0
    with whole_file(path) as file:
        # Without a name and a time inside, so that the same events make the same bytes.
        packed = gzip.GzipFile("", "wb", fileobj=file, mtime=0) if path.suffix == ".gz" else None
        for _, event in span.numbered(allow_incomplete=False, asked_by="history"):
            (packed or file).write(f"{inert_json(envelope_of(event))}\n".encode())
            count += 1
        if packed is not None:
            packed.close()
        if not count:
            raise InvalidOption("stream", found=stream, expected="a stream that has an event up to then")
    return count


def _folder(frame: Any) -> Path:
    """That of the file which called, or the working directory: a notebook's cell has no file."""
    file = frame.f_back.f_globals.get("__file__") if frame is not None and frame.f_back is not None else None
    return Path.cwd() if file is None else Path(file).absolute().parent


def _files(folder: Path, pattern: str | Path) -> list[Path]:
    __tracebackhide__ = True
    path = Path(escape(str(folder))) / pattern  # a folder may be called `orders [march]`
    root = Path(path.anchor)
    found = sorted(root.glob(str(path.relative_to(root))))
    histories = [file for file in found if file.is_file() and not file.name.endswith(SUFFIX)]
    if not histories:
        raise AssertionError(f"'{visible(str(pattern))}' names no history in {shown(folder)}")
    return histories


def _stem(file: Path) -> str:
    return file.name.removesuffix(".gz").removesuffix(".jsonl")


def _fill(store: BaseStore, file: Path, stream_path: str | None, identity: Literal["content", "id"]) -> None:
    """The store gives the events what a file has not: their order, twins, and duplicates that are one."""
    __tracebackhide__ = True
    lines = list(Source(str(file)).lines())
    events = [_parsed(line, stream_path, identity) for line in lines]
    for line, outcome in zip(lines, store.append_each(events), strict=True):
        if isinstance(outcome, EventRefused):
            raise _noted(outcome, line)
    if not lines:
        raise AssertionError(f"the history {shown(file)} has no event")


def _parsed(line: Line, stream_path: str | None, identity: Literal["content", "id"]) -> Event:
    try:
        if line.content is None:
            found = f"a line of more than {MAX_LINE:,} bytes"
            raise InvalidEnvelope("envelope", found=found, expected="one envelope a line")
        return parse(line.content, stream_path, identity)
    except EventRefused as refused:
        raise _noted(refused, line) from None


def _noted(refused: EventRefused, line: Line) -> EventRefused:
    refused.add_note(f"in the history {shown(Path(line.file))}, line {line.number:,}")
    return refused


class _Replay:
    """One history through one projection."""

    def __init__(self, file: Path, projection: AnyProjection, store: BaseStore) -> None:
        self.file = file
        self.projection = projection
        self.store = store

    @property
    def initial(self) -> Any:
        return decode_json(self.projection.to_json(self.projection.initial()))

    def steps(self) -> Iterator[Step[Any]]:
        for stream in self.store.streams():
            yield from history(self.projection, self.store, stream)

    def write(self, golden: Path) -> bool:
        head = Head(self.projection.name, self.projection.version, self.initial)
        return Golden.write(golden, head, map(Entry.of, self.steps()))

    def parted(self, other: str, where: Entry | None, lines: list[str]) -> AssertionError:
        """The error that says where this and `other` part."""
        first = f"{shown(self.file)} through {_named(self.projection)} parts from {other} at {where}:"
        return AssertionError("\n".join([first, *(f"  {line}" for line in lines)]))


def _named(projection: AnyProjection) -> str:
    return f"projection '{visible(projection.name)}', version {projection.version},"


def _compare(new: _Replay, against: AnyProjection) -> None:
    __tracebackhide__ = True
    old = _Replay(new.file, against, new.store)
    for before, after in zip(old.steps(), new.steps(), strict=True):
        expected, found = before.document, after.document
        if not same(expected, found):
            raise new.parted(_named(against), Entry.of(after), differences(expected, found))


def _compare_with_file(replay: _Replay, golden: Golden) -> None:
    __tracebackhide__ = True
    before: Any = None
    stream, agree = None, False
    for step, entry in zip_longest(replay.steps(), golden.entries):
        if step is None or entry is None or _name(step.event) != entry.name:
            raise _other_events(replay, golden, step, entry)
        if entry.stream != stream:
            stream, before = entry.stream, golden.head.initial
            agree = same(before, replay.initial)
        found = step.document
        if not agree or not same(step.patch, entry.patch):  # other operations may come to the same state
            expected = golden.applied(before, entry)
            if not same(expected, found):
                raised = "" if golden.head.version != replay.projection.version else "raise its version, and "
                advice = f"where that is meant: {raised}{UPDATE}"
                raise replay.parted(str(golden), entry, [*differences(expected, found), advice])
        before, agree = found, True


def _other_events(replay: _Replay, golden: Golden, step: Step[Any] | None, entry: Entry | None) -> AssertionError:
    """The two have other events, or the same ones in another order."""
    found = {_name(event) for stream in replay.store.streams() for event in replay.store.read(stream)}
    known = {each.name for each in golden.entries}
    missing = entry is not None and entry.name not in found
    if step is None or (missing and _name(step.event) in known):
        where, what = entry, "the history has no such event" if missing else "it stands at another place now"
    else:
        is_new = _name(step.event) not in known
        where, what = Entry.of(step), "the golden file has no such event" if is_new else "it stood at another place"
    counts = f"{len(found - known):,} new, {len(known - found):,} missing"
    return replay.parted(str(golden), where, [f"{what} ({counts})", f"where that is meant: {UPDATE}"])


def _name(event: Event) -> tuple[str, str, str]:
    return event.stream, plain_key(event), event.id
