"""Where people without a session are sent: a browser that opens a page gets the sign-in page, all others their 401."""

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

SIGN_IN = "/console/sign-in"
OURS = ("/console", "/?", "/id/", "/stats")


def to_sign_in(request: Request) -> Response:
    """To the sign-in page, and from there back to where the browser wanted to go."""
    path = request.scope["raw_path"].decode("ascii", "replace")  # as it came: a key may have any character in it
    query = request.url.remove_query_params("said").query
    wanted = f"{path}?{query}" if query else path
    return RedirectResponse(f"{SIGN_IN}?next={quote(wanted, safe='')}", 303)


def is_opened(request: Request) -> bool:
    """Whether a person opens this as a page, with nothing to show for himself yet.

    Only browsers say that they navigate. Programs do not, and an `Authorization` that was refused is an answer to them.
    """
    headers = request.headers
    wants_page = "text/html" in headers.get("accept", "") and headers.get("sec-fetch-mode") == "navigate"
    return request.method == "GET" and wants_page and "authorization" not in headers


def within(path: str | None) -> str:
    """An address to go to, if it is a page of ours; else the overview."""
    ours = path is not None and (path == "/" or path.startswith(OURS)) and "\\" not in path and path.isprintable()
    return str(path) if ours else "/console"
