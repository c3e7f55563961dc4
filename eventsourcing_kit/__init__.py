"""eventsourcing_kit: rebuild any state at any moment from stored EventBridge events.

    store = open_store("sqlite:///events.db")
    store.append(parse(envelope))

    orders = Projection("orders", initial=dict)

    @orders.on("OrderPlaced")
    def placed(state, event):
        return {**state, event.id: event.data["total"]}

    rebuild(orders, store, "order-17", at="2026-03-01T11:03:27Z").state

Importing this package loads nothing else: each name is loaded when it is first asked for, so that a Lambda which only
stores events carries nothing that rebuilds them. No driver, no pydantic, no reading of the environment.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from eventsourcing_kit.costs import Estimate, estimate
    from eventsourcing_kit.envelope import parse
    from eventsourcing_kit.errors import EventSourcingError
    from eventsourcing_kit.event import Event
    from eventsourcing_kit.jobs.folder import rebuild_job
    from eventsourcing_kit.jobs.manifest import Manifest
    from eventsourcing_kit.jobs.publishing import ViewCheck, check_view, publish
    from eventsourcing_kit.jobs.reading import ViewReading, read_view
    from eventsourcing_kit.jobs.view import View
    from eventsourcing_kit.outcomes import Rebuilt
    from eventsourcing_kit.projection import Projection
    from eventsourcing_kit.questions.bisect import Bisection, bisect
    from eventsourcing_kit.questions.blame import Blame, blame
    from eventsourcing_kit.questions.diff import Diff, diff
    from eventsourcing_kit.questions.history import History, history
    from eventsourcing_kit.questions.revisions import Revisions, revisions
    from eventsourcing_kit.rebuilding import rebuild, rebuild_all
    from eventsourcing_kit.stores import open_store
    from eventsourcing_kit.trails import SimilarTrails, Trail, similar_trails, trail
    from eventsourcing_kit.upcast import Upcasters
    from eventsourcing_kit.verifying.answers import TieCheck, TieChecks, Verification
    from eventsourcing_kit.verifying.tied import check_ties
    from eventsourcing_kit.verifying.verification import verify

__all__ = [
    "open_store",
    "parse",
    "Event",
    "Projection",
    "Upcasters",
    "rebuild",
    "rebuild_all",
    "Rebuilt",
    "estimate",
    "Estimate",
    "rebuild_job",
    "Manifest",
    "publish",
    "View",
    "check_view",
    "ViewCheck",
    "read_view",
    "ViewReading",
    "history",
    "History",
    "diff",
    "Diff",
    "blame",
    "Blame",
    "bisect",
    "Bisection",
    "revisions",
    "Revisions",
    "trail",
    "Trail",
    "similar_trails",
    "SimilarTrails",
    "verify",
    "Verification",
    "check_ties",
    "TieChecks",
    "TieCheck",
    "EventSourcingError",
]

# No module bears the name of what it holds: importing it would put the module in the function's place.
_PLACES = {
    "open_store": "stores",
    "parse": "envelope",
    "Event": "event",
    "Projection": "projection",
    "Upcasters": "upcast",
    "rebuild": "rebuilding",
    "rebuild_all": "rebuilding",
    "Rebuilt": "outcomes",
    "estimate": "costs",
    "Estimate": "costs",
    "rebuild_job": "jobs.folder",
    "Manifest": "jobs.manifest",
    "publish": "jobs.publishing",
    "View": "jobs.view",
    "check_view": "jobs.publishing",
    "ViewCheck": "jobs.publishing",
    "read_view": "jobs.reading",
    "ViewReading": "jobs.reading",
    "history": "questions.history",
    "History": "questions.history",
    "diff": "questions.diff",
    "Diff": "questions.diff",
    "blame": "questions.blame",
    "Blame": "questions.blame",
    "bisect": "questions.bisect",
    "Bisection": "questions.bisect",
    "revisions": "questions.revisions",
    "Revisions": "questions.revisions",
    "trail": "trails",
    "Trail": "trails",
    "similar_trails": "trails",
    "SimilarTrails": "trails",
    "verify": "verifying.verification",
    "Verification": "verifying.answers",
    "check_ties": "verifying.tied",
    "TieChecks": "verifying.answers",
    "TieCheck": "verifying.answers",
    "EventSourcingError": "errors",
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    value = globals()[name] = getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
