"""The laws: what holds for every history, not for an example."""

from __future__ import annotations

import json
from decimal import MAX_EMAX, MIN_EMIN, Decimal, localcontext
from itertools import pairwise
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from eventsourcing_kit import Event, Projection, open_store, parse, rebuild
from eventsourcing_kit.moment import MAX_NS, MIN_NS, to_canonical
from eventsourcing_kit.record import Record, canonical_json, content_digest, decode, encode, order, size
from eventsourcing_kit.stores.base import BaseStore

CLOSE = [0, 1, 999_999, 1_000_000, 1_000_001, 1_999_999, 1_000_000_000, 86_400_000_000_000]
BASE = 1_772_363_007_000_000_000
moments = st.one_of(
    st.sampled_from(CLOSE).map(BASE.__add__), st.integers(min_value=MIN_NS, max_value=MAX_NS)
)  # mostly neighbours, so that milliseconds are shared
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def envelopes(draw: st.DrawFn) -> dict[str, Any]:
    """Envelopes of one stream, with few moments, types and contents, so that twins and duplicates are common."""
    metadata: dict[str, Any] = {"time": to_canonical(draw(moments))}
    if draw(st.booleans()):
        metadata["sequence"] = draw(st.integers(0, 2) | st.sampled_from([1.0, "1", None, True]))
    type_, number = draw(st.sampled_from(["A", "B", "B#", "é"])), draw(st.integers(0, 3))
    return {
        "id": f"{type_} {number} {metadata}",  # one id for one content, as of an honest producer
        "source": "laws",
        "detail-type": type_,
        "time": "2026-03-01T00:00:00Z",
        "detail": {"metaData": metadata, "data": {"primaryKey": "s", "n": number}},
    }


histories = st.lists(envelopes(), max_size=12)


def log() -> Projection[list[Any]]:
    """A projection that forgets nothing, least of all the order."""
    projection: Projection[list[Any]] = Projection("log", initial=list)

    @projection.on()
    def note(state: list[Any], event: Event) -> list[Any]:
        return [*state, [event.type, event.moment_ns, event.data["n"]]]

    return projection


def stored(history: list[dict[str, Any]]) -> BaseStore:
    store = open_store("sqlite://")
    store.append_many(parse(envelope) for envelope in history)
    return store


@given(histories, st.randoms(use_true_random=False))
def test_the_order_of_arrival_and_redeliveries_are_invisible(history: list[dict[str, Any]], chance: Any) -> None:
    again = [*history, *chance.sample(history, len(history) // 2)]
    chance.shuffle(again)
    with stored(history) as one, stored(again) as other:
        assert rebuild(log(), one, "s").state == rebuild(log(), other, "s").state


@given(histories)
def test_each_different_event_is_stored_once(history: list[dict[str, Any]]) -> None:
    events = [parse(envelope) for envelope in history]
    with stored([*history, *history]) as store:
        assert sorted(content_digest(event) for event in store.read("s")) == sorted({*map(content_digest, events)})


@given(histories)
def test_a_stream_is_read_in_the_declared_order(history: list[dict[str, Any]]) -> None:
    with stored(history) as store:
        assert all(order(one) < order(other) for one, other in pairwise(store.read("s")))


@given(histories, moments)
def test_a_state_at_a_moment_is_the_fold_of_all_events_up_to_it(history: list[dict[str, Any]], ns: int) -> None:
    events = {content_digest(event): event for event in map(parse, history) if event.moment_ns <= ns}
    with stored(history) as store:
        expected = log().fold(sorted(events.values(), key=order))
        assert rebuild(log(), store, "s", at=to_canonical(ns)).state == expected


@given(histories, moments, moments)
def test_a_later_at_never_folds_fewer_events(history: list[dict[str, Any]], one: int, other: int) -> None:
    early, late = sorted((one, other))
    with stored(history) as store:
        folded = [rebuild(log(), store, "s", at=to_canonical(ns)).events for ns in (early, late)]
    assert folded == sorted(folded)


@given(histories, moments)
def test_a_start_and_an_at_part_a_stream_without_a_seam(history: list[dict[str, Any]], ns: int) -> None:
    if ns == MAX_NS:
        ns -= 1
    with stored(history) as store:
        before = list(store.read("s", at=to_canonical(ns)))
        behind = list(store.read("s", start=to_canonical(ns + 1)))
        assert [event.key for event in (*before, *behind)] == [event.key for event in store.read("s")]


@given(histories, st.integers(0, 12))
def test_splitting_a_fold_is_invisible(history: list[dict[str, Any]], cut: int) -> None:
    events = [parse(envelope) for envelope in history]
    projection = log()
    assert projection.fold(events[cut:], projection.fold(events[:cut])) == projection.fold(events)


def envelope_of(data: dict[str, Any], type_: str = "T", stream: str = "s") -> dict[str, Any]:
    return {
        "id": "i",
        "source": "laws",
        "detail-type": type_,
        "time": "2026-03-01T00:00:00Z",
        "detail": {"data": {**data, "primaryKey": stream}},
    }


@given(st.dictionaries(st.text(), json_values, max_size=4), names, names)
@settings(max_examples=200)
def test_data_survives_unchanged(data: dict[str, Any], type_: str, stream: str) -> None:
    envelope = envelope_of(data, type_, stream)
    event = parse(envelope)
    with open_store("sqlite://") as store:
        store.append(event)
        (read,) = store.read(stream)
    assert read == event
    assert read.type == type_
    assert read.detail == envelope["detail"]
    assert read.detail_json == json.dumps(envelope["detail"], ensure_ascii=False, separators=(",", ":"))


@given(st.dictionaries(st.sampled_from(["data", "metaData", "more"]), json_values))
def test_data_and_detail_are_the_same_whichever_is_asked_for_first(detail: dict[str, Any]) -> None:
    one, other = (replace(parse(envelope_of({})), packed_detail=json.dumps(detail)) for _ in range(2))
    data, whole = one.data, other.detail
    assert whole == one.detail == detail
    assert data == other.data == (detail["data"] if isinstance(detail.get("data"), dict) else detail)
    assert data is (one.detail["data"] if isinstance(detail.get("data"), dict) else one.detail)
    assert one.data is data
    assert other.detail is whole


@given(json_values)
def test_a_mapping_and_any_spelling_of_it_are_one_event(value: Any) -> None:
    envelope = envelope_of({"value": value})
    spellings: list[Any] = [
        envelope,
        json.dumps(envelope),
        json.dumps(envelope, indent=1, sort_keys=True, ensure_ascii=False),
    ]
    assert len({content_digest(parse(spelling)) for spelling in spellings}) == 1


@given(json_values)
def test_canonical_json_means_the_same_and_is_its_own_canonical_form(value: Any) -> None:
    canonical = canonical_json(json.dumps(value))
    assert json.loads(canonical) == value
    assert canonical_json(canonical) == canonical


@given(json_values)
def test_canonical_json_is_the_same_with_and_without_the_fast_encoder(value: Any) -> None:
    """A lone surrogate anywhere sends the whole text through the slow encoder."""
    fast = canonical_json(json.dumps([value, "x"]))
    slow = canonical_json(json.dumps([value, "\ud800"]))
    assert slow == fast.removesuffix('"x"]') + '"\\ud800"]'


spellings = st.from_regex(r"-?(0|[1-9][0-9]{0,40})(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,6})?", fullmatch=True)
numbers = st.recursive(
    spellings,
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: f"[{', '.join(items)} ]")
        | st.lists(st.tuples(st.text().map(json.dumps), inner), max_size=4).map(
            lambda members: f"{{{','.join(f'{name}: {value}' for name, value in members)}}}"
        )
    ),
)


