"""What detection counts and knows."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Index
from sqlmodel import Field, SQLModel

from listener.tables.columns import json_column, time_column


class BallotRow(SQLModel, table=True):
    """A mention that has an assessment and waits to be counted for a brand. The row goes when the vote comes."""

    __tablename__ = "ballot"
    __table_args__ = (Index("ix_ballot_at", "at"),)

    brand: str = Field(primary_key=True)
    mention_row: int = Field(sa_column=Column(BigInteger(), primary_key=True, autoincrement=False))
    at: datetime = time_column(nullable=False)  # when it was said


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
    at: datetime = time_column(nullable=False)
    counted_at: datetime = time_column(nullable=False)
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
    state: dict[str, Any] | None = json_column()
    share: float | None = None  # what is usual, and how many mentions tell so: for the fleet
    dissatisfaction: float | None = None
    deff: float = 1.0
    mentions: float = 0.0
    updated_at: datetime = time_column(nullable=False)
