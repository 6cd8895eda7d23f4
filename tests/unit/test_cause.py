"""Why a message lies in a parking queue, from whatever headers it carries."""

import math
from datetime import datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.broker import Delivery
from infra.relay import cause
from infra.topology import DEAD, UNROUTABLE

OURS = {
    "reelmill-reason": "undecodable: the body is not JSON: unexpected end at character 7",
    "reelmill-queue": "reelmill.analyzer",
    "reelmill-routing-key": "analyze.sleep",
}
DEATH = {
    "count": 1,
    "exchange": "reelmill.jobs",
    "queue": "reelmill.analyzer",
    "reason": "delivery_limit",
    "routing-keys": ["analyze.sleep"],
    "time": datetime.fromisoformat("2026-01-02T03:04:05"),
}

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats()
    | st.text()
    | st.binary()
    | st.decimals()
    | st.datetimes(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.binary(), inner, max_size=3),
    max_leaves=10,
)


def delivery(headers: dict[str, Any], body: bytes = b"x", **properties: Any) -> Delivery:
    return Delivery(body, "key", properties, headers)


def test_the_reason_that_a_consumer_gave_is_taken_apart() -> None:
    found = cause.parked(DEAD, delivery(OURS))
    assert (found.queue, found.routing_key, found.code) == ("reelmill.analyzer", "analyze.sleep", "undecodable")
    assert found.detail == "the body is not JSON: unexpected end at character 7"


def test_the_brokers_own_word_comes_before_a_producers() -> None:
    found = cause.parked(DEAD, delivery(OURS | {"x-death": [DEATH]}))
    assert (found.queue, found.routing_key, found.code) == ("reelmill.analyzer", "analyze.sleep", "delivery_limit")


def test_an_unroutable_message_has_that_reason_whatever_it_says() -> None:
    found = cause.parked(UNROUTABLE, delivery(OURS))
    assert (found.queue, found.routing_key, found.code) == (UNROUTABLE, "key", "unroutable")


def test_a_message_that_came_by_itself_is_recorded_too() -> None:
    assert cause.parked(DEAD, delivery({})).code == "no_reason"


def test_equal_causes_have_one_fingerprint_whatever_they_name() -> None:
    def of(detail: str) -> str:
        return cause.fingerprint("q", "analyze.sleep", "c", detail)

    assert of(f"job {uuid4()} at 17") == of(f"job {uuid4()} at 3")
    assert of("file " + "a" * 64) == of("file " + "b" * 40)
    assert of("time: too large") != of("rate: too large")


def test_only_what_has_a_name_of_its_own_has_an_identity() -> None:
    number = str(uuid4())
    assert cause.parked(DEAD, delivery(OURS | {"reelmill-parked": number})).identity == number
    assert cause.parked(DEAD, delivery(OURS)).identity is None
    assert cause.parked(UNROUTABLE, delivery({}, message_id="1")).identity is None
    died = cause.parked(DEAD, delivery({"x-death": [DEATH]}, message_id="1"))
    assert died.identity is not None
    assert cause.parked(DEAD, delivery({"x-death": [DEATH]})).identity is None
    later = DEATH | {"time": datetime.fromisoformat("2026-01-02T03:04:06")}
    assert cause.parked(DEAD, delivery({"x-death": [later]}, message_id="1")).identity != died.identity


@pytest.mark.row("X-07")
@given(
    headers=st.dictionaries(st.text() | st.binary(), anything, max_size=4),
    told=st.fixed_dictionaries(
        {},
        optional={
            "reelmill-reason": anything,
            "reelmill-queue": anything,
            "x-death": anything | st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(DEATH, anything))),
        },
    ),
    message_id=anything,
)
def test_no_headers_are_too_odd_to_be_written_down(headers: Any, told: Any, message_id: Any) -> None:
    found = cause.parked(DEAD, delivery(headers | told, message_id=message_id, odd=headers))
    for text in (found.queue, found.routing_key, found.code, found.detail, found.message_id or ""):
        assert "\0" not in text
        text.encode()
    for table in (found.headers, found.properties):
        assert b"\\u0000" not in orjson.dumps(table)


def test_values_keep_their_meaning() -> None:
    table = {"n": 1, "f": 0.5, "nan": math.nan, "d": Decimal("1.5"), "t": DEATH["time"], "b": b"\xff", "s": b"text"}
    found = cause.parked(DEAD, delivery({"table": table, "deep": [[[{"x": None}]]]}))
    assert found.headers == {
        "table": {
            "n": 1,
            "f": 0.5,
            "nan": "nan",
            "d": "1.5",
            "t": "2026-01-02T03:04:05",
            "b": {"base64": "/w=="},
            "s": "text",
        },
        "deep": [[[{"x": None}]]],
    }


def test_a_table_without_a_floor_is_cut_off() -> None:
    deep: Any = "bottom"
    for _ in range(200):
        deep = {"x": deep}
    assert b"bottom" not in orjson.dumps(cause.parked(DEAD, delivery({"deep": deep})).headers)
