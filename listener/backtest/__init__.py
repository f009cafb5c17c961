"""What would have been alerted, and when, had listener been there; with other rules, too; and which settings suit.

``pipeline`` drives the daemon's own units by the mentions' times, ``replay`` its looks alone over votes in memory (the
same decisions, many times faster), ``compare`` sums up what came of it, ``tune`` recommends settings by simulation.
"""

from listener.backtest.history import History, Labelled, read_history, stored
from listener.backtest.pipeline import Plan, run
from listener.backtest.replay import Event, Heard, Track, replay

__all__ = ["Event", "Heard", "History", "Labelled", "Plan", "Track", "read_history", "replay", "run", "stored"]
