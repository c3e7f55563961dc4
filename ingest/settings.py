"""What the template tells the function, read once at each cold start."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from eventsourcing_kit.envelope import parse

if TYPE_CHECKING:
    from collections.abc import Mapping

    from eventsourcing_kit.event import Event

__all__ = ["Settings"]


@dataclass(frozen=True)
class Settings:
    """Raises ValueError, which names the variable, where one is missing or is not what it must be."""

    store_url: str
    stream_path: str | None
    correlation_path: str | None
    causation_path: str | None
    identity: Literal["content", "id"]
    dead_letters: str | None  # the URL of the queue for what no retry can cure

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Settings:
        table = environment.get("TABLE_NAME", "")
        if not table:
            raise ValueError("TABLE_NAME: found nothing, expected the name of a DynamoDB table")
        days = environment.get("RETENTION_DAYS", "0")
        if not (days.isascii() and days.isdigit()):
            raise ValueError("RETENTION_DAYS: found something else, expected a whole number of days; 0 keeps for ever")
        identity = environment.get("IDENTITY", "content")
        if identity not in ("content", "id"):
            raise ValueError("IDENTITY: found something else, expected 'content' or 'id'")
        return cls(
            store_url=f"dynamodb://{table}" + (f"?retention_days={int(days)}" if int(days) else ""),
            stream_path=environment.get("STREAM_PATH") or None,
            correlation_path=environment.get("CORRELATION_PATH") or None,
            causation_path=environment.get("CAUSATION_PATH") or None,
            identity="id" if identity == "id" else "content",
            dead_letters=environment.get("DEAD_LETTER_QUEUE_URL") or None,
        )

    def parsed(self, envelope: str | Mapping[str, Any]) -> Event:
        """The event of an envelope, read in the places that are set. Raises as `eventsourcing_kit.parse`."""
        return parse(
            envelope,
            self.stream_path,
            self.identity,
            correlation_path=self.correlation_path,
            causation_path=self.causation_path,
        )
