"""The schema, described for SQLAlchemy. Migrations make it; a test proves that both say the same."""

from infra.tables import (
    annotations,
    content,
    deliveries,
    fetching,
    items,
    jobs,
    labelling,
    messages,
    models,
    repeats,
    sessions,
    tokens,
)
from infra.tables.schema import metadata

__all__ = [
    "annotations",
    "content",
    "deliveries",
    "fetching",
    "items",
    "jobs",
    "labelling",
    "messages",
    "metadata",
    "models",
    "repeats",
    "sessions",
    "tokens",
]
