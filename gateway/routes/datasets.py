"""From uploads to tasks, and from tasks to datasets."""

from gateway import datasets, projects, tasks
from gateway.endpoint import Endpoint
from gateway.routes.words import PAGED
from infra.tokens import Role
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
from schemas.jobs import JobView
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

PROJECT = "/v1/projects/{project_id}"
UPLOAD = "/v1/uploads/{upload_id}"
TASK = "/v1/tasks/{task_id}"
DATASET = "/v1/datasets/{group}"
VERSION = f"{DATASET}/versions/{{version}}"
VERSION_ID = "/v1/dataset-versions/{version_id}"

DATASETS: tuple[Endpoint, ...] = (
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
)
