"""Redrive: what ended in a dead-letter queue, put through the same ingest once more.

It takes messages of all the kinds that end there: envelopes as the bus sent them, what the ingestion Lambda put there
with its reason, and the records of an on-failure destination.
"""

from __future__ import annotations

import re
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal
from urllib.parse import urlsplit

from eventsourcing_kit.delivery import envelopes_in
from eventsourcing_kit.envelope import parse
from eventsourcing_kit.errors import EventRefused, InvalidOption, StoreUnavailable
from eventsourcing_kit.stores.pages import error_code

if TYPE_CHECKING:
    from collections.abc import Iterator
    from urllib.parse import SplitResult

    from mypy_boto3_sqs.client import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

    from eventsourcing_kit.event import Event
    from eventsourcing_kit.stores.contract import Store

__all__ = ["Redriven", "redrive"]

_AT_ONCE: Final = 10  # the most that SQS gives in one answer, or takes in one request
_HIDDEN_SECONDS: Final = 300  # from other readers, and from this one, while it is looked at
_WAIT_SECONDS: Final = 1  # then all of SQS's servers are asked, so that an empty answer means an empty queue
_REPEATED: Final = 3  # answers of nothing but what was seen, after which there is nothing else

# Where a reason stands: of the ingestion Lambda, of a rule's target, of an asynchronous invocation.
# https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-dlq.html
_REASONS: Final = ("reason", "ERROR_MESSAGE", "ErrorMessage")


@dataclass(frozen=True)
class Redriven:
    """One message: what became of it, or would. `reason` is why it is refused, or why it once was."""

    message_id: str
    events: tuple[str, ...]  # ids
    outcome: Literal["stored", "duplicate", "would be put", "refused"]
    reason: str | None


def redrive(
    queue_url: str,
    store: Store,
    *,
    dry_run: bool = True,
    stream_path: str | None = None,
    identity: Literal["content", "id"] = "content",
    correlation_path: str | None = None,
    causation_path: str | None = None,
    region: str | None = None,
    endpoint_url: str | None = None,
) -> Iterator[Redriven]:
    """Takes each message of a queue once. Stored events and duplicates leave the queue; a refused message stays.

    With `dry_run` nothing is stored and nothing leaves: it says which messages can be read as events, and why others
    can not. A message of several envelopes is stored whole: its outcome is "stored" where any of them was new.

    Meanwhile other readers do not see what was looked at; what stays can be received again when the iteration is over,
    or after five minutes at the latest. Region and endpoint are those of the URL, unless given.

    Raises InvalidOption for what is no queue's URL, and then a StoreError: of the store, or StoreUnavailable for the
    queue.
    """
    place = _checked(queue_url)
    region = region or _region_of(place.hostname or "")
    if endpoint_url is None and not _is_aws(place.hostname or ""):
        endpoint_url = f"{place.scheme}://{place.netloc}"

    def parsed(body: str) -> list[Event]:
        paths = {"correlation_path": correlation_path, "causation_path": causation_path}
        return [parse(found, stream_path, identity, **paths) for found in envelopes_in(body)]

    def outcomes() -> Iterator[Redriven]:
        with _translated(queue_url), _queue(queue_url, region, endpoint_url) as queue:
            for message in queue.messages():
                ids: tuple[str, ...] = ()
                try:
                    events = parsed(message["Body"])
                    ids = tuple(event.id for event in events)
                    outcome = "would be put" if dry_run else _put(store, events)
                except EventRefused as refused:
                    yield Redriven(message["MessageId"], ids, "refused", str(refused))
                    continue
                if not dry_run:
                    queue.delete(message)
                yield Redriven(message["MessageId"], ids, outcome, _once_refused(message))

    return outcomes()


def _put(store: Store, events: list[Event]) -> Literal["stored", "duplicate"]:
    return "stored" if "stored" in [store.append(event) for event in events] else "duplicate"


def _once_refused(message: MessageTypeDef) -> str | None:
    attributes = message.get("MessageAttributes", {})
    return next((attributes[name].get("StringValue") for name in _REASONS if name in attributes), None)


class _Queue:
    """A queue, and what was received of it and is still there."""

    def __init__(self, client: SQSClient, url: str) -> None:
        self._client = client
        self._url = url
        self._held: dict[str, str] = {}  # receipt by message

    def messages(self) -> Iterator[MessageTypeDef]:
        """Each message once, also where the queue gives it twice."""
        seen: set[str] = set()
        repeated = 0
        while repeated < _REPEATED and (received := self._receive()):
            fresh = [message for message in received if message["MessageId"] not in seen]
            repeated = 0 if fresh else repeated + 1
            seen.update(message["MessageId"] for message in fresh)
            yield from fresh

    def delete(self, message: MessageTypeDef) -> None:
        self._client.delete_message(QueueUrl=self._url, ReceiptHandle=self._held.pop(message["MessageId"]))

    def release(self) -> None:
        """Lets what is still there be received again at once."""
        receipts = list(self._held.values())
        for start in range(0, len(receipts), _AT_ONCE):
            self._client.change_message_visibility_batch(
                QueueUrl=self._url,
                Entries=[
                    {"Id": str(number), "ReceiptHandle": receipt, "VisibilityTimeout": 0}
                    for number, receipt in enumerate(receipts[start : start + _AT_ONCE])
                ],
            )

    def _receive(self) -> list[MessageTypeDef]:
        answer = self._client.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=_AT_ONCE,
            VisibilityTimeout=_HIDDEN_SECONDS,
            WaitTimeSeconds=_WAIT_SECONDS,
            MessageAttributeNames=["All"],
        )
        received = answer.get("Messages", [])
        self._held.update((message["MessageId"], message["ReceiptHandle"]) for message in received)
        return received


@contextmanager
def _queue(url: str, region: str | None, endpoint_url: str | None) -> Iterator[_Queue]:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    config = Config(connect_timeout=1, read_timeout=25, retries={"mode": "standard", "total_max_attempts": 5})
    client = boto3.client("sqs", region_name=region, endpoint_url=endpoint_url, config=config)
    queue = _Queue(client, url)
    try:
        yield queue
    finally:
        with suppress(BotoCoreError, ClientError):  # they come back by themselves, only later
            queue.release()
        client.close()


def _checked(queue_url: str) -> SplitResult:
    expected = "a queue's URL: https://sqs.REGION.amazonaws.com/ACCOUNT/NAME"
    try:
        place = urlsplit(queue_url)
        named = place.scheme in ("http", "https") and place.hostname and place.port != 0 and place.path.strip("/")
    except ValueError:
        named = False
    if not named:
        raise InvalidOption("queue_url", found="something else", expected=expected)
    if "@" in place.netloc or place.query or place.fragment:  # what may be a password is not shown
        raise InvalidOption("queue_url", found="a URL with more than host and path", expected=expected)
    return place


def _is_aws(host: str) -> bool:
    return host.endswith((".amazonaws.com", ".amazonaws.com.cn"))


def _region_of(host: str) -> str | None:
    return next((part for part in host.split(".") if _is_aws(host) and _REGION.fullmatch(part)), None)


_REGION: Final = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")


@contextmanager
def _translated(queue_url: str) -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise StoreUnavailable(queue_url, code=error_code(error), doing="redriving") from error
    except BotoCoreError as error:
        raise StoreUnavailable(queue_url, code=type(error).__name__, doing="redriving") from error
