"""The database, table by table. Rows never leave ``listener.store``; the migrations in ``migrations/`` make these.

Integer ``row`` keys keep the indexes small; ``uid`` is the mention's public id and, being derived from the identity
(source, external id), the one unique index that identity needs.
"""

from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import BigInteger, Column, DateTime, Dialect, Index, Integer, Table, text
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


def _time(*, nullable: bool = True, primary_key: bool = False) -> Any:
    return Field(
        default=None if nullable else ..., sa_column=Column(UtcDateTime(), nullable=nullable, primary_key=primary_key)
    )


def _json() -> Any:
    return Field(default=None, sa_column=Column(JSON(none_as_null=True)))


class SourceStateRow(SQLModel, table=True):
    """How far a source was read, and how it has been doing."""

    __tablename__ = "source_state"

    name: str = Field(primary_key=True)
    fingerprint: str  # of the configuration: a changed source starts without validators and pauses
    checkpoint: dict[str, Any] | None = _json()
    failures: int = 0
    paused_until_at: datetime | None = _time()
    polled_at: datetime | None = _time()
    succeeded_at: datetime | None = _time()
    failing_since_at: datetime | None = _time()
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
    published_at: datetime | None = _time()
    seen_at: datetime = _time(nullable=False)
    edited_at: datetime | None = _time()
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
    at: datetime = _time(nullable=False, primary_key=True)
    mention_row: int = Field(sa_column=Column(BigInteger(), primary_key=True))
    topic: str | None = None  # the first of the brand's topics that it matches


class ScoringRow(SQLModel, table=True):
    """A mention that waits for the model. The row goes when the assessment comes."""

    __tablename__ = "scoring"
    __table_args__ = (Index("ix_scoring_open", "dead", "claimed_until_at", "mention_row"),)

    mention_row: int = Field(sa_column=Column(BigInteger(), primary_key=True, autoincrement=False))
    content_hash: str
    enqueued_at: datetime = _time(nullable=False)
    claimed_until_at: datetime | None = _time()
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
    emotions: dict[str, float] | None = _json()
    loyalty: dict[str, float] | None = _json()
    labels: list[str] | None = _json()  # null where the model has no thresholds of its own
    abstained: list[str] | None = _json()  # the heads in doubt; null where there is none
    created_at: datetime = _time(nullable=False)
    current: bool = True


class WindowRow(SQLModel, table=True):
    """One aggregate interval of one brand, recomputed from rows, never incremented."""

    __tablename__ = "window"

    brand: str = Field(primary_key=True)
    size_secs: int = Field(primary_key=True)
    start_at: datetime = _time(nullable=False, primary_key=True)
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
    start_at: datetime = _time(nullable=False, primary_key=True)


class BallotRow(SQLModel, table=True):
    """A mention that has an assessment and waits to be counted for a brand. The row goes when the vote comes."""

    __tablename__ = "ballot"
    __table_args__ = (Index("ix_ballot_at", "at"),)

    brand: str = Field(primary_key=True)
    mention_row: int = Field(sa_column=Column(BigInteger(), primary_key=True, autoincrement=False))
    at: datetime = _time(nullable=False)  # when it was said


class VoteRow(SQLModel, table=True):
    """The ledger of what detection counted, in order; a row is never changed, so that decisions can be replayed."""

    __tablename__ = "vote"
    __table_args__ = (
        Index("ux_vote_mention", "mention_row", "brand", unique=True),
        Index("ix_vote_author", "brand", "author", "at"),
        Index("ix_vote_conversation", "brand", "conversation", "at"),
        Index("ix_vote_at", "brand", "at"),
    )

    brand: str = Field(primary_key=True)
    position: int = Field(sa_column=Column(BigInteger(), primary_key=True, autoincrement=False))
    mention_row: int = Field(sa_column=Column(BigInteger(), nullable=False))
    mention: str = Field(max_length=36)
    source: str
    at: datetime = _time(nullable=False)
    counted_at: datetime = _time(nullable=False)
    news: bool
    risk: float
    negative: bool
    polarity: float
    doubtful: bool = False
    lang: str | None = None
    topic: str | None = None
    author: str | None = None  # a key, not a name
    conversation: str | None = None  # likewise
    reach: int | None = Field(default=None, sa_column=Column(BigInteger()))
    repeats: str | None = None  # author, conversation: said before within a day, weighs nothing
    budget: float
    deff: float
    rate_budget: float | None = None
    rate_deff: float | None = None


class BlockRow(SQLModel, table=True):
    """Six hours of a brand's votes added up: what the usual is learned from."""

    __tablename__ = "block"

    brand: str = Field(primary_key=True)
    slot: int = Field(primary_key=True)  # Unix time / 21600
    n: float
    negative: float
    x: float
    xx: float
    y: float
    yy: float
    left_out: bool = False  # an alert fired then


class StandingRow(SQLModel, table=True):
    """What detection knows of a brand; written with the votes that changed it."""

    __tablename__ = "standing"

    brand: str = Field(primary_key=True)
    position: int = Field(sa_column=Column(BigInteger(), nullable=False))
    version: int = Field(sa_column=Column(BigInteger(), nullable=False))  # grows with every look that is kept
    state: dict[str, Any] | None = _json()
    share: float | None = None  # what is usual, and how many mentions tell so: for the fleet
    dissatisfaction: float | None = None
    deff: float = 1.0
    mentions: float = 0.0
    updated_at: datetime = _time(nullable=False)


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
    started_at: datetime = _time(nullable=False)
    updated_at: datetime = _time(nullable=False)
    ended_at: datetime | None = _time()
    calm_since_at: datetime | None = _time()
    signal: dict[str, Any] | None = _json()
    evidence: list[str] | None = _json()
    resolution: str | None = None
    reopened: int = 0
    proof: dict[str, Any] | None = _json()


class DigestRow(SQLModel, table=True):
    """What was told of a day: made once, whatever happens."""

    __tablename__ = "digest"

    day: str = Field(primary_key=True, max_length=10)  # ISO 8601, in the zone of the configuration
    made_at: datetime = _time(nullable=False)
    content: dict[str, Any] | None = _json()


class NotificationRow(SQLModel, table=True):
    """The outbox: written with the decision, kept after delivery as the record of what was sent."""

    __tablename__ = "notification"
    __table_args__ = (
        Index("ix_notification_due", "receiver", "due_at", sqlite_where=text("open"), postgresql_where=text("open")),
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
    payload: dict[str, Any] | None = _json()
    decided_at: datetime = _time(nullable=False)
    due_at: datetime = _time(nullable=False)
    attempt: int = 0
    open: bool = True
    sent_at: datetime | None = _time()
    dead_at: datetime | None = _time()
    error: str | None = None


def _table(model: type[SQLModel]) -> Table:
    return cast("Table", model.__table__)  # type: ignore[attr-defined]


# The same tables for statements over many rows at once, which is how the store writes.
source_state = _table(SourceStateRow)
mention = _table(MentionRow)
mention_brand = _table(MentionBrandRow)
scoring = _table(ScoringRow)
assessment = _table(AssessmentRow)
window = _table(WindowRow)
dirty_window = _table(DirtyWindowRow)
ballot = _table(BallotRow)
vote = _table(VoteRow)
block = _table(BlockRow)
standing = _table(StandingRow)
alert = _table(AlertRow)
digest = _table(DigestRow)
notification = _table(NotificationRow)
