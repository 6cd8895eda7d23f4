"""The generated contracts: what is committed is what the code says, valid by the standards' own schemas."""

from pathlib import Path
from typing import Any

import jsonschema
import orjson
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

import schemas
from gateway.generate import documents
from gateway.routes import ENDPOINTS
from infra import topology
from schemas import asyncapi, lease_channels
from schemas.registry import KINDS, Consumer, kinds_of

GENERATED = Path(schemas.__path__[0]) / "generated"


@pytest.mark.parametrize("name", sorted(documents()))
def test_what_is_committed_is_what_the_code_says(name: str) -> None:
    committed = orjson.loads((GENERATED / name).read_bytes())
    assert committed == orjson.loads(orjson.dumps(documents()[name])), "run `make contracts`"


def test_nothing_else_is_committed() -> None:
    found = {str(path.relative_to(GENERATED)) for path in GENERATED.rglob("*.json")}
    assert found == set(documents())


def test_openapi_is_valid() -> None:
    OpenAPIV31SpecValidator(documents()["openapi.json"]).validate()


def test_every_route_is_documented() -> None:
    paths = documents()["openapi.json"]["paths"]
    assert sum(len(operations) for operations in paths.values()) == len(ENDPOINTS)
    assert all(operation["summary"] for operations in paths.values() for operation in operations.values())


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_schemas_of_parameters_are_valid_and_refuse_nonsense(kind: Any) -> None:
    schema = asyncapi.params_schema(kind)
    jsonschema.Draft202012Validator.check_schema(schema)
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid({}) == (not schema.get("required"))
    assert not validator.is_valid({"no such parameter": 1})
    for name in kind.inputs:
        assert not validator.is_valid({name: "../../etc/hosts"})


def test_asyncapi_points_only_at_what_exists() -> None:
    document = documents()["asyncapi.json"]
    for operation in document["operations"].values():
        for part in (operation, operation.get("reply", operation)):
            assert part["channel"]["$ref"].removeprefix("#/channels/") in document["channels"]
    assert asyncapi.JOBS_EXCHANGE == topology.JOBS
    assert asyncapi.EVENTS_EXCHANGE == topology.EVENTS
    assert lease_channels.LEASES_QUEUE == topology.LEASES
    assert topology.items_queue("{collection}").name == lease_channels.ITEMS_QUEUE
    orders = document["channels"][lease_channels.ORDERS]["messages"]
    assert jsonschema.validate({"op": "acquire", "collection": "c"}, orders["acquire"]["payload"]) is None
    assert not jsonschema.Draft202012Validator(orders["acquire"]["payload"]).is_valid({"op": "extend"})


@pytest.mark.row("X-05")
def test_the_topology_is_legal_on_every_supported_broker() -> None:
    exchanges = {exchange.name for exchange in topology.EXCHANGES}
    for queue in topology.QUEUES:
        assert queue.arguments["x-queue-type"] == "quorum"
        assert queue.exchange in exchanges | {""}
        assert "x-max-priority" not in queue.arguments
        # Said for each: where it is left out, some brokers drop a message that was looked at 20 times.
        assert int(queue.arguments["x-delivery-limit"]) > 0
    for parked in (topology.DEAD, topology.UNROUTABLE):
        [queue] = [queue for queue in topology.QUEUES if queue.name == parked]
        assert int(queue.arguments["x-delivery-limit"]) >= 10**6
    routed = {key for queue in topology.QUEUES for key in queue.keys if key}
    assert routed == set(KINDS) == {k.name for consumer in Consumer for k in kinds_of(consumer)}
