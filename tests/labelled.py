"""What tests of exports have in common: a model whose answers are known, projects with data, and archives read back."""

import hashlib
import io
import json
import zipfile
from dataclasses import dataclass
from typing import Any

import httpx

from tests.system import System, local_client, until

#: Says "good" for a text with more of good than bad in it.
WORDS = {
    "classes": ["bad", "good"],
    "coefficients": [[-2.0, 2.0]],
    "intercepts": [0.0],
    "vectorizer": {"vocabulary": ["bad", "good"]},
}


@dataclass(frozen=True)
class Archive:
    """A zip archive, whole."""

    data: bytes

    @property
    def names(self) -> list[str]:
        """Its members, in order."""
        with zipfile.ZipFile(io.BytesIO(self.data)) as opened:
            assert opened.testzip() is None
            return opened.namelist()

    def read(self, name: str) -> bytes:
        """The bytes of a member."""
        with zipfile.ZipFile(io.BytesIO(self.data)) as opened:
            return opened.read(name)

    def manifest(self) -> dict[str, Any]:
        """The manifest, after a look whether it tells the truth about every member."""
        told: dict[str, Any] = json.loads(self.read("manifest.json"))
        assert [member["name"] for member in told["members"]] == self.names[:-1]
        for member in told["members"]:
            content = self.read(member["name"])
            assert (len(content), hashlib.sha256(content).hexdigest()) == (member["size"], member["sha256"])
        return told

    def table(self, name: str) -> dict[str, list[Any]]:
        """A table in the orientation of pandas: columns as lists, after a look at the row numbers."""
        columns: dict[str, dict[str, Any]] = json.loads(self.read(name))
        lengths = {len(column) for column in columns.values()}
        assert len(lengths) == 1
        for column in columns.values():
            assert list(column) == [str(n) for n in range(lengths.copy().pop())]
        return {name: list(column.values()) for name, column in columns.items()}


class Annotations:
    """A project through the front door."""

    def __init__(self, system: System, name: str, token: str | None = None, **terms: Any) -> None:
        self.system = system
        self.name = name
        self.http = system.http if token is None else client(system, token)
        answer = self.http.put(f"/v1/labelling-projects/{name}", json=terms)
        assert answer.status_code in {200, 201}, answer.text

    def post(self, what: str, body: Any) -> dict[str, Any]:
        """Post to a collection of the project."""
        answer = self.http.post(f"/v1/labelling-projects/{self.name}/{what}", json=body, timeout=120)
        assert answer.is_success, answer.text
        return dict(answer.json())

    def view(self) -> dict[str, Any]:
        """The project."""
        return dict(self.http.get(f"/v1/labelling-projects/{self.name}").json())

    def classifier(self, model: dict[str, Any] = WORDS) -> int:
        """Register a classifier; its number."""
        return int(self.post("classifiers", {"model": model})["id"])

    def request(self, classifier: int, **terms: Any) -> dict[str, Any]:
        """Ask for an export."""
        answer = self.http.post(f"/v1/classifiers/{classifier}/exports", json=terms)
        assert answer.status_code == 202, answer.text
        return dict(answer.json())

    def until_ended(self, export_id: str) -> dict[str, Any]:
        """Wait until an export is over."""
        return until(lambda: self._ended(export_id), f"export {export_id} ends")

    def export(self, classifier: int, **terms: Any) -> Archive:
        """Ask for an export, wait for it, and fetch it."""
        view = self.until_ended(self.request(classifier, **terms)["export_id"])
        assert view["state"] == "succeeded", view
        return self.fetch(view)

    def fetch(self, view: dict[str, Any]) -> Archive:
        """The archive of an export."""
        answer = self.http.get(view["links"]["content"])
        assert answer.status_code == 200, answer.text
        assert hashlib.sha256(answer.content).hexdigest() == view["sha256"]
        return Archive(answer.content)

    def _ended(self, export_id: str) -> dict[str, Any] | None:
        view = self.http.get(f"/v1/exports/{export_id}").json()
        return dict(view) if view["state"] in {"succeeded", "failed", "cancelled"} else None


def client(system: System, token: str) -> httpx.Client:
    """Somebody else at the front door."""
    return local_client(system.url, token)
