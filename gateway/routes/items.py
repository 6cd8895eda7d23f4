"""Items under lease."""

from gateway import collections, leases
from gateway.endpoint import Endpoint
from gateway.routes.words import PAGED
from infra.tokens import Role
from schemas.collections import (
    Added,
    CollectionPage,
    CollectionRequest,
    CollectionView,
    Counts,
    ItemPage,
    ItemView,
    Leaderboard,
    NewItems,
    OldLeases,
    Released,
)
from schemas.leases import (
    Extension,
    ExtensionView,
    Giving,
    LeaseRequest,
    LeaseView,
    Moves,
    MovesView,
    Submission,
    SubmissionView,
)

COLLECTION = "/v1/collections/{name}"
LEASE = "/v1/collections/{name}/leases/{lease}"

ITEMS: tuple[Endpoint, ...] = (
    Endpoint("GET", "/v1/collections", collections.page, Role.READER, CollectionPage, query=PAGED),
    Endpoint(
        "PUT",
        COLLECTION,
        collections.put,
        Role.PRODUCER,
        CollectionView,
        201,
        body=CollectionRequest,
        also={200: CollectionView},
    ),
    Endpoint("GET", COLLECTION, collections.get, Role.READER, CollectionView),
    Endpoint("GET", f"{COLLECTION}/counts", collections.counts, Role.READER, Counts, query=("state", "partition")),
    Endpoint("GET", f"{COLLECTION}/leaderboard", collections.leaderboard, Role.READER, Leaderboard),
    Endpoint("POST", f"{COLLECTION}/items", collections.add, Role.PRODUCER, Added, body=NewItems),
    Endpoint(
        "GET",
        f"{COLLECTION}/items",
        collections.items,
        Role.READER,
        ItemPage,
        query=("state", "partition", "dead", *PAGED),
    ),
    Endpoint("POST", f"{COLLECTION}/release", collections.release, Role.PRODUCER, Released, body=OldLeases),
    Endpoint("POST", f"{COLLECTION}/moves", leases.move, Role.WORKER, MovesView, body=Moves),
    Endpoint("GET", f"{COLLECTION}/items/{{key:path}}", collections.item, Role.READER, ItemView),
    Endpoint("POST", f"{COLLECTION}/leases", leases.acquire, Role.WORKER, LeaseView, body=LeaseRequest, often=True),
    Endpoint("POST", f"{LEASE}/extend", leases.extend, Role.WORKER, ExtensionView, body=Extension, often=True),
    Endpoint("POST", f"{LEASE}/release", leases.release, Role.WORKER, SubmissionView, body=Giving, often=True),
    Endpoint("POST", f"{LEASE}/submit", leases.submit, Role.WORKER, SubmissionView, body=Submission, often=True),
)
