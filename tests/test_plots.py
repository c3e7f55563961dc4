from __future__ import annotations

import json
import re
import socket
import sys
from typing import TYPE_CHECKING, Any

import pytest

from eventsourcing_kit import open_store
from eventsourcing_kit.errors import InvalidOption
from eventsourcing_kit.frames import plots
from eventsourcing_kit.frames.bins import BINS
from eventsourcing_kit.frames.plots import Bar, Point
from eventsourcing_kit.moment import MAX_NS, MIN_NS, from_rfc3339
from eventsourcing_kit.testing import Clock, event
from tests.browser import chromium, opened
from tests.hostile import HOSTILE, Elements

if TYPE_CHECKING:
    from pathlib import Path

NOON = from_rfc3339("2026-03-01T12:00:00Z")
SECOND = 1_000_000_000
HOUR = 3_600 * SECOND


def rows(chart: Any) -> list[dict[str, Any]]:
    """The data of a chart."""
    described = chart.to_dict()
    (values,) = described["datasets"].values()
    return list(values)


def heading(chart: Any) -> str:
    title = chart.to_dict()["title"] if "title" in chart.to_dict() else chart.to_dict()["layer"][0]["title"]
    return f"{title['text']} | {title['subtitle']}"


def test_events_over_time_are_counted_in_steps_by_type() -> None:
    chart = plots.over_time(
        [(NOON, "A"), (NOON + 1, "A"), (NOON + 1, "B"), (NOON + 79 * HOUR, "A"), (None, "A")], title="T"
    )
    assert heading(chart) == "T | 4 events in steps of 1 h. Times are UTC."
    assert [(row["time"], row["type"], row["events"]) for row in rows(chart)] == [
        ("2026-03-01 12:00 to 2026-03-01 13:00", "A", 2),
        ("2026-03-01 12:00 to 2026-03-01 13:00", "B", 1),
        ("2026-03-04 19:00 to 2026-03-04 20:00", "A", 1),
    ]


