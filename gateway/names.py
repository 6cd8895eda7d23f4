"""Names and media types that callers made up, turned into harmless ones. Pure: nothing is opened or stored here."""

import mimetypes
import re
import unicodedata
from urllib.parse import quote

UNNAMED = "unnamed"
LONGEST_NAME = 200
BINARY = "application/octet-stream"
TEXT = "text/plain; charset=utf-8"
SAYS_NOTHING = frozenset({BINARY, "application/x-www-form-urlencoded"})

TOKEN = r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}"  # noqa: S105 - the grammar of RFC 6838, not a secret
MEDIA_TYPE = re.compile(rf"{TOKEN}/{TOKEN}")
# What a browser never runs as a page on our origin. Everything else is served as plain bytes.
INERT = re.compile(
    r"(?:video|audio)/.+|image/(?:png|jpeg|gif|webp|bmp|tiff|avif|heic|heif)"
    r"|text/csv|application/(?:json|zip|gzip|x-tar|x-hdf5?|x-npz|vnd\.apache\.parquet)"
)


def file_name(text: str | None) -> str:
    """The last component of a path, without control, format or unpaired characters, at most 200 characters."""
    base = re.split(r"[/\\]", unicodedata.normalize("NFC", text or ""))[-1]
    kept = "".join(c for c in base if unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
    kept = kept.strip(" .") if set(kept) <= {" ", "."} else kept.strip()
    return _shortened(kept) or UNNAMED


def media_type(text: str | None) -> str:
    """A media type in lower case without parameters, or plain bytes when it is none."""
    bare = (text or "").partition(";")[0].strip().lower()
    return bare if MEDIA_TYPE.fullmatch(bare) else BINARY


def content_type(claimed: str | None, name: str) -> str:
    """The media type of a file: what the client says, or what its name says when the client says nothing.

    `curl --data-binary` calls everything a form; a body that was taken as a file is none.
    """
    stated = media_type(claimed)
    return media_type(mimetypes.guess_type(name)[0]) if stated in SAYS_NOTHING else stated


def served_type(stored: str) -> str:
    """The media type that a download is sent with: text stays readable, nothing active keeps its name."""
    if INERT.fullmatch(stored):
        return stored
    return TEXT if stored.startswith("text/") else BINARY


def disposition(name: str) -> str:
    """`Content-Disposition` that saves a download under a name (RFC 6266), with a plain fall-back for old clients."""
    plain = re.sub(r'[^\x20-\x7e]|["\\%]', "_", name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _shortened(name: str) -> str:
    """Cut in the middle of the stem, so that the extension stays."""
    stem, dot, extension = name.rpartition(".")
    if len(name) <= LONGEST_NAME:
        return name
    if not dot or len(extension) > 16:
        return name[:LONGEST_NAME]
    return stem[: LONGEST_NAME - len(extension) - 1] + dot + extension
