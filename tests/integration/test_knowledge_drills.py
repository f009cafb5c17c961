"""Drills teach nothing, whatever people note about them."""

from listener.store import Database, memories
from tests.integration.test_store_memories import ended, keep


async def test_what_was_noted_of_a_drill_is_not_counted(database: Database) -> None:
    await keep(database, ended(1), cause="a strike")
    await keep(database, ended(2, rule="drill"), cause="we tried it out", helped="tea")
    assert await memories.taught(database) == 1
