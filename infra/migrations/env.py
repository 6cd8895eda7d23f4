"""Alembic's entry point: runs the migrations on the connection that `infra.migrate` hands over."""

from alembic import context

from infra import item_tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=item_tables.metadata,
    compare_server_default=True,
)
with context.begin_transaction():
    context.run_migrations()
