"""Pages of a DynamoDB table: decoded from the very bytes of an answer, the next one under way meanwhile.

botocore's parser looks every value up in its model of the API, which takes some thirty times as long as to read the
JSON. Its event `before-parse` (botocore 1.35.16 and later) hands a successful answer over as it came; credentials,
signing, endpoints and retries, also those for a wrong checksum, stay botocore's. Where there is no such event, what
botocore has parsed is taken. And where one item of a page is not as this kit writes them, the whole page takes the
plain road, `record_of`, which says what is wrong with it, and where.
"""

from __future__ import annotations

import threading
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from json import JSONDecoder
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self, TypeVar
from zlib import crc32

import msgspec

from eventsourcing_kit.errors import StoreDamaged, StoreUnavailable
from eventsourcing_kit.event import Event, decode_json
from eventsourcing_kit.record import COLUMNS, Record, decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from concurrent.futures import Future
    from types import TracebackType

    from botocore.exceptions import ClientError
    from mypy_boto3_dynamodb.client import DynamoDBClient

    Key = dict[str, dict[str, str]]
    Answer = dict[str, Any]
    Item = dict[str, Any]
    Ask = Callable[[Key | None], Answer]

__all__ = [
    "NO_DETAIL",
    "NO_TEXT",
    "OPERATIONS",
    "TAGS",
    "Bytes",
    "Number",
    "Page",
    "Sending",
    "Text",
    "answer_of",
    "answer_with",
    "asked",
    "body_of",
    "each_page",
    "error_code",
    "is_sound",
    "item_of",
    "items_of",
    "keep_bodies",
    "key_at_end",
    "page_of",
    "pages_from",
    "record_of",
    "size_of",
]

Content = TypeVar("Content")

TAGS: Final = {"eventDetailZ": "B", "expireRecord": "N"}  # the types of attributes that are no text
OPERATIONS: Final = ("Query", "Scan")  # whose answers are kept as they came

_BODY: Final = "body, kept by eventsourcing_kit"  # a member that no answer of DynamoDB has
_OK: Final = 200
_FIELDS: Final = dict(zip(COLUMNS, Record.__struct_fields__, strict=True))
_LAST_KEY: Final = b'"LastEvaluatedKey":'
_TAIL: Final = 32_768  # bytes at the end of a page in which its last key stands, were every character of it an escape


def keep_bodies(client: DynamoDBClient) -> None:
    """From here on, `asked` gives the client's answers as they came. All others who use that client see no change."""
    for operation in OPERATIONS:
        client.meta.events.register(f"before-parse.dynamodb.{operation}", _keep_body)
        client.meta.events.register(f"before-send.dynamodb.{operation}", _note_leaving)


def asked(operation: Callable[..., Any], request: Mapping[str, Any]) -> Answer:
    """What the client's `query` or `scan` answers, for `page_of` and `answer_of` to read. Raises as the client does."""
    _call.keeps = True
    try:
        answer: Answer = operation(**request)
        return answer
    finally:
        _call.keeps = False


def _keep_body(response_dict: dict[str, Any], customized_response_dict: dict[str, Any], **_: object) -> None:
    # What is no success is botocore's to read and to try again.
    if getattr(_call, "keeps", False) and response_dict["status_code"] == _OK:
        customized_response_dict[_BODY] = response_dict["body"]
        response_dict["body"] = b"{}"


def _note_leaving(**_: object) -> None:
    left: threading.Event | None = getattr(_call, "left", None)
    if left is not None:
        left.set()


_call = threading.local()  # botocore's events come in the thread that asks


# One answer


class Page(NamedTuple):
    events: Iterable[Event]
    key: Key | None  # behind which the next page begins; None: there is none


def page_of(answer: Answer, *, url: str) -> Page:
    """The events of an answer. Raises StoreUnavailable; and, where the turn of a bad item comes, StoreDamaged."""
    body = body_of(answer, url, "reading")
    if body is not None:
        try:
            page = _PAGES.decode(body)
            return Page(map(_event, page.Items), page.LastEvaluatedKey)
        except (msgspec.MsgspecError, RecursionError):
            pass  # the plain road finds out which item it is
    found = _unpacked(answer, body, url, "reading")
    return Page((decode(record_of(item, url=url)) for item in found["Items"]), found.get("LastEvaluatedKey"))


