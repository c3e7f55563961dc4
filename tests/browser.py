"""Debian's Chromium, driven by playwright: what a page does that is opened from HTML alone, with no network."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page, Route

__all__ = ["CHROMIUM", "Site", "browser", "chromium", "opened", "site"]

CHROMIUM: Final = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
ORIGIN: Final = "http://127.0.0.1"  # nothing listens there: every request is answered by `Site`

_ALONE: Final = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
_POLICY: Final = "default-src 'none'; script-src 'self'; style-src 'unsafe-inline'; img-src data:"


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser. Where there is none the test is skipped, but fails where CI is set: there must be one."""
    if not CHROMIUM.exists():
        if os.environ.get("CI"):
            pytest.fail(f"there is no browser at '{CHROMIUM}'; install chromium, or say in CHROMIUM where it is")
        pytest.skip(f"there is no browser at '{CHROMIUM}'")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*_ALONE])
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Browser, html: str) -> Iterator[tuple[Page, list[str]]]:
    """A page with this HTML, and the addresses that it has asked for, each of which it was refused."""
    page = browser.new_page(offline=True)
    asked: list[str] = []

    def refuse(route: Route) -> None:
        asked.append(route.request.url)
        route.abort()

    page.route("**/*", refuse)
    try:
        page.set_content(html, wait_until="load")
        yield page, asked
    finally:
        page.close()


@dataclass
class Site:
    """The page, and the files it may ask for: path -> content type and content."""

    page: Page
    files: dict[str, tuple[str, str]] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def open(self, html: str, *, dark: bool = False) -> Page:
        """Shows a whole HTML document, under a policy that lets it run only the files above."""
        self.files["/"] = "text/html; charset=utf-8", html
        self.page.emulate_media(color_scheme="dark" if dark else "light")
        self.page.goto(f"{ORIGIN}/")
        return self.page

    def answer(self, route: Route) -> None:
        path = route.request.url.removeprefix(ORIGIN)
        if path in self.files:
            kind, content = self.files[path]
            headers = {"Content-Security-Policy": _POLICY}
            route.fulfill(body=content, content_type=kind, headers=headers)
        elif path == "/favicon.ico":
            route.fulfill(status=204)
        else:
            self.refused.append(route.request.url)
            route.abort()


@pytest.fixture(scope="module")  # no longer: while playwright runs, nothing else in this process can use asyncio
def browser() -> Iterator[Browser]:
    with chromium() as browser:
        yield browser


@pytest.fixture
def site(browser: Browser) -> Iterator[Site]:
    """An empty page. Afterwards: it has asked for nothing else, raised nothing, and no text became a script."""
    context = browser.new_context(viewport={"width": 900, "height": 700})
    site = Site(context.new_page())
    context.route("**/*", site.answer)
    site.page.on("pageerror", lambda error: site.errors.append(str(error)))
    site.page.on("dialog", lambda dialog: site.errors.append(dialog.type))
    site.page.set_default_timeout(15_000)
    yield site
    hacked = site.page.evaluate("window.hacked")
    context.close()
    assert (site.refused, site.errors, hacked) == ([], [], None)
