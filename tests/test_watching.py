"""What a rebuild warns of is the same, whether it was told of a whole block or event by event."""

from __future__ import annotations

from typing import Final

from hypothesis import example, given, settings
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


MOMENTS: Final = st.builds(spelled, st.integers(1, 3), st.integers(9, 13), st.integers(0, 2))


SOON: Final = "2026-03-04T08:59:59.000000Z"
LATE: Final = "2026-03-04T13:00:02.000001Z"  # for each of these moments
TO_COME: Final = "2026-03-07T09:00:00.000Z#Known"
FOREIGN: Final = ["", "01/03/2026", "2026-03-01 10:00", "undefined", TO_COME]
USUAL: Final = "2026-03-02T10:00:00.000000Z"


def kept(key: str, recorded: str | None, type: str = "Known") -> Event:  # noqa: A002 - the field's name
    return Event("order-17", key, type, "id", "shop", "", "{}", recorded)


@st.composite
def streams(draw: st.DrawFn) -> list[Event]:
    """Mostly what is usual, as a block with a single thing to say must not be taken for one without."""
    moments = sorted(draw(st.lists(MOMENTS, min_size=20, max_size=40)))
    usual = f"{moments[0]}Z#Known", f"{moments[0]}000Z"  # a key and when it was recorded
    events = [kept(f"{moment}Z#Known", usual[1]) for moment in moments]
    unusual = st.one_of(
        st.builds(kept, st.sampled_from(FOREIGN), st.just(usual[1])),
        st.builds(kept, st.just(usual[0]), st.sampled_from([LATE, LATE, SOON, None])),
        st.builds(kept, st.just(usual[0]), st.just(usual[1]), st.sampled_from(["Rare", "Unknown"])),
    )
    for event in draw(st.lists(unusual, max_size=3)):
        events.insert(draw(st.integers(0, len(events))), event)
    return events


@example([*(kept(USUAL, USUAL) for _ in range(20)), kept("", USUAL), kept(USUAL, LATE)], None)
@example([*(kept(USUAL, USUAL) for _ in range(20)), kept(TO_COME, USUAL)], None)
@settings(max_examples=400)
@given(streams(), st.none() | st.none() | st.integers(NOW - 5 * 86_400 * 10**9, NOW))
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
