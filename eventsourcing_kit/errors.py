"""Every error that the kit raises on purpose.

    EventSourcingError
    |-- EventRefused               an event that was not stored
    |   |-- InvalidEnvelope        a field is missing or is not what it must be
    |   |-- EventTooLarge          over a limit of DynamoDB, in every store
    |   |-- EventConflict          the same id with another content
    |   `-- EventExpired           older than the store keeps events
    |-- InvalidMoment              a time that the grammar does not take (also a ValueError)
    |-- InvalidOption              a setting with a value that it can not have (also a ValueError)
    |-- InvalidProjection          a projection that contradicts itself, where it is defined
    |-- ProjectionNotFound         no projection of that name or module
    |-- StoreError
    |   |-- InvalidStoreURL        a URL that names no store (also a ValueError)
    |   |-- StoreNotFound          the file or the table is not there
    |   |-- IndexNotFound          a table without the index by which trails are found
    |   |-- StoreUnavailable       unreachable, throttled, locked, full or not permitted
    |   |-- StoreDamaged           a file that is no store, or a record that does not verify
    |   |-- ViewReplaced           a view of which a later build came into its place, while it was built or read
    |   `-- ForeignKey             a key whose time is not in the canonical spelling
    |-- EventNotFound              `event:...` names no event of the stream, or several (also a LookupError)
    |-- EndsAgree                  a bisection between two states of which none, or the first one already, is wrong
    |-- CheckFailed                the check of a bisection raised
    |-- IncompleteStream           the beginning of the stream has expired
    |-- FoldFailed                 a handler, model or upcaster raised
    |-- FoldCrashed                a process that folded did not get to its end
    `-- RebuildsFailed             some of several streams could not be rebuilt

Each message is one sentence for a person; each fact in it is an attribute for a program. No message holds any part of
an event's payload: `found` describes a value, it does not quote it.
"""

from __future__ import annotations

from typing import Any

__all__ = [
    "CheckFailed",
    "EndsAgree",
    "EventConflict",
    "EventExpired",
    "EventNotFound",
    "EventRefused",
    "EventSourcingError",
    "EventTooLarge",
    "FoldCrashed",
    "FoldFailed",
    "ForeignKey",
    "IncompleteStream",
    "IndexNotFound",
    "InvalidEnvelope",
    "InvalidMoment",
    "InvalidOption",
    "InvalidProjection",
    "InvalidStoreURL",
    "ProjectionNotFound",
    "RebuildsFailed",
    "StoreDamaged",
    "StoreError",
    "StoreNotFound",
    "StoreUnavailable",
    "ViewReplaced",
]


class EventSourcingError(Exception):
    """The root: `except EventSourcingError` takes all that the kit raises on purpose."""


class EventRefused(EventSourcingError):
    """An event that was not stored. Trying again with the same event gives the same answer."""


class InvalidEnvelope(EventRefused):
    """`field` (a dotted path) held `found` (a description, no value) where `expected` was needed."""

    def __init__(self, field: str, *, found: str, expected: str) -> None:
        super().__init__(f"{field}: found {found}, expected {expected}")
        self.field = field
        self.found = found
        self.expected = expected


class EventTooLarge(EventRefused):
    """`what` takes `size` bytes, over `limit`. Limits: DynamoDB's quotas for items and keys."""

    def __init__(self, what: str, *, size: int, limit: int, event_id: str) -> None:
        super().__init__(f"{what} of event '{event_id}' takes {size:,} bytes, over the limit of {limit:,}")
        self.what = what
        self.size = size
        self.limit = limit
        self.event_id = event_id


class EventConflict(EventRefused):
    """The store holds other content where this event belongs, so one of the two is false; the stored one stays."""

    def __init__(self, reason: str, *, stream: str, key: str, event_id: str) -> None:
        super().__init__(f"event '{event_id}' conflicts with '{key}' in stream '{stream}': {reason}")
        self.reason = reason
        self.stream = stream
        self.key = key
        self.event_id = event_id


