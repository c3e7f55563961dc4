"""The time slider: a widget that shows one stop of many, and asks for it when somebody goes there.

It knows nothing of streams and projections: it is told how many stops there are, and given two functions. The browser's
half is `travel.js`; it sends `index`, and is sent `step`, so that of however many states it only ever has one.
"""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import anywidget
import traitlets

from eventsourcing_kit.errors import EventSourcingError
from eventsourcing_kit.frames import html

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Shown", "TimeSlider"]

Shown = tuple[str | None, Any, dict[str, Any]]  # `at`, `state` and what the browser shows

_JS: Final = Path(__file__).with_name("travel.js")


class TimeSlider(anywidget.AnyWidget):
    """Goes through the events of a stream, and shows each with the state after it and what it changed.

    `index` is the place: 0 before the first event, then behind each of them. `at` names that place as `at` of any
    question: the event's moment, or `event:KEY` where others share it. Set it to any moment (aware datetime or text) or
    `event:...`, and the slider goes to the last event up to there. `state` is the state there, a copy. All three are
    traits: `slider.observe(f, "state")` calls `f` whenever the state becomes another one.

    Setting `at` raises InvalidMoment and EventNotFound; going somewhere raises a StoreError where the store fails.
    """

    _esm = _JS.read_text(encoding="utf-8")  # not its path, which anywidget would watch from a thread

    index = traitlets.Int(0).tag(sync=True)
    at = traitlets.Union([traitlets.Unicode(), traitlets.Instance(datetime)], default_value=None, allow_none=True).tag(
        sync=True
    )
    state = traitlets.Any()
    about = traitlets.Dict().tag(sync=True)
    step = traitlets.Dict().tag(sync=True)

    def __init__(
        self, about: dict[str, Any], show: Callable[[int], Shown], find: Callable[[datetime | str], int]
    ) -> None:
        self._show = show
        self._find = find
        self._is_at: str | None = None
        super().__init__(about=about)
        self._go(about["count"])

    def _go(self, index: int) -> None:
        try:
            at, state, step = self._show(index)
        except Exception as error:
            problem = str(error) if isinstance(error, EventSourcingError) else f"{type(error).__name__} was raised"
            self.step = {"index": index, "problem": problem}
            raise
        self._is_at = at
        # One message to the browser, and nobody is told of a state before `at` is that of the same place.
        with self.hold_sync(), self.hold_trait_notifications():
            self.state, self.at, self.step, self.index = state, at, step, index

    @traitlets.observe("index")
    def _index_changed(self, change: dict[str, Any]) -> None:
        if self.step.get("index") != change["new"] or "problem" in self.step:
            self._go(change["new"])

    @traitlets.validate("index")
    def _in_range(self, proposal: dict[str, Any]) -> int:
        index: int = min(max(proposal["value"], 0), self.about.get("count", 0))
        return index

    @traitlets.validate("at")
    def _place_of(self, proposal: dict[str, Any]) -> str | None:
        value = proposal["value"]
        if value != self._is_at:
            self.index = 0 if value is None else self._find(value)
        return self._is_at

    def __repr__(self) -> str:
        return f"<TimeSlider of {self.about['title']!r}: {self.index:,} of {self.about['count']:,}, at {self.at!r}>"

    def _repr_mimebundle_(self, **options: Any) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """The widget; and where nothing can show one, such as a page of somebody's repository, where it stands now."""
        bundle = super()._repr_mimebundle_(**options)
        if bundle is not None:
            bundle[0]["text/html"] = self._still()
        return bundle

    def _still(self) -> str:
        step = self.step
        lines = "\n".join(line[0] for line in step.get("lines", ()))
        changes = [[html.change(path, old, new, source)] for _, path, source, old, new in step.get("changes", ())]
        return html.block(
            html.line(f"{self.about['title']}, {self.index:,} of {self.about['count']:,}"),
            html.line(self.about["stopped"]),
            html.facts(step.get("facts", ())),
            html.grid(("what it changed",), changes) if changes else "",
            html.code(lines),
        )
