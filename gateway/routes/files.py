"""Files, the ways they come in, models, and what is cleaned up."""

from gateway import files, models, resumable, retention, transfers
from gateway.endpoint import Endpoint
from gateway.routes.words import BYTES, FILTERS, PAGED
from infra.tokens import Role
from schemas.files import FilePage, FileView
from schemas.models import ModelPage, ModelRequest, ModelVersions, ModelView
from schemas.resumable import ResumableView
from schemas.retention import CleanedUp, CleanUp
from schemas.transfers import Completion, TransferView

FILE = "/v1/files/{file_id}"
MODELS = "/v1/models"
RESUMABLES = "/v1/resumable"
RESUMABLE = "/v1/resumable/{upload_id}"
OFFSETS = "application/offset+octet-stream"

FILES: tuple[Endpoint, ...] = (
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
)
