"""Every URL on one screen: method, path, handler, who may call it, what goes in, what comes out.

The pages of the console have a table of their own: `gateway.console.routes`.
"""

from gateway import (
    bulk,
    cache,
    classifiers,
    collections,
    contracts,
    datasets,
    deliveries,
    events,
    exports,
    fetching,
    files,
    health,
    jobs,
    kinds,
    labelling_projects,
    leases,
    manifests,
    models,
    parked,
    projects,
    replication,
    resumable,
    retention,
    schedules,
    tasks,
    transfers,
    webhooks,
)
from gateway.endpoint import Endpoint
from gateway.legacy import analyses, content, forms, inventory, labelforward, pages, segments
from gateway.legacy import files as legacy_files
from infra.tokens import Role
from schemas.bulk import BulkPreview, BulkRequest
from schemas.cache import CachedView
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
from schemas.datasets import (
    ArchiveRequest,
    DatasetItemPage,
    GroupPage,
    GroupView,
    SplitRequest,
    VersionPage,
    VersionRequest,
    VersionView,
)
from schemas.deliveries import (
    DeliveredPage,
    DeliveredView,
    DeliveryAddresses,
    DeliveryOffer,
    DeliveryRequest,
    LocationList,
)
from schemas.events import ChangePage
from schemas.exports import ClassifierPage, ClassifierView, ExportPage, ExportTerms, ExportView
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
from schemas.files import FilePage, FileView
from schemas.jobs import JobPage, JobRequest, JobView, OutputPage, Timeline
from schemas.kinds import KindLimits, KindList, KindView
from schemas.labelling import (
    ClassifierRequest,
    Import,
    Imported,
    LabellingProjectRequest,
    LabellingProjectView,
    TimestampRequest,
    TimestampView,
    VoteRequest,
    VoteView,
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
from schemas.lines import EVENT, EVENTS, NDJSON, Event, JobLine, LineView
from schemas.manifests import ManifestPage, ManifestRequest, ManifestView
from schemas.models import ModelPage, ModelRequest, ModelVersions, ModelView
from schemas.parked import ParkedGroups, ParkedPage, ParkedReport, ParkedSelection, ParkedView, Replay
from schemas.replication import ReplicaBatch, ReplicaMarks, ReplicaPage, ReplicaReport
from schemas.resumable import ResumableView
from schemas.retention import CleanedUp, CleanUp
from schemas.schedules import SchedulePage, ScheduleRequest, ScheduleView
from schemas.transfers import Completion, TransferView
from schemas.uploads import (
    BoxesIn,
    DetectorList,
    DetectorRequest,
    DetectorView,
    FramePage,
    FrameView,
    ImportRequest,
    ProjectPage,
    ProjectRequest,
    ProjectView,
    TaskChange,
    TaskPage,
    TaskView,
    UploadPage,
    UploadRequest,
    UploadView,
)
from schemas.webhooks import DeliveryPage, WebhookList, WebhookRequest, WebhookSecret, WebhookView

JOB = "/v1/jobs/{job_id}"
KINDS = "/v1/kinds"
SCHEDULE = "/v1/schedules/{name}"
PARKED = "/v1/parked"
FILE = "/v1/files/{file_id}"
LABELLING = "/v1/labelling-projects/{project}"
CLASSIFIER = "/v1/classifiers/{classifier}"
EXPORT = "/v1/exports/{export_id}"
MONITOR = "/api/monitor"
TEXTS = "/api/texts"
MODELS = "/v1/models"
RESUMABLES = "/v1/resumable"
RESUMABLE = "/v1/resumable/{upload_id}"
OFFSETS = "application/offset+octet-stream"
COLLECTION = "/v1/collections/{name}"
MANIFEST = "/v1/manifests/{host}/{external_id:path}"
DELIVERIES = "/v1/deliveries"
DELIVERY = "/v1/deliveries/{delivery}"
REPLICATION = "/v1/replication"
CACHED = "/v1/cache/{space}/{key:path}"
LEASE = "/v1/collections/{name}/leases/{lease}"
FETCH_LEASES = "/v1/fetch-leases"
FETCH_LEASE = "/v1/fetch-leases/{lease}"
FETCH_TASKS = "/v1/fetch-tasks"
FETCH_TASK = "/v1/fetch-tasks/{task}"
HOOKS = "/v1/webhooks"
HOOK = "/v1/webhooks/{webhook_id}"
PROJECT = "/v1/projects/{project_id}"
UPLOAD = "/v1/uploads/{upload_id}"
TASK = "/v1/tasks/{task_id}"
DATASET = "/v1/datasets/{group}"
VERSION = f"{DATASET}/versions/{{version}}"
VERSION_ID = "/v1/dataset-versions/{version_id}"
PROCESS = "/api/processContent"
BYTES = "application/octet-stream"
SSE = "text/event-stream"
FORM = "multipart/form-data"
JSON = "application/json"
HTML = "text/html"
NEXT = "/api/download/next"
TAKING = ("collection", "partition", "worker")
METADATA = "/metadata"
TORRENTS = "/torrents"
IN = ("collection",)
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
    Endpoint("GET", f"{FILE}/content", files.content, Role.READER, BYTES, query=("redirect",)),
    Endpoint("POST", "/v1/transfers", transfers.create, Role.PRODUCER, TransferView, 201),
    Endpoint(
        "POST",
        "/v1/transfers/{transfer}/complete",
        transfers.complete,
        Role.PRODUCER,
        FileView,
        201,
        body=Completion,
        also={200: FileView},
    ),
    Endpoint(
        "POST",
        MODELS,
        models.create,
        Role.PRODUCER,
        ModelView,
        201,
        body=ModelRequest,
        also={200: ModelView},
        query=("name",),
    ),
    Endpoint("POST", "/v1/clean-up", retention.clean_up, Role.ADMIN, CleanedUp, body=CleanUp),
    Endpoint("GET", MODELS, models.page, Role.READER, ModelPage, query=PAGED),
    Endpoint("GET", f"{MODELS}/{{model}}", models.get, Role.READER, ModelView),
    Endpoint("GET", f"{MODELS}/{{model}}/versions", models.versions, Role.READER, ModelVersions),
    Endpoint("DELETE", f"{MODELS}/{{model}}", models.delete, Role.PRODUCER, None, 204),
    Endpoint("OPTIONS", RESUMABLES, resumable.options, Role.READER, None, 204),
    Endpoint("POST", RESUMABLES, resumable.create, Role.PRODUCER, None, 201),
    Endpoint("HEAD", RESUMABLE, resumable.head, Role.PRODUCER, None),
    Endpoint("GET", RESUMABLE, resumable.get, Role.PRODUCER, ResumableView),
    Endpoint("PATCH", RESUMABLE, resumable.patch, Role.PRODUCER, None, 204, body=OFFSETS),
    Endpoint("DELETE", RESUMABLE, resumable.delete, Role.PRODUCER, None, 204),
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
    # Annotation projects, classifiers, exports.
    Endpoint(
        "PUT", LABELLING, labelling_projects.put, Role.PRODUCER, LabellingProjectView, 201, body=LabellingProjectRequest
    ),
    Endpoint("GET", LABELLING, labelling_projects.get, Role.READER, LabellingProjectView),
    Endpoint("POST", f"{LABELLING}/datapoints", labelling_projects.add, Role.PRODUCER, Imported, body=Import),
    Endpoint("POST", f"{LABELLING}/votes", labelling_projects.vote, Role.PRODUCER, VoteView, 201, body=VoteRequest),
    Endpoint(
        "POST",
        f"{LABELLING}/timestamps",
        labelling_projects.note_time,
        Role.PRODUCER,
        TimestampView,
        201,
        body=TimestampRequest,
    ),
    Endpoint(
        "POST",
        f"{LABELLING}/classifiers",
        classifiers.register,
        Role.PRODUCER,
        ClassifierView,
        201,
        body=ClassifierRequest,
    ),
    Endpoint("POST", f"{LABELLING}/train", classifiers.train, Role.PRODUCER, JobView, 202),
    Endpoint("GET", "/v1/classifiers", classifiers.page, Role.READER, ClassifierPage, query=("project", *PAGED)),
    Endpoint("GET", CLASSIFIER, classifiers.get, Role.READER, ClassifierView),
    Endpoint("POST", f"{CLASSIFIER}/exports", exports.create, Role.PRODUCER, ExportView, 202, body=ExportTerms),
    Endpoint("GET", f"{CLASSIFIER}/exports", exports.page, Role.READER, ExportPage, query=PAGED),
    Endpoint("GET", EXPORT, exports.get, Role.READER, ExportView),
    Endpoint("GET", f"{EXPORT}/content", exports.content, Role.READER, BYTES, query=("redirect",)),
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
    Endpoint("POST", f"{COLLECTION}/release", collections.release, Role.PRODUCER, Released, body=OldLeases),
    Endpoint("POST", f"{COLLECTION}/moves", leases.move, Role.WORKER, MovesView, body=Moves),
    Endpoint("GET", f"{COLLECTION}/items/{{key:path}}", collections.item, Role.READER, ItemView),
    Endpoint("POST", f"{COLLECTION}/leases", leases.acquire, Role.WORKER, LeaseView, body=LeaseRequest, often=True),
    Endpoint("POST", f"{LEASE}/extend", leases.extend, Role.WORKER, ExtensionView, body=Extension, often=True),
    Endpoint("POST", f"{LEASE}/release", leases.release, Role.WORKER, SubmissionView, body=Giving, often=True),
    Endpoint("POST", f"{LEASE}/submit", leases.submit, Role.WORKER, SubmissionView, body=Submission, often=True),
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
    # The annotation app, as far as its exporter and the feed of it went.
    Endpoint(
        "POST", f"{MONITOR}/download", labelforward.request_download, Role.PRODUCER, JSON, 202, body=FORM, legacy=True
    ),
    Endpoint("GET", f"{MONITOR}/download", labelforward.download, Role.READER, BYTES, query=("clfId",), legacy=True),
    Endpoint(
        "GET",
        f"{MONITOR}/classifiers",
        labelforward.listing,
        Role.READER,
        JSON,
        query=("project", *PAGED),
        legacy=True,
    ),
    Endpoint("GET", f"{MONITOR}/label", labelforward.label_share, Role.READER, JSON, query=("project",), legacy=True),
    Endpoint("GET", f"{TEXTS}/text", labelforward.next_text, Role.READER, JSON, query=("project",), legacy=True),
    Endpoint("POST", f"{TEXTS}/text", labelforward.label_text, Role.PRODUCER, None, 201, body=FORM, legacy=True),
    Endpoint("GET", f"{TEXTS}/labels", labelforward.labels, Role.READER, JSON, query=("project",), legacy=True),
    # From uploads to tasks.
    Endpoint(
        "POST",
        "/v1/projects",
        projects.create,
        Role.PRODUCER,
        ProjectView,
        201,
        body=ProjectRequest,
        also={200: ProjectView},
    ),
    Endpoint("GET", "/v1/projects", projects.page, Role.READER, ProjectPage, query=PAGED),
    Endpoint("GET", PROJECT, projects.get, Role.READER, ProjectView),
    Endpoint("DELETE", PROJECT, projects.delete, Role.PRODUCER, None, 204),
    Endpoint(
        "POST",
        f"{PROJECT}/uploads",
        projects.upload,
        Role.PRODUCER,
        UploadView,
        202,
        body=UploadRequest,
        also={201: UploadView},
    ),
    Endpoint("GET", f"{PROJECT}/uploads", projects.upload_page, Role.READER, UploadPage, query=PAGED),
    Endpoint("GET", UPLOAD, projects.upload_get, Role.READER, UploadView),
    Endpoint("DELETE", UPLOAD, projects.upload_delete, Role.PRODUCER, None, 204),
    Endpoint("GET", "/v1/tasks", tasks.page, Role.READER, TaskPage, query=("project", "upload", "status", *PAGED)),
    Endpoint("GET", TASK, tasks.get, Role.READER, TaskView),
    Endpoint("PATCH", TASK, tasks.change, Role.PRODUCER, TaskView, body=TaskChange),
    Endpoint("GET", f"{TASK}/frames", tasks.frames, Role.READER, FramePage, query=PAGED),
    Endpoint("PUT", f"{TASK}/frames/{{frame}}/boxes", tasks.put_boxes, Role.PRODUCER, FrameView, body=BoxesIn),
    Endpoint("POST", f"{TASK}/import", tasks.bring_in, Role.PRODUCER, JobView, 202, body=ImportRequest),
    Endpoint("GET", "/v1/detectors", tasks.detectors, Role.READER, DetectorList),
    Endpoint("PUT", "/v1/detectors/{name}", tasks.put_detector, Role.PRODUCER, DetectorView, body=DetectorRequest),
    # From tasks to datasets.
    Endpoint("GET", "/v1/datasets", datasets.page, Role.READER, GroupPage, query=PAGED),
    Endpoint("GET", DATASET, datasets.get, Role.READER, GroupView),
    Endpoint("POST", f"{DATASET}/versions", datasets.create, Role.PRODUCER, VersionView, 202, body=VersionRequest),
    Endpoint("GET", f"{DATASET}/versions", datasets.version_page, Role.READER, VersionPage, query=PAGED),
    Endpoint("GET", VERSION, datasets.version, Role.READER, VersionView),
    Endpoint("DELETE", VERSION, datasets.delete, Role.PRODUCER, None, 204),
    Endpoint("POST", f"{VERSION}/build", datasets.build, Role.PRODUCER, VersionView, 202),
    Endpoint("PUT", f"{VERSION}/split", datasets.resplit, Role.PRODUCER, VersionView, body=SplitRequest),
    Endpoint("POST", f"{VERSION}/archives", datasets.pack, Role.PRODUCER, VersionView, 202, body=ArchiveRequest),
    Endpoint("GET", f"{VERSION}/archives/{{archive}}", datasets.archive, Role.READER, None, 307),
    Endpoint("GET", f"{VERSION}/items", datasets.items, Role.READER, DatasetItemPage, query=("split", "ttl", *PAGED)),
    Endpoint("GET", VERSION_ID, datasets.version_by_id, Role.READER, VersionView),
    Endpoint("POST", f"{VERSION_ID}/build", datasets.build_by_id, Role.PRODUCER, VersionView, 202),
    # The content processor and the dataset builder, as their README shows them.
    Endpoint("POST", PROCESS, content.process, Role.PRODUCER, JSON, 202, body=FORM, legacy=True, key=forms.auth_key),
    Endpoint("GET", PROCESS, content.state, Role.READER, JSON, query=("upload_id",), legacy=True),
    Endpoint(
        "POST",
        "/api/createDataSet",
        content.create_dataset,
        Role.PRODUCER,
        JSON,
        202,
        body=FORM,
        legacy=True,
        key=forms.auth_key,
    ),
    Endpoint(
        "POST",
        "/api/editDataSet",
        content.edit_dataset,
        Role.PRODUCER,
        JSON,
        202,
        body=FORM,
        legacy=True,
        key=forms.auth_key,
    ),
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
    # The look-up and fetch queue, as its README shows it.
    Endpoint(
        "POST",
        f"{METADATA}/submit",
        inventory.submit_albums,
        Role.WORKER,
        JSON,
        body=inventory.Found,
        query=IN,
        legacy=True,
    ),
    Endpoint(
        "PUT",
        f"{METADATA}/submit",
        inventory.submit_albums,
        Role.WORKER,
        JSON,
        body=inventory.Found,
        query=IN,
        legacy=True,
    ),
    Endpoint("GET", f"{METADATA}/{{rows}}", inventory.albums, Role.WORKER, JSON, query=("worker", *IN), legacy=True),
    Endpoint("POST", f"{METADATA}/{{rows}}", inventory.albums, Role.WORKER, JSON, query=("worker", *IN), legacy=True),
    Endpoint("POST", TORRENTS, inventory.torrents, Role.WORKER, JSON, body=FORM, legacy=True),
    Endpoint(
        "POST", f"{TORRENTS}/submit", inventory.submit_torrents, Role.WORKER, JSON, body=inventory.Lying, legacy=True
    ),
    Endpoint(
        "PUT", f"{TORRENTS}/submit", inventory.submit_torrents, Role.WORKER, JSON, body=inventory.Lying, legacy=True
    ),
    Endpoint("GET", "/stats", inventory.stats, Role.READER, HTML, query=IN, legacy=True),
    # For those who watch.
    Endpoint("GET", "/healthz", health.alive, None, JSON),
    Endpoint("GET", "/readyz", health.ready, None, JSON, query=("deep",)),
    Endpoint("GET", "/metrics", health.metrics, Role.READER, "text/plain"),
)
