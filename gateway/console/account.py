"""Signing in with a token, and out again."""

from starlette.requests import Request
from starlette.responses import Response

from gateway import doors
from gateway.auth import COOKIE, Callers, peer
from gateway.console import page, rendering
from gateway.services import transact
from infra import sessions


async def door(request: Request) -> Response:
    """Where one signs in."""
    return _door(request, doors.within(request.query_params.get("next")))


async def enter(request: Request) -> Response:
    """Open a session for the holder of a token. Guesses are bounded as everywhere."""
    fields = await page.form(request)
    token, onward = page.text(fields, "token") or "", doors.within(page.text(fields, "next"))
    callers: Callers = request.app.state.callers
    known = await callers.of(token, peer(request)) if token else None
    session = await transact(request, sessions.begin, token) if known else None
    if session is None:
        return _door(request, onward, "This token is not known, or not any more.")
    response = page.back(onward)
    response.set_cookie(
        COOKIE,
        session,
        max_age=int(sessions.LONGEST_SECONDS),
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


async def leave(request: Request) -> Response:
    """Close the session."""
    session = request.cookies.get(COOKIE)
    if session:
        await transact(request, sessions.end, session)
        callers: Callers = request.app.state.callers
        callers.forget_session(session)
    response = page.back(doors.SIGN_IN)
    response.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return response


def _door(request: Request, onward: str, wrong: str | None = None) -> Response:
    return rendering.page(request, "account/door.html", 401 if wrong else 200, onward=onward, wrong=wrong)
