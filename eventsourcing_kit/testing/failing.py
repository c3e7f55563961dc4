"""A failing test of a projection at one event: the source of a pytest module that holds the events themselves.

It fails as it stands, and passes once the projection is right. Texts out of events stand in it as Python literals in
ASCII, so that whatever is in them is data, in any encoding of a file.
"""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from eventsourcing_kit.checks import json_check
from eventsourcing_kit.envelope import envelope_of, parse
from eventsourcing_kit.errors import FoldFailed, InvalidEnvelope, InvalidOption
from eventsourcing_kit.event import decode_json
from eventsourcing_kit.patches import same
from eventsourcing_kit.questions.walk import Walk
from eventsourcing_kit.record import content_digest
from eventsourcing_kit.span import Span
from eventsourcing_kit.testing.differences import differences

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.projection import Projection
    from eventsourcing_kit.stores.contract import Readable

    AnyProjection = Projection[Any, Any]

__all__ = ["FailingTest", "failing_test"]

_MOST: Final = 30  # events of a stream that a test begins with; behind more it begins with a state
_WIDTH: Final = 88  # of a line with a state: ruff's own
_OURS: Final = frozenset(("BEFORE", "EXPECTED", "HISTORY", "events", "given", "parse"))


@dataclass(frozen=True)
class FailingTest:
    """`source`, and `why` it fails. `failed_before` says that the check fails for the state before the event, too."""

    source: str
    why: str
    failed_before: bool = False


def failing_test(
    projection: AnyProjection,
    place: str,
    store: Readable,
    stream: str,
    number: int,
    *,
    check: str | None = None,
    stream_path: str | None = None,
    allow_incomplete: bool = False,
) -> FailingTest:
    """The test of `projection`, imported from `place` (`module:attribute`), at the `number`th event of `stream`.

    With `check`, a JMESPath over the state, the test asks whether it holds after the event. Without one it expects the
    state before the event, and says so where the right one has to be written. Where the projection raises at the event,
    that is what fails. `stream_path` as for `parse`, for the envelopes in the test. With `allow_incomplete` it begins
    with what is left of a stream whose beginning has expired.

    Raises InvalidOption where the check passes after the event, can not be asked or is none, and where the envelopes
    do not come back as the same events; FoldFailed where the projection raises at an earlier event; IncompleteStream,
    unless `allow_incomplete`; EventNotFound; and StoreError.
    """
    span = Span.of(store, stream, at=f"event:{number}")
    turn = _Turn(Walk(projection, span, allow_incomplete), number)
    holds = None if check is None else json_check(check)
    if check is not None and turn.failed is None and _asked(holds, turn.after, check):
        raise InvalidOption("check", found=check, expected="one that fails after that event, and this one passes there")
    importing, name = _imported(place)
    events = turn.events()
    start = f"{name}.from_json(BEFORE)" if len(events) < number else ""
    why, act = _act(turn, name, start, check)
    path = "" if stream_path is None else f", {_literal(stream_path)}"
    lines = [
        '"""A failing test, made by `eskit test-case`."""',
        "",
        "from eventsourcing_kit import parse",
        "from eventsourcing_kit.testing import given",
        "",
        importing,
        "",
        _comment(f"Event {number:,} {turn.event.type!r} at {turn.event.key!r}, id {turn.event.id!r},"),
        _comment(f"of stream {stream!r}, through projection {projection.name!r}, version {projection.version}."),
        *(_before(turn, number) if start else ()),
        "HISTORY = [",
        *(f"    {_literal(_envelope(event, stream_path))}," for event in events),
        "]",
        *(_expectation(turn) if check is None and turn.failed is None else ()),
        "",
        "",
        f"def {_function(turn.event.type)}() -> None:",
        *([f"    {_comment(f'Now it fails: {why}.')}"] if turn.failed is not None else ()),
        f"    events = [parse(envelope{path}) for envelope in HISTORY]",
        f"    {act}",
        "",
    ]
    failed_before = check is not None and not _asked(holds, turn.before, check)
    return FailingTest("\n".join(lines), why, failed_before)


class _Turn:
    """The last event of a walk, and the states on its two sides as JSON."""

    def __init__(self, walk: Walk[Any], number: int) -> None:
        self._walk = walk
        self._number = number
        self.failed: FoldFailed | None = None
        before = after = walk.projection.to_json(walk.projection.initial())
        try:
            for written in walk.written():
                self.event: Event = written.turn.event
                before, after = written.before, written.after
        except FoldFailed as failed:
            if failed.number != number:
                raise
            self.event, self.failed = failed.event, failed
            before = after
        self.before_json = before.decode()
        self._after_json = after

    @property
    def before(self) -> Any:
        return decode_json(self.before_json)

    @property
    def after(self) -> Any:
        """Where the projection fails, the state before."""
        return decode_json(self._after_json)

    def events(self) -> list[Event]:
        """All up to the event; or it alone, where there are many and the state before it comes back from its JSON."""
        if self._number > _MOST and self._comes_back():
            return [self.event]
        walk = self._walk
        numbered = walk.span.numbered(allow_incomplete=walk.allow_incomplete, asked_by=walk.projection.name)
        return [event for _, event in numbered]

    def _comes_back(self) -> bool:
        projection = self._walk.projection
        try:
            state = projection.fold((self.event,), projection.from_json(self.before_json))
        except FoldFailed as failed:
            return self.failed is not None and failed.reason == self.failed.reason
        return self.failed is None and same(decode_json(projection.to_json(state)), self.after)


