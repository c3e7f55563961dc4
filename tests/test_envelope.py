"""Envelopes as the bus delivers them, and as nobody should."""

from __future__ import annotations

import copy
import json
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsourcing_kit import Event, open_store, parse
from eventsourcing_kit.envelope import MAX_DEPTH, envelope_of
from eventsourcing_kit.errors import InvalidEnvelope, InvalidOption
from eventsourcing_kit.record import canonical_json, content_digest
from eventsourcing_kit.testing import OPTIONAL, event, pair
from tests.hostile import HOSTILE

ENVELOPE: dict[str, Any] = {
    "version": "0",
    "id": "53d3e0c1-7c2f-5fe5-9484-8abdf10e6b1e",
    "account": "123456789012",
    "region": "eu-west-1",
    "resources": ["arn:aws:states:eu-west-1:123456789012:execution:a:b"],
    "source": "shop.orders",
    "detail-type": "OrderPlaced",
    "time": "2026-03-01T11:03:28Z",
    "replay-name": "march",
    "detail": {
        "metaData": {"time": "2026-03-01T12:03:27.123456789+01:00", "correlationId": "c-1", "causationId": "e-0"},
        "data": {"primaryKey": "order-17", "total": 12.5},
    },
}


def envelope(**changes: Any) -> dict[str, Any]:
    """ENVELOPE with dotted paths set (`__` for a dot, `_` for a dash in a top-level name), or removed by Ellipsis."""
    changed = copy.deepcopy(ENVELOPE)
    for path, value in changes.items():
        *parents, name = path.split("__")
        place = changed
        for parent in parents:
            place = place[parent]
        name = name.replace("detail_type", "detail-type").replace("replay_name", "replay-name")
        if value is ...:
            del place[name]
        else:
            place[name] = value
    return changed


def test_every_field_of_an_envelope_is_read() -> None:
    event = parse(json.dumps(ENVELOPE))
    assert event.stream == "order-17"
    assert event.type == "OrderPlaced"
    assert event.id == "53d3e0c1-7c2f-5fe5-9484-8abdf10e6b1e"
    assert event.source == "shop.orders"
    assert event.time == "2026-03-01T11:03:28Z"
    assert event.key == "2026-03-01T11:03:27.123Z#OrderPlaced"
    assert event.moment_ns == 1_772_363_007_123_456_789
    assert event.moment.isoformat() == "2026-03-01T11:03:27.123456+00:00"
    assert event.data == {"primaryKey": "order-17", "total": 12.5}
    assert event.metadata["correlationId"] == "c-1"
    assert (event.correlation_id, event.causation_id, event.replay_name) == ("c-1", "e-0", "march")
    assert (event.account, event.region) == ("123456789012", "eu-west-1")
    assert event.resources == ("arn:aws:states:eu-west-1:123456789012:execution:a:b",)
    assert event.recorded_at is None


@pytest.mark.parametrize("field", ["account", "region", "resources", "replay_name", "version"])
def test_an_optional_field_may_be_missing(field: str) -> None:
    event = parse(envelope(**{field: ...}))
    assert event.stream == "order-17"


def test_without_metadata_the_envelopes_own_time_counts() -> None:
    event = parse(envelope(detail__metaData=...))
    assert event.key == "2026-03-01T11:03:28.000Z#OrderPlaced"
    assert (event.metadata, event.correlation_id, event.causation_id) == ({}, None, None)


def test_the_other_spellings_of_metadata_count_too() -> None:
    metadata = {"time": "2026-03-01T11:03:27Z", "correlation_id": "c-2", "causation_id": "e-2"}
    event = parse(envelope(detail__metaData=..., detail__metadata=metadata))
    assert event.key == "2026-03-01T11:03:27.000Z#OrderPlaced"
    assert (event.correlation_id, event.causation_id) == ("c-2", "e-2")


def test_without_data_the_detail_is_the_data() -> None:
    event = parse(envelope(detail={"primaryKey": "order-18", "total": 1}))
    assert event.stream == "order-18"
    assert event.data == {"primaryKey": "order-18", "total": 1}


def test_a_path_says_where_else_the_key_stands() -> None:
    assert parse(ENVELOPE, stream_path="source").stream == "shop.orders"
    assert parse(json.dumps(ENVELOPE), stream_path='detail.metaData.correlationId || "detail-type"').stream == "c-1"


