"""Stores that read over each of the transports, for tests of what must be the same over both."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from eventsourcing_kit.stores.direct import MARK, Direct

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventsourcing_kit.stores.dynamodb import DynamoDBStore

__all__ = ["TRANSPORTS", "are_direct", "taught"]

TRANSPORTS: Final = {"boto3": "", "direct": "&transport=direct"}  # what stands at the end of a store's URL


def taught(store: DynamoDBStore) -> DynamoDBStore:
    """A store whose next query and scan are direct, where its transport is: the first ones never are."""
    list(store.read("nobody"))
    list(store.streams())
    reads = store._reads
    assert not isinstance(reads, Direct) or reads._patterns.keys() == {"Query", "Scan"}
    return store


def are_direct(agents: Iterable[str]) -> list[bool]:
    """Whether each request was sent by the direct transport, by its user agent."""
    return [agent.endswith(MARK) for agent in agents]
