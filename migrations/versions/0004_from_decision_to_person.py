"""Events, responses, actions, silences, bundles, and what alerts were about

Revision: 0004
Revises: 0003
Created: 2026-11-28 09:45:00.000000
"""

import sqlalchemy as sa
from alembic import op

import listener.tables

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "action",
        sa.Column("row", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("act", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=True),
        sa.Column("by", sa.String(), nullable=False),
        sa.Column("via", sa.String(), nullable=False),
        sa.Column("at", listener.tables.UtcDateTime(timezone=True), nullable=False),
        sa.Column("minutes", sa.Float(), nullable=True),
        sa.Column("assignee", sa.String(), nullable=True),
        sa.Column("comment", sa.String(), nullable=True),
        sa.Column("helped", sa.String(), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.Column("explanation", sa.String(), nullable=True),
        sa.Column("handled_at", listener.tables.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("row"),
        sa.UniqueConstraint("id"),
    )
    with op.batch_alter_table("action", schema=None) as batch_op:
        batch_op.create_index(
            "ix_action_open",
            ["row"],
            unique=False,
            sqlite_where=sa.text("outcome IS NULL"),
            postgresql_where=sa.text("outcome IS NULL"),
        )
        batch_op.create_index("ix_action_target", ["target"], unique=False)

    op.create_table(
        "bundle",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("at", listener.tables.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_table(
        "bundle_member",
        sa.Column("bundle", sa.String(length=36), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("alert_id", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("bundle", "place"),
    )
    with op.batch_alter_table("bundle_member", schema=None) as batch_op:
        batch_op.create_index("ix_bundle_member_alert", ["alert_id"], unique=False)
    op.create_table(
        "event",
        sa.Column("row", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("alert_id", sa.String(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("brand", sa.String(), nullable=False),
        sa.Column("rule", sa.String(), nullable=False),
        sa.Column("severity", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("payload", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("market", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("decided_at", listener.tables.UtcDateTime(timezone=True), nullable=False),
        sa.Column("open", sa.Boolean(), nullable=False),
        sa.Column("hold", sa.String(), nullable=True),
        sa.Column("dispatched_at", listener.tables.UtcDateTime(timezone=True), nullable=True),
        sa.Column("outcome", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("row"),
        sa.UniqueConstraint("id"),
    )
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.create_index("ix_event_alert", ["alert_id", "seq"], unique=False)
        batch_op.create_index(
            "ix_event_open", ["row"], unique=False, sqlite_where=sa.text("open"), postgresql_where=sa.text("open")
        )

    op.create_table(
        "memory",
        sa.Column("alert_id", sa.String(length=36), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("at", listener.tables.UtcDateTime(timezone=True), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("alert_id"),
    )
    op.create_table(
        "response",
        sa.Column("alert_id", sa.String(length=36), nullable=False),
        sa.Column("brand", sa.String(), nullable=False),
        sa.Column("told_seq", sa.Integer(), nullable=False),
        sa.Column("told_at", listener.tables.UtcDateTime(timezone=True), nullable=True),
        sa.Column("receivers", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("messages", sa.Integer(), nullable=False),
        sa.Column("step", sa.Integer(), nullable=False),
        sa.Column("repeats", sa.Integer(), nullable=False),
        sa.Column("next_at", listener.tables.UtcDateTime(timezone=True), nullable=True),
        sa.Column("escalated", sa.Boolean(), nullable=False),
        sa.Column("acked_at", listener.tables.UtcDateTime(timezone=True), nullable=True),
        sa.Column("acked_by", sa.String(), nullable=True),
        sa.Column("acked_severity", sa.String(), nullable=True),
        sa.Column("assignee", sa.String(), nullable=True),
        sa.Column("snoozed_until_at", listener.tables.UtcDateTime(timezone=True), nullable=True),
        sa.Column("cause", sa.String(), nullable=True),
        sa.Column("helped", sa.String(), nullable=True),
        sa.Column("resolved_by", sa.String(), nullable=True),
        sa.Column("closed", sa.Boolean(), nullable=False),
        sa.Column("first_told_at", listener.tables.UtcDateTime(timezone=True), nullable=True),
        sa.Column("first_acked_at", listener.tables.UtcDateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("alert_id"),
    )
    with op.batch_alter_table("response", schema=None) as batch_op:
        batch_op.create_index(
            "ix_response_open",
            ["brand"],
            unique=False,
            sqlite_where=sa.text("NOT closed"),
            postgresql_where=sa.text("NOT closed"),
        )

    op.create_table(
        "setting",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "silence",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("starts_at", listener.tables.UtcDateTime(timezone=True), nullable=False),
        sa.Column("ends_at", listener.tables.UtcDateTime(timezone=True), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("comment", sa.String(), nullable=False),
        sa.Column("brand", sa.String(), nullable=True),
        sa.Column("rule", sa.String(), nullable=True),
        sa.Column("severity", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("silence", schema=None) as batch_op:
        batch_op.create_index("ix_silence_ends", ["ends_at"], unique=False)

    with op.batch_alter_table("alert", schema=None) as batch_op:
        batch_op.add_column(sa.Column("origin_at", listener.tables.UtcDateTime(timezone=True), nullable=True))

    with op.batch_alter_table("notification", schema=None) as batch_op:
        batch_op.add_column(sa.Column("repeat", sa.Integer(), nullable=False, server_default="0"))
        # The next one is the first in the order of decision, however many wait.
        batch_op.drop_index("ix_notification_due")
        batch_op.create_index(
            "ix_notification_open",
            ["receiver", "row"],
            unique=False,
            sqlite_where=sa.text("open"),
            postgresql_where=sa.text("open"),
        )

    # What fires was told over MQTT, the only way there was: its end is to be told too.
    op.execute(
        "INSERT INTO response (alert_id, brand, told_seq, told_at, first_told_at, receivers, messages, step, repeats,"
        " escalated,"
        " closed) SELECT id, brand, seq, updated_at, started_at, '[\"mqtt\"]', 1, 0, 0, false, false"
        " FROM alert WHERE state = 'firing'"
    )


def downgrade() -> None:
    with op.batch_alter_table("notification", schema=None) as batch_op:
        batch_op.drop_index("ix_notification_open")
        batch_op.create_index(
            "ix_notification_due",
            ["receiver", "due_at"],
            unique=False,
            sqlite_where=sa.text("open"),
            postgresql_where=sa.text("open"),
        )
        batch_op.drop_column("repeat")

    with op.batch_alter_table("alert", schema=None) as batch_op:
        batch_op.drop_column("origin_at")

    with op.batch_alter_table("silence", schema=None) as batch_op:
        batch_op.drop_index("ix_silence_ends")

    op.drop_table("silence")
    op.drop_table("setting")
    with op.batch_alter_table("response", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_response_open", sqlite_where=sa.text("NOT closed"), postgresql_where=sa.text("NOT closed")
        )

    op.drop_table("response")
    op.drop_table("memory")
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.drop_index("ix_event_open", sqlite_where=sa.text("open"), postgresql_where=sa.text("open"))
        batch_op.drop_index("ix_event_alert")

    op.drop_table("event")
    with op.batch_alter_table("bundle_member", schema=None) as batch_op:
        batch_op.drop_index("ix_bundle_member_alert")

    op.drop_table("bundle_member")
    op.drop_table("bundle")
    with op.batch_alter_table("action", schema=None) as batch_op:
        batch_op.drop_index("ix_action_target")
        batch_op.drop_index(
            "ix_action_open", sqlite_where=sa.text("outcome IS NULL"), postgresql_where=sa.text("outcome IS NULL")
        )

    op.drop_table("action")