def test_a_path_that_is_none_is_an_invalid_option() -> None:
    with pytest.raises(InvalidOption, match="JMESPath"):
        parse(ENVELOPE, stream_path="detail..")


def test_a_path_that_fails_on_an_envelope_refuses_that_envelope() -> None:
    with pytest.raises(InvalidEnvelope) as refusal:
        parse(ENVELOPE, stream_path="length(detail.data.nope)")
    assert refusal.value.field == "length(detail.data.nope)"
    assert refusal.value.found == "a JMESPathTypeError"


def linked(metadata: dict[str, Any], **paths: Any) -> tuple[str | None, str | None]:
    event = parse(envelope(detail={"primaryKey": "order-17", "cart": "cart-5", "no": 7, "metaData": metadata}), **paths)
    return event.correlation_id, event.causation_id


@pytest.mark.parametrize("spelling", ["correlationId causationId", "correlation_id causation_id"])
def test_what_links_events_has_two_spellings(spelling: str) -> None:
    correlation, causation = spelling.split()
    assert linked({correlation: "c-1", causation: "e-1"}) == ("c-1", "e-1")


def test_paths_are_further_places_of_what_links_events_and_are_looked_at_first() -> None:
    usual = {"correlationId": "c-1", "causationId": "e-1"}
    assert linked(usual, correlation_path="detail.cart", causation_path="detail.nope") == ("cart-5", "e-1")
    assert linked(usual, correlation_path="detail.no", causation_path="detail.cart") == ("c-1", "cart-5")
    assert linked({}, correlation_path="detail.cart && to_string(detail.no)") == ("7", None)


def test_what_links_events_and_is_no_text_counts_as_absent() -> None:
    assert linked({"correlationId": 7, "causationId": ["e-1"]}) == (None, None)
    assert linked({"correlationId": "", "causationId": None}) == (None, None)


@pytest.mark.parametrize("option", ["correlation_path", "causation_path"])
def test_a_path_to_what_links_events_fails_as_one_to_the_key_does(option: str) -> None:
    with pytest.raises(InvalidOption, match=f"{option}: .*JMESPath"):
        linked({}, **{option: "detail.."})
    with pytest.raises(InvalidEnvelope, match="a JMESPathTypeError"):
        linked({}, **{option: "length(detail.nope)"})


def test_an_identity_that_is_none_is_an_invalid_option() -> None:
    unknown: Any = "name"
    with pytest.raises(InvalidOption, match="identity"):
        parse(ENVELOPE, identity=unknown)


