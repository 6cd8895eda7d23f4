"""Every URL on one screen: method, path, handler, who may call it, what goes in, what comes out."""

from gateway import (
    bulk,
    collections,
    contracts,
    events,
    files,
    health,
    jobs,
    kinds,
    leases,
    parked,
    schedules,
    webhooks,
)
from gateway.endpoint import Endpoint
from gateway.legacy import analyses, pages, segments
from gateway.legacy import files as legacy_files
from infra.tokens import Role
from schemas.bulk import BulkPreview, BulkRequest
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
)
from schemas.events import ChangePage
from schemas.files import FilePage, FileView
from schemas.jobs import JobPage, JobRequest, JobView, OutputPage, Timeline
from schemas.kinds import KindLimits, KindList, KindView
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
from schemas.lines import EVENT, EVENTS, NDJSON, Event, JobLine, LineView
from schemas.parked import ParkedGroups, ParkedPage, ParkedReport, ParkedSelection, ParkedView, Replay
from schemas.schedules import SchedulePage, ScheduleRequest, ScheduleView
from schemas.webhooks import DeliveryPage, WebhookList, WebhookRequest, WebhookSecret, WebhookView

JOB = "/v1/jobs/{job_id}"
KINDS = "/v1/kinds"
SCHEDULE = "/v1/schedules/{name}"
PARKED = "/v1/parked"
FILE = "/v1/files/{file_id}"
COLLECTION = "/v1/collections/{name}"
LEASE = "/v1/collections/{name}/leases/{lease}"
HOOKS = "/v1/webhooks"
HOOK = "/v1/webhooks/{webhook_id}"
BYTES = "application/octet-stream"
SSE = "text/event-stream"
FORM = "multipart/form-data"
JSON = "application/json"
HTML = "text/html"
NEXT = "/api/download/next"
TAKING = ("collection", "partition", "worker")
PAGED = ("cursor", "limit")
DATES = ("created_after", "created_before")
CAUSES = ("code", "queue", "fingerprint", "open", *PAGED)
FILTERS = ("name", "content_type", *DATES, *PAGED)

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "POST",
        "/v1/jobs",
        jobs.create,
        Role.PRODUCER,
        JobView,
        202,
        body=JobRequest,
        also={200: JobView},
        media={NDJSON: JobLine, EVENT: Event, EVENTS: Event},
        line=LineView,
    ),
    Endpoint("GET", "/v1/jobs", jobs.page, Role.READER, JobPage, query=("state", "kind", *PAGED)),
    Endpoint(
        "POST",
        "/v1/jobs/bulk",
        bulk.create,
        Role.PRODUCER,
        JobView,
        202,
        body=BulkRequest,
        also={200: BulkPreview},
    ),
    Endpoint("GET", JOB, jobs.get, Role.READER, JobView),
    Endpoint("POST", f"{JOB}/cancel", jobs.cancel, Role.PRODUCER, JobView, 202, query=("tree",)),
    Endpoint("POST", f"{JOB}/retry", jobs.retry, Role.PRODUCER, JobView, 202),
    Endpoint("GET", f"{JOB}/events", jobs.timeline, Role.READER, Timeline),
    Endpoint("GET", f"{JOB}/outputs", jobs.outputs, Role.READER, OutputPage, query=PAGED),
    Endpoint("GET", f"{JOB}/outputs/{{name:path}}", jobs.output, Role.READER, None, 307),
    Endpoint("GET", KINDS, kinds.listing, Role.READER, KindList),
    Endpoint("POST", f"{KINDS}/{{kind}}/pause", kinds.pause, Role.ADMIN, KindView),
    Endpoint("POST", f"{KINDS}/{{kind}}/resume", kinds.resume, Role.ADMIN, KindView),
    Endpoint("PATCH", f"{KINDS}/{{kind}}", kinds.limit, Role.ADMIN, KindView, body=KindLimits),
    Endpoint("GET", "/v1/schedules", schedules.page, Role.READER, SchedulePage, query=PAGED),
    Endpoint("PUT", SCHEDULE, schedules.put, Role.PRODUCER, ScheduleView, 201, body=ScheduleRequest),
    Endpoint("GET", SCHEDULE, schedules.get, Role.READER, ScheduleView),
    Endpoint("DELETE", SCHEDULE, schedules.delete, Role.PRODUCER, None, 204),
    Endpoint("POST", "/v1/files", files.upload, Role.PRODUCER, FileView, 201, body=BYTES, query=("name",)),
    Endpoint("GET", "/v1/files", files.page, Role.READER, FilePage, query=FILTERS),
    Endpoint("GET", FILE, files.get, Role.READER, FileView),
    Endpoint("DELETE", FILE, files.delete, Role.PRODUCER, None, 204, query=("force",)),
    Endpoint("GET", f"{FILE}/content", files.content, Role.READER, BYTES),
    Endpoint("GET", PARKED, parked.page, Role.READER, ParkedPage, query=CAUSES),
    Endpoint("GET", f"{PARKED}/groups", parked.groups, Role.READER, ParkedGroups, query=PAGED),
    Endpoint("POST", f"{PARKED}/replay", parked.replay_all, Role.ADMIN, ParkedReport, body=ParkedSelection),
    Endpoint("POST", f"{PARKED}/discard", parked.discard_all, Role.ADMIN, ParkedReport, body=ParkedSelection),
    Endpoint("GET", f"{PARKED}/{{parked_id}}", parked.get, Role.READER, ParkedView),
    Endpoint("POST", f"{PARKED}/{{parked_id}}/replay", parked.replay, Role.ADMIN, ParkedView, body=Replay),
    Endpoint("POST", f"{PARKED}/{{parked_id}}/discard", parked.discard, Role.ADMIN, ParkedView),
    Endpoint("GET", "/v1/changes", events.changes, Role.READER, ChangePage, query=("since", "wait", "types", "limit")),
    Endpoint("GET", "/v1/events", events.stream, Role.READER, SSE, query=("types", "job_id", "last_event_id")),
    Endpoint("POST", HOOKS, webhooks.create, Role.ADMIN, WebhookSecret, 201, body=WebhookRequest),
    Endpoint("GET", HOOKS, webhooks.listing, Role.ADMIN, WebhookList),
    Endpoint("GET", HOOK, webhooks.get, Role.ADMIN, WebhookView),
    Endpoint("DELETE", HOOK, webhooks.delete, Role.ADMIN, None, 204),
    Endpoint("POST", f"{HOOK}/test", webhooks.test, Role.ADMIN, WebhookView, 202),
    Endpoint("POST", f"{HOOK}/rotate", webhooks.rotate, Role.ADMIN, WebhookSecret),
    Endpoint("POST", f"{HOOK}/enable", webhooks.enable, Role.ADMIN, WebhookView),
    Endpoint("GET", f"{HOOK}/deliveries", webhooks.deliveries, Role.ADMIN, DeliveryPage, query=PAGED),
    # Items under lease.
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
    Endpoint("POST", f"{COLLECTION}/moves", leases.move, Role.WORKER, MovesView, body=Moves),
    Endpoint("GET", f"{COLLECTION}/items/{{key:path}}", collections.item, Role.READER, ItemView),
    Endpoint("POST", f"{COLLECTION}/leases", leases.acquire, Role.WORKER, LeaseView, body=LeaseRequest),
    Endpoint("POST", f"{LEASE}/extend", leases.extend, Role.WORKER, ExtensionView, body=Extension),
    Endpoint("POST", f"{LEASE}/release", leases.release, Role.WORKER, SubmissionView, body=Giving),
    Endpoint("POST", f"{LEASE}/submit", leases.submit, Role.WORKER, SubmissionView, body=Submission),
    Endpoint("GET", "/v1/openapi.json", contracts.openapi, Role.READER, JSON),
    Endpoint("GET", "/v1/asyncapi.json", contracts.asyncapi, Role.READER, JSON),
    # The file store and analyses, as their README shows them.
    Endpoint("POST", "/file", legacy_files.upload, Role.PRODUCER, JSON, body=FORM, legacy=True),
    Endpoint("GET", "/file", legacy_files.page, Role.READER, JSON, query=FILTERS, legacy=True),
    Endpoint("GET", "/file/{file_id}", legacy_files.content, Role.READER, BYTES, legacy=True),
    Endpoint("DELETE", "/file/{file_id}", legacy_files.delete, Role.PRODUCER, None, 204, query=("force",), legacy=True),
    Endpoint("POST", "/analysis", analyses.start, Role.PRODUCER, JSON, body=FORM, legacy=True),
    Endpoint(
        "GET",
        "/analysis",
        analyses.page,
        Role.READER,
        JSON,
        query=("analysis", "state", "file_id", *DATES, *PAGED),
        legacy=True,
    ),
    Endpoint("GET", "/analysis/{analysis_id}", analyses.get, Role.READER, JSON, legacy=True),
    Endpoint("DELETE", "/analysis/{analysis_id}", analyses.cancel, Role.PRODUCER, JSON, 202, legacy=True),
    Endpoint("POST", "/analysis/{analysis_id}/cancel", analyses.cancel, Role.PRODUCER, JSON, 202, legacy=True),
    # The download manager, as its README shows it.
    Endpoint("GET", "/", pages.index, Role.READER, HTML, query=("collection", *PAGED)),
    Endpoint("GET", "/id/{item:path}", pages.item, Role.READER, HTML, query=("collection",)),
    Endpoint(
        "GET",
        "/api/segments/count",
        segments.count,
        Role.READER,
        JSON,
        query=("state", "partition", "collection"),
        legacy=True,
    ),
    Endpoint("GET", "/api/segments/{item:path}", segments.get, Role.READER, JSON, query=("collection",), legacy=True),
    Endpoint("GET", NEXT, segments.next_item, Role.WORKER, JSON, query=TAKING, legacy=True),
    Endpoint("POST", NEXT, segments.next_item, Role.WORKER, JSON, query=TAKING, legacy=True),
    Endpoint(
        "POST",
        "/api/download/batch",
        segments.batch,
        Role.WORKER,
        JSON,
        body=segments.Batch,
        query=("collection",),
        legacy=True,
    ),
    Endpoint(
        "PUT",
        "/api/download/{item:path}",
        segments.update,
        Role.WORKER,
        JSON,
        body=segments.Update,
        query=("collection",),
        legacy=True,
    ),
    # For those who watch.
    Endpoint("GET", "/healthz", health.alive, None, JSON),
    Endpoint("GET", "/readyz", health.ready, None, JSON, query=("deep",)),
    Endpoint("GET", "/metrics", health.metrics, Role.READER, "text/plain"),
)
