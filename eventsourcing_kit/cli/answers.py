"""How answers about one stream look: tables on a terminal, their rows in a pipe."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from eventsourcing_kit.cli.talk import many, say
from eventsourcing_kit.event import decode_json
from eventsourcing_kit.moment import to_canonical, to_key_time
from eventsourcing_kit.patches import alterations, encode_json, make_patch
from eventsourcing_kit.questions.bisect import Bisection
from eventsourcing_kit.questions.blame import Blame
from eventsourcing_kit.questions.diff import Diff
from eventsourcing_kit.questions.history import History
from eventsourcing_kit.questions.revisions import Revisions

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventsourcing_kit.cli.tables import Printer
    from eventsourcing_kit.errors import FoldFailed
    from eventsourcing_kit.event import Event
    from eventsourcing_kit.frames import Tabular
    from eventsourcing_kit.patches import Alteration
    from eventsourcing_kit.projection import Projection

__all__ = ["show", "show_failure"]

_NAMED: Final = 4  # changes of one event that a line of a table names
_LONGEST: Final = 60  # characters of a value in a table


def show(printer: Printer, answer: Tabular) -> None:
    """An answer as a table with a summary, or as its rows."""
    if not printer.is_table:
        if not printer.answer(answer):
            _say_nothing(answer)
        return
    for kind, shown in _SHOWN.items():
        if isinstance(answer, kind):
            shown(printer, answer)


def show_failure(printer: Printer, projection: Projection[Any, Any], failed: FoldFailed) -> None:
    """What had been found, then the event at which a handler raised, and the state before it."""
    if failed.answer is not None:
        show(printer, failed.answer)
    event, state = failed.event, projection.to_json(failed.state).decode()
    if printer.is_table:
        printer.text(
            f"raised at event {failed.number} {event.type!r}, id {event.id}; the state before it:", style="bold"
        )
        printer.json(state, indent="  ")
    elif printer.is_json:
        facts = {"number": failed.number, "key": event.key, "type": event.type, "id": event.id, "reason": failed.reason}
        printer.record({"stream": failed.stream, "failed": facts}, state=state)


def _show_history(printer: Printer, answer: History[Any]) -> None:
    rows = ((*_named(step.number, step.event), step.event.id, _changes(step.alterations())) for step in answer)
    shown = 0

    def counted() -> Iterable[tuple[str, ...]]:
        nonlocal shown
        for row in rows:
            shown += 1
            yield row

    printer.table(("#", "moment", "type", "id", "change"), counted(), dispensable=("id",))
    if not shown:
        _say_nothing(answer)


def _show_diff(printer: Printer, answer: Diff[Any]) -> None:
    rows = []
    for each in answer.alterations():
        event = answer.touched[each.path]
        place = each.path or "(all of it)"
        rows.append((place, *_values(each), f"{answer.numbers[each.path]} {event.type}", event.id))
    printer.table(("place", "old", "new", "touched last by #", "id"), rows, dispensable=("id",))
    if not rows:
        _say_nothing(answer)


def _show_blame(printer: Printer, answer: Blame) -> None:
    rows = [
        (*_named(change.number, change.event), _value(change.old), _value(change.new), change.event.id)
        for change in answer
    ]
    printer.table(("#", "moment", "type", "old", "new", "id"), rows, dispensable=("id", "moment"))
    if not rows:
        _say_nothing(answer)


def _show_bisection(printer: Printer, answer: Bisection[Any]) -> None:
    event = answer.event
    pairs = [("event", f"{answer.number} {event.type}"), ("moment", to_canonical(event.moment_ns)), ("id", event.id)]
    pairs += [("key", event.key), ("source", event.source)]
    pairs += [("correlation id", event.correlation_id)] if event.correlation_id else []
    printer.facts([*pairs, ("folds", str(answer.folds))])
    printer.text("")
    before, after = (decode_json(answer.projection.to_json(state)) for state in (answer.before, answer.after))
    changed = alterations(before, make_patch(before, after))
    printer.table(("place", "before", "after"), ((each.path or "(all of it)", *_values(each)) for each in changed))
    if answer.flips:
        printer.text("")
        rows = [
            (*_named(flip.number, flip.event), "passes" if flip.passes else "fails", flip.event.id)
            for flip in answer.flips
        ]
        printer.table(("#", "moment", "type", "from here on it", "id"), rows, dispensable=("id",))


def _show_revisions(printer: Printer, answer: Revisions[Any]) -> None:
    def cells() -> Iterable[tuple[str, ...]]:
        before: Any = None
        for revision in answer:
            came = ", ".join(f"{event.type} {event.id}" for event in revision.came[:_NAMED])
            left = len(revision.came) - _NAMED
            came += f", {left:,} more" if left > 0 else ""
            changes = "" if before is None else _changes(alterations(before, revision.patch))
            yield to_canonical(revision.known_at_ns), f"{revision.events:,}", came or "as known then", changes
            before = revision.document

    printer.table(("known at", "events", "came", "change"), cells())


_SHOWN: Final[dict[type[Any], Any]] = {
    History: _show_history,
    Diff: _show_diff,
    Blame: _show_blame,
    Bisection: _show_bisection,
    Revisions: _show_revisions,
}


def _say_nothing(answer: Tabular) -> None:
    """Why an answer is empty. A mistyped stream or place looks like that, also in a pipe."""
    if isinstance(answer, History):
        say(f"stream '{answer.stream}' has no event in that time")
    if isinstance(answer, Diff):
        say("no difference; 'eskit timeline' shows what each event changed")
    if isinstance(answer, Blame):
        say(f"no event set '{answer.pointer}'; 'eskit timeline' shows which places there are")


def _changes(changed: Iterable[Alteration]) -> str:
    """`/balance 0 -> 6480, /status "placed" -> "paid"`; what is too much for a line is counted."""
    changes = list(changed)
    named = [_change(each) for each in islice(changes, _NAMED)]
    left = len(changes) - len(named)
    return ", ".join([*named, *([f"{many(left, 'change')} more"] if left else [])])


def _change(each: Alteration) -> str:
    if each.op == "move":
        return f"{each.source} moves to {each.path}"
    if each.op == "remove":
        return f"{each.path} {_value(each.old)} -> nothing"
    return f"{each.path} {_value(each.old)} -> {_value(each.new)}".lstrip()


def _values(each: Alteration) -> tuple[str, str]:
    return (f"at {each.source}" if each.op == "move" else _value(each.old)), _value(each.new)


def _value(value: Any) -> str:
    text = encode_json(value) or "nothing"
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 20]}... ({len(text):,} characters)"


def _named(number: int, event: Event) -> tuple[str, str, str]:
    return str(number), to_key_time(event.moment_ns), event.type