REFUSED: list[tuple[Any, str, str]] = [
    ([], "envelope", "an array"),
    (7, "envelope", "a number"),
    ("", "envelope", "not JSON at character 0"),
    ("[1, 2]", "envelope", "an array"),
    ('{"id": ', "envelope", "not JSON"),
    ("\ufeff{}", "envelope", "not JSON"),
    (b"\xff\xfe", "envelope", "not UTF-8"),
    ('{"a": NaN}', "envelope", "NaN"),
    ('{"a": -Infinity}', "envelope", "-Infinity"),
    ({"a": float("nan")}, "envelope", "not finite"),
    ({"a": {1: 2}}, "envelope", "name is not text"),
    ({"a": b"bytes"}, "envelope", "bytes"),
    ({"a": (1, 2)}, "envelope", "tuple"),
    ('{"a": {"b": 1, "b": 2}}', "envelope", "same member twice"),
    ('{"a": ' + "9" * 4_301 + "}", "envelope", "4,300 digits"),
    ('{"a": 0.' + "9" * 4_301 + "}", "envelope", "4,300 digits"),
    ({"a": 10**5_000}, "envelope", "4,300 digits"),
    (envelope(id=...), "id", "nothing"),
    (envelope(id=""), "id", "empty text"),
    (envelope(id=7), "id", "a number"),
    (envelope(source=None), "source", "nothing"),
    (envelope(source={}), "source", "an object"),
    (envelope(detail_type=...), "detail-type", "nothing"),
    (envelope(detail_type=True), "detail-type", "a boolean"),
    (envelope(time=...), "time", "nothing"),
    (envelope(detail=...), "detail", "nothing"),
    (envelope(detail=None), "detail", "nothing"),
    (envelope(detail="{}"), "detail", "text"),
    (envelope(detail=[1]), "detail", "an array"),
    (envelope(account=1), "account", "a number"),
    (envelope(region=[]), "region", "an array"),
    (envelope(resources="arn"), "resources", "text"),
    (envelope(resources=[1]), "resources", "an array"),
    (envelope(replay_name=1), "replay-name", "a number"),
    (envelope(detail__data__primaryKey=...), "detail.data.primaryKey", "nothing"),
    (envelope(detail__data__primaryKey=None), "detail.data.primaryKey", "nothing"),
    (envelope(detail__data__primaryKey=17), "detail.data.primaryKey", "a number"),
    (envelope(detail__data__primaryKey=["a"]), "detail.data.primaryKey", "an array"),
    (envelope(detail__data__primaryKey=""), "detail.data.primaryKey", "text of 0 bytes"),
    (envelope(detail__data__primaryKey="k" * 2_049), "detail.data.primaryKey", "text of 2,049 bytes"),
    (envelope(detail__data__primaryKey="é" * 1_025), "detail.data.primaryKey", "text of 2,050 bytes"),
    (envelope(detail__data__primaryKey="\ud800"), "detail.data.primaryKey", "surrogate"),
    (envelope(detail__data=..., detail__primaryKey=False), "detail.primaryKey", "a boolean"),
    (envelope(id="\udc00"), "id", "surrogate"),
    (envelope(resources=["\udc00"]), "resources", "surrogate"),
    (envelope(detail__metaData__correlationId="\udc00"), "detail.metaData.correlationId", "surrogate"),
    (envelope(detail__metaData__time=1_772_362_800), "detail.metaData.time", "a number"),
    (envelope(detail__metaData__time=""), "detail.metaData.time", "not RFC 3339"),
    (envelope(detail__metaData__time="2026-02-30T00:00:00Z"), "detail.metaData.time", "'2026-02-30T00:00:00Z'"),
    (envelope(detail__metaData__time="tomorrow"), "detail.metaData.time", "text of 8 characters"),
    (envelope(detail__metaData=..., time="soon"), "time", "text of 4 characters"),
]


@pytest.mark.parametrize(("given", "field", "found"), REFUSED, ids=range(len(REFUSED)))
def test_what_is_no_envelope_is_refused_by_field(given: Any, field: str, found: str) -> None:
    with pytest.raises(InvalidEnvelope) as refusal:
        parse(given if isinstance(given, (str, bytes, dict)) else json.dumps(given))
    assert refusal.value.field == field
    assert found in refusal.value.found


@pytest.mark.parametrize(("given", "field", "found"), [case for case in REFUSED if case[1] != "envelope"])
def test_text_is_refused_as_its_mapping_is(given: Any, field: str, found: str) -> None:
    with pytest.raises(InvalidEnvelope) as refusal:
        parse(json.dumps(given))
    assert refusal.value.field == field
    assert found in refusal.value.found


@pytest.mark.parametrize("size", [1, 2_048])
def test_a_key_of_any_size_in_the_limit_is_a_stream(size: int) -> None:
    assert parse(envelope(detail__data__primaryKey="k" * size)).stream == "k" * size


def with_payload(text: str) -> str:
    return json.dumps(ENVELOPE).replace('"total": 12.5', f'"payload": {text}')


