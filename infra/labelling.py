"""Annotation projects in the database: who may see them, what is in them, and what people say about it."""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection

from infra import db

SALT_BYTES = 32


class UnknownDatapoint(Exception):
    """The project has no such datapoint."""


class UnknownLabel(Exception):
    """The project has no such label."""


class VotedAlready(Exception):
    """This person has voted on this datapoint."""


@dataclass(frozen=True)
class Standing:
    """A project, and whether somebody is a member of it. `dimension` 0 means that its datapoints are texts."""

    name: str
    dimension: int
    features: Sequence[str]
    member: bool


@dataclass(frozen=True)
class Batch:
    """Datapoints to add, by column. `contents` are texts, or vectors as `{1.5,2}`."""

    keys: Sequence[str]
    contents: Sequence[str]
    labels: Sequence[str | None]


def standing(connection: Connection, project: str, member: str) -> Standing | None:
    """The project and somebody's place in it; None when there is no such project."""
    row = db.row(connection, "labelling.standing", project=project, member=member)
    return Standing(**row) if row is not None else None


def put(connection: Connection, name: str, wanted: Mapping[str, Any], created_by: str) -> bool | None:
    """Make a project, or change it. True when it is new, None when it is there with other features."""
    terms = {"name": name, "features": wanted["features"], "min_votes": wanted["min_votes"]}
    salt = secrets.token_bytes(SALT_BYTES)
    created = db.run(connection, "labelling.create_project", **terms, salt=salt, created_by=created_by) == 1
    if not created and not db.run(connection, "labelling.update_project", **terms):
        return None
    members = [*wanted["members"], *([created_by] if created else [])]
    db.run(connection, "labelling.add_members", project=name, members=members)
    add_labels(connection, name, wanted["labels"])
    return created


def get(connection: Connection, name: str) -> dict[str, Any] | None:
    """A project with its labels, members and counts."""
    row = db.row(connection, "labelling.project", project=name)
    return dict(row) | share(connection, [name]) if row is not None else None


def share(connection: Connection, projects: Sequence[str]) -> dict[str, Any]:
    """How far the labelling of projects is: counts, and the labelled share of all datapoints, 0 when there are none."""
    [row] = db.rows(connection, "labelling.share", projects=list(projects))
    total = row["labelled"] + row["rest"]
    return {
        "datapoints": total,
        "labelled": row["labelled"],
        "pending": row["pending"],
        "label_share": row["labelled"] / total if total else 0.0,
    }


def projects_of(connection: Connection, member: str, everything: bool) -> list[str]:
    """The names of the projects that somebody may see."""
    rows = db.rows(connection, "labelling.projects_of", member=member, everything=everything)
    return [row["name"] for row in rows]


def add_labels(connection: Connection, project: str, labels: Sequence[str]) -> None:
    """Add labels to choose from."""
    if labels:
        db.run(connection, "labelling.add_labels", project=project, labels=sorted(set(labels)))


def add(connection: Connection, project: Standing, batch: Batch) -> int:
    """Add datapoints that are not there yet, and labels that are not known yet. Returns how many are new."""
    values: dict[str, Any] = {"keys": list(batch.keys), "labels": list(batch.labels)}
    if project.dimension:
        terms = values | {"vectors": list(batch.contents), "dimension": project.dimension}
        added = db.run(connection, "labelling.add_vectors", project=project.name, **terms)
    else:
        added = db.run(connection, "labelling.add_texts", project=project.name, **values, texts=list(batch.contents))
    if any(label is not None for label in batch.labels):
        db.run(connection, "labelling.label_known", project=project.name, **values)
    return added


def vote(connection: Connection, project: str, datapoint: int, annotator: str, label: str) -> db.Row:
    """Take one person's vote; with enough of them the majority is the label. Returns the datapoint as it is then.

    Raises UnknownDatapoint, UnknownLabel or VotedAlready.
    """
    held = db.row(connection, "labelling.hold_datapoint", project=project, datapoint=datapoint)
    if held is None:
        raise UnknownDatapoint
    values = {"datapoint": datapoint, "annotator": annotator, "project": project, "label": label}
    try:
        with connection.begin_nested():
            voted = db.run(connection, "labelling.vote", **values)
    except db.REFUSED as error:
        if db.constraint_of(error) != "votes_pkey":
            raise
        raise VotedAlready from None
    if not voted:
        raise UnknownLabel
    [row] = db.rows(connection, "labelling.count_vote", datapoint=datapoint, min_votes=held["min_votes"])
    return row


def note_time(
    connection: Connection, project: str, datapoint: int, annotator: str, span: tuple[datetime, datetime | None]
) -> int:
    """Note how long somebody looked at a datapoint. Raises UnknownDatapoint."""
    row = db.row(
        connection,
        "labelling.note_time",
        project=project,
        datapoint=datapoint,
        annotator=annotator,
        start_time=span[0],
        end_time=span[1],
    )
    if row is None:
        raise UnknownDatapoint
    return int(row["id"])


def next_text(connection: Connection, projects: Sequence[str], annotator: str) -> db.Row | None:
    """The next text that needs a label of this person; None when there is none."""
    return db.row(connection, "labelling.next_text", projects=list(projects), annotator=annotator)


def labels_of(connection: Connection, projects: Sequence[str]) -> list[str]:
    """The labels to choose from."""
    return [row["label"] for row in db.rows(connection, "labelling.labels_of", projects=list(projects))]


def project_of(connection: Connection, datapoint: int) -> str | None:
    """The project that a datapoint is in."""
    row = db.row(connection, "labelling.project_of", datapoint=datapoint)
    return row["project"] if row is not None else None
