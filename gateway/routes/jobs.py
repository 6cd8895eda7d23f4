"""Jobs and what is done with them: kinds, schedules, dead letters, facts, webhooks."""

from gateway import bulk, events, jobs, kinds, parked, schedules, webhooks
from gateway.endpoint import Endpoint
from gateway.routes.words import PAGED, SSE
from infra.tokens import Role
from schemas.bulk import BulkPreview, BulkRequest
from schemas.events import ChangePage
from schemas.jobs import JobPage, JobRequest, JobView, OutputPage, Timeline
from schemas.kinds import KindLimits, KindList, KindView
from schemas.lines import EVENT, EVENTS, NDJSON, Event, JobLine, LineView
from schemas.parked import ParkedGroups, ParkedPage, ParkedReport, ParkedSelection, ParkedView, Replay
from schemas.schedules import SchedulePage, ScheduleRequest, ScheduleView
from schemas.webhooks import DeliveryPage, WebhookList, WebhookRequest, WebhookSecret, WebhookView

JOB = "/v1/jobs/{job_id}"
KINDS = "/v1/kinds"
SCHEDULE = "/v1/schedules/{name}"
PARKED = "/v1/parked"
HOOKS = "/v1/webhooks"
HOOK = "/v1/webhooks/{webhook_id}"
CAUSES = ("code", "queue", "fingerprint", "open", *PAGED)

JOBS: tuple[Endpoint, ...] = (
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
)
