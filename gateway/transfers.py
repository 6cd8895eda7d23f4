"""`/v1/transfers`: uploads that go straight to the object store, by an address that is good for one PUT and a while.

No row is needed for one that is under way: its id is the key of its object, and nobody else knows it. What was put
there is copied before it is hashed, so that whoever still has the address cannot change a file that counts. What
nobody completes is swept with the other orphans.
"""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from anyio import to_thread
from starlette.requests import Request
from starlette.responses import Response

from gateway import names, uploads
from gateway.bodies import read, reply
from gateway.files import view
from gateway.problems import Problem
from gateway.services import in_thread, services, transact
from infra import files
from infra.ids import new_id
from infra.objects import Hashing, Stored
from infra.steps import StoredObject
from infra.storage import NotThere, Storage, transfer_key, upload_key
from schemas.transfers import Completion, TransferView

#: How long the address is good for.
SECONDS = 3600


async def create(request: Request) -> Response:
    """Get an address at the store: 201. PUT the file there, then say so at `links.complete`."""
    made = new_id()
    url = await in_thread(services(request).storage.entrance, transfer_key(made), SECONDS)
    here = f"/v1/transfers/{made}"
    told = TransferView(
        id=made,
        method="PUT",
        url=url,
        expires_at=datetime.now(UTC) + timedelta(seconds=SECONDS),
        links={"complete": f"{here}/complete"},
    )
    return reply(told, 201, {"Location": here})


async def complete(request: Request) -> Response:
    """The bytes are there: 201 with the file, 200 for known content, 409 `hash_mismatch` when they are others."""
    key, asked = transfer_key(_id(request)), await read(request, Completion)
    given = services(request)
    try:
        async with uploads.place():
            stored = await to_thread.run_sync(_taken, given.storage, key, given.settings.upload_limit)
    except NotThere:
        known = await transact(request, files.get, asked.sha256)
        if known is None:
            raise Problem(409, "not_uploaded", "Nothing was put there yet, or it was completed before.") from None
        return reply(view(known))
    if stored is None:
        raise uploads.too_large(given.settings.upload_limit)
    if stored.sha256 != asked.sha256:
        await in_thread(given.storage.remove, [stored.object_key, key])
        raise Problem(409, "hash_mismatch", "The bytes have another hash; put them there again.", sha256=stored.sha256)
    name = names.file_name(asked.name)
    media = names.content_type(asked.content_type, name)
    kept = StoredObject(name, stored.sha256, stored.sha1, stored.size, media, stored.object_key)
    row, created = await uploads.keep(request, kept)
    await in_thread(given.storage.remove, [key])
    return reply(view(row), 201 if created else 200, {"Location": f"/v1/files/{row['sha256']}"})


def _taken(storage: Storage, key: str, limit: int) -> Stored | None:
    """A copy of what was put there that nobody has an address of, hashed; None, and nothing left, when too large."""
    if storage.size(key) > limit:
        storage.remove([key])
        return None
    copy = upload_key()
    storage.copy(key, copy)
    with storage.open(copy) as chunks:
        hashing = Hashing(chunks)
        while hashing.read():
            pass
    return hashing.stored(copy)


def _id(request: Request) -> UUID:
    try:
        return UUID(request.path_params["transfer"])
    except ValueError:
        raise Problem(404, "unknown_transfer", "There is no such transfer.") from None