def answer_of(answer: Answer, *, url: str, doing: str) -> Answer:
    """An answer as botocore would have parsed it, but for bytes, which are in base64. Raises StoreUnavailable."""
    return _unpacked(answer, body_of(answer, url, doing), url, doing)


def items_of(operation: Callable[..., Any], request: dict[str, Any], *, url: str, doing: str) -> Iterator[Item]:
    """The items of all pages, as DynamoDB's JSON has them. Raises as the client does, and StoreUnavailable."""
    while True:
        page = answer_of(asked(operation, request), url=url, doing=doing)
        yield from page["Items"]
        if "LastEvaluatedKey" not in page:
            return
        request = {**request, "ExclusiveStartKey": page["LastEvaluatedKey"]}


def answer_with(body: bytes) -> Answer:
    """An answer of these bytes, whose checksum was right."""
    return {_BODY: body, "ResponseMetadata": {"HTTPHeaders": {}}}


def body_of(answer: Answer, url: str, doing: str) -> bytes | None:
    """The bytes of an answer; None where botocore has parsed it. Raises StoreUnavailable where they are damaged."""
    body: bytes | None = answer.get(_BODY)
    # When its tries are used up, botocore hands out the last answer, however wrong that is.
    if body is not None and not is_sound(body, answer["ResponseMetadata"]["HTTPHeaders"]):
        raise StoreUnavailable(url, code="an answer with a wrong checksum", doing=doing)
    return body


def is_sound(body: bytes, headers: Mapping[str, str]) -> bool:
    """Whether the checksum among the headers of an answer, where there is one, is that of its body."""
    checksum = headers.get("x-amz-crc32")
    return checksum is None or checksum == str(crc32(body))