def _act(turn: _Turn, name: str, start: str, check: str | None) -> tuple[str, str]:
    """Why the test fails, and its last line."""
    given = f"given({name}, *events, start={start})" if start else f"given({name}, *events)"
    why = None if turn.failed is None else turn.failed.reason
    if check is not None:
        return why or f"'{check}' does not hold", f"{given}.then_holds({_literal(check)})"
    if why is not None:
        return why, f"{name}.fold(events, {start})" if start else f"{name}.fold(events)"
    why = "it expects the state before the event, until you write the right one into it"
    return why, f"{given}.then_json(EXPECTED)"


def _asked(holds: Any, document: Any, check: str) -> bool:
    from jmespath.exceptions import JMESPathError

    try:
        return bool(holds(document))
    except JMESPathError:
        raise InvalidOption("check", found=check, expected="one that can be asked of every state") from None


def _envelope(event: Event, stream_path: str | None) -> str:
    line = envelope_of(event)
    try:
        again = parse(line, stream_path)
        if (again.stream, again.id, content_digest(again)) == (event.stream, event.id, content_digest(event)):
            return line
        reason = "it comes back as another event"
    except InvalidEnvelope as error:
        reason = str(error)
    expected = f"the place of the stream's key in an envelope, for event '{event.id}' ({reason})"
    raise InvalidOption("stream_path", found=stream_path or "none", expected=expected)


def _imported(place: str) -> tuple[str, str]:
    """The line that imports the projection, and the expression that it is then."""
    module, _, expression = place.partition(":")
    root = re.split(r"[.\[]", expression, maxsplit=1)[0]
    if not all(part.isidentifier() and not keyword.iskeyword(part) for part in (*module.split("."), root)):
        raise InvalidOption("projection", found=place, expected="one that a module can import by its name")
    if root in _OURS or root.startswith("test"):
        return f"from {module} import {root} as projection", f"projection{expression.removeprefix(root)}"
    return f"from {module} import {root}", expression


def _function(type_: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", type_)
    return f"test_{re.sub('[^a-z0-9]+', '_', words.lower())[:60].strip('_') or 'event'}"


def _before(turn: _Turn, number: int) -> Iterator[str]:
    yield f"# BEFORE is the state before it, as {number - 1:,} events had made it."
    yield f"BEFORE = {_literal(turn.before_json)}"


def _expectation(turn: _Turn) -> Iterator[str]:
    yield ""
    changes = differences(turn.before, turn.after)
    if changes:
        yield "# EXPECTED is the state before the event: write down what it should be after it."
        yield "# This is what the event makes of it now:"
        yield from (_comment(f"  {change}") for change in changes)
        yield f"EXPECTED = {_python(turn.before, taken=len('EXPECTED = '))}"
    else:
        yield "# The event changes nothing: write down what the state should be after it."
        yield "# This is what it is now:"
        yield from (_comment(f"  {line}") for line in _python(turn.after, taken=4).splitlines())
        yield 'EXPECTED = "the state after the event"'


def _comment(text: str) -> str:
    return f"# {text.encode('ascii', 'backslashreplace').decode()}"


def _literal(text: str) -> str:
    literal = ascii(text)
    return f'"{literal[1:-1]}"' if '"' not in text else literal


def _python(value: Any, indent: str = "", *, taken: int) -> str:
    """A JSON value as Python, on several lines where it would be too long for one that has `taken` characters."""
    if not isinstance(value, (dict, list)):
        return _literal(value) if isinstance(value, str) else ascii(value)
    names = [f"{_literal(name)}: " for name in value] if isinstance(value, dict) else [""] * len(value)
    members = value.values() if isinstance(value, dict) else value
    inner = f"{indent}    "
    parts = [
        name + _python(member, inner, taken=len(inner) + len(name) + 1)
        for name, member in zip(names, members, strict=True)
    ]
    first, last = "{}" if isinstance(value, dict) else "[]"
    line = f"{first}{', '.join(parts)}{last}"
    if taken + len(line) <= _WIDTH and "\n" not in line:
        return line
    return "\n".join([first, *(f"{inner}{part}," for part in parts), f"{indent}{last}"])
