"""`probe.echo`: say back what was said. The system asks itself this to see whether jobs get done."""

from typing import Any

from schemas.echo import Echo


def handle(params: Echo) -> dict[str, Any]:
    """Answer with the same text."""
    return {"text": params.text}
