"""What several tables say: media types, and the parameters of lists."""

BYTES = "application/octet-stream"
SSE = "text/event-stream"
FORM = "multipart/form-data"
JSON = "application/json"
HTML = "text/html"
PAGED = ("cursor", "limit")
DATES = ("created_after", "created_before")
FILTERS = ("name", "content_type", *DATES, *PAGED)
