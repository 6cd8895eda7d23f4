"""Every URL on one screen: method, path, handler, who may call it, what goes in, what comes out."""

from gateway import contracts, files, health, jobs, kinds
from gateway.endpoint import Endpoint
from gateway.legacy import analyses
from gateway.legacy import files as legacy_files
from infra.tokens import Role
from schemas.files import FilePage, FileView
from schemas.jobs import JobPage, JobRequest, JobView, KindList, OutputPage, Timeline

JOB = "/v1/jobs/{job_id}"
FILE = "/v1/files/{file_id}"
BYTES = "application/octet-stream"
FORM = "multipart/form-data"
JSON = "application/json"
PAGED = ("cursor", "limit")
DATES = ("created_after", "created_before")
FILTERS = ("name", "content_type", *DATES, *PAGED)

ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint("POST", "/v1/jobs", jobs.create, Role.PRODUCER, JobView, 202, body=JobRequest),
    Endpoint("GET", "/v1/jobs", jobs.page, Role.READER, JobPage, query=("state", "kind", *PAGED)),
    Endpoint("GET", JOB, jobs.get, Role.READER, JobView),
    Endpoint("POST", f"{JOB}/cancel", jobs.cancel, Role.PRODUCER, JobView, 202),
    Endpoint("POST", f"{JOB}/retry", jobs.retry, Role.PRODUCER, JobView, 202),
    Endpoint("GET", f"{JOB}/events", jobs.timeline, Role.READER, Timeline),
    Endpoint("GET", f"{JOB}/outputs", jobs.outputs, Role.READER, OutputPage, query=PAGED),
    Endpoint("GET", f"{JOB}/outputs/{{name:path}}", jobs.output, Role.READER, None, 307),
    Endpoint("GET", "/v1/kinds", kinds.listing, Role.READER, KindList),
    Endpoint("POST", "/v1/files", files.upload, Role.PRODUCER, FileView, 201, body=BYTES, query=("name",)),
    Endpoint("GET", "/v1/files", files.page, Role.READER, FilePage, query=FILTERS),
    Endpoint("GET", FILE, files.get, Role.READER, FileView),
    Endpoint("DELETE", FILE, files.delete, Role.PRODUCER, None, 204, query=("force",)),
    Endpoint("GET", f"{FILE}/content", files.content, Role.READER, BYTES),
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
    # For those who watch.
    Endpoint("GET", "/healthz", health.alive, None, JSON),
    Endpoint("GET", "/readyz", health.ready, None, JSON),
    Endpoint("GET", "/metrics", health.metrics, Role.READER, "text/plain"),
)
