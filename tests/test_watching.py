"""What a rebuild warns of is the same, whether it was told of a whole block or event by event."""

from __future__ import annotations

from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from eventsourcing_kit import Event, Projection
from eventsourcing_kit.moment import from_rfc3339
from eventsourcing_kit.watching import Watch

NOW: Final = from_rfc3339("2026-03-05T12:00:00Z")

projection = Projection("known", initial=int)


@projection.on("Known", "Rare")
def handled(state: int, event: Event) -> int:
    return state + 1


def spelled(day: int, hour: int, second: int) -> str:
    return f"2026-03-{day:02}T{hour:02}:00:{second:02}.000"


MOMENTS: Final = st.builds(spelled, st.integers(1, 6), st.integers(9, 13), st.integers(0, 2))
FOREIGN: Final = st.sampled_from(["2026-03-01 10:00", "undefined", "2026-03-01", "9999-12-31T23:59:59.999Z", ""])
KEYS: Final = st.one_of(MOMENTS.map(lambda text: f"{text}Z#Known"), FOREIGN)
RECORDED: Final = st.one_of(MOMENTS.map(lambda text: f"{text}000Z"), st.none())
TYPES: Final = st.sampled_from(["Known"] * 8 + ["Rare", "Unknown"])
EVENTS: Final = st.lists(
    st.builds(
        lambda key, type_, recorded: Event("order-17", key, type_, "id", "shop", "", "{}", recorded),
        KEYS,
        TYPES,
        RECORDED,
    ),
    max_size=40,
)


@given(EVENTS, st.none() | st.integers(NOW - 5 * 86_400 * 10**9, NOW))
def test_blocks_and_single_events_are_seen_alike(events: list[Event], known_at: int | None) -> None:
    in_blocks, one_by_one = Watch(projection, known_at, NOW), Watch(projection, known_at, NOW)
    passed = list(in_blocks.over(events))
    assert passed == [event for each in events for event in one_by_one._looked_at([each])]
    assert list(in_blocks.warnings()) == list(one_by_one.warnings())
    assert in_blocks.counts() == one_by_one.counts()


@given(st.lists(MOMENTS, min_size=1, max_size=40).map(sorted))
def test_what_is_usual_is_told_of_a_whole_block(moments: list[str]) -> None:
    watch = Watch(projection, None, NOW + 10 * 86_400 * 10**9)
    events = [
        Event("order-17", f"{moment}Z#Known", "Known", "id", "shop", "", "{}", f"{moments[0]}000Z")
        for moment in moments
    ]
    list(watch.over(events[:1]))  # which shows it the type
    assert watch._are_usual(events)
