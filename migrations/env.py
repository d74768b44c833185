"""Alembic's environment: it gets its connection, or for SQL alone its URL, from ``flask_pickup.migrating``."""

from alembic import context

from flask_pickup.models import VERSION_TABLE, Base

connection = context.config.attributes.get("connection")

context.configure(
    connection=connection,
    url=None if connection else context.config.get_main_option("sqlalchemy.url"),
    literal_binds=connection is None,
    target_metadata=Base.metadata,
    version_table=VERSION_TABLE,
)

with context.begin_transaction():
    context.run_migrations()
