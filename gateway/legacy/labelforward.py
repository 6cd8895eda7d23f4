"""The old annotation app: `/api/monitor` asks for archives and shows classifiers, `/api/texts` hands out texts."""

from starlette.requests import Request
from starlette.responses import Response

from gateway import classifiers, exports, labelling_projects
from gateway.legacy import forms
from gateway.legacy.paging import document
from gateway.problems import Problem
from gateway.services import transact
from infra import exports as store
from infra import labelling
from infra.tokens import Role
from schemas.exports import ExportTerms, status_of
from schemas.labelling import VoteRequest


async def request_download(request: Request) -> Response:
    """Ask for the archive of a classifier: `{clfId}`."""
    fields = await forms.fields(request)
    number = classifiers.number_of(str(forms.required(fields, "clfId")))
    view = await exports.asked_for(request, await classifiers.found(request, number), ExportTerms())
    body = {"export_id": view.export_id, "clfId": number, "status": view.status}
    return document(body, 202, {"Location": view.links["self"], "Retry-After": "1"})


async def download(request: Request) -> Response:
    """The newest archive of a classifier, `?clfId=`: 404 when none was asked for, 202 while it is made."""
    number = classifiers.number_of(request.query_params.get("clfId", ""))
    await classifiers.found(request, number)
    rows = await transact(request, store.page, number, None, 1)
    if not rows:
        raise Problem(404, "no_export", "No archive of this classifier was asked for.")
    return await exports.served(request, rows[0])


async def listing(request: Request) -> Response:
    """Classifiers with the state of their download: 0 none, 1 requested, 2 available, 3 failed."""
    rows, rest = await classifiers.listed(request)
    told = [
        {
            "clfId": row["id"],
            "precision": row["precision"],
            "timestamp": row["created_at"],
            "download": status_of(row["export_state"]),
            "export_id": row["export_id"],
        }
        for row in rows
    ]
    return document({"clfData": told, "next": rest})


async def label_share(request: Request) -> Response:
    """The labelled share of all datapoints that the caller may see, or of one `?project=`; 0 when there are none."""
    share = await transact(request, labelling.share, await _projects(request))
    return document({"labelShare": share.pop("label_share"), **share})


async def next_text(request: Request) -> Response:
    """The next text that needs a label of the caller; 204 when there is none."""
    who = request.state.identity.name
    names = await _projects(request)
    row = await transact(request, labelling.next_text, names, who)
    if row is None:
        return Response(status_code=204)
    return document({"text_id": row["id"], "text_data": row["text"]})


async def label_text(request: Request) -> Response:
    """Label a text: `{label, text_id}`."""
    fields = await forms.fields(request)
    given = {"datapoint": forms.required(fields, "text_id"), "label": forms.required(fields, "label")}
    wanted = VoteRequest.model_validate(given)
    project = await transact(request, labelling.project_of, wanted.datapoint)
    if project is None:
        raise labelling_projects.unknown_datapoint()
    await labelling_projects.member(request, project)
    await labelling_projects.voted(request, project, wanted)
    return Response(status_code=201)


async def labels(request: Request) -> Response:
    """The labels to choose from."""
    return document({"labels": await transact(request, labelling.labels_of, await _projects(request))})


async def _projects(request: Request) -> list[str]:
    name = request.query_params.get("project")
    if name is not None:
        return [(await labelling_projects.member(request, name)).name]
    who = request.state.identity
    return list(await transact(request, labelling.projects_of, who.name, who.may(Role.ADMIN)))