@pytest.mark.parametrize(
    ("arrived", "kept"),
    [
        ("1.50", "1.50"),
        ("1e2", "1e2"),
        ("-0", "-0"),
        ("9007199254740993", "9007199254740993"),
        ("0.123456789012345678901234567890", "0.123456789012345678901234567890"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("1E400", "1E400"),
        ('"\\u00e9\\/"', '"é/"'),
        ('"é"', '"é"'),
        ('"\\ud83d\\ude00"', '"😀"'),
        ('"\\u0000\\u001b[31m"', '"\\u0000\\u001b[31m"'),
        ('"\\ud800"', '"\\ud800"'),
        ('"\\udc00\\ud800 \\ud83d\\ude00"', '"\\udc00\\ud800 😀"'),
        ('"\\\\ud800"', '"\\\\ud800"'),
        ('"\\ue000\\ud800"', '"\ue000\\ud800"'),
        ('"\ue000\\ud800\ue000"', '"\ue000\\ud800\ue000"'),
        ('{"\\ud800": "a  b"}', '{"\\ud800":"a  b"}'),
        ("[ 1 , 2 ]", "[1,2]"),
        ("[]", "[]"),
    ],
)
def test_the_detail_is_kept_as_it_came_without_needless_escapes(arrived: str, kept: str) -> None:
    assert f'"payload":{kept}}}' in parse(with_payload(arrived)).detail_json


def test_what_a_handler_reads_is_what_arrived() -> None:
    event = parse(with_payload('[9007199254740993, 1e400, "\\ud800", "\\u0000", true, null]'))
    large = event.data["payload"][1]
    assert event.data["payload"] == [9_007_199_254_740_993, large, "\ud800", "\x00", True, None]
    assert str(large) == "1E+400"


def nested(levels: int) -> str:
    return with_payload("[" * levels + "]" * levels)


def test_600_levels_survive() -> None:
    event = parse(nested(MAX_DEPTH - 2))  # the payload stands in `detail` and in `data`
    assert MAX_DEPTH == 600
    assert event.detail_json.count("[") == 598
    assert len(content_digest(event)) == 64
    assert event.data["payload"] == json.loads("[" * 598 + "]" * 598)


@pytest.mark.parametrize("levels", [MAX_DEPTH - 1, 100_000])
def test_deeper_nesting_is_refused(levels: int) -> None:
    with pytest.raises(InvalidEnvelope, match="inside each other"):
        parse(nested(levels))


def test_deeper_nesting_of_a_mapping_is_refused() -> None:
    value: list[Any] = []
    for _ in range(5_000):
        value = [value]
    with pytest.raises(InvalidEnvelope, match="inside each other"):
        parse(envelope(detail__data__payload=value))


def test_a_mapping_that_holds_itself_is_refused() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(InvalidEnvelope, match="inside each other"):
        parse(envelope(detail__data__payload=value))


def test_brackets_inside_of_texts_are_no_nesting() -> None:
    text = "[{" * 1_000 + '"\\'
    assert parse(with_payload(json.dumps(text))).data["payload"] == text


def test_a_call_from_deep_in_the_stack_is_refused_not_lost() -> None:
    def dig(depth: int) -> InvalidEnvelope | None:
        if depth:
            return dig(depth - 1)
        try:
            parse(nested(598))
        except InvalidEnvelope as refusal:
            return refusal
        return None

    refusal = dig(600)
    assert refusal is None or "inside each other" in refusal.found


def test_a_mapping_and_its_text_are_the_same_event() -> None:
    assert parse(ENVELOPE) == parse(json.dumps(ENVELOPE)) == parse(json.dumps(ENVELOPE).encode())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ('{"a":1,"b":2}', '{"b": 2, "a": 1}'),
        ("100", "1e2"),
        ("100", "100.0"),
        ("0.1", "1E-1"),
        ("-0.0", "0"),
        ('"\\u00e9"', '"é"'),
        ("12345678901234567890123.0", "12345678901234567890123"),
    ],
)
def test_equal_content_has_one_digest(one: str, other: str) -> None:
    assert content_digest(parse(with_payload(one))) == content_digest(parse(with_payload(other)))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1", '"1"'),
        ("1", "true"),
        ("0", "null"),
        ("[1,2]", "[2,1]"),
        ("9007199254740993", "9007199254740992"),
        ('"é"', '"e\u0301"'),
        ('"\\ud800"', '"\\\\ud800"'),
        ("[[],[]]", "[[[]]]"),
    ],
)
def test_other_content_has_another_digest(one: str, other: str) -> None:
    assert content_digest(parse(with_payload(one))) != content_digest(parse(with_payload(other)))


