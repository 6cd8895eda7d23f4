"""What is to be fetched, what was delivered, what deployments share."""

from gateway import cache, deliveries, fetching, manifests, replication
from gateway.endpoint import Endpoint
from gateway.routes.words import BYTES, PAGED
from infra.tokens import Role
from schemas.cache import CachedView
from schemas.deliveries import (
    DeliveredPage,
    DeliveredView,
    DeliveryAddresses,
    DeliveryOffer,
    DeliveryRequest,
    LocationList,
)
from schemas.fetching import (
    FetchExtension,
    FetchExtensionView,
    FetchGiving,
    FetchLeaseRequest,
    FetchLeaseView,
    FetchPage,
    FetchReleaseView,
    FetchReport,
    FetchReportView,
    FetchStats,
    FetchTaskView,
    GivenUp,
)
from schemas.manifests import ManifestPage, ManifestRequest, ManifestView
from schemas.replication import ReplicaBatch, ReplicaMarks, ReplicaPage, ReplicaReport

MANIFEST = "/v1/manifests/{host}/{external_id:path}"
DELIVERIES = "/v1/deliveries"
DELIVERY = "/v1/deliveries/{delivery}"
REPLICATION = "/v1/replication"
CACHED = "/v1/cache/{space}/{key:path}"
FETCH_LEASES = "/v1/fetch-leases"
FETCH_LEASE = "/v1/fetch-leases/{lease}"
FETCH_TASKS = "/v1/fetch-tasks"
FETCH_TASK = "/v1/fetch-tasks/{task}"

FETCHING: tuple[Endpoint, ...] = (
    # What is to be fetched.
    Endpoint("POST", FETCH_LEASES, fetching.acquire, Role.WORKER, FetchLeaseView, body=FetchLeaseRequest),
    Endpoint("POST", f"{FETCH_LEASE}/extend", fetching.extend, Role.WORKER, FetchExtensionView, body=FetchExtension),
    Endpoint("POST", f"{FETCH_LEASE}/release", fetching.release, Role.WORKER, FetchReleaseView, body=FetchGiving),
    Endpoint("POST", "/v1/fetch-reports", fetching.report, Role.WORKER, FetchReportView, body=FetchReport),
    Endpoint("GET", FETCH_TASKS, fetching.page, Role.READER, FetchPage, query=("host", "state", *PAGED)),
    Endpoint("GET", FETCH_TASK, fetching.get, Role.READER, FetchTaskView),
    Endpoint("POST", f"{FETCH_TASK}/unavailable", fetching.give_up, Role.WORKER, FetchTaskView, body=GivenUp),
    Endpoint("POST", f"{FETCH_TASK}/reopen", fetching.reopen, Role.PRODUCER, FetchTaskView),
    Endpoint("GET", "/v1/fetch-stats", fetching.stats, Role.READER, FetchStats, query=("collection",)),
    # Manifests, deliveries, the shared cache.
    Endpoint("GET", "/v1/manifests", manifests.page, Role.READER, ManifestPage, query=("directory", "host", *PAGED)),
    Endpoint(
        "PUT",
        MANIFEST,
        manifests.put,
        Role.WORKER,
        ManifestView,
        201,
        body=ManifestRequest,
        also={200: ManifestView},
    ),
    Endpoint("GET", MANIFEST, manifests.get, Role.READER, ManifestView),
    Endpoint(
        "GET",
        "/v1/locations",
        manifests.locations,
        Role.READER,
        LocationList,
        query=("host", "external_id", "path"),
    ),
    Endpoint("POST", DELIVERIES, deliveries.create, Role.WORKER, DeliveredView, 202, body=DeliveryRequest),
    Endpoint("GET", DELIVERIES, deliveries.page, Role.READER, DeliveredPage, query=("outcome", *PAGED)),
    Endpoint(
        "POST", f"{DELIVERIES}/uploads", deliveries.offer, Role.WORKER, DeliveryAddresses, 201, body=DeliveryOffer
    ),
    Endpoint("GET", DELIVERY, deliveries.get, Role.READER, DeliveredView),
    Endpoint("GET", f"{DELIVERY}/files/{{path:path}}", deliveries.file, Role.READER, None, 307),
    Endpoint("POST", f"{DELIVERY}/complete", deliveries.complete, Role.WORKER, DeliveredView, 202),
    Endpoint("PUT", CACHED, cache.put, Role.WORKER, CachedView, body=BYTES, query=("ttl",)),
    Endpoint("GET", CACHED, cache.get, Role.READER, BYTES),
    Endpoint("DELETE", CACHED, cache.delete, Role.WORKER, None, 204),
    # What deployments share.
    Endpoint("GET", f"{REPLICATION}/changes", replication.changes, Role.READER, ReplicaPage, query=("since", "limit")),
    Endpoint("POST", f"{REPLICATION}/changes", replication.apply, Role.ADMIN, ReplicaReport, body=ReplicaBatch),
    Endpoint("GET", f"{REPLICATION}/marks", replication.marks, Role.READER, ReplicaMarks),
)