class EventExpired(EventRefused):
    """The event's moment lies further back than the store keeps events, so storing it would be losing it."""

    def __init__(self, *, stream: str, key: str, event_id: str, retention_days: int) -> None:
        super().__init__(
            f"event '{event_id}' at '{key}' in stream '{stream}' is older than this store keeps "
            f"(retention_days={retention_days}); store it where events are kept for longer"
        )
        self.stream = stream
        self.key = key
        self.event_id = event_id
        self.retention_days = retention_days


class InvalidMoment(EventSourcingError, ValueError):
    """`text` is no moment, for `reason`."""

    def __init__(self, text: str, reason: str) -> None:
        super().__init__(f"'{text}' is not a moment: {reason}")
        self.text = text
        self.reason = reason


class InvalidOption(EventSourcingError, ValueError):
    """The setting `option` was given `found` where `expected` was needed."""

    def __init__(self, option: str, *, found: str, expected: str) -> None:
        super().__init__(f"{option}: found '{found}', expected {expected}")
        self.option = option
        self.found = found
        self.expected = expected


class InvalidProjection(EventSourcingError):
    """`projection` is defined in a way that can not work, for `reason`."""

    def __init__(self, projection: str, reason: str) -> None:
        super().__init__(f"projection '{projection}': {reason}")
        self.projection = projection
        self.reason = reason


class ProjectionNotFound(EventSourcingError):
    """`name` was looked for in `where`, in vain, for `reason`."""

    def __init__(self, name: str, *, where: str, reason: str) -> None:
        super().__init__(f"'{name}' was not found in {where}: {reason}")
        self.name = name
        self.where = where
        self.reason = reason


class StoreError(EventSourcingError):
    """Something about the store at `url`, which never holds credentials."""

    def __init__(self, message: str, *, url: str) -> None:
        super().__init__(message)
        self.url = url


class InvalidStoreURL(StoreError, ValueError):
    """`url` names no store, for `reason`."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"'{url}' is not a store's URL: {reason}", url=url)
        self.reason = reason


class StoreNotFound(StoreError):
    """There is no file or table at `url`."""

    def __init__(self, url: str, hint: str) -> None:
        super().__init__(f"there is no store at '{url}': {hint}", url=url)
        self.hint = hint


class IndexNotFound(StoreError):
    """The table at `url` has no `index`, or none that can be read yet; a scan of all streams needs none."""

    def __init__(self, url: str, *, index: str) -> None:
        super().__init__(
            f"the table at '{url}' has no index '{index}', or is still building it: add it as infra/README.md says, "
            "or read all streams instead, with scan=True",
            url=url,
        )
        self.index = index


class StoreUnavailable(StoreError):
    """The store did not do its work; `code` is the driver's own, and the driver's error is the cause."""

    def __init__(self, url: str, *, code: str, doing: str) -> None:
        super().__init__(f"the store at '{url}' failed while {doing}: {code}", url=url)
        self.code = code
        self.doing = doing


class StoreDamaged(StoreError):
    """What lies at `url` is no store of this kit, or a part of it can not be read."""

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"'{url}' can not be read as a store: {reason}", url=url)
        self.reason = reason


class ViewReplaced(StoreError):
    """A build of the view of `projection` was removed in the middle of `doing`, as a later one is in its place."""

    def __init__(self, url: str, *, projection: str, doing: str) -> None:
        super().__init__(
            f"the view of '{projection}' at '{url}' was replaced by a later build while {doing} it; what is there now "
            "is whole, so begin again",
            url=url,
        )
        self.projection = projection
        self.doing = doing


class ForeignKey(StoreError):
    """`key` in `stream` was written with another spelling of time, which does not sort with the canonical one."""

    def __init__(self, url: str, *, stream: str, key: str) -> None:
        super().__init__(
            f"key '{key}' in stream '{stream}' does not begin with a time spelled YYYY-MM-DDTHH:MM:SS.mmmZ; "
            "open the store with legacy=1 in its URL, or rewrite such keys with 'eskit migrate'",
            url=url,
        )
        self.stream = stream
        self.key = key


class IncompleteStream(EventSourcingError):
    """The first events of `stream` have expired; `since` is the moment of the first one ever, where that is known."""

    def __init__(self, *, stream: str, projection: str, since: str | None) -> None:
        began = f" (it began at {since})" if since else ""
        super().__init__(
            f"the beginning of stream '{stream}'{began} has expired, so projection '{projection}' can not be rebuilt "
            "from its start; allow an incomplete answer to fold what is left"
        )
        self.stream = stream
        self.projection = projection
        self.since = since


class EventNotFound(EventSourcingError, LookupError):
    """`wanted`, as in `event:wanted`, does not name one event `where` it was looked for (in words), for `reason`."""

    def __init__(self, *, where: str, wanted: str, reason: str) -> None:
        super().__init__(f"'event:{wanted}' names no event of {where}: {reason}")
        self.where = where
        self.wanted = wanted
        self.reason = reason


class EndsAgree(EventSourcingError):
    """A bisection needs a check that passes at its good end and fails at its bad end; `passes` says what both do."""

    def __init__(self, *, projection: str, stream: str, passes: bool) -> None:
        if passes:
            reason = "the check passes at both ends, so nothing is wrong at the bad one; flips list what lies between"
        else:
            reason = "the check fails at the good end already (the initial one unless named); name one where it passes"
        super().__init__(f"projection '{projection}' over stream '{stream}': {reason}")
        self.projection = projection
        self.stream = stream
        self.passes = passes


class CheckFailed(EventSourcingError):
    """A bisection's check raised at the state after the event `event_id` at `key`; both are None at the initial one."""

    def __init__(self, *, projection: str, stream: str, key: str | None, event_id: str | None, reason: str) -> None:
        where = "at the initial state" if key is None else f"after event '{event_id}' ('{key}')"
        super().__init__(
            f"the check of projection '{projection}' over stream '{stream}' raised {where}: {reason}; it has to take "
            "every state from the good end on"
        )
        self.projection = projection
        self.stream = stream
        self.key = key
        self.event_id = event_id
        self.reason = reason


