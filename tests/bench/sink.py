"""An S3 store that takes an upload and drops it: what an exporter does by itself, as if the store were elsewhere.

    with Sink() as address:

A process of its own. It knows what an upload needs and nothing else, so it is of use to measurements only.
"""

import multiprocessing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing.connection import Connection
from types import TracebackType

BUFFER = 1024 * 1024
BEGUN = (
    "<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><UploadId>1</UploadId>"
    "</InitiateMultipartUploadResult>"
)
ENDED = "<CompleteMultipartUploadResult><Bucket>b</Bucket><Key>k</Key><ETag>0</ETag></CompleteMultipartUploadResult>"


class Sink:
    """The store, within a `with` block, which gets its address."""

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs,), daemon=True)

    def __enter__(self) -> str:
        self._process.start()
        return str(self._pipe.recv())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.join()


class _Upload(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_PUT(self) -> None:
        self._answered("", ETag='"0"')

    def do_POST(self) -> None:
        self._answered(BEGUN if self.path.endswith("?uploads=") else ENDED)

    def do_HEAD(self) -> None:
        self._answered("")

    def _answered(self, body: str, **headers: str) -> None:
        missing, buffer = int(self.headers.get("Content-Length", 0)), memoryview(bytearray(BUFFER))
        while missing and (size := self.rfile.readinto(buffer[: min(missing, BUFFER)])):
            missing -= size
        self.send_response(200)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body.encode())
        self.wfile.flush()

    def log_message(self, *_: object) -> None: ...


def _serve(pipe: Connection) -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Upload)
    pipe.send(f"http://127.0.0.1:{server.server_address[1]}")
    server.serve_forever()
