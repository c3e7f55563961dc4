"""Dead letters: what no retry can cure goes to its queue at once, with the reason as message attributes."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient

    from eventsourcing_kit.errors import EventRefused

__all__ = ["send"]

MAX_ATTRIBUTE = 1_024  # of a reason; SQS itself counts attributes into the size of the message


def send(queue_url: str, body: str, refused: EventRefused) -> None:
    """Puts a refused delivery into the queue, unchanged. Raises botocore's errors: then it is not there."""
    _client().send_message(
        QueueUrl=queue_url,
        MessageBody=body,
        MessageAttributes={
            "error": {"DataType": "String", "StringValue": type(refused).__name__},
            "reason": {"DataType": "String", "StringValue": _printable(str(refused))[:MAX_ATTRIBUTE]},
        },
    )


@lru_cache(maxsize=1)
def _client() -> SQSClient:
    import boto3  # loaded already by the store; a second client only where something was refused
    from botocore.config import Config

    config = Config(connect_timeout=1, read_timeout=5, retries={"mode": "standard", "total_max_attempts": 3})
    return boto3.client("sqs", config=config)


def _printable(text: str) -> str:
    """SQS takes the characters of XML 1.0 only; ids and types may hold others."""
    return "".join(character if character.isprintable() else f"\\u{ord(character):04x}" for character in text)