class FoldFailed(EventSourcingError):
    """`projection` could not fold the event `event_id` at `key` of `stream`; `fields` where a model refused them.

    `event` is that event, and `state` the one before it: from a fold or a rebuild as the handler left both, which may
    have begun to change them in place. Where a question was asked over many events, they are as they were before, as it
    folds once more for that; `number` is the event's place in its stream, and `answer` what had been found up to there,
    where that is an answer; else None.
    """

    event: Any = None  # an Event
    state: Any = None
    number: int | None = None
    answer: Any = None

    def __init__(
        self, *, projection: str, stream: str, key: str, event_id: str, reason: str, fields: tuple[str, ...] = ()
    ) -> None:
        super().__init__(
            f"projection '{projection}' failed at event '{event_id}' ('{key}' in stream '{stream}'): {reason}"
        )
        self.projection = projection
        self.stream = stream
        self.key = key
        self.event_id = event_id
        self.reason = reason
        self.fields = fields


class FoldCrashed(EventSourcingError):
    """A process of its own did not get to the end of its folds of `projection`, for `reason`; it was last at `stream`,
    where it had come to one. `world` is the name of the world that was tried in it, where one was."""

    def __init__(self, projection: str, *, stream: str | None, world: str | None = None, reason: str) -> None:
        where = f"stream '{stream}'" if stream is not None else "the import of its module"
        process = "a process" if world is None else f"the process for the world '{world}'"
        super().__init__(f"projection '{projection}': {process} did not get beyond {where}: {reason}")
        self.projection = projection
        self.stream = stream
        self.world = world
        self.reason = reason


class RebuildsFailed(EventSourcingError):
    """`failures` has the error of each stream that could not be rebuilt; all the others were."""

    def __init__(self, projection: str, failures: dict[str, EventSourcingError]) -> None:
        first, error = next(iter(failures.items()))
        super().__init__(
            f"projection '{projection}' could not be rebuilt for {len(failures):,} streams, the first being "
            f"'{first}': {error}"
        )
        self.projection = projection
        self.failures = failures
