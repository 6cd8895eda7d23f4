"""Messages that were once on the wire stay readable for ever: a sample is never changed and never removed.

A new kind, or a new version of one, adds samples: what our own gateway publishes (`http`), what a producer in another
language may publish with the least effort (`foreign`), and a CloudEvent with more in its envelope than we know.
"""

from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pytest

from consumers.registry import work_of
from consumers.runtime import foreign
from consumers.runtime.fast.hands import Hands
from consumers.runtime.fast.reading import Reader
from infra.broker import Delivery
from schemas import wire
from schemas.registry import KINDS, Consumer

FOLDER = Path(__file__).parent / "samples"
SAMPLES: dict[str, dict[str, Any]] = {p.stem: orjson.loads(p.read_bytes()) for p in sorted(FOLDER.glob("*.json"))}
SINGLE = [name for name in SAMPLES if not name.endswith(".packed")]
PACKED = [name for name in SAMPLES if name.endswith(".packed")]
OURS = [name for name in SAMPLES if name.endswith(".http")]


def delivery(sample: dict[str, Any]) -> Delivery:
    return Delivery(sample["body"].encode(), sample["routing_key"], sample["properties"], sample["headers"])


def kept(meant: dict[str, Any], found: dict[str, Any]) -> bool:
    """Whether every parameter means what it meant; a later release may have added some, with defaults."""
    return {**found, **meant} == found


@pytest.mark.row("X-08")
@pytest.mark.parametrize("name", SINGLE)
def test_a_message_of_long_ago_means_what_it_meant(name: str) -> None:
    sample = SAMPLES[name]
    meant = sample["meaning"]
    kind = KINDS[meant["kind"]]
    command = foreign.read(delivery(sample), work_of(kind.consumer))
    assert command.kind is kind
    assert meant["version"] < kind.version or kept(meant["params"], command.params)
    assert command.priority == meant["priority"]
    assert command.idempotency_key == meant.get("idempotency_key")
    if "id" in meant:
        assert command.id == UUID(meant["id"])
    if "traceparent" in meant:
        assert command.traceparent == meant["traceparent"]


@pytest.mark.row("X-08")
@pytest.mark.parametrize("name", PACKED)
def test_many_jobs_in_one_message_too(name: str) -> None:
    sample = SAMPLES[name]
    kind = KINDS[sample["meaning"]["kind"]]
    requests, refused = Reader(Hands(work_of(kind.consumer))).read(delivery(sample))
    assert refused == []
    for request, meant in zip(requests, sample["meaning"]["jobs"], strict=True):
        assert (request.id, request.priority) == (UUID(meant["id"]), meant["priority"])
        assert sample["meaning"]["version"] < kind.version or kept(meant["params"], request.params)


@pytest.mark.row("X-08")
@pytest.mark.parametrize("name", OURS)
def test_we_still_publish_what_the_newest_sample_says(name: str) -> None:
    sample = SAMPLES[name]
    meant = sample["meaning"]
    kind = KINDS[meant["kind"]]
    if meant["version"] < kind.version:
        pytest.skip("nobody publishes this version any more")
    job_id, version = UUID(meant["id"]), meant["version"]
    params = orjson.loads(sample["body"])
    message = wire.job_message(job_id, kind.name, params, meant["priority"], meant["traceparent"], version)
    assert message.headers == sample["headers"]
    assert message.routing_key == sample["routing_key"]
    assert message.content_type == sample["properties"]["content_type"]
    assert message.type == sample["properties"]["type"]
    assert message.body == sample["body"].encode()


@pytest.mark.row("X-08")
def test_every_version_of_every_kind_has_its_samples() -> None:
    wanted = {
        f"{kind.name}.v{version}.{origin}"
        for kind in KINDS.values()
        for version in range(1, kind.version + 1)
        for origin in ("http", "foreign", "cloudevent")
    }
    assert wanted - set(SAMPLES) == set(), f"add these to {FOLDER}"
    told = {(sample["meaning"]["kind"], sample["meaning"]["version"]) for sample in SAMPLES.values()}
    assert told == {(kind.name, v) for kind in KINDS.values() for v in range(1, kind.version + 1)}


@pytest.mark.row("X-08")
def test_a_version_of_the_future_is_parked_not_guessed_at() -> None:
    for consumer in Consumer:
        for work in work_of(consumer).values():
            told = {"reelmill-version": work.kind.version + 1}
            with pytest.raises(foreign.Unprocessable) as refused:
                foreign.read(Delivery(b"{}", work.kind.name, {}, told), work_of(consumer))
            assert refused.value.code == "unknown_version"


@pytest.mark.row("X-08")
def test_nor_does_the_fast_lane_guess() -> None:
    told = {"reelmill-version": KINDS["probe.echo"].version + 1}
    packed = SAMPLES[PACKED[0]]
    for body, properties in ((b"{}", {}), (packed["body"].encode(), packed["properties"])):
        message = Delivery(body, "probe.echo", properties, told)
        requests, refused = Reader(Hands(work_of(Consumer.DISPATCHER))).read(message)
        assert (requests, {each.problem.code for each in refused}) == ([], {"unknown_version"})
