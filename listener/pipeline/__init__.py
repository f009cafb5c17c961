"""The flow, one unit of work per arrow: poll, score, refresh, evaluate, tell, deliver; and back: act.

Each unit reads what the stage before committed, decides with pure functions, and commits once. None hands memory to the
next, so any of them can be killed at any instruction and simply runs again.
"""

from listener.pipeline.act import act, end_drills
from listener.pipeline.deliver import deliver
from listener.pipeline.digest import make_digest
from listener.pipeline.dispatch import tell
from listener.pipeline.evaluate import Evaluation, evaluate
from listener.pipeline.parts import Parts
from listener.pipeline.poll import PollReport, Prepared, poll, prepare
from listener.pipeline.score import refresh, score

__all__ = [
    "Evaluation",
    "Parts",
    "PollReport",
    "Prepared",
    "act",
    "deliver",
    "end_drills",
    "evaluate",
    "make_digest",
    "poll",
    "prepare",
    "refresh",
    "score",
    "tell",
]
