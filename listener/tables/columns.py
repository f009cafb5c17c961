"""Kinds of columns that all tables share."""

from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import BigInteger, Column, DateTime, Dialect, Integer, Table
from sqlalchemy.types import JSON, TypeDecorator
from sqlmodel import Field, SQLModel


class UtcDateTime(TypeDecorator[datetime]):
    """An aware UTC time on every database; SQLite has no time zones and would hand back naive ones."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Refuse naive times, store UTC."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"naive time {value.isoformat()} on its way to the database")
        utc = value.astimezone(UTC)
        return utc.replace(tzinfo=None) if dialect.name == "sqlite" else utc

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002 -- the signature is SQLAlchemy's
        """Hand back an aware time."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# SQLite counts rows up by itself only for a column declared INTEGER PRIMARY KEY.
RowId = BigInteger().with_variant(Integer(), "sqlite")


def time_column(*, nullable: bool = True, primary_key: bool = False) -> Any:
    """A column of aware UTC times."""
    return Field(
        default=None if nullable else ..., sa_column=Column(UtcDateTime(), nullable=nullable, primary_key=primary_key)
    )


def json_column() -> Any:
    """A column of JSON values; None is SQL's NULL."""
    return Field(default=None, sa_column=Column(JSON(none_as_null=True)))


def table_of(model: type[SQLModel]) -> Table:
    """The same table for statements over many rows at once, which is how the store writes."""
    return cast("Table", model.__table__)  # type: ignore[attr-defined]
