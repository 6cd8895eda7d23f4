"""One of everything, made through the front door by one caller: what every id in the route table can name.

A new route with an id of a new sort has no place here yet, and `Furniture.address` says so: give it one.
"""

import re
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.labelled import WORDS
from tests.system import until

#: Where an id stands in a path: behind which word, and how the route calls it.
PLACE = re.compile(r"(?<=/)([\w-]+)/{(\w+)(?::\w+)?}")
NOBODY = "00000000-0000-7000-8000-000000000000"
#: Ids that belong to nobody: what the system itself offers, and what only operators have.
COMMON = {"kinds/kind": "probe.echo", "assets/name": "console.css", "metadata/rows": "1"}
PROJECTION = [[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, 0]]


@dataclass
class Furniture:
    """The ids of one caller's things, by their place in a path such as `jobs/job_id`."""

    http: httpx.Client
    ids: dict[str, str] = field(default_factory=dict)

    def address(self, path: str) -> str:
        """A path of the route table with our ids in it. Raises KeyError for an id of a sort that nobody has made."""
        known = COMMON | self.ids
        return PLACE.sub(lambda found: f"{found[1]}/{known[f'{found[1]}/{found[2]}']}", path)

    def names_something(self, path: str) -> bool:
        """Whether a path has an id that is ours."""
        return any(f"{word}/{name}" in self.ids for word, name in PLACE.findall(path))

    def ask(self, method: str, path: str, **given: Any) -> Any:
        """One request that must succeed, at once or when what it needs is not busy any more."""
        answer = until(lambda: self._not_busy(method, path, given), f"{method} {path} is not busy")
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def _not_busy(self, method: str, path: str, given: dict[str, Any]) -> httpx.Response | None:
        """Its answer; None when it was "try again", which says that nothing was done."""
        answer = self.http.request(method, path, **given)
        return answer if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE else None

    def once(self, path: str, ready: Callable[[Any], bool]) -> Any:
        """What an address shows, once it is as it should be."""

        def look() -> Any:
            shown = self.ask("GET", path)
            return shown if ready(shown) else None

        return until(look, f"{path} is ready", 180)


def ended(view: Any) -> bool:
    """Whether a job, an upload or an export has succeeded. Fails the test when it has failed."""
    assert view["state"] not in {"failed", "cancelled"}, view
    return bool(view["state"] in {"succeeded", "complete"})


def packed(version: Any) -> bool:
    """Whether a version is complete, and its archives are there."""
    return ended(version) and all(ended(archive) for archive in version["archives"])


def furnish(http: httpx.Client, clip: bytes) -> Furniture:
    """Make one of everything. A dispatcher, a keeper, a splitter, an analyzer, an exporter and a relay must run."""
    made = Furniture(http)
    tag = uuid.uuid4().hex[:8]
    _files_and_jobs(made, clip, tag)
    _items(made, tag)
    _labels(made, tag)
    _datasets(made, tag)
    return made


def _files_and_jobs(made: Furniture, clip: bytes, tag: str) -> None:
    text = made.ask("POST", "/v1/files", params={"name": "a.txt"}, content=f"of {tag}\n".encode())
    film = made.ask("POST", "/v1/files", params={"name": "a.mp4"}, content=clip)
    sleep = {"kind": "analyze.sleep", "params": {"file": text["sha256"], "time": 0}}
    job = made.ask("POST", "/v1/jobs", json=sleep)["id"]
    old = made.ask("POST", "/analysis", data={"file_id": text["file_id"], "analysis": "sleep", "time": "0"})
    nightly = {"cron": "0 3 1 1 *", "kind": "probe.echo", "params": {"text": "t"}}
    schedule = made.ask("PUT", f"/v1/schedules/s-{tag}", json=nightly)["name"]
    spots = {"name": f"m-{tag}", "kind": "tracker", "tracker": {"points": [{"name": "nose"}]}}
    model = made.ask("POST", "/v1/models", json=spots)["name"]
    piece = made.http.post("/v1/resumable", headers={"Tus-Resumable": "1.0.0", "Upload-Length": "9"})
    assert piece.status_code == 201, piece.text
    made.once(f"/v1/jobs/{job}", ended)
    output = made.ask("GET", f"/v1/jobs/{job}/outputs")["outputs"][0]
    made.ids |= {
        "files/file_id": text["sha256"],
        "file/file_id": text["file_id"],
        "film": film["sha256"],
        "result": output["sha256"],
        "jobs/job_id": job,
        "imports/job_id": job,
        "analyses/job_id": job,
        "outputs/name": output["name"],
        "analysis/analysis_id": str(old["analysis_id"]),
        "schedules/name": schedule,
        "models/model": model,
        "resumable/upload_id": piece.headers["location"].rpartition("/")[2],
    }


