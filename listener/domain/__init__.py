"""The values that flow from stage to stage: one frozen type per arrow, no I/O.

Times are aware and UTC and end in ``_at``; durations carry their unit. The words are those of ``docs/glossary.md``.
"""

from listener.domain.alerts import (
    Alert,
    AlertState,
    Channel,
    Condition,
    Evidence,
    Notification,
    Rate,
    Reason,
    Resolution,
    Severity,
    Signal,
    Strength,
    fingerprint,
)
from listener.domain.identity import EMPTY, NAMESPACE, Frozen, require_aware, stable_id
from listener.domain.mentions import Assessment, Mention, Probabilities, Sentiment, Verdict, Window
from listener.domain.polling import Accept, Checkpoint, Page, PollResult, RawMention, Rejected, Request, Validator
from listener.domain.votes import Ballot, Past, Repeats, Sums, Vote

__all__ = [
    "EMPTY",
    "NAMESPACE",
    "Accept",
    "Alert",
    "AlertState",
    "Assessment",
    "Ballot",
    "Channel",
    "Checkpoint",
    "Condition",
    "Evidence",
    "Frozen",
    "Mention",
    "Notification",
    "Page",
    "Past",
    "PollResult",
    "Probabilities",
    "Rate",
    "RawMention",
    "Reason",
    "Rejected",
    "Repeats",
    "Request",
    "Resolution",
    "Sentiment",
    "Severity",
    "Signal",
    "Strength",
    "Sums",
    "Validator",
    "Verdict",
    "Vote",
    "Window",
    "fingerprint",
    "require_aware",
    "stable_id",
]
