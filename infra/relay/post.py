"""One delivery to a webhook: signed as Standard Webhooks says, sent to an address that was looked at, judged by status.

What the other side answers is read only as far as a connection needs it, and never kept.
"""

import asyncio
import ssl
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import httpx
import orjson
from standardwebhooks import Webhook

from infra import addresses
from infra.addresses import Unreachable
from infra.db import Row
from schemas.events import EventView

DELIVERY_SECONDS = 10.0
#: What is read of an answer, and for how long: a status is an answer already.
ANSWER_BYTES = 16 * 1024
ANSWER_SECONDS = 1.0
TRIED_ADDRESSES = 3
LONGEST_RETRY_AFTER = 24 * 3600
LONGEST_ERROR = 200
GONE = 410


@dataclass(frozen=True)
class Outcome:
    """What became of an attempt: a status, or why there is none. `retry_after` is what the other side asked for."""

    status: int | None
    error: str | None = None
    retry_after: float = 0.0

    @property
    def delivered(self) -> bool:
        """Whether the other side has taken it."""
        return self.error is None


def client(tls: ssl.SSLContext) -> httpx.AsyncClient:
    """A client for one webhook: its connections are never another's. No redirects, no proxy from the environment."""
    return httpx.AsyncClient(verify=tls, trust_env=False, follow_redirects=False, timeout=DELIVERY_SECONDS)


async def send(http: httpx.AsyncClient, row: Row, private: bool) -> Outcome:
    """Deliver the fact of a `webhooks.due` row. Takes at most DELIVERY_SECONDS and raises nothing that can happen."""
    if row["id"] is None:
        return Outcome(None, "gone: the fact is not kept any more")
    url = httpx.URL(row["url"])
    try:
        async with asyncio.timeout(DELIVERY_SECONDS):
            port = url.port or (443 if url.scheme == "https" else 80)
            found = await addresses.resolve(url.host, port, private)
            return await _send_to(http, url, found[:TRIED_ADDRESSES], row)
    except Unreachable as error:
        return Outcome(None, error.code)
    except (TimeoutError, httpx.TimeoutException):
        return Outcome(None, f"no answer within {DELIVERY_SECONDS:.0f} s")
    except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
        return Outcome(None, f"{type(error).__name__}: {error}"[:LONGEST_ERROR])


async def _send_to(http: httpx.AsyncClient, url: httpx.URL, found: Sequence[str], row: Row) -> Outcome:
    body = orjson.dumps(_payload(row))
    headers = {"Host": url.netloc.decode(), **signed(row, body)}
    for address in found:
        # By address, with the name where the certificate is checked.
        request = http.build_request("POST", url.copy_with(host=address), content=body, headers=headers)
        request.extensions["sni_hostname"] = url.host
        try:
            response = await http.send(request, stream=True)
        except httpx.ConnectError:
            if address == found[-1]:
                raise
            continue
        try:
            return await _judge(response)
        finally:
            await response.aclose()
    raise Unreachable("unknown_host")


async def _judge(response: httpx.Response) -> Outcome:
    taken = 0
    with suppress(httpx.HTTPError, TimeoutError):
        async with asyncio.timeout(ANSWER_SECONDS):
            async for chunk in response.aiter_raw():
                taken += len(chunk)
                if taken > ANSWER_BYTES:
                    break
    if response.is_success:
        return Outcome(response.status_code)
    asked = response.headers.get("retry-after", "")
    retry_after = min(int(asked), LONGEST_RETRY_AFTER) if asked.isascii() and asked.isdigit() and len(asked) < 9 else 0
    return Outcome(response.status_code, f"status {response.status_code}", retry_after)


def signed(row: Row, body: bytes) -> dict[str, str]:
    """The headers of a delivery. The id is the fact's, whoever gets it and however often."""
    message_id = f"event-{row['seq']}"
    now = datetime.now(UTC)  # compared with the receiver's own clock: ours is as good as any
    keys = filter(None, (row["secret"], row["previous_secret"]))
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Reelmill",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(Webhook(key).sign(message_id, now, body.decode()) for key in keys),
    }
    return headers | ({"traceparent": row["traceparent"]} if row["traceparent"] else {})


def _payload(row: Row) -> dict[str, Any]:
    fact = EventView.model_validate({name: row[name] for name in EventView.model_fields}).model_dump(mode="json")
    return {"type": fact["type"], "timestamp": fact["occurred_at"], **fact}
