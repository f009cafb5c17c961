"""The database, table by table. Rows never leave ``listener.store``; the migrations in ``migrations/`` make these.

Integer ``row`` keys keep the indexes small; ``uid`` is the mention's public id and, being derived from the identity
(source, external id), the one unique index that identity needs.
"""

from listener.tables.columns import RowId, UtcDateTime, table_of
from listener.tables.delivery import (
    ActionRow,
    AlertRow,
    BundleMemberRow,
    BundleRow,
    DigestRow,
    EventRow,
    MemoryRow,
    NotificationRow,
    ResponseRow,
    SettingRow,
    SilenceRow,
)
from listener.tables.detection import BallotRow, BlockRow, StandingRow, VoteRow
from listener.tables.mentions import (
    AssessmentRow,
    DirtyWindowRow,
    MentionBrandRow,
    MentionRow,
    ScoringRow,
    SourceStateRow,
    WindowRow,
)

__all__ = [
    "ActionRow",
    "AlertRow",
    "AssessmentRow",
    "BallotRow",
    "BlockRow",
    "BundleMemberRow",
    "BundleRow",
    "DigestRow",
    "DirtyWindowRow",
    "EventRow",
    "MemoryRow",
    "MentionBrandRow",
    "MentionRow",
    "NotificationRow",
    "ResponseRow",
    "RowId",
    "ScoringRow",
    "SettingRow",
    "SilenceRow",
    "SourceStateRow",
    "StandingRow",
    "UtcDateTime",
    "VoteRow",
    "WindowRow",
    "action",
    "alert",
    "assessment",
    "ballot",
    "block",
    "bundle",
    "bundle_member",
    "digest",
    "dirty_window",
    "event",
    "memory",
    "mention",
    "mention_brand",
    "notification",
    "response",
    "scoring",
    "setting",
    "silence",
    "source_state",
    "standing",
    "vote",
    "window",
]

# For statements over many rows at once, which is how the store writes.
source_state = table_of(SourceStateRow)
mention = table_of(MentionRow)
mention_brand = table_of(MentionBrandRow)
scoring = table_of(ScoringRow)
assessment = table_of(AssessmentRow)
window = table_of(WindowRow)
dirty_window = table_of(DirtyWindowRow)
ballot = table_of(BallotRow)
vote = table_of(VoteRow)
block = table_of(BlockRow)
standing = table_of(StandingRow)

alert = table_of(AlertRow)
digest = table_of(DigestRow)
notification = table_of(NotificationRow)
event = table_of(EventRow)
response = table_of(ResponseRow)
action = table_of(ActionRow)
silence = table_of(SilenceRow)
bundle = table_of(BundleRow)
bundle_member = table_of(BundleMemberRow)
setting = table_of(SettingRow)
memory = table_of(MemoryRow)
