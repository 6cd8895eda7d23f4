"""`/v1/jobs/bulk`: one thing done to many jobs, by a job of its own; or first a look at what it would act on."""

from starlette.requests import Request
from starlette.responses import Response

from gateway import intake
from gateway.bodies import read, reply
from gateway.intake import Asked
from gateway.problems import Problem
from gateway.services import transact
from gateway.views import of_row, reply_new
from infra import bulk, jobs
from infra.submission import Verdict
from schemas.bulk import COUNTED, Bulk, BulkPreview, BulkRequest
from schemas.registry import KINDS

KIND = "jobs.bulk"


async def create(request: Request) -> Response:
    """Cancel or retry every job that a filter chooses: 202 with the job that does it. `dry_run` only counts: 200.

    What became of each is in that job's output `outcomes.ndjson`.
    """
    asked = await read(request, BulkRequest)
    if asked.filter.kind is not None and asked.filter.kind not in KINDS:
        raise Problem(400, "unknown_kind", "There is no such kind.", kinds=sorted(KINDS))
    wanted = Bulk(action=asked.action, filter=asked.filter)
    if asked.dry_run:
        count, sample = await transact(request, bulk.preview, wanted)
        return reply(BulkPreview(count=min(count, COUNTED), more=count > COUNTED, sample=list(sample)))
    command, receipt = await intake.accept(request, Asked(KIND, wanted.model_dump(mode="json")))
    headers = {"Location": f"/v1/jobs/{receipt.job_id}", "Retry-After": "1"}
    if receipt.verdict is Verdict.CREATED:
        return reply_new(command, receipt, 202, headers)
    assert receipt.job_id is not None
    row = await transact(request, jobs.get, receipt.job_id)
    assert row is not None
    return reply(of_row(row), 202, headers)
