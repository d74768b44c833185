"""Alembic's environment: it gets its connection, or for SQL alone its URL, from ``flask_pickup.migrating``."""

from alembic import context

from flask_pickup.models import VERSION_TABLE, Base

options = {"target_metadata": Base.metadata, "version_table": VERSION_TABLE}
connection = context.config.attributes.get("connection")

if connection is None:
    context.configure(url=context.config.get_main_option("sqlalchemy.url"), literal_binds=True, **options)
else:
    context.configure(connection=connection, **options)

with context.begin_transaction():
    context.run_migrations()
