"""AsyncAPI 3 and JSON Schemas, made from the registry: what any producer may publish, and what it hears."""

from typing import Any

from schemas import lease_channels
from schemas.events import FACTS
from schemas.inlining import inlined
from schemas.registry import KINDS, Kind, Lane
from schemas.states import JobState
from schemas.wire import CONTENT_TYPE, LARGEST_BODY, MOST_LINES, PACKED, VERSION, PackedJob

JOBS_EXCHANGE = "reelmill.jobs"
EVENTS_EXCHANGE = "reelmill.events"


def params_schema(kind: Kind) -> dict[str, Any]:
    """JSON Schema 2020-12 of one kind's parameters: the body of its messages."""
    schema = kind.params.model_json_schema()
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"{kind.name}.v{kind.version}", **schema}


def document(version: str) -> dict[str, Any]:
    """The AsyncAPI 3 document of the broker's channels."""
    channels = {kind.name: _job_channel(kind) for kind in KINDS.values()}
    operations = {f"submit {kind.name}": _operation("send", kind.name) for kind in KINDS.values()}
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Reelmill",
            "version": version,
            "description": "Publish a job with one exchange, one routing key and a JSON body; hear what became of it.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": CONTENT_TYPE,
        "channels": channels
        | {"job events": _event_channel()}
        | {name: _fact_channel(name) for name in FACTS}
        | lease_channels.channels(),
        "operations": operations
        | {"hear events": _operation("receive", "job events")}
        | {f"hear {name}": _operation("receive", name) for name in FACTS}
        | lease_channels.operations(),
    }


def _job_channel(kind: Kind) -> dict[str, Any]:
    message = {
        "name": kind.name,
        "summary": kind.summary,
        "contentType": CONTENT_TYPE,
        "payload": params_schema(kind),
        "headers": _job_headers(),
        "bindings": {"amqp": {"messageType": kind.name, "bindingVersion": "0.3.0"}},
        "x-largest-body": LARGEST_BODY,
        "x-message-id": "The job's id (a UUID), or the producer's own idempotency key.",
    }
    if kind.lane is Lane.FAST:
        told = f"Many jobs in one message: 1 to {MOST_LINES} lines, each of them such an object."
        line = PackedJob.model_json_schema()
        message["x-packed"] = {"contentType": PACKED, "description": told, "line": line}
    return _channel(kind.name, JOBS_EXCHANGE, {kind.name: message})


def _event_channel() -> dict[str, Any]:
    payload = {
        "type": "object",
        "required": ["seq", "job_id", "state", "attempt", "progress"],
        "properties": {
            "seq": {"type": "integer", "description": "Number of the event: no gaps, never goes back."},
            "job_id": {"type": "string", "format": "uuid"},
            "state": {"enum": [state.value for state in JobState]},
            "attempt": {"type": "integer"},
            "progress": {"type": "number", "minimum": 0, "maximum": 100},
            "worker": {"type": "string"},
            "error_code": {"type": "string"},
            "error_message": {"type": "string"},
            "run_at": {"type": "string", "format": "date-time"},
        },
    }
    message = {"name": "job event", "contentType": CONTENT_TYPE, "payload": payload, "headers": _headers()}
    channel = _channel("job.{kind}.{what}", EVENTS_EXCHANGE, {"job event": message})
    what = {"enum": [*(s.value for s in JobState), "progress", "cancel_requested"]}
    return channel | {"parameters": {"kind": {"enum": list(KINDS)}, "what": what}}


def _fact_channel(name: str) -> dict[str, Any]:
    """The events beside those of the jobs' moves: what they tell stands beside the number, as it does there."""
    payload = inlined(FACTS[name].model_json_schema())
    common = {
        "seq": {"type": "integer", "description": "Number of the event: no gaps, never goes back."},
        "job_id": {"type": ["string", "null"], "format": "uuid"},
    }
    payload |= {"properties": common | payload["properties"], "required": [*common, *payload["required"]]}
    message = {"name": name, "contentType": CONTENT_TYPE, "payload": payload, "headers": _headers()}
    return _channel(name, EVENTS_EXCHANGE, {name: message})


def _channel(address: str, exchange: str, messages: dict[str, Any]) -> dict[str, Any]:
    binding = {"name": exchange, "type": "topic", "durable": True, "autoDelete": False}
    amqp = {"is": "routingKey", "exchange": binding, "bindingVersion": "0.3.0"}
    return {"address": address, "messages": messages, "bindings": {"amqp": amqp}}


def _operation(action: str, channel: str) -> dict[str, Any]:
    return {"action": action, "channel": {"$ref": f"#/channels/{channel.replace('/', '~1')}"}}


def _headers() -> dict[str, Any]:
    names = ("specversion", "id", "source", "type", "subject", "time")
    cloud_events = {f"cloudEvents_{name}": {"type": "string"} for name in names}
    return {"type": "object", "properties": cloud_events | {"traceparent": {"type": "string"}}}


def _job_headers() -> dict[str, Any]:
    told = "The version of the parameters. Absent: 1. A version that is not known yet is parked, an older one is read."
    headers = _headers()
    own = {
        VERSION: {"type": "integer", "minimum": 1, "description": told},
        "cloudEvents_dataschema": {"type": "string"},
    }
    return headers | {"properties": headers["properties"] | own}
