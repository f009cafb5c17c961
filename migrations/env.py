# ruff: noqa: INP001 -- Alembic runs this file, nobody imports it
"""Alembic's entry: listener hands over its own connection, so that an upgrade is one transaction of its pool."""

from alembic import context
from sqlmodel import SQLModel

import listener.tables  # noqa: F401 -- fills the metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=SQLModel.metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    compare_type=True,
    transactional_ddl=True,
)
context.run_migrations()