@pytest.mark.parametrize("span", [1, 1_000, SECOND, 100 * HOUR, MAX_NS - NOON])
def test_a_chart_of_many_events_is_small_and_has_each_of_them(span: int) -> None:
    events = [(NOON + number * span // 20_000, f"Type{number % 20}") for number in range(20_001)]
    found = rows(plots.over_time(events, title="many"))
    assert sum(row["events"] for row in found) == 20_001
    assert len({row["from"] for row in found}) <= BINS
    assert len({row["type"] for row in found}) == 8
    assert {"others", "Type0"} <= {row["type"] for row in found}


def test_lateness_tells_how_long_after_their_moment_events_were_recorded() -> None:
    late = [
        (NOON, NOON - 1, "A"),
        (NOON, NOON, "A"),
        (NOON, NOON + SECOND, "A"),
        (NOON, NOON + 48 * HOUR, "B"),
        (NOON, None, "A"),
    ]
    chart = plots.lateness(late, title="T")
    assert (
        heading(chart) == "T | 4 events, recorded so long after their moment; 1 more does not say when. Times are UTC."
    )
    assert {(row["type"], row["late"], row["events"]) for row in rows(chart)} == {
        ("A", "before its moment", 1),
        ("A", "under 1 s", 1),
        ("A", "1 to 10 s", 1),
        ("B", "1 to 7 days", 1),
    }


def test_numbers_are_a_line_with_gaps_and_other_values_have_a_place_each() -> None:
    numbers = plots.line([Point(NOON, 1, "A"), Point(NOON + 1, None), Point(NOON + 2, 2.5)], title="T", value="total")
    assert [(row["value"], row["exact"], row["what"]) for row in rows(numbers)] == [
        (1, "1", "A"),
        (None, None, ""),
        (2.5, "2.5", ""),
    ]
    assert numbers.to_dict()["encoding"]["y"]["type"] == "quantitative"
    assert numbers.to_dict()["mark"]["interpolate"] == "step-after"
    texts = plots.line([Point(NOON, "paid"), Point(NOON + 1, "paid"), Point(NOON + 2, {"a": [True]})], title="T")
    assert [row["value"] for row in rows(texts)] == ["paid", '{"a":[true]}']
    assert texts.to_dict()["encoding"]["y"]["type"] == "ordinal"
    assert plots.line([Point(NOON, True), Point(NOON, 1)], title="T").to_dict()["encoding"]["y"]["type"] == "ordinal"


def test_a_long_line_keeps_its_ends_and_its_extremes() -> None:
    points = [Point(NOON + number * SECOND, number % 7) for number in range(50_000)]
    points[25_003] = points[25_003]._replace(value=1_000_000)
    chart = plots.line(points, title="T")
    found = rows(chart)
    assert len(found) <= plots.POINTS
    assert max(row["value"] for row in found) == 1_000_000
    assert found[0]["time"] == "2026-03-01T12:00:00.000000000Z"
    assert found[-1]["time"] == "2026-03-02T01:53:19.000000000Z"
    assert "50,000 values, " in heading(chart)


def test_a_number_that_javascript_does_not_know_is_told_exactly() -> None:
    (row,) = rows(plots.line([Point(NOON, 2**53 + 1)], title="T"))
    assert row["exact"] == "9007199254740993"


def test_a_waterfall_has_a_line_for_each_bar_and_says_when_it_has_not_all() -> None:
    bars = [Bar("Placed", NOON, NOON + SECOND, "shop"), Bar("Paid", NOON + SECOND, NOON, "cards", depth=1, more="late")]
    found = rows(plots.waterfall(bars, title="T"))
    assert [(row["place"], row["takes"], row["kind"]) for row in found] == [
        ("1. Placed", "1 s", "shop"),
        ("2. \u00a0\u00a0\u00a0Paid", "0 ms", "cards"),
    ]
    many = plots.waterfall([Bar("x", NOON, NOON)] * 300, title="T")
    assert len(rows(many)) == 200
    assert "the first 200 of 300 lines" in heading(many)


def charts(texts: tuple[str, ...]) -> dict[str, Any]:
    """One of each, with these texts wherever a text goes."""
    return {
        "over_time": plots.over_time([(NOON + number, text) for number, text in enumerate(texts)], title=texts[0]),
        "lateness": plots.lateness([(NOON, NOON, text) for text in texts], title=texts[0]),
        "numbers": plots.line([Point(NOON, 1, text) for text in texts], title=texts[0], value=texts[0]),
        "values": plots.line([Point(NOON, {text: text}, text) for text in texts], title=texts[0], value=texts[0]),
        "waterfall": plots.waterfall([Bar(text, NOON, NOON + 1, text, 1, text) for text in texts], title=texts[0]),
    }


@pytest.fixture
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: Any) -> None:
        raise AssertionError("a plot reached for the network")

    for name in ("connect", "connect_ex", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.mark.usefixtures("_no_network")
def test_charts_are_saved_without_a_network_and_load_nothing(tmp_path: Path) -> None:
    for name, chart in charts(("OrderPlaced", "OrderPaid")).items():
        page, picture, drawing = (tmp_path / f"{name}{suffix}" for suffix in (".html", ".png", ".svg"))
        chart.save(page, inline=True)
        chart.save(picture)
        chart.save(drawing)
        assert picture.read_bytes().startswith(b"\x89PNG")
        assert "OrderPlaced" in drawing.read_text()
        assert chart.to_dict()["usermeta"]["embedOptions"]["actions"]["editor"] is False  # which is not on this machine
        found = Elements(page.read_text())
        assert "script" in found.names
        assert not {"src", "href"} & found.attributes


def test_hostile_text_in_a_chart_neither_runs_nor_asks_for_anything(tmp_path: Path) -> None:
    page = tmp_path / "chart.html"
    with chromium() as browser:
        for chart in charts(HOSTILE).values():
            chart.save(page, inline=True)
            with opened(browser, page.read_text()) as (tab, asked):
                tab.wait_for_selector("#vis canvas, #vis svg")
                assert tab.evaluate("window.hacked") is None
                assert tab.locator("img").count() == 0
                assert asked == []


def test_no_text_of_an_event_can_end_the_script_that_holds_a_chart() -> None:
    for chart in charts(HOSTILE).values():
        described = json.dumps(chart.to_dict(), ensure_ascii=False)
        assert "<" not in described
        assert "{{" not in described.replace('{"', "")
        assert described.replace("\n", "").replace("\u00a0", "").isprintable()


@pytest.mark.parametrize("moment", [MIN_NS, MAX_NS])
def test_the_ends_of_the_calendar_can_be_drawn(moment: int) -> None:
    plots.over_time([(moment, "A"), (NOON, "B")], title="T").to_dict()
    plots.line([Point(moment, 1)], title="T").to_dict()
    plots.waterfall([Bar("a", moment, moment)], title="T").to_dict()


def test_nothing_at_all_is_a_chart_too() -> None:
    for chart in (
        plots.over_time([], title="T"),
        plots.lateness([], title="T"),
        plots.line([], title="T"),
        plots.waterfall([], title="T"),
    ):
        assert rows(chart) == []


def test_events_are_plotted_over_time_and_by_lateness() -> None:
    with open_store("sqlite://", clock=Clock("2026-03-01T11:03:30Z")) as store:
        store.append(event("OrderPlaced"))
        events = store.events("order-17")
        assert (
            heading(events.plot())
            == "Events of stream 'order-17' in 'sqlite://' | 1 event in steps of 1 ms. Times are UTC."
        )
        assert rows(events.plot_lateness())[0]["late"] == "1 to 10 s"


def test_without_altair_a_plot_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "altair", None)
    with pytest.raises(InvalidOption, match=re.escape("pip install 'eventsourcing-kit[notebook]'")):
        plots.over_time([], title="T")
