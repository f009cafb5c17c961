"""``listener db``: the database's version."""

import asyncio
from pathlib import Path

import typer

from listener.app import database_of, load_settings
from listener.cli.root import DEFAULT_CONFIG, ConfigOption, JsonOption, app, out, print_json
from listener.store import migrate

group = typer.Typer(help="The database.", no_args_is_help=True)
app.add_typer(group, name="db")


@group.command()
def upgrade(config: ConfigOption = DEFAULT_CONFIG, json_: JsonOption = False) -> None:
    """Bring the database to the version that this program needs. Make a backup first."""
    before, after = asyncio.run(_upgrade(config))
    if json_:
        print_json({"before": before, "after": after})
    else:
        out.print(f"the database is at version {after}" + ("" if before == after else f" (was {before or 'empty'})"))


async def _upgrade(config: Path) -> tuple[str | None, str | None]:
    database = database_of(load_settings(config))
    try:
        before = await migrate.version(database)
        await migrate.upgrade(database)
        return before, await migrate.version(database)
    finally:
        await database.close()
