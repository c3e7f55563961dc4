"""The time slider whole: Python's widget and the browser's module, with messages between them as a kernel has them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import comm
from comm.base_comm import BaseComm

if TYPE_CHECKING:
    import pytest
    from playwright.sync_api import Page

    from eventsourcing_kit.frames.travel import TimeSlider
    from tests.browser import Site

__all__ = ["Kernel"]

_PAGE: Final = """<!doctype html><meta charset="utf-8"><title>slider</title>
<style>:root { color-scheme: light dark } body { font-family: sans-serif; margin: 16px }</style>
<div id="cell"></div><script type="module" src="/cell.js"></script>"""

# A model with what anywidget's has: get, set, save_changes, on, off.
_CELL: Final = """
import widget from "/travel.js";
const traits = await window.toPython(null);
const listeners = new Map();
let unsaved = {};
function receive(messages) {
  for (const state of messages) {
    Object.assign(traits, state);
    for (const name of Object.keys(state)) for (const told of listeners.get(`change:${name}`) ?? []) told();
  }
}
const model = {
  get: (name) => traits[name],
  set: (name, value) => { traits[name] = unsaved[name] = value; },
  save_changes: () => {
    const sent = unsaved;
    unsaved = {};
    window.toPython(sent).then(receive);
  },
  on: (event, told) => listeners.set(event, [...(listeners.get(event) ?? []), told]),
  off: (event, told) => listeners.set(event, (listeners.get(event) ?? []).filter((other) => other !== told)),
};
window.receive = receive;
window.leave = widget.render({ model, el: document.getElementById("cell") });
"""


class Kernel:
    """Stands between one widget and one page, as a kernel's messages do. To be made before the widget is."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[dict[str, Any]] = []  # what the browser has sent
        self.answers = True
        self._sent: list[dict[str, Any]] = []
        sent = self._sent

        class Channel(BaseComm):  # type: ignore[misc, unused-ignore]
            def publish_msg(self, msg_type: str, data: Any = None, *arguments: Any, **more: Any) -> None:
                if msg_type == "comm_msg" and data and data.get("method") == "update":
                    sent.append(dict(data["state"]))

        monkeypatch.setattr(comm, "create_comm", Channel)

    def show(self, site: Site, slider: TimeSlider, *, dark: bool = False) -> Page:
        def to_python(state: dict[str, Any] | None) -> Any:
            if state is None:
                self._taken()
                return slider.get_state(["index", "about", "step", "at"])
            self.asked.append(state)
            if self.answers:
                slider.set_state(state)
            return self._taken()

        site.files["/travel.js"] = "text/javascript", slider._esm
        site.files["/cell.js"] = "text/javascript", _CELL
        site.page.expose_function("toPython", to_python)
        page = site.open(_PAGE, dark=dark)
        page.locator(".eskit-travel").wait_for()
        return page

    def flush(self, page: Page) -> None:
        """Brings to the page what Python has changed by itself."""
        page.evaluate("messages => window.receive(messages)", self._taken())

    def _taken(self) -> list[dict[str, Any]]:
        taken, self._sent[:] = [*self._sent], []
        return taken
