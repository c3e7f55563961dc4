"""`read_view`: the states that a view has, without folding anything; the same for a file and for a table."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic

from typing_extensions import TypeVar

from eventsourcing_kit.jobs.building import target_at

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventsourcing_kit.jobs.view import Shown, View
    from eventsourcing_kit.projection import Projection

__all__ = ["ViewReading", "read_view"]

Result = TypeVar("Result", default=Any)


@dataclass(frozen=True)
class ViewReading(Generic[Result]):
    """A view, of which everything comes from one build, whatever is built meanwhile.

    A file keeps that build for as long as it is read. A table may be given another one: then `state` and `states` raise
    ViewReplaced, at the latest where they would come to their end, and what is there now can be read anew.
    """

    view: View
    projection: Projection[Any, Result]
    _shown: Shown

    def state(self, stream: str) -> Result | None:
        """None where no event of that stream was folded. Raises InvalidProjection for a state of another shape than the
        projection's, as of an older version."""
        found = self._shown.row(stream)
        return None if found is None else self.projection.from_json(found)

    def states(self) -> Iterator[tuple[str, Result]]:
        """Each stream and its state, in the order of the streams' bytes. Raises as `state`."""
        for stream, found in self._shown.rows():
            yield stream, self.projection.from_json(found)


@contextmanager
def read_view(projection: Projection[Any, Result], place: str) -> Iterator[ViewReading[Result]]:
    """The view of a projection at `place`, an SQLite file or a DynamoDB table that `publish` has filled.

    Raises StoreNotFound where there is none; and InvalidOption, StoreDamaged and StoreUnavailable.
    """
    with target_at(place, projection.name, option="place") as target, target.reading() as shown:
        yield ViewReading(shown.view, projection, shown)
