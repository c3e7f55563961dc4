"""What one delivery came to, collected where it is worked on, and told where the invocation ends.

Powertools' metrics belong to one thread; and a delivery that is not done in time must not write into the next one's.
"""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.metrics import MetricUnit

from eventsourcing_kit.errors import EventConflict, EventExpired, EventRefused, StoreDamaged, StoreError

if TYPE_CHECKING:
    from aws_lambda_powertools import Logger, Metrics

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.stores.contract import Outcome

__all__ = ["Report"]


@dataclass
class Report:
    """Lines name events by id, type and a hash of the key: never by what is in them, or whose stream it is."""

    outcomes: list[str] = field(default_factory=list)
    error: Exception | None = None
    _lines: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)
    _metrics: list[tuple[str, MetricUnit, int]] = field(default_factory=list)

    def ingested(self, event: Event, outcome: Outcome) -> None:
        self.outcomes.append(str(outcome))
        self._lines.append((logging.INFO, "ingested", {**_names(event), "outcome": outcome, "twin": outcome.twin}))
        self._count("Stored" if outcome == "stored" else "Duplicates")
        if outcome.twin:
            self._count("Twins")
        if outcome.other_id is not None:
            self._count("DuplicatesUnderAnotherId")
        age = (time.time_ns() - event.moment_ns) // 1_000_000
        self._metrics.append(("Age" if age >= 0 else "ClockSkew", MetricUnit.Milliseconds, abs(age)))

    def refused(self, error: EventRefused, event: Event | None) -> None:
        self.outcomes.append("refused")
        self._lines.append((logging.WARNING, "refused", {**_names(event), **_why(error)}))
        self._count("Conflicts" if isinstance(error, EventConflict) else "Refused")

    def failed(self, error: Exception, event: Event | None) -> None:
        # The runtime logs the message of what is raised, so one that names the stream is not.
        self.error = NotStoredError(**_why(error)) if isinstance(error, _NAMES_A_STREAM) else error
        self._lines.append((logging.ERROR, "not stored", {**_names(event), **_why(error)}))
        if not isinstance(error, EventRefused):  # which is counted as such
            self._count("Failed")

    def tell(self, logger: Logger, metrics: Metrics) -> None:
        for level, line, facts in self._lines:
            tell = {logging.INFO: logger.info, logging.WARNING: logger.warning, logging.ERROR: logger.error}[level]
            tell(line, extra=facts)
        for name, unit, value in self._metrics:
            metrics.add_metric(name, unit, value)

    def _count(self, name: str) -> None:
        self._metrics.append((name, MetricUnit.Count, 1))


class NotStoredError(Exception):
    """Stands for an error whose own message names a stream: `outcome` is its kind, `reason` says the same without."""

    def __init__(self, outcome: str, reason: str) -> None:
        super().__init__(f"{outcome}: {reason}")
        self.outcome = outcome
        self.reason = reason


_NAMES_A_STREAM = (EventConflict, EventExpired, StoreDamaged)


def _names(event: Event | None) -> dict[str, Any]:
    if event is None:
        return {}
    return {
        "event_id": event.id,
        "type": event.type,
        "source": event.source,
        "moment": event.key[:24],
        "stream_hash": hashlib.sha256(event.stream.encode()).hexdigest()[:16],
        "correlation_id": event.correlation_id,
    }


def _why(error: Exception) -> dict[str, str]:
    """The outcome, and its reason as far as that names no stream and may not quote what it failed on."""
    if isinstance(error, EventConflict):
        reason = error.reason
    elif isinstance(error, EventExpired):
        reason = f"older than the table keeps (RETENTION_DAYS={error.retention_days})"
    elif isinstance(error, StoreDamaged):
        reason = "what has its key can not be read"
    else:
        reason = str(error) if isinstance(error, (EventRefused, StoreError)) else ""
    return {"outcome": type(error).__name__, "reason": reason}
