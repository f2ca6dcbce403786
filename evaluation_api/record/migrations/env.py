"""Runs the migrations over the connection that schema.upgrade opened."""

from alembic import context

from evaluation_api.record.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
