"""Sources, mentions, and what a model said of them."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Index, text
from sqlmodel import Field, SQLModel

from listener.tables.columns import RowId, json_column, time_column


class SourceStateRow(SQLModel, table=True):
    """How far a source was read, and how it has been doing."""

    __tablename__ = "source_state"

    name: str = Field(primary_key=True)
    fingerprint: str  # of the configuration: a changed source starts without validators and pauses
    checkpoint: dict[str, Any] | None = json_column()
    failures: int = 0
    paused_until_at: datetime | None = time_column()
    polled_at: datetime | None = time_column()
    succeeded_at: datetime | None = time_column()
    failing_since_at: datetime | None = time_column()
    error: str | None = None
    page: bytes | None = None  # the one that could not be read, until one can be again
    gone: bool = False


class MentionRow(SQLModel, table=True):
    """One stored mention."""

    __tablename__ = "mention"
    __table_args__ = (
        Index("ix_mention_text_key", "text_key", "author"),
        Index("ix_mention_story", "story", "source"),
        # Partial: a planner without statistics would else look originals up by "copy_of is null", which is nearly all.
        Index(
            "ix_mention_copy_of",
            "copy_of",
            sqlite_where=text("copy_of IS NOT NULL"),
            postgresql_where=text("copy_of IS NOT NULL"),
        ),
        Index("ix_mention_source_seen", "source", "seen_at"),
    )

    row: int | None = Field(default=None, sa_column=Column(RowId, primary_key=True, autoincrement=True))
    uid: str = Field(unique=True, max_length=36)
    source: str
    external_id: str
    url: str
    canonical_url: str
    title: str
    text: str
    author: str | None = None
    lang: str | None = None
    published_at: datetime | None = time_column()
    seen_at: datetime = time_column(nullable=False)
    edited_at: datetime | None = time_column()
    rating: float | None = None
    reach: int | None = Field(default=None, sa_column=Column(BigInteger()))
    content_hash: str
    text_key: str  # equal for texts that say the same
    story: str | None = None  # equal for one article seen through two sources
    copy_of: str | None = None  # uid of the original: counted as a copy, not as a voice
    conversation: str | None = None  # the site's id of the thread it belongs to
    revision: int = 1


class MentionBrandRow(SQLModel, table=True):
    """Which brands a mention is about. Keyed so that one window of one brand is one range of the index."""

    __tablename__ = "mention_brand"
    __table_args__ = (Index("ix_mention_brand_mention", "mention_row"),)

    brand: str = Field(primary_key=True)
    at: datetime = time_column(nullable=False, primary_key=True)
    mention_row: int = Field(sa_column=Column(BigInteger(), primary_key=True))
    topic: str | None = None  # the first of the brand's topics that it matches


class ScoringRow(SQLModel, table=True):
    """A mention that waits for the model. The row goes when the assessment comes."""

    __tablename__ = "scoring"
    __table_args__ = (Index("ix_scoring_open", "dead", "claimed_until_at", "mention_row"),)

    mention_row: int = Field(sa_column=Column(BigInteger(), primary_key=True, autoincrement=False))
    content_hash: str
    enqueued_at: datetime = time_column(nullable=False)
    claimed_until_at: datetime | None = time_column()
    dead: bool = False
    error: str | None = None


class AssessmentRow(SQLModel, table=True):
    """What one model said of one version of one mention. Re-scoring adds a row; ``current`` marks what counts."""

    __tablename__ = "assessment"
    __table_args__ = (Index("ix_assessment_identity", "mention_row", "content_hash", "model", unique=True),)

    row: int | None = Field(default=None, sa_column=Column(RowId, primary_key=True, autoincrement=True))
    mention_row: int = Field(sa_column=Column(BigInteger(), nullable=False))
    content_hash: str
    model: str
    p_negative: float
    p_neutral: float
    p_positive: float
    risk: float | None = None
    wish: float | None = None
    emotions: dict[str, float] | None = json_column()
    loyalty: dict[str, float] | None = json_column()
    labels: list[str] | None = json_column()  # null where the model has no thresholds of its own
    abstained: list[str] | None = json_column()  # the heads in doubt; null where there is none
    created_at: datetime = time_column(nullable=False)
    current: bool = True


class WindowRow(SQLModel, table=True):
    """One aggregate interval of one brand, recomputed from rows, never incremented."""

    __tablename__ = "window"

    brand: str = Field(primary_key=True)
    size_secs: int = Field(primary_key=True)
    start_at: datetime = time_column(nullable=False, primary_key=True)
    volume: int = 0
    copies: int = 0
    polarity_sum: float = 0.0
    negative: int = 0
    risk_sum: float = 0.0
    reach: int | None = Field(default=None, sa_column=Column(BigInteger()))


class DirtyWindowRow(SQLModel, table=True):
    """A window whose mentions have changed since it was last computed."""

    __tablename__ = "dirty_window"

    brand: str = Field(primary_key=True)
    start_at: datetime = time_column(nullable=False, primary_key=True)
