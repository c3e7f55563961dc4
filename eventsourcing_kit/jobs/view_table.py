"""Views on AWS: states as items of a DynamoDB table with the keys `pk` and `sk`, which holds views and nothing else.

*The head* of a projection's views is one item: `pk` = `eskit_views`, `sk` = the projection's name. It says which build
readers see (`build`; `view` is what that is of), and in `builds` which others are under way or have to be deleted. Each
change of it is one conditional put, on the `revision` that was read. So is a switch; and a build is struck off there
before the first of its rows is deleted, so that nobody can switch to it any more.

`view_items` says where the rows lie. Those of an old version are deleted when the new one is in place; whoever still
reads them comes to the end with all of them, or is told ViewReplaced. What is left of a dead build is deleted when a
later one is switched to.
"""

from __future__ import annotations

import logging
import secrets
import time
import zlib
from contextlib import contextmanager
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Final, cast

import botocore.exceptions
import msgspec
from msgspec.structs import replace

from eventsourcing_kit.errors import (
    InvalidOption,
    StoreDamaged,
    StoreError,
    StoreNotFound,
    StoreUnavailable,
    ViewReplaced,
)
from eventsourcing_kit.jobs.view import Begun, Row, View
from eventsourcing_kit.jobs.view_items import PartMissing, Rows
from eventsourcing_kit.stores import open_store
from eventsourcing_kit.stores.dynamodb_table import make_table, wait_for
from eventsourcing_kit.stores.pages import error_code

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager

    from mypy_boto3_dynamodb.client import DynamoDBClient

    from eventsourcing_kit.stores.dynamodb import DynamoDBStore

__all__ = ["ViewTable"]

_HEADS: Final = "eskit_views"
_FORMAT: Final = "1"
_MOST_TRIES: Final = 50  # of a change of the head, where others are always first
_MOST_BYTES: Final = 390_000  # in a head, which DynamoDB takes up to 400 KB of

_log = logging.getLogger("eventsourcing_kit.views")


class _Building(msgspec.Struct, frozen=True):
    turn: int  # in which it was begun
    begun: Begun


class _Builds(msgspec.Struct, frozen=True):
    """All but what readers see."""

    turns: int = 0
    building: dict[str, _Building] = {}
    dropped: tuple[str, ...] = ()  # whose rows have to be deleted


class _Head(msgspec.Struct, frozen=True):
    revision: int = 0
    build: str | None = None
    view: View | None = None
    builds: _Builds = _Builds()


