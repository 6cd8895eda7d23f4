"""The gateway as the CLI sees it: one HTTP client, problems turned into a sentence and an exit code."""

import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import orjson

from infra.cli.exits import OF_STATUS, Exit

CHUNK = 1024 * 1024
ENDED = {"succeeded", "failed", "cancelled"}


class Refused(Exception):
    """The gateway said no, or nothing: a sentence for people and an exit code for scripts."""

    def __init__(self, sentence: str, code: Exit = Exit.FAILED) -> None:
        super().__init__(sentence)
        self.code = code


class Client:
    """Calls to a gateway. `url` and `token` come from the options, the environment or `endpoints.json`.

    Raises Refused when `url` cannot be a gateway's.
    """

    def __init__(self, url: str, token: str) -> None:
        if not _leads_somewhere(url):
            raise Refused(f"{url} is no address of a gateway; it begins with http:// or https://.", Exit.USAGE)
        headers = {"Authorization": f"Bearer {token}"}
        self.url, self.token = url, token
        self._http = httpx.Client(
            base_url=url, headers=headers, timeout=httpx.Timeout(30, read=90), follow_redirects=True
        )

    def close(self) -> None:
        """Hang up."""
        self._http.close()

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        """The JSON answer. Raises Refused with the problem's sentence."""
        response = self._send(method, path, **arguments)
        return response.json() if response.content else None

    def lines(self, path: str, content: bytes) -> list[dict[str, Any]]:
        """Send lines of JSON; the answer has a line for each. Raises Refused when there is none."""
        headers = {"Content-Type": "application/x-ndjson"}
        response = self._send("POST", path, content=content, headers=headers)
        return [orjson.loads(line) for line in response.content.splitlines()]

    def upload(
        self, path: Path, name: str | None = None, seen: Callable[[int], None] = lambda _: None
    ) -> dict[str, Any]:
        """Stream a file to the gateway; `seen` is told the bytes of each chunk."""
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(path.stat().st_size)}
        content = _chunks(path, seen)
        answer = self.call("POST", f"/v1/files?name={quote(name or path.name)}", content=content, headers=headers)
        return dict(answer)

    def transfer(self, path: Path, seen: Callable[[int], None] = lambda _: None) -> dict[str, Any]:
        """Send a file straight to the object store. Raises Refused when the store does not take it."""
        digest = hashlib.sha256()
        for chunk in _chunks(path, lambda _: None):
            digest.update(chunk)
        made = self.call("POST", "/v1/transfers")
        size = {"Content-Length": str(path.stat().st_size)}  # a store takes nothing without
        try:
            answer = httpx.put(made["url"], content=_chunks(path, seen), headers=size, timeout=90)
        except httpx.HTTPError as error:
            raise Refused(f"No answer from the object store ({type(error).__name__}); leave out --direct.") from None
        if answer.is_error:
            raise Refused(f"The object store answered {answer.status_code}; leave out --direct.")
        body = {"sha256": digest.hexdigest(), "name": path.name}
        return dict(self.call("POST", made["links"]["complete"], json=body))

    def download(self, path: str, target: Path) -> int:
        """Save the content at `path`; the file appears only when it is whole. Returns its bytes."""
        partial = target.with_name(target.name + ".part")
        target.parent.mkdir(parents=True, exist_ok=True)
        with self._http.stream("GET", path) as response:
            if response.is_error:
                response.read()
                raise refusal(response)
            with partial.open("wb") as sink:
                for chunk in response.iter_bytes(CHUNK):
                    sink.write(chunk)
        partial.replace(target)
        return target.stat().st_size

    def pages(self, path: str, items: str, **params: Any) -> Iterator[dict[str, Any]]:
        """All items of a paged list."""
        cursor: str | None = ""
        while cursor is not None:
            page = self.call(
                "GET", path, params={k: v for k, v in params.items() if v} | ({"cursor": cursor} if cursor else {})
            )
            yield from page[items]
            cursor = page["next"]

    def follow(self, job_id: str, timeout: float, seen: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Watch a job until it has ended. Raises Refused(TIMEOUT) when it takes longer than `timeout` seconds."""
        deadline = time.monotonic() + timeout
        while True:
            job: dict[str, Any] = self.call("GET", f"/v1/jobs/{job_id}")
            seen(job)
            if job["state"] in ENDED:
                return job
            if time.monotonic() > deadline:
                raise Refused(
                    f"The job is still {job['state']} after {timeout:g} s: reelmill jobs wait {job_id}", Exit.TIMEOUT
                )
            time.sleep(0.2)

    def _send(self, method: str, path: str, **arguments: Any) -> httpx.Response:
        try:
            response = self._http.request(method, path, **arguments)
        except httpx.HTTPError as error:
            raise unanswered(str(self._http.base_url), error) from None
        if response.is_error:
            raise refusal(response)
        return response


def _leads_somewhere(url: str) -> bool:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    return parsed.scheme in {"http", "https"} and bool(parsed.host)


def _chunks(path: Path, seen: Callable[[int], None]) -> Iterator[bytes]:
    with path.open("rb") as source:
        while chunk := source.read(CHUNK):
            seen(len(chunk))
            yield chunk


def unanswered(url: str, error: httpx.HTTPError) -> Refused:
    """The sentence for a gateway that says nothing."""
    return Refused(f"No answer from {url} ({type(error).__name__}). Is it up? Try: reelmill up")


def refusal(response: httpx.Response) -> Refused:
    """A problem's sentence and its exit code."""
    try:
        problem = orjson.loads(response.content)
        sentence = f"{problem['detail']} [{problem['code']}]"
    except (orjson.JSONDecodeError, KeyError, TypeError):
        sentence = f"The gateway answered {response.status_code}."
    return Refused(sentence, OF_STATUS.get(response.status_code, Exit.FAILED))
