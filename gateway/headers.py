"""Headers that every reply carries. A route may set its own, stricter ones: those win."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

DEFAULTS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
}
RAW = [(name.lower().encode(), value.encode()) for name, value in DEFAULTS.items()]
NAMES = {name for name, _ in RAW}


class SecurityHeaders:
    """Pure ASGI, so that a stream is not touched."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Add the defaults that are missing as the reply starts."""

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message["headers"])
                own = {name for name, _ in given} & NAMES
                message["headers"] = given + ([each for each in RAW if each[0] not in own] if own else RAW)
            await send(message)

        await self.app(scope, receive, guarded if scope["type"] == "http" else send)
