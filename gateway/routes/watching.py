"""For those who watch, and the contracts."""

from gateway import contracts, health, watching
from gateway.endpoint import Endpoint
from gateway.routes.words import JSON
from infra.tokens import Role
from schemas.watching import QueueList, WorkerList

WATCHING: tuple[Endpoint, ...] = (
    Endpoint("GET", "/v1/workers", watching.workers, Role.READER, WorkerList),
    Endpoint("GET", "/v1/queues", watching.queues, Role.READER, QueueList),
    Endpoint("GET", "/v1/openapi.json", contracts.openapi, Role.READER, JSON),
    Endpoint("GET", "/v1/asyncapi.json", contracts.asyncapi, Role.READER, JSON),
    Endpoint("GET", "/healthz", health.alive, None, JSON),
    Endpoint("GET", "/readyz", health.ready, None, JSON, query=("deep",)),
    Endpoint("GET", "/metrics", health.metrics, Role.READER, "text/plain"),
)
