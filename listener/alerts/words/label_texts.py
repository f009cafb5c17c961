"""What stands on buttons and above lists in messages to people. Pure."""

from collections.abc import Mapping

from listener.alerts.words.languages import tongue
from listener.domain import Act


def labels(code: str, *, over: bool = False) -> Mapping[str, str]:
    """By what they name: ``evidence``, ``articles``, ``answer``, and every action; in the language ``code``.

    Where all that an answer would be about is ``over``, to resolve it only adds a note.
    """
    t = tongue(code)
    note = t.word("label", "Add a note")
    return {
        "evidence": t.word("label", "Read first"),
        "articles": t.word("label", "What to answer"),
        "answer": t.word("label", "Answer"),
        Act.ACK: t.word("label", "I am on it"),
        Act.ASSIGN: t.word("label", "Assign"),
        Act.SNOOZE: t.word("label", "Remind me later"),
        Act.RESOLVE: note if over else t.word("label", "It is dealt with"),
        Act.SILENCE: t.word("label", "Silence"),
        Act.NOTE: note,
    }
