"""The services that this replaces, each as its README shows it."""

from starlette.convertors import StringConvertor, register_url_convertor

from gateway.endpoint import Endpoint
from gateway.legacy import analyses, content, forms, inventory, labelforward, pages, segments
from gateway.legacy import files as legacy_files
from gateway.routes.words import BYTES, DATES, FILTERS, FORM, HTML, JSON, PAGED
from infra.tokens import Role

MONITOR = "/api/monitor"
TEXTS = "/api/texts"
PROCESS = "/api/processContent"
NEXT = "/api/download/next"
TAKING = ("collection", "partition", "worker")
METADATA = "/metadata"
TORRENTS = "/torrents"
IN = ("collection",)


class Rows(StringConvertor):
    """How many albums: any word but the one that is an address itself, so that it keeps its own methods."""

    regex = r"(?!submit$)[^/]+"


register_url_convertor("rows", Rows())

LEGACY: tuple[Endpoint, ...] = (
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
    Endpoint(
        "GET", f"{METADATA}/{{rows:rows}}", inventory.albums, Role.WORKER, JSON, query=("worker", *IN), legacy=True
    ),
    Endpoint(
        "POST", f"{METADATA}/{{rows:rows}}", inventory.albums, Role.WORKER, JSON, query=("worker", *IN), legacy=True
    ),
    Endpoint("POST", TORRENTS, inventory.torrents, Role.WORKER, JSON, body=FORM, legacy=True),
    Endpoint(
        "POST", f"{TORRENTS}/submit", inventory.submit_torrents, Role.WORKER, JSON, body=inventory.Lying, legacy=True
    ),
    Endpoint(
        "PUT", f"{TORRENTS}/submit", inventory.submit_torrents, Role.WORKER, JSON, body=inventory.Lying, legacy=True
    ),
    Endpoint("GET", "/stats", inventory.stats, Role.READER, HTML, query=IN, legacy=True),
)