@pytest.mark.parametrize(
    ("change", "identity", "same"),
    [
        ({"id": "another"}, "content", True),
        ({"id": "another"}, "id", False),
        ({"time": "2026-03-02T00:00:00Z"}, "content", True),
        ({"replay_name": ...}, "content", True),
        ({"source": "other"}, "content", False),
        ({"detail_type": "Other"}, "content", False),
        ({"detail__metaData__time": "2026-03-01T12:03:27.123456788+01:00"}, "content", False),
    ],
)
def test_what_makes_it_another_event(change: dict[str, Any], identity: Literal["content", "id"], same: bool) -> None:
    one = parse(ENVELOPE, identity=identity)
    other = parse(envelope(**change), identity=identity)
    digests = {content_digest(event, identity=identity) for event in (one, other)}
    assert (len(digests) == 1) is same


def test_canonical_json_is_as_it_is_documented() -> None:
    text = '{"b": [1.0, 100, -2.50E-3, 0e7], "a": {"é": "\\u0001\\"\\\\\\/\\ud800", "B": null}, "A": [true, {}, []]}'
    expected = '{"A":[true,{},[]],"a":{"B":null,"é":"\\u0001\\"\\\\/\\ud800"},"b":[1,1e2,-25e-4,0]}'
    assert canonical_json(text) == expected


def stored(arrived: Event) -> Event:
    with open_store("sqlite://") as store:
        store.append(arrived)
        return next(store.read(arrived.stream))


@pytest.mark.parametrize("field", OPTIONAL)
def test_an_event_goes_back_into_its_envelope_with_and_without_each_field(field: str) -> None:
    for sample in pair(field):
        arrived = parse(sample)
        assert parse(envelope_of(arrived)) == arrived
        assert json.loads(envelope_of(stored(arrived))) == {"resources": [], **sample}


@pytest.mark.parametrize("hostile", [text for text in HOSTILE if len(text) < 900])
def test_an_envelope_is_one_line_whatever_is_in_it(hostile: str) -> None:
    arrived = event(hostile, id=hostile, stream=hostile, source=hostile, note=hostile + "\ud800")
    assert "\n" not in envelope_of(arrived)
    assert parse(envelope_of(stored(arrived))) == arrived


texts = st.text(min_size=1, max_size=20)
utf8 = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)


@given(utf8, utf8, utf8, utf8 | st.none(), st.lists(utf8, max_size=2), st.dictionaries(texts, values, max_size=3))
def test_any_event_comes_back_from_its_envelope(
    stream: str, type_: str, id_: str, replay: str | None, resources: list[str], data: dict[str, Any]
) -> None:
    sample = envelope(id=id_, detail_type=type_, replay_name=replay, resources=resources)
    sample["detail"]["data"] = data | {"primaryKey": stream}
    arrived = parse(json.dumps(sample))
    assert parse(envelope_of(arrived)) == arrived
    assert parse(envelope_of(arrived).encode()) == arrived


def test_numbers_keep_every_digit_on_the_way_back() -> None:
    text = json.dumps(ENVELOPE).replace("12.5", "12.500000000000000000000000000000001e-400")
    assert "12.500000000000000000000000000000001e-400" in envelope_of(parse(text))


def test_an_envelope_whose_stream_stands_elsewhere_comes_back_from_there() -> None:
    arrived = parse(envelope(detail__data={"id": "o-1"}), "detail.data.id")
    assert parse(envelope_of(arrived), "detail.data.id") == arrived


@pytest.mark.parametrize("detail", ['{\n "primaryKey":\r\n "a",\t"n": 1.0 }', '{"primaryKey":"a", "n":1.0}'])
def test_the_detail_of_an_older_writer_comes_back_as_the_same_fact(detail: str) -> None:
    older = msgspec.structs.replace(parse(ENVELOPE), stream="a", packed_detail=detail, _moment_ns=None)
    assert "\n" not in envelope_of(older)
    assert content_digest(parse(envelope_of(older))) == content_digest(older)


@pytest.mark.parametrize(
    ("detail", "found"),
    [("{canary", "text that is not JSON"), ('["canary"]', "an array"), ("", "text that is not JSON"), (b"x", "text")],
)
def test_a_detail_that_is_none_goes_into_no_envelope(detail: str | bytes, found: str) -> None:
    older = msgspec.structs.replace(parse(ENVELOPE), packed_detail=detail)
    with pytest.raises(InvalidEnvelope, match=f"detail: found {found}") as raised:
        envelope_of(older)
    assert "canary" not in str(raised.value)
