"""Media that is broken, cut, mislabelled or made to burst: every job about it ends, with a code where it fails."""

import io
import random
import struct
import wave
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from tests.fuzz.mutation import worse_bytes
from tests.gallery import image
from tests.system import System

ENDED = {"succeeded", "failed", "cancelled"}
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Item:
    """A file, and what it is put in as."""

    what: str
    kind: str
    content: bytes


def corpus(clip: bytes, chance: random.Random) -> Iterator[Item]:
    """Files for ever: the classics first, then mutations of them."""
    picture = image(64, 48, (10, 90, 200), ".jpg")
    whole = packed({"a.jpg": picture, "b.png": image(64, 48, (1, 2, 3))})
    classics = (
        Item("sound as video", "split.video", sound()),
        Item("a picture as video", "split.video", picture),
        Item("nothing", "split.video", b"\x00"),
        Item("half a video", "split.video", clip[: len(clip) // 2]),
        Item("a bomb of a picture", "split.images", png(60_000, 60_000)),
        Item("a bomb of a zip", "split.images", bomb(512)),
        Item("a zip in a zip in a zip", "split.images", packed({"a.zip": packed({"b.zip": whole})})),
        Item("names that lead out", "split.images", packed({"../../a.jpg": picture, "/etc/b.jpg": picture})),
        Item("sound as video, tracked", "analyze.video", sound()),
        Item("half a video, tracked", "analyze.video", clip[: len(clip) // 2]),
        Item("a bomb of a picture, tracked", "analyze.image", png(60_000, 60_000)),
        Item("a bomb of a zip as model", "model", bomb(512)),
        Item(
            "pickles as model", "model", packed({"config.yaml": b"!!python/object/apply:os.system [id]", "a.pt": b"x"})
        ),
        Item("a bomb of a list", "items.import", zlib_bomb()),
        Item("no list", "items.import", b"\x00\xff" * 500),
    )
    yield from classics
    sources = (("split.video", clip), ("analyze.video", clip), ("split.images", whole), ("model", whole))
    while True:
        kind, content = chance.choice(sources)
        for _ in range(chance.choice((1, 3, 30))):
            content = worse_bytes(content, chance)
        yield Item("mutation", kind, content[: 8 * MEBIBYTE] or b"x")


def feed(system: System, clip: bytes, number: int, chance: random.Random) -> tuple[Counter[str], list[str]]:
    """Put so many in, and wait until each job has ended. Returns how they ended, and what is wrong with that."""
    told: Counter[str] = Counter()
    broken: list[str] = []
    jobs: dict[str, Item] = {}
    system.http.put("/v1/collections/fuzz", json={}).raise_for_status()
    for item in islice(corpus(clip, chance), number):
        answer = _ask(system, item)
        if answer.status_code >= 500:
            broken.append(f"{item.what}: {answer.status_code} {answer.text[:200]}")
        elif answer.status_code >= 400:
            told[answer.json()["code"]] += 1
        elif "state" in answer.json():
            jobs[answer.json()["id"]] = item
        else:
            told["taken"] += 1
    for job, item in jobs.items():
        view = system.until_state(job, *ENDED, patience=180)
        code = view["error"]["code"] if view.get("error") else view["state"]
        told[code] += 1
        if view["state"] == "failed" and (not code or code in {"internal_error", "crashed"}):
            broken.append(f"{item.what} ({job}): {view['error']}")
    return told, broken


def _ask(system: System, item: Item) -> Any:
    post = system.http.post
    if item.kind == "model":
        return post(
            "/v1/models", params={"name": "fuzz"}, content=item.content, headers={"Content-Type": "application/zip"}
        )
    file = system.upload(item.content, item.what)
    params: dict[str, Any] = {"file": file}
    if item.kind == "split.images":
        params = {"images": [file]}
    elif item.kind == "split.video":
        params["rate"] = 5
    elif item.kind == "items.import":
        params["collection"] = "fuzz"
    else:
        params["model"] = "tracker"
    return post("/v1/jobs", json={"kind": item.kind, "params": params})


def sound() -> bytes:
    """A second of a square wave."""
    sink = io.BytesIO()
    with wave.open(sink, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(8000)
        out.writeframes(b"\x00\x10" * 8000)
    return sink.getvalue()


def png(width: int, height: int) -> bytes:
    """A picture that says it is so large, in a few bytes: rows of zeros."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = zlib.compress(bytes(64 * MEBIBYTE), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def packed(members: dict[str, bytes]) -> bytes:
    """A zip archive."""
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return sink.getvalue()


def bomb(mebibytes: int) -> bytes:
    """A zip archive of a picture that is zeros, thousandfold."""
    sink = io.BytesIO()
    with (
        zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.jpg", "w", force_zip64=True) as out,
    ):
        for _ in range(mebibytes):
            out.write(bytes(MEBIBYTE))
    return sink.getvalue()


def zlib_bomb() -> bytes:
    """A gzip file of one endless line."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, 31)
    return b"".join(deflate.compress(b"x" * MEBIBYTE) for _ in range(256)) + deflate.flush()


def lives(system: System, clip: bytes) -> None:
    """A good clip is split after all that."""
    file = system.upload(clip, "good.mp4")
    system.until_state(system.submit("split.video", {"file": file, "rate": 3}), "succeeded", patience=120)