def _unpacked(answer: Answer, body: bytes | None, url: str, doing: str) -> Answer:
    if body is None:
        return answer
    try:
        found: Answer = decode_json(body)
        found["Items"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise StoreUnavailable(url, code="an answer that is not DynamoDB's", doing=doing) from None
    return found


def error_code(error: ClientError) -> str:
    """What AWS calls it, such as ThrottlingException."""
    return str(error.response.get("Error", {}).get("Code", "unknown"))


def record_of(item: dict[str, Any], *, url: str) -> Record:
    """The record of an item. Raises StoreDamaged where an attribute has another type than this kit gives it."""
    values: dict[str, Any] = {}
    for name, field in _FIELDS.items():
        tagged = item.get(name)
        if tagged is None:
            continue
        ((tag, value),) = tagged.items()
        expected = TAGS.get(name, "S")
        if tag != expected:
            key = item["sk"].get("S", "")
            raise StoreDamaged(url, f"attribute '{name}' of the item '{key}' has the type {tag}, expected {expected}")
        if tag == "N":
            value = float(value)
        elif tag == "B" and isinstance(value, str):
            value = b64decode(value)
        values[field] = value
    return Record(**values)


def item_of(row: msgspec.Struct, names: Sequence[str], tags: Mapping[str, str]) -> dict[str, Any]:
    """A row as boto3's client takes it: its fields are these attributes, of these types where they are no text."""
    values = zip(names, msgspec.structs.astuple(row), strict=True)
    tagged = ((name, tags.get(name, "S"), value) for name, value in values if value is not None)
    return {name: {tag: str(value) if tag == "N" else value} for name, tag, value in tagged}


class Text(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    S: str


class Number(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    N: str


class Bytes(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    B: bytes


# What stands for an attribute that an item lacks, as `record.decode` reads it: so that each is asked in one way.
NO_TEXT: Final = Text(None)  # type: ignore[arg-type]  # made here only; a decoded one is text
_EMPTY: Final = Text("")
NO_DETAIL: Final = Text("{}")


class _Item(msgspec.Struct, gc=False):
    """The attributes of `record.COLUMNS`, in their own spelling; all others are passed over."""

    pk: Text
    sk: Text
    primaryKey: Text = NO_TEXT  # noqa: N815 - the attributes' names, as below
    detailType: Text = NO_TEXT  # noqa: N815
    eventId: Text = _EMPTY  # noqa: N815
    source: Text = _EMPTY
    eventTime: Text = _EMPTY  # noqa: N815
    eventDetail: Text = NO_DETAIL  # noqa: N815
    eventDetailZ: Bytes | None = None  # noqa: N815
    recordedAt: Text = NO_TEXT  # noqa: N815
    digest: Text = NO_TEXT
    putToken: Text = NO_TEXT  # noqa: N815
    expireRecord: Number | None = None  # noqa: N815
    correlationId: Text = NO_TEXT  # noqa: N815
    causationId: Text = NO_TEXT  # noqa: N815
    replayName: Text = NO_TEXT  # noqa: N815
    account: Text = NO_TEXT
    region: Text = NO_TEXT
    resources: Text = NO_TEXT


class _Items(msgspec.Struct, gc=False):
    Items: list[_Item]
    LastEvaluatedKey: dict[str, dict[str, str]] | None = None


_PAGES: Final = msgspec.json.Decoder(_Items)


def _event(item: _Item) -> Event:
    key, type_ = item.sk.S, item.detailType.S
    packed, expires = item.eventDetailZ, item.expireRecord
    return Event(
        item.pk.S,
        key,
        key.partition("#")[2] if type_ is None else type_,
        item.eventId.S,
        item.source.S,
        item.eventTime.S,
        item.eventDetail.S if packed is None else packed.B,
        item.recordedAt.S,
        item.digest.S,
        None if expires is None else float(expires.N),
        item.correlationId.S,
        item.causationId.S,
        item.replayName.S,
        item.account.S,
        item.region.S,
        item.resources.S,
    )


# One answer after another


def each_page(ask: Ask, read: Callable[[Answer], tuple[Content, Key | None]]) -> Iterator[Content]:
    """What `read` makes of each page, in order; `ask` brings the answer that begins behind a key, or at the beginning.

    The next page is asked for before this one is decoded, by a thread that lives as long as this iteration; never more
    than one is under way. What goes wrong with it is raised when its turn comes. Raises what `ask` and `read` do.
    """
    with Sending(1) as sending:
        yield from pages_from(ask(None), ask, read, sending)


def pages_from(
    answer: Answer, ask: Ask, read: Callable[[Answer], tuple[Content, Key | None]], sending: Sending
) -> Iterator[Content]:
    """As `each_page`, from an answer on that is there already."""
    while True:
        end = key_at_end(answer)
        ahead = None if end is None else sending.send(ask, end)
        content, key = read(answer)
        yield content
        del content  # or there would be two at a time, while the next one is decoded
        if key is None:
            return
        answer = ahead.result() if ahead is not None and key == end else ask(key)


def size_of(answer: Answer) -> int:
    """Bytes of an answer, or its items where botocore has parsed it: to compare one with another."""
    return len(answer.get(_BODY) or answer.get("Items", ()))


def key_at_end(answer: Answer) -> Key | None:
    """The last key of a page, found without decoding the page: right, but where an item has an attribute of the very
    same name in its place."""
    body = answer.get(_BODY)
    if body is None:
        return answer.get("LastEvaluatedKey")
    place = body.rfind(_LAST_KEY, -_TAIL)
    if place < 0:
        return None
    try:
        key, _ = _JSON.raw_decode(body[place + len(_LAST_KEY) :].decode().lstrip())
    except ValueError:
        return None
    return key  # type: ignore[no-any-return]  # whatever it is, it is compared before it is used


_JSON: Final = JSONDecoder()


class Sending:
    """Questions under way, each in one of `most` threads, which are made when there is one. Has to be closed."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._pool: ThreadPoolExecutor | None = None

    def send(self, ask: Callable[..., Answer], *question: Any) -> Future[Answer]:
        """Comes back when the request is on its way: a thread that folds leaves others no time to send anything."""
        if self._pool is None:
            self._pool = ThreadPoolExecutor(self._most, thread_name_prefix="eventsourcing_kit page")
        left = threading.Event()
        answer = self._pool.submit(self._run, left, ask, *question)
        left.wait()
        return answer

    def _run(self, left: threading.Event, ask: Callable[..., Answer], *question: Any) -> Answer:
        _call.left = left
        try:
            return ask(*question)
        finally:
            left.set()  # also where it came to no sending

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
