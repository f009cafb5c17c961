"""Labels of assessments

Revision: 0002
Revises: 0001
Created: 2026-11-21 23:22:41.310477
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Null in the rows that are there: their models said no labels, and counting goes by their risk as before.
    with op.batch_alter_table("assessment", schema=None) as batch_op:
        batch_op.add_column(sa.Column("labels", sa.JSON(none_as_null=True), nullable=True))
        batch_op.add_column(sa.Column("abstained", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    with op.batch_alter_table("assessment", schema=None) as batch_op:
        batch_op.drop_column("abstained")
        batch_op.drop_column("labels")
