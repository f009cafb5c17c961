"""The values that flow from stage to stage: one frozen type per arrow, no I/O.

Times are aware and UTC and end in ``_at``; durations carry their unit. The words are those of ``docs/glossary.md``.
"""

from listener.domain.alerts import Alert, AlertState, Condition, Evidence, Notification, Reason, Severity, Signal
from listener.domain.identity import EMPTY, NAMESPACE, Frozen, require_aware, stable_id
from listener.domain.mentions import Assessment, Mention, Probabilities, Sentiment, Verdict, Window
from listener.domain.polling import Accept, Checkpoint, Page, PollResult, RawMention, Rejected, Request, Validator

__all__ = [
    "EMPTY",
    "NAMESPACE",
    "Accept",
    "Alert",
    "AlertState",
    "Assessment",
    "Checkpoint",
    "Condition",
    "Evidence",
    "Frozen",
    "Mention",
    "Notification",
    "Page",
    "PollResult",
    "Probabilities",
    "RawMention",
    "Reason",
    "Rejected",
    "Request",
    "Sentiment",
    "Severity",
    "Signal",
    "Validator",
    "Verdict",
    "Window",
    "require_aware",
    "stable_id",
]
