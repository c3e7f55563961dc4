"""Debian's Chromium, driven by playwright: what a page does that is opened from HTML alone, with no network."""

from __future__ import annotations

import os
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Page, Route

__all__ = ["CHROMIUM", "chromium", "opened"]

CHROMIUM: Final = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))


@contextmanager
def chromium() -> Iterator[Browser]:
    """The browser. Where there is none the test is skipped, but fails where CI is set: there must be one."""
    if not CHROMIUM.exists():
        if os.environ.get("CI"):
            pytest.fail(f"there is no browser at '{CHROMIUM}'; install chromium, or say in CHROMIUM where it is")
        pytest.skip(f"there is no browser at '{CHROMIUM}'")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
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