class ViewTable:
    """The views of one projection in a DynamoDB table. See `jobs.view.Target`."""

    def __init__(self, table: str, *, url: str, projection: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self.url = url
        self._table = table
        self._projection = projection
        self._sleep = sleep

    def create(self) -> None:
        """Makes the table where it is missing; one that is there is left as it is."""
        with self._translated("creating the table"):
            if not make_table(self._client, self._table):
                wait_for(self._client, self._table)

    def unfinished(self) -> list[tuple[str, Begun]]:
        building = self._head().builds.building
        return [(name, each.begun) for name, each in sorted(building.items(), key=lambda item: item[1].turn)]

    def begin(self, begun: Begun) -> str:
        self._check_table()
        name = secrets.token_hex(8)

        def enter(head: _Head) -> _Head:
            builds = head.builds
            turn = builds.turns + 1
            building = {**builds.building, name: _Building(turn, begun)}
            entered = replace(head, builds=replace(builds, turns=turn, building=building))
            self._to_item(replace(entered, build=name, view=begun.done(states=0, events=0)))  # as it will have to fit
            return entered

        self._change(enter)
        return name

    def written(self, build: str) -> Iterator[tuple[str, int]]:
        return self._rows(build).streams()

    def write(self, build: str, rows: Sequence[Row]) -> None:
        if build not in self._head().builds.building:  # nor would anybody find these rows
            raise self._replaced("building")
        self._rows(build).put(rows)

    def switch(self, build: str, view: View) -> None:
        def enter(head: _Head) -> _Head:
            builds = head.builds
            if head.build == build:  # the answer of the put was lost
                return head
            if build not in builds.building:
                raise self._replaced("building")
            turn = builds.building[build].turn
            later = {name: each for name, each in builds.building.items() if each.turn > turn}
            gone = [name for name in builds.building if name not in later and name != build]
            dropped = (*builds.dropped, *gone, *([] if head.build is None else [head.build]))
            return replace(head, build=build, view=view, builds=replace(builds, building=later, dropped=dropped))

        head = self._change(enter)
        try:
            self._sweep(head.builds.dropped)
        except StoreError as error:  # the view is in place; the next build deletes them
            _log.warning("old rows of the view '%s' could not be deleted: %s", self._projection, error)

    def give_up(self, build: str) -> None:
        def strike(head: _Head) -> _Head:
            builds = head.builds
            if build not in builds.building:
                return head
            building = {name: each for name, each in builds.building.items() if name != build}
            return replace(head, builds=replace(builds, building=building, dropped=(*builds.dropped, build)))

        head = self._change(strike)
        self._sweep(name for name in head.builds.dropped if name == build)

    @contextmanager
    def reading(self) -> Iterator[_Shown]:
        head = self._head()
        if head.build is None or head.view is None:
            hint = f"'eskit rebuild {self._projection} --all --into' makes it"
            raise StoreNotFound(self.url, f"it has no view of '{self._projection}'; {hint}")
        yield _Shown(self, head.build, head.view)

    def close(self) -> None:
        self._store.close()

    # What a reader asks

    def states(self, build: str, view: View) -> Iterator[tuple[str, bytes]]:
        count = 0
        try:
            for count, found in enumerate(self._rows(build).states(), start=1):  # noqa: B007 - it is asked for below
                yield found
        except PartMissing:
            count = -1
        if count != view.states:
            self._check_current(build)
            if count == -1:
                raise StoreDamaged(self.url, f"a part of a state in the view of '{self._projection}' is missing")

    def state(self, build: str, stream: str) -> bytes | None:
        try:
            found = self._rows(build).state(stream)
        except PartMissing:
            self._check_current(build)
            raise StoreDamaged(self.url, f"a part of the state of stream '{stream}' is missing") from None
        if found is None:
            self._check_current(build)
        return found

    def _check_current(self, build: str) -> None:
        if self._head().build != build:
            raise self._replaced("reading")

    # Deleting

    def _sweep(self, names: Any) -> None:
        for name in tuple(names):
            if self._rows(name).delete() == 0:
                self._change(partial(_without, name=name))
            # Else it stays on the list: what its builder had under way just now is found by the next sweep.

    # The head

    def _change(self, edit: Callable[[_Head], _Head]) -> _Head:
        """What it is now. `edit` may be called several times, and once more where its change is there already."""
        for _ in range(_MOST_TRIES):
            before = self._head()
            after = edit(before)
            if after is before:
                return before
            after = replace(after, revision=before.revision + 1)
            if self._put(after):
                return after
        code = f"others have changed it meanwhile, in {_MOST_TRIES} tries"
        raise StoreUnavailable(self.url, code=code, doing="writing the head of a view")

    def _head(self) -> _Head:
        key: Any = self._key
        with self._translated("reading the head of a view"):
            item = self._client.get_item(TableName=self._table, Key=key, ConsistentRead=True).get("Item")
        if item is None:
            return _Head()
        if item.get("format", {}).get("N") != _FORMAT:
            raise StoreDamaged(self.url, f"its format is not {_FORMAT}, the one that this version of the kit reads")
        try:
            return _Head(
                revision=int(item["revision"]["N"]),
                build=item["build"]["S"] if "build" in item else None,
                view=msgspec.json.decode(item["view"]["S"], type=View) if "view" in item else None,
                builds=msgspec.json.decode(zlib.decompress(item["builds"]["B"]), type=_Builds),
            )
        except (KeyError, ValueError, zlib.error) as error:
            raise StoreDamaged(self.url, f"the head of the view '{self._projection}' is none") from error

    def _to_item(self, head: _Head) -> dict[str, Any]:
        item: dict[str, Any] = {
            **self._key,
            "format": {"N": _FORMAT},
            "revision": {"N": str(head.revision)},
            "builds": {"B": zlib.compress(msgspec.json.encode(head.builds))},
        }
        if head.build is not None and head.view is not None:
            item |= {"build": {"S": head.build}, "view": {"S": msgspec.json.encode(head.view).decode()}}
        size = sum(len(value) for attribute in item.values() for value in attribute.values())
        if size > _MOST_BYTES:
            raise InvalidOption("streams", found=f"{size:,} bytes of names", expected="fewer of them; a prefix; or all")
        return item

    def _put(self, head: _Head) -> bool:
        """Whether nobody was first."""
        before: Any = {":before": {"N": str(head.revision - 1)}}
        first = head.revision == 1
        with self._translated("writing the head of a view"):
            try:
                self._client.put_item(
                    TableName=self._table,
                    Item=self._to_item(head),
                    ConditionExpression="attribute_not_exists(pk)" if first else "revision = :before",
                    **({} if first else {"ExpressionAttributeValues": before}),
                )
            except self._client.exceptions.ConditionalCheckFailedException:
                return False
        return True

    def _check_table(self) -> None:
        """Raises StoreDamaged for a table in which something else lies."""
        values: Any = {":heads": {"S": _HEADS}}
        with self._translated("opening"):
            heads = self._client.query(
                TableName=self._table,
                KeyConditionExpression="pk = :heads",
                ExpressionAttributeValues=values,
                ConsistentRead=True,
                Limit=1,
            )
            if not heads["Items"] and self._client.scan(TableName=self._table, ConsistentRead=True, Limit=1)["Items"]:
                raise StoreDamaged(self.url, "it is not a table of views, as other items are in it")

    @property
    def _key(self) -> dict[str, Any]:
        return {"pk": {"S": _HEADS}, "sk": {"S": self._projection}}

    def _rows(self, build: str) -> Rows:
        prefix = f"{self._projection}#{build}"
        return Rows(self._client, self._table, prefix, url=self.url, translated=self._translated, sleep=self._sleep)

    def _replaced(self, doing: str) -> ViewReplaced:
        return ViewReplaced(self.url, projection=self._projection, doing=doing)

    @cached_property
    def _store(self) -> DynamoDBStore:
        return cast("DynamoDBStore", open_store(self.url))

    @cached_property
    def _connected(self) -> tuple[DynamoDBClient, Callable[[str], AbstractContextManager[None]]]:
        return self._store.connected()

    @property
    def _client(self) -> DynamoDBClient:
        return self._connected[0]

    @contextmanager
    def _translated(self, doing: str) -> Iterator[None]:
        with self._connected[1](doing):
            try:
                yield
            except botocore.exceptions.ClientError as error:
                if error_code(error) == "ResourceNotFoundException":
                    raise StoreNotFound(self.url, "'eskit create-table --views' makes it") from error
                raise


class _Shown:
    """See `jobs.view.Shown`."""

    def __init__(self, table: ViewTable, build: str, view: View) -> None:
        self._table = table
        self._build = build
        self.view = view

    def rows(self) -> Iterator[tuple[str, bytes]]:
        return self._table.states(self._build, self.view)

    def row(self, stream: str) -> bytes | None:
        return self._table.state(self._build, stream)


def _without(head: _Head, *, name: str) -> _Head:
    dropped = tuple(each for each in head.builds.dropped if each != name)
    return head if dropped == head.builds.dropped else replace(head, builds=replace(head.builds, dropped=dropped))
