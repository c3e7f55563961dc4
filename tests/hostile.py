"""Texts that try to be more than text: for every place that shows what came in an event."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Final

__all__ = ["FORMULA", "HOSTILE", "Elements"]

HOSTILE: Final = (
    "<script>window.hacked = 1</script>",
    "<img src=x onerror='window.hacked = 1'>",
    '"><svg onload="window.hacked = 1"><a href="javascript:window.hacked=1">x</a>',
    "--></style></title></textarea></pre><script>window.hacked = 1</script><!--",
    "{{ constructor.constructor('window.hacked = 1')() }}{% raw %}${window.hacked = 1}$\\href{javascript:hacked}{x}$",
    "\u202egnp.exe\u2066 \u200bleft\ufeff",
    "\x1b]0;title\x07\x1b[31m\x1b[2J\x9b31m\r\n\x08",
    '=HYPERLINK("http://127.0.0.1/?"&A1,"x")',
    " \t@SUM(1+1)*cmd|' /C calc'!A0",
    "\uff1dcmd|'/C calc'!A0",
    "\\ud800 \\u0000 \x00 null",
    "x" * 60_000,
    "\u0645\u0631\u062d\u0628\u0627 \u05e9\u05dc\u05d5\u05dd",
)

FORMULA: Final = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")
"""What a cell of a spreadsheet may not begin with, white space aside."""


class Elements(HTMLParser):
    """The elements of an HTML text with their attributes, and what is shown between them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.names: set[str] = set()
        self.attributes: set[str] = set()
        self.classes: set[str] = set()
        self.comments: list[str] = []
        self.shown = ""
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        if tag != "meta":  # which has no end
            self.open.append(tag)
        self.attributes |= {name for name, _ in attrs}
        self.classes |= {name for key, value in attrs if key == "class" for name in (value or "").split()}

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)

    def handle_data(self, data: str) -> None:
        if self.open[-1:] != ["style"]:
            self.shown += data
