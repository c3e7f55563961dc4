from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from eventsourcing_kit import Event, Projection, history, open_store, parse
from eventsourcing_kit.testing import envelope
from tests.hostile import HOSTILE
from tests.slider import Kernel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Page

    from eventsourcing_kit.stores.base import BaseStore
    from tests.browser import Site


@dataclass(frozen=True)
class Order:
    status: str = "unknown"
    paid: int = 0


orders = Projection("orders", initial=Order)


@orders.on("Placed", "Shipped")
def moved(order: Order, event: Event) -> Order:
    return replace(order, status=event.type.lower())


@orders.on("Paid")
def paid(order: Order, event: Event) -> Order:
    return replace(order, paid=order.paid + event.data["amount"])


@pytest.fixture
def shop() -> Iterator[BaseStore]:
    """Four events of one order, an hour after each other."""
    with open_store("sqlite://") as store:
        for hour, (type_, amount) in enumerate([("Placed", 0), ("Paid", 30), ("Paid", 12), ("Shipped", 0)], start=8):
            sent = envelope(type_, time=f"2026-03-01T{hour:02}:00:00Z", id=f"id-{hour}", amount=amount)
            store.append(parse(sent))
        yield store


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(monkeypatch)


def marked(page: Page) -> list[str]:
    return [text.strip() for text in page.locator("pre mark").all_text_contents()]


def test_it_shows_the_last_event_with_its_state_and_what_it_changed(
    site: Site, kernel: Kernel, shop: BaseStore
) -> None:
    page = kernel.show(site, history(orders, shop, "order-17").travel())
    expect(page.locator(".count")).to_have_text("4 of 4")
    assert page.locator("dd").all_text_contents() == [
        "2026-03-01T11:00:00.000000000Z",
        "Shipped",
        "number 4 of its stream",
        "id-11",
        "2026-03-01T11:00:00.000Z#Shipped",
    ]
    assert page.locator("pre > *").all_text_contents() == ["{", '  "status": "shipped",', '  "paid": 42', "}"]
    assert marked(page) == ['"status": "shipped",']
    assert page.locator("li").all_text_contents() == ['/status"placed"→"shipped"']
    assert page.locator("svg rect").count() == 5  # four events and the cursor
    assert page.locator(".legend").inner_text().split() == ["Paid", "Placed", "Shipped"]


def test_keys_move_it_and_python_follows(site: Site, kernel: Kernel, shop: BaseStore) -> None:
    slider = history(orders, shop, "order-17").travel()
    page = kernel.show(site, slider)
    page.keyboard.press("Tab")
    expect(page.get_by_role("slider", name="Event")).to_be_focused()
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".count")).to_have_text("3 of 4")
    expect(page.get_by_role("slider")).to_have_attribute("aria-valuetext", "event 3 of 4, Paid")
    expect(page.locator("li")).to_have_text("/paid30→42")
    assert slider.state == Order("placed", 42)
    assert slider.at == "2026-03-01T10:00:00.000000000Z"
    page.keyboard.press("Home")
    expect(page.locator(".count")).to_have_text("before the first of 4")
    expect(page.locator("h4").first).to_have_text("No event yet")
    assert slider.state == Order()
    page.keyboard.press("ArrowRight")
    expect(page.locator("dd").nth(3)).to_have_text("id-8")
    page.keyboard.press("End")
    expect(page.locator("dd").nth(3)).to_have_text("id-11")
    assert slider.state == Order("shipped", 42)


def test_arrow_keys_are_its_own_in_a_page_that_has_shortcuts(site: Site, kernel: Kernel, shop: BaseStore) -> None:
    page = kernel.show(site, history(orders, shop, "order-17").travel())
    page.evaluate(
        """() => {
          const taken = (event) => event.preventDefault();
          document.addEventListener("keydown", taken);  // as most pages do
          document.addEventListener("keydown", (event) => {  // as JupyterLab does
            if (!event.target.closest("[data-lm-suppress-shortcuts=true]")) taken(event);
          }, true);
        }"""
    )
    page.get_by_role("slider").press("ArrowLeft")
    expect(page.locator(".count")).to_have_text("3 of 4")


def test_a_drag_ends_where_it_is_let_go(site: Site, kernel: Kernel, shop: BaseStore) -> None:
    shop.append_many(
        parse(envelope("Paid", amount=1, time=f"2026-03-02T{n // 60:02}:{n % 60:02}:00Z")) for n in range(96)
    )
    slider = history(orders, shop, "order-17").travel()
    page = kernel.show(site, slider)
    box = page.get_by_role("slider").bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] - 8, y)
    page.mouse.down()
    page.mouse.move(box["x"] + 2, y, steps=30)
    page.mouse.up()
    expect(page.locator(".count")).to_have_text("before the first of 100")
    expect(page.locator(".waiting")).to_have_count(0)
    assert slider.index == 0
    assert kernel.asked[-1] == {"index": 0}


