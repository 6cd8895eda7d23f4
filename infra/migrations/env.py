"""Alembic's entry point: runs the migrations on the connection that `infra.migrate` hands over."""

from alembic import context

from infra import (
    annotation_tables,
    delivery_tables,
    entry_tables,
    fetch_tables,
    item_tables,
    labelling_tables,
    model_tables,
    repeat_tables,
)
from infra.tables import metadata

TABLES = (
    item_tables,
    model_tables,
    annotation_tables,
    labelling_tables,
    entry_tables,
    fetch_tables,
    repeat_tables,
    delivery_tables,
)  # each adds its own to the metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
