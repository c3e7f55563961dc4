"""Plots as values: each function answers an Altair chart, which a notebook shows and its reader restyles or saves.

    store.events("order-17").plot().save("order-17.html", inline=True)     # or .svg, .png: no network is needed

What is drawn is counted here before, so that a chart of a million events is as small as one of ten. Times are UTC.
Text from events is shown and not obeyed: Altair puts a chart's text between the script tags of a page as it is, so none
of it may hold a `<`.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from eventsourcing_kit.frames.bins import DAY, HOUR, MINUTE, MS, SECOND, binned
from eventsourcing_kit.frames.columns import compact_json
from eventsourcing_kit.frames.html import OTHERS, PALETTE
from eventsourcing_kit.frames.libraries import library
from eventsourcing_kit.inert import inert_json, visible
from eventsourcing_kit.moment import MAX_NS, MIN_NS, to_canonical
from eventsourcing_kit.words import many

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    import altair as alt

__all__ = ["Bar", "Point", "lateness", "line", "over_time", "waterfall"]

WIDTH: Final = 640
POINTS: Final = 2_000  # of a line, at most
BARS: Final = 200  # of a waterfall, at most

_LATENESS: Final = (
    *((0, "before its moment"), (SECOND, "under 1 s"), (10 * SECOND, "1 to 10 s"), (MINUTE, "10 to 60 s")),
    *((10 * MINUTE, "1 to 10 min"), (HOUR, "10 to 60 min"), (6 * HOUR, "1 to 6 h"), (DAY, "6 to 24 h")),
    *((7 * DAY, "1 to 7 days"), (2 * MAX_NS, "7 days or more")),
)
_LONGEST: Final = 60  # characters of a label
_EXACT: Final = 2**53  # up to which JavaScript knows whole numbers


class Point(NamedTuple):
    """A value from `moment` (nanoseconds) on, until the next one; `what` brought it about."""

    moment: int
    value: Any
    what: str = ""


class Bar(NamedTuple):
    """Something from `start` to `end` (nanoseconds) in one line of a waterfall, in the colour of `kind`."""

    label: str
    start: int
    end: int
    kind: str = ""
    depth: int = 0  # how far its label is moved in
    more: str = ""  # said beside it where somebody points at it


def over_time(events: Iterable[tuple[int | None, str]], *, title: str) -> alt.Chart:
    """How many events of each type there were when: moments in nanoseconds, and types. Without a moment: left out."""
    counts, width = binned(events)
    types = _main_types(Counter({type_: 0 for _, type_ in counts}), counts)
    bins: Counter[tuple[int, str]] = Counter()
    for (number, type_), count in counts.items():
        bins[number, type_ if type_ in types else _OTHER_TYPES] += count
    rows = [
        {
            "from": _js(number * width),
            "to": _js((number + 1) * width),
            "time": f"{_spelled(number * width, width)} to {_spelled((number + 1) * width, width)}",
            "type": _label(type_),
            "events": count,
        }
        for (number, type_), count in sorted(bins.items())
    ]
    altair = _altair()
    chart: alt.Chart = _finished(
        _chart(altair, rows, title, f"{many(counts.total(), 'event')} in steps of {_duration(width)}")
        .mark_bar(orient="vertical", binSpacing=0)
        .encode(
            x=_time_axis(altair, "from"),
            x2="to:T",
            y=altair.Y("events:Q", title="events", stack="zero", axis=_count_axis(altair, rows)),
            color=_colour(altair, "type", rows),
            tooltip=[altair.Tooltip("time:N", title="time (UTC)"), "type:N", altair.Tooltip("events:Q", format=",")],
        )
        .properties(height=220)
    )
    return chart


def lateness(events: Iterable[tuple[int | None, int | None, str]], *, title: str) -> alt.LayerChart:
    """How long after their moments events were recorded: both in nanoseconds, and types. Without one: only counted."""
    counts: Counter[tuple[str, int]] = Counter()
    unknown = 0
    for moment, recorded, type_ in events:
        if moment is None or recorded is None:
            unknown += 1
        else:
            late = recorded - moment
            counts[type_, next(place for place, (above, _) in enumerate(_LATENESS) if late < above)] += 1
    totals: Counter[str] = Counter()
    for (type_, _), count in counts.items():
        totals[type_] += count
    types = [type_ for type_, _ in totals.most_common(_MOST_LINES)]
    merged: Counter[tuple[str, int]] = Counter()
    for (type_, place), count in counts.items():
        merged[type_ if type_ in totals and type_ in {*types} else _OTHER_TYPES, place] += count
    rows = [
        {"type": _label(type_), "late": _LATENESS[place][1], "events": count, "of all": count / totals.total()}
        for (type_, place), count in sorted(merged.items())
    ]
    told = f"{many(totals.total(), 'event')}, recorded so long after their moment"
    if unknown:
        told += f"; {unknown:,} more {'does' if unknown == 1 else 'do'} not say when"
    altair = _altair()
    base = _chart(altair, rows, title, told).encode(
        x=altair.X(
            "late:O",
            title="recorded after its moment",
            sort=None,
            scale=altair.Scale(domain=[name for _, name in _LATENESS]),
            axis=altair.Axis(labelAngle=-35, orient="bottom"),
        ),
        y=altair.Y("type:N", title="type", sort=[*map(_label, types), _OTHER_TYPES], axis=_wide_axis(altair)),
        tooltip=[
            "type:N",
            altair.Tooltip("late:N", title="recorded after"),
            altair.Tooltip("events:Q", format=","),
            altair.Tooltip("of all:Q", format=".2%"),
        ],
    )
    darkest = max(merged.values(), default=1)
    cells = base.mark_rect().encode(
        color=altair.Color(
            "events:Q",
            title="events",
            scale=altair.Scale(type="symlog", scheme="blues", domain=[0, darkest]),
            legend=None,  # each cell says its number
        )
    )
    numbers = base.mark_text(fontSize=11).encode(
        text=altair.Text("events:Q", format=","),
        color=altair.condition(
            f"log(1 + datum.events) > 0.6 * log(1 + {darkest})", altair.value("#ffffff"), altair.value("#1a1a1a")
        ),
    )
    chart: alt.LayerChart = _finished(altair.layer(cells, numbers).properties(width=WIDTH, height=altair.Step(26)))
    return chart


def line(points: Iterable[Point], *, title: str, value: str = "value") -> alt.Chart:
    """A value over time, which holds until the next one. Numbers have a scale; other values a line of their own each.

    `value` names what is shown. None is a gap. Of more points than a chart shows, each stretch of time keeps its first,
    last, lowest and highest one.
    """
    given = list(points)
    numeric = all(isinstance(point.value, int | float | Decimal | None) for point in given) and not any(
        isinstance(point.value, bool) for point in given
    )
    kept = _thinned(given) if numeric else _changes(given)
    rows = [
        {
            "moment": _js(point.moment),
            "value": _number(point.value) if numeric else _said(point.value),
            "time": _exact(point.moment),
            "exact": _said(point.value),
            "what": _label(point.what),
        }
        for point in kept
    ]
    told = many(len(given), "value") + (f", {len(kept):,} of them shown" if len(kept) < len(given) else "")
    altair = _altair()
    axis = _label(value)
    if numeric:
        y = altair.Y("value:Q", title=axis, scale=altair.Scale(zero=False))
    else:
        first_seen = list(dict.fromkeys(row["value"] for row in rows if row["value"] is not None))
        y = altair.Y("value:O", title=axis, sort=first_seen[::-1], axis=_wide_axis(altair))
    chart = (
        _chart(altair, rows, title, told)
        .mark_line(
            interpolate="step-after",
            point=altair.OverlayMarkDef(color=PALETTE[0]) if len(kept) <= _WITH_DOTS else False,
            color=PALETTE[0],
            invalid="break-paths-show-path-domains",
        )
        .encode(
            x=_time_axis(altair, "moment"),
            y=y,
            order="moment:T",
            tooltip=[
                altair.Tooltip("time:N", title="moment (UTC)"),
                altair.Tooltip("exact:N", title="shown"),
                altair.Tooltip("what:N", title="after"),
            ],
        )
    )
    finished: alt.Chart = _finished(chart.properties(height=220 if numeric else altair.Step(24)))
    return finished


def waterfall(bars: Iterable[Bar], *, title: str) -> alt.LayerChart:
    """One line for each bar, in the order in which they come, over one line of time. Of very many the first ones."""
    given = list(bars)
    rows: list[dict[str, Any]] = [
        {
            "place": f"{number:,}. {_INDENT * min(bar.depth, _DEEPEST)}{_label(bar.label)}",
            "from": _js(bar.start),
            "to": _js(max(bar.start, bar.end)),
            "kind": _label(bar.kind),
            "begins": _exact(bar.start),
            "takes": _duration(max(0, bar.end - bar.start)),
            "more": _label(bar.more),
        }
        for number, bar in enumerate(given[:BARS], 1)
    ]
    told = many(len(given), "line") if len(given) <= BARS else f"the first {BARS:,} of {len(given):,} lines"
    altair = _altair()
    kinds = _main_types(Counter(bar.kind for bar in given), {})
    for row, bar in zip(rows, given, strict=False):
        if bar.kind not in kinds:
            row["kind"] = _OTHER_TYPES
    room = 12 + 5.5 * max((len(row["place"]) for row in rows), default=0)  # about as wide as the longest label
    base = _chart(altair, rows, title, told).encode(
        y=altair.Y(
            "place:N", title=None, sort=None, axis=altair.Axis(labelLimit=400, labelAlign="left", labelPadding=room)
        ),
        x=_time_axis(altair, "from"),
        color=_colour(altair, "kind", rows),
        tooltip=[
            altair.Tooltip("place:N", title="what"),
            altair.Tooltip("begins:N", title="begins (UTC)"),
            altair.Tooltip("takes:N", title="takes"),
            altair.Tooltip("more:N", title="more"),
        ],
    )
    # A tick, too: what takes no time at all, or little beside the whole, would not be seen.
    layers = altair.layer(
        base.mark_bar(height=12, opacity=1).encode(x2="to:T"), base.mark_tick(thickness=3, size=16, opacity=1)
    )
    chart: alt.LayerChart = _finished(layers.properties(width=WIDTH, height=altair.Step(22)))
    return chart


_OTHER_TYPES: Final = "others"
_INDENT: Final = "\u00a0\u00a0\u00a0"  # which no page takes away
_DEEPEST: Final = 12
_MOST_LINES: Final = 30
_WITH_DOTS: Final = 200


def _altair() -> Any:
    return library("altair", asked_for="plot")


def _chart(altair: Any, rows: Sequence[dict[str, Any]], title: str, told: str) -> Any:
    heading = altair.TitleParams(_label(title, 200), subtitle=f"{told}. Times are UTC.", anchor="start")
    return altair.Chart(altair.InlineData(values=list(rows)), title=heading).properties(width=WIDTH)


def _finished(chart: Any) -> Any:
    # The menu beside a chart has no entry that sends its data to the editor on Vega's own site.
    return chart.properties(usermeta={"embedOptions": {"actions": {"editor": False, "compiled": False}}})


def _time_axis(altair: Any, field: str) -> Any:
    axis = altair.Axis(format=_CLOCK, tickCount=8, labelOverlap="greedy", labelSeparation=8)
    return altair.X(f"{field}:T", title="moment (UTC)", scale=altair.Scale(type="utc", nice=False), axis=axis)


_CLOCK: Final = {
    "year": "%Y",
    "quarter": "%b %Y",
    "month": "%b %Y",
    "week": "%b %d",
    "date": "%b %d",
    "hours": "%H:%M",
    "minutes": "%H:%M",
    "seconds": "%H:%M:%S",
    "milliseconds": "%H:%M:%S.%L",
}


def _count_axis(altair: Any, rows: Sequence[dict[str, Any]]) -> Any:
    heights: Counter[float] = Counter()
    for row in rows:
        heights[row["from"]] += row["events"]
    highest = max(heights.values(), default=0)
    values = list(range(highest + 1)) if highest < 8 else altair.Undefined  # or there would be half an event
    return altair.Axis(format=",d", values=values)


def _wide_axis(altair: Any) -> Any:
    return altair.Axis(labelLimit=320)


def _colour(altair: Any, field: str, rows: Sequence[dict[str, Any]]) -> Any:
    """A colour for each name in this field; grey for what has none of its own."""
    names = sorted({row[field] for row in rows} - {_OTHER_TYPES})
    domain, colours = names, list(PALETTE[: len(names)])
    if any(row[field] == _OTHER_TYPES for row in rows):
        domain, colours = [*domain, _OTHER_TYPES], [*colours, OTHERS]
    legend = altair.Legend(orient="top", columns=4, labelLimit=200, symbolType="square", symbolOpacity=1)
    shown = legend if domain != [""] else None
    return altair.Color(f"{field}:N", title=None, scale=altair.Scale(domain=domain, range=colours), legend=shown)


def _main_types(totals: Counter[str], counts: dict[tuple[int, str], int]) -> list[str]:
    """The most frequent types, as many as there are colours, in the order of their names."""
    for (_, type_), count in counts.items():
        totals[type_] += count
    return sorted(type_ for type_, _ in totals.most_common(len(PALETTE)))


def _thinned(points: list[Point]) -> list[Point]:
    if len(points) <= POINTS:
        return points
    first, last = points[0].moment, points[-1].moment
    stretch = max(1, -(-(last - first + 1) * 4 // POINTS))
    kept: dict[int, Point] = {}
    for _, group in _groups(points, stretch, first):
        known = [place for place in group if points[place].value is not None]
        chosen = {group[0], group[-1]}
        if known:
            chosen |= {
                min(known, key=lambda place: points[place].value),
                max(known, key=lambda place: points[place].value),
            }
        kept.update((place, points[place]) for place in chosen)
    return [kept[place] for place in sorted(kept)]


def _groups(points: list[Point], stretch: int, first: int) -> Iterator[tuple[int, list[int]]]:
    groups: dict[int, list[int]] = {}
    for place, point in enumerate(points):
        groups.setdefault((point.moment - first) // stretch, []).append(place)
    yield from groups.items()


def _changes(points: list[Point]) -> list[Point]:
    """The first of each run of equal values, and the last point; of too many the latest ones."""
    if not points:
        return []
    changed = [points[0], *(after for before, after in pairwise(points) if _said(before.value) != _said(after.value))]
    if changed[-1] is not points[-1]:
        changed.append(points[-1])
    return changed[-POINTS:]


def _js(ns: int) -> float:
    """Milliseconds, as JavaScript counts; a bin at either end of the calendar ends with it."""
    return min(max(ns, MIN_NS), MAX_NS) / MS


def _exact(ns: int) -> str:
    return to_canonical(min(max(ns, MIN_NS), MAX_NS))


def _spelled(ns: int, width: int) -> str:
    text = _exact(ns)
    if width >= DAY:
        return text[:10]
    return text[:10] + " " + (text[11:16] if width >= MINUTE else text[11:19] if width >= SECOND else text[11:23])


def _duration(ns: int) -> str:
    units = ((DAY, "day"), (HOUR, "h"), (MINUTE, "min"), (SECOND, "s"), (MS, "ms"))
    for unit, name in units:
        if ns >= unit:
            amount = f"{ns / unit:,.1f}".removesuffix(".0")
            return f"{amount} {name}{'s' if name == 'day' and amount != '1' else ''}"
    return f"{ns / MS:.3g} ms"


def _number(value: Any) -> float | int | None:
    return value if value is None or (isinstance(value, int) and abs(value) < _EXACT) else float(value)


def _said(value: Any) -> str | None:
    if value is None:
        return None
    return _label(value if isinstance(value, str) else inert_json(compact_json(value)))


def _label(text: str, longest: int = _LONGEST) -> str:
    shown = visible(text[: longest + 1])
    shown = shown if len(shown) <= longest else f"{shown[: longest - 1]}…"
    return shown.replace("<", "\u2039").replace("{{", "{ {").replace("}}", "} }")
