"""Every page of the console on one screen. A new area adds its lines here, and a place in `navigation`."""

from gateway.console import (
    account,
    assets,
    dead,
    facts,
    files,
    job,
    jobs,
    kinds,
    overview,
    reference,
    schedules,
    webhooks,
    workers,
)
from gateway.console.page import SIGN_IN, Page
from infra.tokens import Role

JOB = "/console/jobs/{job_id}"
KIND = "/console/kinds/{kind}"
CAUSE = "/console/dead/{fingerprint}"
FILE = "/console/files/{file_id}"
HOOK = "/console/webhooks/{webhook_id}"

PAGES: tuple[Page, ...] = (
    Page("GET", "/console/assets/{name}", assets.serve, None),
    Page("GET", SIGN_IN, account.door, None),
    Page("POST", SIGN_IN, account.enter, None),
    Page("POST", "/console/sign-out", account.leave),
    Page("GET", "/console", overview.show),
    Page("GET", "/console/live", facts.stream),
    Page("GET", "/console/find", jobs.find),
    Page("GET", "/console/jobs", jobs.listing),
    Page("GET", "/console/jobs/new", jobs.new, Role.PRODUCER),
    Page("POST", "/console/jobs/new", jobs.create, Role.PRODUCER),
    Page("GET", "/console/jobs/bulk", jobs.plan, Role.PRODUCER),
    Page("POST", "/console/jobs/bulk", jobs.act, Role.PRODUCER),
    Page("GET", JOB, job.show),
    Page("POST", f"{JOB}/cancel", job.cancel, Role.PRODUCER),
    Page("POST", f"{JOB}/retry", job.retry, Role.PRODUCER),
    Page("GET", "/console/dead", dead.listing),
    Page("POST", "/console/dead/retry", dead.retry, Role.PRODUCER),
    Page("GET", CAUSE, dead.group),
    Page("POST", f"{CAUSE}/replay", dead.replay, Role.ADMIN),
    Page("POST", f"{CAUSE}/discard", dead.discard, Role.ADMIN),
    Page("GET", "/console/schedules", schedules.listing),
    Page("POST", "/console/schedules/{name}/delete", schedules.delete, Role.PRODUCER),
    Page("GET", "/console/files", files.listing),
    Page("POST", "/console/files", files.upload, Role.PRODUCER),
    Page("GET", FILE, files.show),
    Page("POST", f"{FILE}/delete", files.delete, Role.PRODUCER),
    Page("GET", "/console/kinds", kinds.listing),
    Page("POST", f"{KIND}/pause", kinds.pause, Role.ADMIN),
    Page("POST", f"{KIND}/resume", kinds.resume, Role.ADMIN),
    Page("POST", f"{KIND}/limit", kinds.limit, Role.ADMIN),
    Page("GET", "/console/workers", workers.listing),
    Page("GET", "/console/webhooks", webhooks.listing, Role.ADMIN),
    Page("POST", "/console/webhooks", webhooks.create, Role.ADMIN),
    Page("GET", HOOK, webhooks.show, Role.ADMIN),
    Page("POST", f"{HOOK}/test", webhooks.test, Role.ADMIN),
    Page("POST", f"{HOOK}/enable", webhooks.enable, Role.ADMIN),
    Page("POST", f"{HOOK}/delete", webhooks.delete, Role.ADMIN),
    Page("GET", "/console/events", facts.listing),
    Page("GET", "/console/docs/http", reference.http),
    Page("GET", "/console/docs/messages", reference.messages),
)