def test_while_python_is_busy_the_last_place_wins(site: Site, kernel: Kernel, shop: BaseStore) -> None:
    slider = history(orders, shop, "order-17").travel()
    page = kernel.show(site, slider)
    kernel.answers = False
    page.get_by_role("slider").focus()
    for _ in range(4):
        page.keyboard.press("ArrowLeft")
    expect(page.locator(".count")).to_have_text("before the first of 4")
    assert kernel.asked == [{"index": 3}]
    kernel.answers = True
    slider.set_state(kernel.asked[0])
    kernel.flush(page)
    expect(page.locator("h4").first).to_have_text("No event yet")
    assert kernel.asked == [{"index": 3}, {"index": 0}]
    assert slider.index == 0


def test_a_place_set_in_python_moves_the_slider(site: Site, kernel: Kernel, shop: BaseStore) -> None:
    slider = history(orders, shop, "order-17").travel()
    page = kernel.show(site, slider)
    slider.at = "2026-03-01 09:30"
    kernel.flush(page)
    expect(page.get_by_role("slider")).to_have_value("2")
    expect(page.locator("dd").nth(3)).to_have_text("id-9")
    assert marked(page) == ['"paid": 30']
    assert kernel.asked == []


def test_a_click_on_the_line_of_time_goes_to_the_event_next_to_it(site: Site, kernel: Kernel, shop: BaseStore) -> None:
    slider = history(orders, shop, "order-17").travel()
    page = kernel.show(site, slider)
    line = page.locator("svg")
    box = line.bounding_box()
    assert box is not None
    line.click(position={"x": box["width"] * 0.36, "y": 12})
    expect(page.locator(".count")).to_have_text("2 of 4")
    expect(page.locator("dd").nth(3)).to_have_text("id-9")
    assert slider.index == 2


def test_an_event_at_which_the_projection_fails_ends_it_and_is_named(
    site: Site, kernel: Kernel, shop: BaseStore
) -> None:
    shop.append(parse(envelope("Paid", time="2026-03-01T12:00:00Z", id="poison")))  # without an amount
    page = kernel.show(site, history(orders, shop, "order-17").travel())
    expect(page.locator(".count")).to_have_text("4 of 4")
    expect(page.get_by_role("status")).to_contain_text("id 'poison'")
    expect(page.get_by_role("status")).to_contain_text("KeyError")


def test_a_store_that_fails_is_told_and_the_slider_lives_on(site: Site, kernel: Kernel, shop: BaseStore) -> None:
    slider = history(orders, shop, "order-17").travel()
    page = kernel.show(site, slider)
    slider.step = {"index": 3, "problem": "the store at 'sqlite://' failed while reading"}
    kernel.flush(page)
    expect(page.get_by_role("status")).to_have_text("the store at 'sqlite://' failed while reading")
    page.get_by_role("slider").focus()
    page.keyboard.press("Home")
    expect(page.locator("h4").first).to_have_text("No event yet")
    expect(page.locator(".problem")).to_have_count(0)


def test_without_events_there_is_the_initial_state(site: Site, kernel: Kernel, shop: BaseStore) -> None:
    page = kernel.show(site, history(orders, shop, "nobody").travel())
    expect(page.locator(".count")).to_have_text("before the first of 0")
    assert page.locator("pre > *").all_text_contents() == ["{", '  "status": "unknown",', '  "paid": 0', "}"]


def test_hostile_text_is_shown_and_runs_nothing(site: Site, kernel: Kernel) -> None:
    names = Projection("<img src=x onerror='window.hacked = 1'>", initial=dict[str, str])

    @names.on()
    def name(state: dict[str, str], event: Event) -> dict[str, str]:
        text = event.data["text"]
        return {text: text}

    with open_store("sqlite://") as store:
        for second, text in enumerate(HOSTILE):
            sent = envelope(text[:200] or "x", time=f"2026-03-01T08:00:{second:02}Z", id=text[:200], text=text)
            store.append(parse(sent))
        slider = history(names, store, "order-17").travel()
        page = kernel.show(site, slider)
        for index in range(len(HOSTILE) + 1):
            slider.index = index
            kernel.flush(page)
            expect(page.get_by_role("slider")).to_have_value(str(index))
    elements = page.locator(".eskit-travel *").evaluate_all("found => [...new Set(found.map(it => it.localName))]")
    assert set(elements) <= {
        *("header", "h3", "h4", "span", "svg", "line", "rect", "input", "div", "dl", "dt", "dd", "ul", "li", "code"),
        *("del", "ins", "pre", "mark", "p"),
    }


def test_it_leaves_nothing_behind(site: Site, kernel: Kernel, shop: BaseStore) -> None:
    slider = history(orders, shop, "order-17").travel()
    page = kernel.show(site, slider)
    page.evaluate("window.leave()")
    slider.index = 1
    kernel.flush(page)
    expect(page.locator(".count")).to_have_text("4 of 4")  # it no longer listens


@pytest.mark.parametrize("dark", [False, True])
def test_text_is_readable_in_the_light_and_in_the_dark(site: Site, kernel: Kernel, shop: BaseStore, dark: bool) -> None:
    page = kernel.show(site, history(orders, shop, "order-17").travel(), dark=dark)
    colour = page.locator("pre").evaluate("it => getComputedStyle(it).color")
    assert colour == ("rgb(255, 255, 255)" if dark else "rgb(0, 0, 0)")
