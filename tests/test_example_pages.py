"""The pages in `docs` that were made of the example notebooks: not stale, whole by themselves, of no machine."""

from __future__ import annotations

import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import nbformat
import pytest

from examples.export import NOTEBOOKS, PAGES, page_of, to_page
from tests.browser import opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

each_notebook = pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)


class Attributes(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.found: list[tuple[str, str]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.found += [(name, value or "") for name, value in attrs]

    def of(self, *names: str) -> list[str]:
        return [value for name, value in self.found if name in names]


def written(page: Page) -> list[str]:
    """What stands in the cells: their code and their prose, without what was printed below."""
    texts = page.locator(".input_area pre, .text_cell_render").all_inner_texts()
    return [text.strip() for text in texts]


@each_notebook
def test_a_page_has_the_cells_of_its_notebook(browser: Browser, notebook: Path) -> None:
    unexecuted = to_page(nbformat.read(notebook, as_version=4))  # type: ignore[no-untyped-call, unused-ignore]
    with opened(browser, unexecuted) as (page, _):
        expected = written(page)
    with opened(browser, page_of(notebook).read_text()) as (page, _):
        assert written(page) == expected, "stale: make it anew with python -m examples.export"


@each_notebook
def test_a_page_opens_without_a_request_a_script_or_an_error(browser: Browser, notebook: Path) -> None:
    html = page_of(notebook).read_text()
    with opened(browser, html) as (page, asked):
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text))
        page.reload()
        page.set_content(html, wait_until="load")
        assert page.evaluate("document.scripts.length") == 0
        assert page.locator("svg.marks").count() >= 4
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    assert (asked, errors) == ([], [])


@each_notebook
def test_a_page_loads_nothing_and_links_to_what_is_there(notebook: Path) -> None:
    html = page_of(notebook).read_text()
    page = Attributes(html)
    assert not {"script", "link", "iframe", "object", "embed", "img", "base"} & page.tags
    assert page.of("src", "srcset", "data", "xlink:href", "action", "background") == []
    assert [link for link in page.of("href") if not (PAGES / link).is_file()] == []
    assert re.findall(r"@import|url\(", html) == []
    assert [name for name, count in Counter(page.of("id")).items() if count > 1] == []


@each_notebook
def test_a_page_tells_nothing_of_the_machine_on_which_it_was_made(notebook: Path) -> None:
    html = page_of(notebook).read_text()
    assert (
        re.findall(r"/(?:tmp|work|home|root|Users|var)/|site-packages|ipykernel|Warning: |Traceback \(most", html) == []
    )
    assert len(html) < 1_500_000


def test_the_pages_tell_what_their_notebooks_found() -> None:
    order, git = (page_of(notebook).read_text() for notebook in NOTEBOOKS)
    assert "f3b75852-9548-5f0c-b06f-417fe90fb4d8" in order
    assert order.index("1 failed") < order.index("1 passed")
    assert "24 of 24 trees are equal to git" in git