def _items(made: Furniture, tag: str) -> None:
    here = f"/v1/collections/c-{tag}"
    made.ask("PUT", here, json={})
    made.ask("POST", f"{here}/items", json={"items": [{"key": f"k{n}"} for n in range(5)]})
    lease = made.ask("POST", f"{here}/leases", json={"count": 1, "ttl": 600, "worker": "w"})
    key = lease["items"][0]["key"]
    made.ids |= {
        "collections/name": f"c-{tag}",
        "leases/lease": lease["lease"],
        "items/key": key,
        "id/item": key,
        "segments/item": key,
        "download/item": key,
    }


def _labels(made: Furniture, tag: str) -> None:
    here = f"/v1/labelling-projects/l-{tag}"
    made.ask("PUT", here, json={"labels": ["good", "bad"]})
    made.ask("POST", f"{here}/datapoints", json={"data": ["so good", "so bad"]})
    classifier = str(made.ask("POST", f"{here}/classifiers", json={"model": WORDS})["id"])
    export = made.ask("POST", f"/v1/classifiers/{classifier}/exports", json={})["export_id"]
    made.once(f"/v1/exports/{export}", ended)
    made.ids |= {
        "labelling-projects/project": f"l-{tag}",
        "classifiers/classifier": classifier,
        "exports/classifier": classifier,
        "exports/export_id": export,
    }


def _datasets(made: Furniture, tag: str) -> None:
    project = made.ask("POST", "/v1/projects", json={"name": f"p-{tag}"})["id"]
    body = {"file": made.ids["film"], "rate": 5, "frames_per_task": 5}
    upload = made.ask("POST", f"/v1/projects/{project}/uploads", json=body)["id"]
    made.once(f"/v1/uploads/{upload}", ended)
    task = made.ask("GET", "/v1/tasks", params={"project": project})["tasks"][0]["id"]
    box = {"label": "car", "x": 1, "y": 2, "width": 30, "height": 20}
    made.ask("PUT", f"/v1/tasks/{task}/frames/1/boxes", json={"boxes": [box]})
    made.ask("PATCH", f"/v1/tasks/{task}", json={"status": 6})
    version = made.ask("POST", f"/v1/datasets/d-{tag}/versions", json={"tasks": [task], "formats": ["yolo"]})
    made.once(f"/v1/dataset-versions/{version['id']}", packed)
    made.ask("PUT", f"/v1/detectors/e-{tag}", json={"model": made.ids["film"], "settings": {"labels": ["car"]}})
    made.ids |= {
        "projects/project_id": project,
        "uploads/upload_id": upload,
        "tasks/task_id": task,
        "frames/frame": "1",
        "datasets/group": f"d-{tag}",
        "versions/version": version["version"],
        "archives/archive": "yolo",
        "dataset-versions/version_id": version["id"],
        "detectors/name": f"e-{tag}",
    }


def handing_out(http: httpx.Client) -> None:
    """Wait until items are handed out: a dispatcher has its queue, and the gateway a way to it."""
    here = f"/v1/collections/first-{uuid.uuid4().hex[:8]}"
    made = http.put(here, json={})
    assert made.is_success, made.text
    until(lambda: http.post(f"{here}/leases", json={}).is_success, "items are handed out")


def operators(made: Furniture) -> None:
    """What only an operator can make: a webhook."""
    hook = made.ask("POST", "/v1/webhooks", json={"url": "https://93.184.216.34/hook", "types": ["#"]})
    made.ids |= {"webhooks/webhook_id": hook["id"], "parked/parked_id": "1"}