@given(numbers)
def test_canonical_json_is_the_same_with_and_without_the_fast_reader(text: str) -> None:
    """A lone surrogate anywhere sends the whole text through the slow reader; so does a whole number with a zero."""
    assert canonical_json(f'["\\ud800",{text}]') == f'["\\ud800",{canonical_json(text)}]'
    assert canonical_json(f"[1000,{text}]") == f"[1e3,{canonical_json(text)}]"


@given(spellings)
def test_a_number_has_one_canonical_form_and_keeps_its_value(text: str) -> None:
    with localcontext(prec=100, Emax=MAX_EMAX, Emin=MIN_EMIN):
        assert Decimal(canonical_json(text)) == Decimal(text)
        assert canonical_json(text) == canonical_json(f"{text}0" if "." in text and "e" not in text.lower() else text)


records = st.builds(
    Record,
    **{name: st.none() | st.text(st.characters(codec="utf-8")) for name in Record.__struct_fields__[2:]}
    | {
        "pk": names,
        "sk": names,
        "event_detail_z": st.none() | st.binary(),
        "expire_record": st.none() | st.floats(0, 1e12),
    },
)


@given(records)
def test_no_item_is_larger_than_its_json_and_a_number(record: Record) -> None:
    """By which `encode` tells at little cost that an item is far from DynamoDB's limit."""
    assert size(record) <= len(msgspec.json.encode(record)) + 21


@given(moments, names)
def test_a_key_round_trips(ns: int, type_: str) -> None:
    envelope = envelope_of({}, type_)
    envelope["detail"]["metaData"] = {"time": to_canonical(ns)}
    event = decode(encode(parse(envelope), recorded_at="2026-03-01T00:00:00.000000Z", put_token="t"))  # noqa: S106 - no password
    assert event.key == f"{to_canonical(ns - ns % 1_000_000)[:23]}Z#{type_}"
    assert event.moment_ns == ns


@given(moments, moments, names, names)
def test_keys_sort_as_moments_sort(one: int, other: int, type_: str, other_type: str) -> None:
    keys = []
    for ns, name in ((one, type_), (other, other_type)):
        envelope = envelope_of({}, name)
        envelope["detail"]["metaData"] = {"time": to_canonical(ns)}
        keys.append(parse(envelope).key.encode())
    if one // 1_000_000 != other // 1_000_000:
        assert (keys[0] < keys[1]) == (one < other)
