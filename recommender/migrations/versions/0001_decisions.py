"""The log of decisions, and the id of its last entry."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "decisions",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("key", sa.String(64), nullable=False, unique=True),
        sa.Column("action", sa.String(16), nullable=False),
        sa.Column("source", sa.Text),
        sa.Column("target", sa.Text),
        sa.Column("position", sa.Integer),
        sa.Column("weight", sa.Float),
        sa.Column("state", sa.String(16)),
        sa.Column("editor", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("at", sa.DateTime, nullable=False),
        sa.Column("expires", sa.DateTime),
        sa.Column("undoes", sa.Integer, sa.ForeignKey("decisions.id")),
        sa.Column("edition", sa.Text),
        sa.Column("source_title", sa.Text),
        sa.Column("source_url", sa.Text),
        sa.Column("target_title", sa.Text),
        sa.Column("target_url", sa.Text),
    )
    head = op.create_table(
        "head",
        sa.Column("only", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("last", sa.Integer, nullable=False),
    )
    op.bulk_insert(head, [{"only": 1, "last": 0}])
