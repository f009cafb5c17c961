"""Alerts, and what is told of them."""

from datetime import datetime
from typing import Any

from sqlalchemy import Column, Index, text
from sqlmodel import Field, SQLModel

from listener.tables.columns import RowId, json_column, time_column


class AlertRow(SQLModel, table=True):
    """One alert, from the first breach to its end."""

    __tablename__ = "alert"
    __table_args__ = (
        Index(
            "ux_alert_firing",
            "fingerprint",
            unique=True,
            sqlite_where=text("state = 'firing'"),
            postgresql_where=text("state = 'firing'"),
        ),
        Index("ix_alert_started", "started_at"),
        Index("ix_alert_fingerprint", "fingerprint", "started_at"),
    )

    id: str = Field(primary_key=True, max_length=36)
    fingerprint: str
    brand: str
    rule: str
    severity: str
    state: str
    seq: int
    started_at: datetime = time_column(nullable=False)
    updated_at: datetime = time_column(nullable=False)
    ended_at: datetime | None = time_column()
    calm_since_at: datetime | None = time_column()
    signal: dict[str, Any] | None = json_column()
    evidence: list[str] | None = json_column()
    resolution: str | None = None
    reopened: int = 0
    proof: dict[str, Any] | None = json_column()
    origin_at: datetime | None = time_column()


class DigestRow(SQLModel, table=True):
    """What was told of a day: made once, whatever happens."""

    __tablename__ = "digest"

    day: str = Field(primary_key=True, max_length=10)  # ISO 8601, in the zone of the configuration
    made_at: datetime = time_column(nullable=False)
    content: dict[str, Any] | None = json_column()


class NotificationRow(SQLModel, table=True):
    """The outbox: written with the decision, kept after delivery as the record of what was sent."""

    __tablename__ = "notification"
    __table_args__ = (
        Index("ix_notification_open", "receiver", "row", sqlite_where=text("open"), postgresql_where=text("open")),
        Index("ix_notification_alert", "alert_id", "seq"),
    )

    row: int | None = Field(default=None, sa_column=Column(RowId, primary_key=True, autoincrement=True))
    id: str = Field(unique=True, max_length=36)
    alert_id: str
    seq: int
    brand: str
    severity: str
    receiver: str
    reason: str
    payload: dict[str, Any] | None = json_column()
    decided_at: datetime = time_column(nullable=False)
    due_at: datetime = time_column(nullable=False)
    attempt: int = 0
    repeat: int = 0
    open: bool = True
    sent_at: datetime | None = time_column()
    dead_at: datetime | None = time_column()
    error: str | None = None


class EventRow(SQLModel, table=True):
    """A change of an alert that people are to be told of, written with the decision; dispatch makes messages of it."""

    __tablename__ = "event"
    __table_args__ = (
        Index("ix_event_open", "row", sqlite_where=text("open"), postgresql_where=text("open")),
        Index("ix_event_alert", "alert_id", "seq"),
    )

    row: int | None = Field(default=None, sa_column=Column(RowId, primary_key=True, autoincrement=True))
    id: str = Field(unique=True, max_length=36)
    alert_id: str
    seq: int
    brand: str
    rule: str
    severity: str
    reason: str
    state: str
    payload: dict[str, Any] | None = json_column()
    market: list[str] | None = json_column()
    decided_at: datetime = time_column(nullable=False)
    open: bool = True  # nobody was told of it yet, and may have to be
    hold: str | None = None  # why nobody was told yet
    dispatched_at: datetime | None = time_column()
    outcome: str | None = None  # told, bundled, unneeded, superseded


class ResponseRow(SQLModel, table=True):
    """How people respond to an alert, and how far they were told of it."""

    __tablename__ = "response"
    __table_args__ = (
        Index("ix_response_open", "brand", sqlite_where=text("NOT closed"), postgresql_where=text("NOT closed")),
    )

    alert_id: str = Field(primary_key=True, max_length=36)
    brand: str
    told_seq: int = 0
    told_at: datetime | None = time_column()
    receivers: list[str] | None = json_column()
    messages: int = 0
    step: int = 0
    repeats: int = 0
    next_at: datetime | None = time_column()
    escalated: bool = False
    acked_at: datetime | None = time_column()
    acked_by: str | None = None
    acked_severity: str | None = None
    assignee: str | None = None
    snoozed_until_at: datetime | None = time_column()
    cause: str | None = None
    helped: str | None = None
    resolved_by: str | None = None
    closed: bool = False
    first_told_at: datetime | None = time_column()
    first_acked_at: datetime | None = time_column()


class ActionRow(SQLModel, table=True):
    """What somebody asked for, as it came, and what became of it. Kept for good: who did what and when."""

    __tablename__ = "action"
    __table_args__ = (
        Index("ix_action_open", "row", sqlite_where=text("outcome IS NULL"), postgresql_where=text("outcome IS NULL")),
        Index("ix_action_target", "target"),
    )

    row: int | None = Field(default=None, sa_column=Column(RowId, primary_key=True, autoincrement=True))
    id: str = Field(unique=True, max_length=36)
    target: str  # an alert's or a bundle's id
    act: str
    seq: int | None = None
    by: str
    via: str
    at: datetime = time_column(nullable=False)
    minutes: float | None = None
    assignee: str | None = None
    comment: str | None = None
    helped: str | None = None
    outcome: str | None = None
    explanation: str | None = None
    handled_at: datetime | None = time_column()


class SilenceRow(SQLModel, table=True):
    """A timed, attributed mute."""

    __tablename__ = "silence"
    __table_args__ = (Index("ix_silence_ends", "ends_at"),)

    id: str = Field(primary_key=True, max_length=36)
    starts_at: datetime = time_column(nullable=False)
    ends_at: datetime = time_column(nullable=False)
    created_by: str
    comment: str = ""
    brand: str | None = None
    rule: str | None = None
    severity: str | None = None


class BundleRow(SQLModel, table=True):
    """One message about several alerts."""

    __tablename__ = "bundle"

    id: str = Field(primary_key=True, max_length=36)
    kind: str
    at: datetime = time_column(nullable=False)


class BundleMemberRow(SQLModel, table=True):
    """One event that a bundle names."""

    __tablename__ = "bundle_member"
    __table_args__ = (Index("ix_bundle_member_alert", "alert_id"),)

    bundle: str = Field(primary_key=True, max_length=36)
    place: int = Field(primary_key=True)  # in the order in which they are named
    alert_id: str
    seq: int


class SettingRow(SQLModel, table=True):
    """What the daemons of one database agree on: the key of links, how full the storm's bucket is, ..."""

    __tablename__ = "setting"

    name: str = Field(primary_key=True)
    value: dict[str, Any] | None = json_column()


class MemoryRow(SQLModel, table=True):
    """What an alert was about, as the encoder's vector, so that a later one can be told what helped then."""

    __tablename__ = "memory"

    alert_id: str = Field(primary_key=True, max_length=36)
    model: str
    at: datetime = time_column(nullable=False)
    vector: bytes  # float32, little-endian, of length 1
