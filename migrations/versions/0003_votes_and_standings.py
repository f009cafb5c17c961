"""Votes, standings, and what alerts remember

Revision: 0003
Revises: 0002
Created: 2026-11-28 05:50:00.000000
"""

import sqlalchemy as sa
from alembic import op

import listener.tables

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("mention", schema=None) as batch_op:
        batch_op.add_column(sa.Column("conversation", sa.String(), nullable=True))
    with op.batch_alter_table("mention_brand", schema=None) as batch_op:
        batch_op.add_column(sa.Column("topic", sa.String(), nullable=True))
    with op.batch_alter_table("alert", schema=None) as batch_op:
        batch_op.add_column(sa.Column("resolution", sa.String(), nullable=True))
        batch_op.add_column(sa.Column("reopened", sa.Integer(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("proof", sa.JSON(none_as_null=True), nullable=True))
    op.create_table(
        "ballot",
        sa.Column("brand", sa.String(), nullable=False),
        sa.Column("mention_row", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", listener.tables.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("brand", "mention_row"),
    )
    with op.batch_alter_table("ballot", schema=None) as batch_op:
        batch_op.create_index("ix_ballot_at", ["at"], unique=False)
    op.create_table(
        "vote",
        sa.Column("brand", sa.String(), nullable=False),
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("mention_row", sa.BigInteger(), nullable=False),
        sa.Column("mention", sa.String(length=36), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("at", listener.tables.UtcDateTime(timezone=True), nullable=False),
        sa.Column("counted_at", listener.tables.UtcDateTime(timezone=True), nullable=False),
        sa.Column("news", sa.Boolean(), nullable=False),
        sa.Column("risk", sa.Float(), nullable=False),
        sa.Column("negative", sa.Boolean(), nullable=False),
        sa.Column("polarity", sa.Float(), nullable=False),
        sa.Column("doubtful", sa.Boolean(), nullable=False),
        sa.Column("lang", sa.String(), nullable=True),
        sa.Column("topic", sa.String(), nullable=True),
        sa.Column("author", sa.String(), nullable=True),
        sa.Column("conversation", sa.String(), nullable=True),
        sa.Column("reach", sa.BigInteger(), nullable=True),
        sa.Column("repeats", sa.String(), nullable=True),
        sa.Column("budget", sa.Float(), nullable=False),
        sa.Column("deff", sa.Float(), nullable=False),
        sa.Column("rate_budget", sa.Float(), nullable=True),
        sa.Column("rate_deff", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("brand", "position"),
    )
    with op.batch_alter_table("vote", schema=None) as batch_op:
        batch_op.create_index("ux_vote_mention", ["mention_row", "brand"], unique=True)
        batch_op.create_index("ix_vote_author", ["brand", "author", "at"], unique=False)
        batch_op.create_index("ix_vote_conversation", ["brand", "conversation", "at"], unique=False)
        batch_op.create_index("ix_vote_at", ["brand", "at"], unique=False)
    op.create_table(
        "block",
        sa.Column("brand", sa.String(), nullable=False),
        sa.Column("slot", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.Float(), nullable=False) for name in ("n", "negative", "x", "xx", "y", "yy")),
        sa.Column("left_out", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("brand", "slot"),
    )
    op.create_table(
        "standing",
        sa.Column("brand", sa.String(), nullable=False),
        sa.Column("position", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("share", sa.Float(), nullable=True),
        sa.Column("dissatisfaction", sa.Float(), nullable=True),
        sa.Column("deff", sa.Float(), nullable=False),
        sa.Column("mentions", sa.Float(), nullable=False),
        sa.Column("updated_at", listener.tables.UtcDateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("brand"),
    )
    op.create_table(
        "digest",
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("made_at", listener.tables.UtcDateTime(timezone=True), nullable=False),
        sa.Column("content", sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("day"),
    )
    # What was scored before there was a ledger is counted now: as history, from which the usual is learned.
    op.execute(
        "INSERT INTO ballot (brand, mention_row, at) SELECT mention_brand.brand, mention_brand.mention_row, "
        "mention_brand.at FROM mention_brand "
        "JOIN mention ON mention.row = mention_brand.mention_row WHERE mention.copy_of IS NULL AND EXISTS (SELECT 1 FROM "
        "assessment WHERE assessment.mention_row = mention.row AND assessment.content_hash = mention.content_hash)"
    )


def downgrade() -> None:
    for table in ("digest", "standing", "block", "vote", "ballot"):
        op.drop_table(table)
    with op.batch_alter_table("alert", schema=None) as batch_op:
        batch_op.drop_column("proof")
        batch_op.drop_column("reopened")
        batch_op.drop_column("resolution")
    with op.batch_alter_table("mention_brand", schema=None) as batch_op:
        batch_op.drop_column("topic")
    with op.batch_alter_table("mention", schema=None) as batch_op:
        batch_op.drop_column("conversation")
