"""`multipart/form-data` with one file, as it arrives: file bytes go through, nothing is kept beyond a small field."""

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from gateway.problems import Problem

FIELD = b"file"
MEDIA_TYPE = "multipart/form-data"
#: Bytes that a form may have beside its file: boundaries, part headers, other fields.
OVERHEAD = 64 * 1024


class FilePart:
    """The part called `file` of a form that is pushed in piece by piece.

    `name` and `content_type` are what the client claimed, known once the first bytes of the file have come out.
    """

    def __init__(self, content_type: str) -> None:
        """Raises a 400 problem when the header of the request has no usable boundary."""
        self.name: str | None = None
        self.content_type: str | None = None
        self._inside = False
        self._ended = False
        self._beside = 0
        self._header = (bytearray(), bytearray())
        self._headers: dict[bytes, bytes] = {}
        self._pieces: list[bytes] = []
        boundary = parse_options_header(content_type)[1].get(b"boundary", b"")
        if not boundary:
            raise _malformed("the boundary is missing")
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._part_begins,
                    "on_header_field": self._header_field,
                    "on_header_value": self._header_value,
                    "on_header_end": self._header_ends,
                    "on_headers_finished": self._headers_finished,
                    "on_part_data": self._part_data,
                    "on_end": self._end,
                },
            )
        except FormParserError:
            raise _malformed("the boundary is too long") from None

    def feed(self, chunk: bytes) -> bytes:
        """The bytes of the file in the next piece of the form. Raises a 400 problem for what is no such form."""
        try:
            self._parser.write(chunk)
        except FormParserError:
            raise _malformed("it is not what its boundary announces") from None
        pieces, self._pieces = self._pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def finish(self) -> None:
        """Check that the form was whole. A form that was cut off, or had no file, is a 400 problem."""
        if not self._ended:
            raise _malformed("it ends before its closing boundary")
        if self.name is None:
            raise missing()

    def _part_begins(self) -> None:
        self._inside = False
        self._headers = {}

    def _header_field(self, data: bytes, start: int, end: int) -> None:
        self._header[0].extend(data[start:end])

    def _header_value(self, data: bytes, start: int, end: int) -> None:
        self._header[1].extend(data[start:end])

    def _header_ends(self) -> None:
        field, value = self._header
        self._headers[bytes(field).lower()] = bytes(value)
        self._header = (bytearray(), bytearray())

    def _headers_finished(self) -> None:
        options = parse_options_header(self._headers.get(b"content-disposition"))[1]
        if options.get(b"name") != FIELD or not options.get(b"filename"):
            return
        if self.name is not None:
            raise Problem(400, "several_files", "Send one file per request.", field=FIELD.decode())
        self._inside = True
        self.name = _text(options[b"filename"])
        self.content_type = _text(self._headers.get(b"content-type", b""))

    def _part_data(self, data: bytes, start: int, end: int) -> None:
        if self._inside:
            self._pieces.append(data[start:end])
            return
        self._beside += end - start
        if self._beside > OVERHEAD:
            raise Problem(413, "too_large", f"Fields beside the file are limited to {OVERHEAD} bytes.", limit=OVERHEAD)

    def _end(self) -> None:
        self._ended = True


def missing() -> Problem:
    """No file came, or an empty one."""
    return Problem(400, "file_missing", "Send a file that is not empty, in the part `file`.", field=FIELD.decode())


def _malformed(why: str) -> Problem:
    return Problem(400, "bad_multipart", f"The multipart form cannot be read: {why}.")


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")
