"""The database is the queue: every stage claims what the stage before committed, and commits once.

One module per arrow of the flow. Each public function is one transaction and safe to repeat; it takes the ``Database``
and values, and hands back values: rows never leave this package.
"""

from listener.store.database import Database

__all__ = ["Database"]
