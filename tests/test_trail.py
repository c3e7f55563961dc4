"""A trail: every event of a correlation id once, in order, as a tree of causes; on every engine the same."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsourcing_kit import open_store, parse, trail
from eventsourcing_kit.errors import EventNotFound, EventRefused, IndexNotFound, InvalidOption, StoreDamaged
from eventsourcing_kit.record import order
from eventsourcing_kit.stores.dynamodb import DynamoDBStore
from eventsourcing_kit.testing import Clock, envelope
from eventsourcing_kit.trails.duration import duration, gap_in_words
from eventsourcing_kit.trails.following import indented
from eventsourcing_kit.trails.tree import grow
from tests.rows import RawRows, older

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from mypy_boto3_dynamodb.client import DynamoDBClient

    from eventsourcing_kit import Event, Trail
    from eventsourcing_kit.stores.base import BaseStore

HOSTILE = "<script>alert(1)</script>\x1b[2J\u202e"


def fact(
    event_id: str,
    *,
    cause: str | None = None,
    at: str = "00",
    stream: str = "order-17",
    type: str = "Happened",  # noqa: A002 - the kit's word
    correlation: str | None = "cart-5",
    **metadata: Any,
) -> dict[str, Any]:
    """An envelope whose moment is so many seconds behind 11:00, and whose content is its own."""
    links = {"correlationId": correlation, "causationId": cause}
    metadata |= {name: value for name, value in links.items() if value is not None}
    moment = f"2026-03-01T11:00:{at}Z"
    return envelope(type, id=event_id, stream=stream, time=moment, metadata=metadata, fact=event_id)


def found(store: BaseStore, *envelopes: dict[str, Any], **options: Any) -> Trail:
    store.append_many(map(parse, envelopes))
    return trail(store, "cart-5", **options)


def told(answer: Trail) -> list[str]:
    """The tree in short: a dot for each cause above, the id, and the gap in seconds."""
    return [
        "." * node.depth + node.event.id + ("" if node.gap is None else f" {node.gap / 1e9:g}")
        for node in answer.nodes()
    ]


@pytest.fixture
def memory() -> Iterator[BaseStore]:
    with open_store("sqlite://") as store:
        yield store


SHOP = [
    fact("shipped", cause="placed", at="30"),
    fact("reserved-2", cause="placed", at="01.000000005", stream="sku-mug", type="Reserved", source_is="stock"),
    fact("placed", at="00", type="Placed"),
    fact("reserved-1", cause="placed", at="01.000000005", stream="sku-jug", type="Reserved"),
    fact("left", cause="shipped", at="30.5", stream="sku-mug"),
    fact("mailed", cause="lost", at="40", stream="mail-1"),
    fact("other", correlation="cart-6", cause="placed"),
]


# The tree, in every engine


def test_a_trail_is_the_tree_of_causes_across_streams_in_the_order_of_moments(store: BaseStore) -> None:
    answer = found(store, *SHOP)
    first, *siblings = told(answer)[:3]
    assert (first, sorted(siblings)) == ("placed", [".reserved-1 1", ".reserved-2 1"])
    assert told(answer)[3:] == [".shipped 30", "..left 0.5", "mailed"]
    assert [event.moment_ns for event in answer.events] == sorted(event.moment_ns for event in answer.events)
    assert answer.streams == ("mail-1", "order-17", "sku-jug", "sku-mug")
    assert answer.sources == ("shop",)
    assert len(answer) == 6
    assert answer.span == 40_000_000_000


def test_every_engine_and_a_scan_answer_the_same(store: BaseStore) -> None:
    by_index = found(store, *SHOP)
    by_scan = trail(store, "cart-5", scan=True)
    with open_store("sqlite://") as reference:
        rows = list(found(reference, *SHOP)._rows())
    recorded = [column.name for column in by_index._columns()].index("recorded_at")

    def without_recording(rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        return [row[:recorded] + row[recorded + 1 :] for row in rows]

    assert list(by_index._rows()) == list(by_scan._rows())
    assert without_recording(list(by_index._rows())) == without_recording(rows)
    assert by_index.facts() == by_scan.facts()


def test_what_was_recorded_later_is_not_known_yet(store: BaseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock("2026-03-01T12:00:00Z")
    monkeypatch.setattr(store, "_clock", clock)
    store.append(parse(fact("placed")))
    clock.set("2026-03-03T12:00:00Z")
    store.append(parse(fact("paid", cause="placed", at="05")))
    assert told(trail(store, "cart-5", known_at="2026-03-02")) == ["placed"]
    assert told(trail(store, "cart-5", known_at="2026-03-03T12:00:00Z")) == ["placed", ".paid 5"]
    assert told(trail(store, "cart-5", known_at="1 day ago", clock=clock)) == ["placed"]
    assert told(trail(store, "cart-5", known_at="2026-03-03 12:59", tz="Europe/Berlin")) == ["placed"]
    assert told(trail(store, "cart-5", known_at="event:placed")) == ["placed"]
    assert told(trail(store, "cart-5", known_at="event:paid")) == ["placed", ".paid 5"]
    with pytest.raises(EventNotFound, match="'event:nobody' names no event of trail 'cart-5': 0 have that id or key"):
        trail(store, "cart-5", known_at="event:nobody")


def test_where_nothing_bears_the_id_the_trail_is_empty(store: BaseStore) -> None:
    answer = found(store, fact("other", correlation="cart-6"))
    assert (len(answer), answer.roots, answer.first, answer.last) == (0, (), None, None)
    assert (answer.span, answer.facts(), answer.longest_wait, answer.missing, answer.streams) == (0, (), None, {}, ())
    assert repr(answer) == "<Trail 'cart-5': no event>"
    assert answer.to_dicts() == []
    assert "no event" in answer._repr_html_()


# What is to be known of it


def test_causes_that_are_not_here_are_named_with_the_events_that_point_at_them(memory: BaseStore) -> None:
    answer = found(memory, fact("a", cause="lost"), fact("b", cause="lost", at="01"), fact("c", cause="gone", at="02"))
    assert {cause: [event.id for event in events] for cause, events in answer.missing.items()} == {
        "lost": ["a", "b"],
        "gone": ["c"],
    }
    assert [(node.named, node.cause_id, node.depth) for node in answer.nodes()] == [
        ("missing", "lost", 0),
        ("missing", "lost", 0),
        ("missing", "gone", 0),
    ]
    assert dict(answer.facts())["missing causes"] == "3 events point at 2 events that are not here: lost, gone"
    assert repr(answer) == (
        "<Trail 'cart-5': 3 events in 1 stream over 2s; 3 events point at 2 events that are not here>"
    )


def test_two_events_that_point_at_one_that_is_not_here(memory: BaseStore) -> None:
    answer = found(memory, fact("a", cause="lost"), fact("b", cause="lost", at="01"))
    assert answer.summary.endswith("2 events point at an event that is not here")


def test_the_longest_wait_is_between_a_cause_and_its_effect(memory: BaseStore) -> None:
    answer = found(memory, *SHOP)
    wait = answer.longest_wait
    assert wait is not None
    assert (wait.cause.id, wait.effect.id, wait.gap) == ("placed", "shipped", 30_000_000_000)
    assert dict(answer.facts())["longest wait"] == "30s, Placed to Happened (id shipped)"


def test_an_effect_before_its_cause_is_said_as_clocks_differ(memory: BaseStore) -> None:
    answer = found(memory, fact("effect", cause="cause", at="01"), fact("cause", at="03.5"), fact("b", cause="cause"))
    assert told(answer) == ["cause", ".b -3.5", ".effect -2.5"]
    assert [(wait.effect.id, wait.gap) for wait in answer.backwards] == [
        ("effect", -2_500_000_000),
        ("b", -3_500_000_000),
    ]
    assert answer.longest_wait is None
    assert dict(answer.facts())["before its cause"] == (
        "2 effects, up to 3.5s, Happened to Happened (id b): clocks differ"
    )


def test_siblings_of_one_moment_are_unordered(memory: BaseStore) -> None:
    answer = found(memory, *SHOP, fact("reserved-3", cause="placed", at="01.000000006", stream="sku-jug"))
    assert [sorted(event.id for event in group) for group in answer.unordered] == [["reserved-1", "reserved-2"]]
    assert sorted(node.event.id for node in answer.nodes() if node.unordered) == ["reserved-1", "reserved-2"]


def test_cousins_of_one_moment_are_no_siblings(memory: BaseStore) -> None:
    answer = found(
        memory,
        fact("a"),
        fact("b", at="01"),
        fact("a-1", cause="a", at="02", stream="s-1"),
        fact("b-1", cause="b", at="02", stream="s-2"),
    )
    assert answer.unordered == ()


def test_roots_of_one_moment_are_unordered_too(memory: BaseStore) -> None:
    answer = found(memory, fact("a"), fact("b", cause="lost"))
    assert [sorted(event.id for event in group) for group in answer.unordered] == [["a", "b"]]


def test_a_sequence_in_one_stream_is_an_order(memory: BaseStore) -> None:
    numbered = [fact(f"line-{number}", cause="a", at="01", sequence=number) for number in (2, 1)]
    answer = found(memory, fact("a"), *numbered)
    assert answer.unordered == ()
    assert told(answer) == ["a", ".line-1 1", ".line-2 1"]
    more = fact("elsewhere", cause="a", at="01", sequence=3, stream="sku-mug")  # whose numbers may be others
    assert [len(group) for group in found(memory, more).unordered] == [3]


# Hostile and broken links


def test_an_event_that_names_itself_is_a_root(memory: BaseStore) -> None:
    answer = found(memory, fact("a", cause="a"), fact("b", cause="a", at="01"))
    assert told(answer) == ["a", ".b 1"]
    assert [event.id for event in answer.circular] == ["a"]
    assert dict(answer.facts())["circular"] == "1 event whose causes lead back to the event itself"


def test_a_circle_is_cut_before_its_first_event_and_loses_none(memory: BaseStore) -> None:
    answer = found(
        memory,
        fact("a", cause="c", at="01"),
        fact("b", cause="a", at="00"),
        fact("c", cause="b", at="02"),
        fact("leaf", cause="c", at="03"),
    )
    assert told(answer) == ["b", ".c 2", "..a -1", "..leaf 1"]
    assert [(node.event.id, node.named) for node in answer.nodes()] == [
        ("b", "circular"),
        ("c", "here"),
        ("a", "here"),
        ("leaf", "here"),
    ]


def test_a_circle_is_cut_before_its_first_event_from_wherever_it_is_entered(memory: BaseStore) -> None:
    answer = found(memory, fact("leaf", cause="b"), fact("a", cause="b", at="01"), fact("b", cause="a", at="02"))
    assert told(answer) == ["a", ".b 1", "..leaf -2"]


def test_where_several_events_bear_an_id_the_first_of_them_is_the_cause(memory: BaseStore) -> None:
    answer = found(memory, fact("a"), fact("a", at="01"), fact("b", cause="a", at="02"), fact("a", cause="a", at="03"))
    assert told(answer) == ["a", ".b 2", ".a 3", "a"]


def test_twins_are_two_events(memory: BaseStore) -> None:
    twins = [fact("a"), fact("b")]  # of one stream, type and millisecond
    assert sorted(told(found(memory, *twins))) == ["a", "b"]


def test_a_chain_of_20_000_needs_neither_depth_nor_quadratic_time(memory: BaseStore) -> None:
    chain = [parse(fact(f"e-{number}", cause=f"e-{number - 1}")) for number in range(20_000)]
    random.Random(5).shuffle(chain)  # noqa: S311 - the same at each run
    tree = grow(chain, [event.causation_id for event in chain])
    depth, node = 0, tree.roots[0]
    while node.children:
        depth, (node,) = depth + 1, node.children
    assert (len(tree.roots), depth, node.depth, node.event.id) == (1, 19_999, 19_999, "e-19999")
    assert indented(node) == "·19999· Happened"
    memory.append_many(chain)
    answer = trail(memory, "cart-5")
    assert len(list(answer.nodes())) == len(answer) == 20_000
    assert len(answer._repr_html_()) < 100_000
    del answer, tree, node


def test_a_circle_of_20_000_is_cut_once() -> None:
    circle = [parse(fact(f"e-{number}", cause=f"e-{(number + 1) % 20_000}")) for number in range(20_000)]
    tree = grow(circle, [event.causation_id for event in circle])
    assert [node.event.id for node in tree.roots] == ["e-0"]


# Other places


def test_rows_of_older_writers_are_found_by_a_scan(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'events.db'}"
    with open_store(url) as store:
        store.append(parse(fact("a")))
    plain = fact("b", at="01", correlation=None)
    plain["detail"]["metadata"] = {"correlation_id": "cart-5", "causation_id": "a", "time": "2026-03-01T11:00:01Z"}
    del plain["detail"]["metaData"]
    RawRows(url).put(older(plain, "2026-03-01T11:00:01.000Z#Happened"))
    RawRows(url).put(older(plain, "2026-03-01T11:00:02.000Z#Damaged", eventDetail="no JSON", eventTime="no time"))
    with open_store(url) as store:
        assert told(trail(store, "cart-5")) == ["a"]
        assert told(trail(store, "cart-5", scan=True)) == ["a", ".b 1"]
        assert trail(store, "cart-5", scan=True).unrecorded == 1
        later = trail(store, "cart-5", scan=True, known_at="2027-01-01")
        assert dict(later.facts())["not recorded"] == "1 event without a time of recording, counted as known"


def test_an_index_may_hold_a_correlation_id_whose_row_does_not_tell_its_cause(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'events.db'}"
    with open_store(url) as store:
        store.append(parse(fact("a")))
    RawRows(url).put(older(fact("b", cause="a"), "2026-03-01T11:00:00.001Z#Happened", correlationId="cart-5"))
    with open_store(url) as store:
        assert told(trail(store, "cart-5")) == ["a", ".b 0"]


def test_a_path_is_a_further_place_and_is_looked_at_first(store: BaseStore) -> None:
    envelopes = [
        fact("a", correlation="order-17"),
        envelope("Paid", id="b", stream="order-17", time="2026-03-01T11:00:01Z", after="a", order="order-17"),
        envelope("Paid", id="c", stream="p-1", time="2026-03-01T11:00:02Z", after=7, order="order-17"),
        envelope("Paid", id="d", stream="p-1", time="2026-03-01T11:00:03Z", order="order-18"),
        envelope("Paid", id="e", stream="p-1", time="2026-03-01T11:00:04Z", order=17),
    ]
    store.append_many(map(parse, envelopes))
    answer = trail(store, "order-17", correlation_path="detail.data.order", causation_path="detail.data.after")
    assert told(answer) == ["a", ".b 1", "c"]
    assert told(trail(store, "order-17")) == ["a"]
    assert told(trail(store, "17", correlation_path="detail.data.order && to_string(detail.data.order)")) == ["e"]


def test_a_path_to_causes_alone_needs_no_scan(memory: BaseStore, monkeypatch: pytest.MonkeyPatch) -> None:
    memory.append_many(map(parse, [fact("a"), fact("b", at="01", after="a"), fact("c", cause="b", at="02")]))
    monkeypatch.setattr(memory, "streams", None)
    assert told(trail(memory, "cart-5", causation_path="detail.metaData.after")) == ["a", ".b 1", "..c 1"]


@pytest.mark.parametrize("option", ["correlation_path", "causation_path"])
def test_a_path_that_is_none_is_an_invalid_option(memory: BaseStore, option: str) -> None:
    options: dict[str, Any] = {option: "detail.("}
    with pytest.raises(InvalidOption, match=option):
        trail(memory, "cart-5", **options)


def test_a_path_that_fails_on_an_event_finds_nothing_there(memory: BaseStore) -> None:
    assert told(found(memory, fact("a"), correlation_path="length(detail.nope)")) == ["a"]


def test_a_table_without_the_index_is_answered_by_a_scan(dynamodb_url: str, dynamodb_client: DynamoDBClient) -> None:
    with open_store(dynamodb_url) as store:
        assert isinstance(store, DynamoDBStore)
        dynamodb_client.create_table(
            TableName=store.table,
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
            BillingMode="PAY_PER_REQUEST",
        )
        with pytest.raises(IndexNotFound):
            found(store, *SHOP)
        assert len(trail(store, "cart-5", scan=True)) == 6


def test_an_event_without_a_readable_moment_is_damage_that_names_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'events.db'}"
    with open_store(url) as store:
        store.append(parse(fact("a")))
    damaged = older(fact("b"), "2026-03-01T11:00:01.000Z#Paid", correlationId="cart-5", eventDetail="{", eventTime="x")
    RawRows(url).put(damaged)
    with open_store(url) as store, pytest.raises(StoreDamaged, match=r"key '2026-03-01T11:00:01.000Z#Paid' in stream"):
        trail(store, "cart-5")


# As a table, and in a notebook


def test_as_a_table_it_has_a_row_for_each_event(memory: BaseStore) -> None:
    rows = found(memory, fact("a"), fact("b", cause="a", at="01.25"), fact("c", cause="x", at="01.5")).to_dicts()
    assert [(row["id"], row["cause"]) for row in rows] == [("a", None), ("b", "here"), ("c", "missing")]
    row = rows[1]
    del row["recorded_at"]
    assert row.pop("moment").isoformat() == "2026-03-01T11:00:01.250000+00:00"
    assert row == {
        "stream": "order-17",
        "key": "2026-03-01T11:00:01.250Z#Happened",
        "type": "Happened",
        "id": "b",
        "source": "shop",
        "depth": 1,
        "cause_id": "a",
        "cause": "here",
        "gap": 1.25,
        "after": 1.25,
        "unordered": False,
    }


def test_in_a_notebook_hostile_text_is_only_text(memory: BaseStore) -> None:
    answer = found(memory, fact("a", type=HOSTILE, stream=HOSTILE), fact(HOSTILE, cause=f"{HOSTILE}!", at="01"))
    shown = answer._repr_html_()
    assert "<script" not in shown
    assert "&lt;script&gt;" in shown
    assert "\x1b" not in shown + repr(answer)
    assert "1 event points at an event that is not here" in shown


def test_as_a_plot_it_is_a_waterfall_of_waits(memory: BaseStore) -> None:
    late = fact("c", cause="b", at="01", stream="sku-mug")
    chart = found(memory, fact("a", type="Placed"), fact("b", cause="a", at="02.5"), late).plot().to_dict()
    (rows,) = chart["datasets"].values()
    assert [(row["place"], row["takes"], row["kind"], row["more"]) for row in rows] == [
        ("1. Placed", "0 ms", "shop", "order-17, id a"),
        ("2. \u00a0\u00a0\u00a0Happened", "2.5 s", "shop", "order-17, id b"),
        ("3. \u00a0\u00a0\u00a0\u00a0\u00a0\u00a0Happened", "1.5 s", "shop", "sku-mug, id c"),
    ]


@pytest.mark.parametrize(
    ("ns", "words"),
    [
        (0, "0s"),
        (870, "870ns"),
        (12_999, "12us"),
        (31_500_000, "31ms"),
        (1_205_999_999, "1.205s"),
        (192_000_000_000, "3m12s"),
        (7_200_000_000_000, "2h"),
        (223_200_000_000_000, "2d14h"),
        (-5_000_000, "-5ms"),
    ],
)
def test_durations_have_two_units_and_round_down(ns: int, words: str) -> None:
    assert duration(ns) == words
    assert gap_in_words(ns) == (words if ns < 0 else f"+{words}")


# Laws


@st.composite
def graphs(draw: st.DrawFn) -> list[Event]:
    """Events in any order, whose ids repeat and whose causes are anything: others, themselves, circles, nobody."""
    count = draw(st.integers(min_value=0, max_value=25))
    ids = st.sampled_from([f"e-{number}" for number in range(max(1, count - 3))])
    causes = st.one_of(st.none(), ids, st.sampled_from(["lost-1", "lost-2"]))
    streams = st.sampled_from(["s-1", "s-2"])
    seconds = st.integers(min_value=0, max_value=4)
    envelopes = [
        envelope(
            "Happened",
            id=draw(st.one_of(st.just(f"e-{number}"), ids)),
            stream=draw(streams),
            time=f"2026-03-01T11:00:0{draw(seconds)}Z",
            metadata={
                "correlationId": "c",
                "causationId": draw(causes),
                "sequence": draw(st.sampled_from([None, 1, 2])),
            },
            number=number,
        )
        for number in range(count)
    ]
    events = [parse(each) for each in envelopes]
    return sorted(events, key=lambda event: (*order(event), event.stream))


@given(graphs())
def test_the_tree_is_what_following_each_cause_by_hand_gives(events: list[Event]) -> None:
    tree = grow(events, [event.causation_id for event in events])
    places = {id(event): place for place, event in enumerate(events)}
    nodes = []
    todo = [(root, None) for root in tree.roots]
    while todo:
        node, above = todo.pop()
        nodes.append((node, above))
        todo += [(child, node) for child in node.children]  # type: ignore[misc]  # nodes below nodes
    assert sorted(places[id(node.event)] for node, _ in nodes) == list(range(len(events)))  # each event once

    def named_cause(event: Event) -> Event | None:
        return next((other for other in events if other.id == event.causation_id), None)

    def circle_of(event: Event) -> set[int]:
        """The places of the circle that the event is a part of; empty where it is in none."""
        passed, at = [], named_cause(event)
        while at is not None and id(at) not in passed and at is not event:
            passed.append(id(at))
            at = named_cause(at)
        return {places[each] for each in [*passed, id(event)]} if at is event else set()

    for node, above in nodes:
        event, cause = node.event, named_cause(node.event)
        circle = circle_of(event)
        is_cut = bool(circle) and places[id(event)] == min(circle)
        expected = None if is_cut else cause
        assert node.cause is expected
        assert (above.event if above is not None else None) is expected
        assert node.depth == (0 if above is None else above.depth + 1)
        assert node.gap == (None if expected is None else event.moment_ns - expected.moment_ns)
        assert node.cause_id == event.causation_id
        missing = event.causation_id is not None and cause is None
        assert node.named == ("circular" if is_cut else "missing" if missing else None if cause is None else "here")

    siblings = [list(tree.roots), *([*node.children] for node, _ in nodes)]
    for family in siblings:
        own = [places[id(node.event)] for node in family]
        assert own == sorted(own)
        for node in family:
            same = [other.event for other in family if other.event.moment_ns == node.event.moment_ns]
            numbers = {event.sequence for event in same}
            told_apart = (
                len({event.stream for event in same}) == 1 and None not in numbers and len(numbers) == len(same)
            )
            assert node.unordered == (len(same) > 1 and not told_apart)
    assert sum(map(len, tree.unordered)) == sum(node.unordered for node, _ in nodes)


@given(graphs(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_is_invisible(events: list[Event], chance: random.Random) -> None:
    others = list(events)
    chance.shuffle(others)
    answers = []
    for arriving in (events, others):
        with open_store("sqlite://") as store:
            if any(isinstance(outcome, EventRefused) for outcome in store.append_each(arriving)):
                return  # one id, moment and stream with two contents: a conflict, in which the first one stays
            answers.append(trail(store, "c").to_dicts())
    for row in [*answers[0], *answers[1]]:
        row["key"] = row["recorded_at"] = None  # which of two twins has the plain key
    assert answers[0] == answers[1]
