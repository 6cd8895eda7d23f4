"""Labelling projects, classifiers, exports."""

from gateway import classifiers, exports, labelling_projects
from gateway.endpoint import Endpoint
from gateway.routes.words import BYTES, PAGED
from infra.tokens import Role
from schemas.exports import ClassifierPage, ClassifierView, ExportPage, ExportTerms, ExportView
from schemas.jobs import JobView
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

LABELLED = "/v1/labelling-projects/{project}"
CLASSIFIER = "/v1/classifiers/{classifier}"
EXPORT = "/v1/exports/{export_id}"

LABELLING: tuple[Endpoint, ...] = (
    Endpoint(
        "PUT", LABELLED, labelling_projects.put, Role.PRODUCER, LabellingProjectView, 201, body=LabellingProjectRequest
    ),
    Endpoint("GET", LABELLED, labelling_projects.get, Role.READER, LabellingProjectView),
    Endpoint("POST", f"{LABELLED}/datapoints", labelling_projects.add, Role.PRODUCER, Imported, body=Import),
    Endpoint("POST", f"{LABELLED}/votes", labelling_projects.vote, Role.PRODUCER, VoteView, 201, body=VoteRequest),
    Endpoint(
        "POST",
        f"{LABELLED}/timestamps",
        labelling_projects.note_time,
        Role.PRODUCER,
        TimestampView,
        201,
        body=TimestampRequest,
    ),
    Endpoint(
        "POST",
        f"{LABELLED}/classifiers",
        classifiers.register,
        Role.PRODUCER,
        ClassifierView,
        201,
        body=ClassifierRequest,
    ),
    Endpoint("POST", f"{LABELLED}/train", classifiers.train, Role.PRODUCER, JobView, 202),
    Endpoint("GET", "/v1/classifiers", classifiers.page, Role.READER, ClassifierPage, query=("project", *PAGED)),
    Endpoint("GET", CLASSIFIER, classifiers.get, Role.READER, ClassifierView),
    Endpoint("POST", f"{CLASSIFIER}/exports", exports.create, Role.PRODUCER, ExportView, 202, body=ExportTerms),
    Endpoint("GET", f"{CLASSIFIER}/exports", exports.page, Role.READER, ExportPage, query=PAGED),
    Endpoint("GET", EXPORT, exports.get, Role.READER, ExportView),
    Endpoint("GET", f"{EXPORT}/content", exports.content, Role.READER, BYTES, query=("redirect",)),
)
