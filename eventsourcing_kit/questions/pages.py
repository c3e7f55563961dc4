"""How a notebook shows answers about one stream: the events, and what each of them changed."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from eventsourcing_kit.errors import FoldFailed
from eventsourcing_kit.event import decode_json, moment_or_none
from eventsourcing_kit.frames import html
from eventsourcing_kit.frames.marked import marked_lines
from eventsourcing_kit.patches import alterations, encode_json, make_patch_of_json
from eventsourcing_kit.questions.naming import event_label

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.patches import Alteration
    from eventsourcing_kit.questions.bisect import Bisection
    from eventsourcing_kit.questions.blame import Blame
    from eventsourcing_kit.questions.diff import Diff
    from eventsourcing_kit.questions.revisions import Revision
    from eventsourcing_kit.questions.walk import Written

__all__ = ["bisection_html", "blame_html", "diff_html", "history_html", "revisions_html"]

_ROWS: Final = 50
_CHANGES: Final = 20  # of one event
_EVENT: Final = ("number", "moment", "type", "id")


def history_html(written: Iterable[Written[Any]], *, title: str) -> str:
    """The first events, each with what it changed, and the state after the last one of them."""
    shown: list[Written[Any]] = []
    ended = ""
    try:
        shown.extend(islice(written, _ROWS + 1))
    except FoldFailed as failed:
        ended = f"It ends before {event_label(failed.number or 0, failed.event)}: {failed.reason}"
    if len(shown) > _ROWS:
        shown, ended = shown[:_ROWS], "… and more"
    rows = ([*_event(turn.number, turn.event), _changed(before, after)] for turn, before, after in shown)
    parts = [html.line(title), _when([turn.event for turn, _, _ in shown])]
    if not shown:
        return html.block(*parts, html.line(ended or "No events"))
    last = shown[-1]
    parts += [html.grid((*_EVENT, "what it changed"), rows), html.line(ended)]
    return html.block(*parts, html.line(f"The state after event {last.turn.number:,}:"), _state(last.after))


def diff_html(diff: Diff[Any], *, title: str) -> str:
    """Each changed place, and the event that touched it last."""
    if not diff:
        return html.block(html.line(title), html.line("Nothing changed"))
    before = decode_json(diff.projection.to_json(diff.before))
    rows = [
        [_altered(alteration), *_event(diff.numbers[alteration.path], diff.touched[alteration.path])]
        for alteration in alterations(before, diff.patch[:_ROWS])
    ]
    more = _more(len(diff.patch) - len(rows))
    events = sorted({diff.numbers[place]: event for place, event in diff.touched.items()}.items())
    names = ("what changed", "last by event", *_EVENT[1:])
    return html.block(html.line(title), _when([event for _, event in events]), html.grid(names, rows), html.line(more))


def blame_html(blame: Blame, *, title: str) -> str:
    """Each event that set the place, the last one first."""
    rows = [
        [*_event(number, event), html.change(blame.pointer, encode_json(old) or None, encode_json(new) or None)]
        for number, event, old, new in blame[:_ROWS]
    ]
    when = _when([change.event for change in blame[:_ROWS]])
    table = html.grid((*_EVENT, "what it set"), rows) if rows else html.line("No event has set it")
    return html.block(html.line(title), when, table, html.line(_more(len(blame) - len(rows))))


def bisection_html(bisection: Bisection[Any], *, title: str) -> str:
    """The event, what it changed, and the states on its two sides; every flip, where they were asked for."""
    event = bisection.event
    before, after = (bisection.projection.to_json(state) for state in (bisection.before, bisection.after))
    ns = moment_or_none(event)
    facts = [
        ("event", f"number {bisection.number:,} of its stream"),
        *(("moment", "can not be read" if ns is None else html.moment(ns)), ("type", event.type)),
        *(("id", event.id), ("key", event.key), ("folds", f"{bisection.folds:,}")),
    ]
    parts = [html.line(title), html.facts(facts)]
    parts.append(html.grid(("what it changed",), [[_changed(before, after)]]))
    parts.append(html.grid(("the state before it", "the state after it"), [[_state(before), _state(after)]]))
    if bisection.flips:
        rows = [
            [*_event(flip.number, flip.event), "passes" if flip.passes else "fails"] for flip in bisection.flips[:_ROWS]
        ]
        parts += [html.line("Every event after which the check says something else:")]
        parts += [html.grid((*_EVENT, "the check"), rows), html.line(_more(len(bisection.flips) - len(rows)))]
    return html.block(*parts)


def revisions_html(revisions: Iterable[Revision[Any]], *, title: str) -> str:
    """Each answer, since when it was known, the events that came in and made it, and what that changed."""
    shown: list[Revision[Any]] = []
    ended = ""
    try:
        shown.extend(islice(revisions, _ROWS + 1))
    except FoldFailed as failed:
        ended = f"It ends where {event_label(failed.number or 0, failed.event)} came: {failed.reason}"
    if len(shown) > _ROWS:
        shown, ended = shown[:_ROWS], "… and more"
    rows = []
    before: bytes | None = None
    for revision in shown:
        after = encode_json(revision.document).encode()
        came = html.items([f"{event.key}, id {event.id}" for event in revision.came[:_CHANGES]])
        more = html.line(_more(len(revision.came) - _CHANGES))
        change = "" if before is None else _changed(before, after)
        known = html.text(html.moment(revision.known_at_ns))
        rows.append([known, f"{revision.events:,}", change, (came + more) or "as it was known then"])
        before = after
    parts = [html.grid(("known from", "events", "what changed", "what had come in"), rows)] if rows else []
    if before is not None:
        parts += [html.line("The state as last known:"), _state(before)]
    return html.block(html.line(title), *parts, html.line(ended))


def _event(number: int, event: Event) -> list[str]:
    ns = moment_or_none(event)
    return [f"{number:,}", *map(html.text, ("" if ns is None else html.moment(ns), event.type, event.id))]


def _when(events: Sequence[Event]) -> str:
    return html.strip([moment_or_none(event) for event in events], [event.type for event in events])


def _changed(before: bytes, after: bytes) -> str:
    return "".join(_changes(before, after)) or html.line("nothing")


def _changes(before: bytes, after: bytes) -> Iterator[str]:
    if before == after:
        return
    patch = make_patch_of_json(before, after)
    yield from map(_altered, alterations(decode_json(before), patch[:_CHANGES]))
    yield html.line(_more(len(patch) - _CHANGES))


def _altered(alteration: Alteration) -> str:
    old, new = (encode_json(value) or None for value in (alteration.old, alteration.new))
    return html.change(alteration.path, old, new, alteration.source)


def _state(state: bytes) -> str:
    document = decode_json(state)
    return html.code("\n".join(line.text for line in marked_lines(document, document)))


def _more(count: int) -> str:
    return f"… and {count:,} more" if count > 0 else ""
