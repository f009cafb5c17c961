"""The ``listener`` command. Each command is thin: it loads, calls one thing, prints."""

import sys

from rich.markup import escape

from listener.cli import (
    alerts,
    answers,
    backtest,
    configuration,
    database,
    digest,
    evaluate,
    explain,
    knowledge,
    oncall,
    receivers,
    run,
    score,
    silences,
    simulate,
    sources,
)
from listener.cli.root import app, err
from listener.errors import ConfigError, ListenerError

__all__ = [
    "alerts",
    "answers",
    "app",
    "backtest",
    "configuration",
    "database",
    "digest",
    "evaluate",
    "explain",
    "knowledge",
    "main",
    "oncall",
    "receivers",
    "run",
    "score",
    "silences",
    "simulate",
    "sources",
]

EXIT_FAILED = 1
EXIT_CONFIG = 2


def main() -> None:
    """Run the command line; expected failures become one clear line and an exit code."""
    try:
        app(standalone_mode=True)
    except ConfigError as error:
        for fault in error.faults:
            err.print(f"[bold red]error:[/] [bold]{escape(fault.path)}[/]: {escape(fault.advice)}", highlight=False)
        sys.exit(EXIT_CONFIG)
    except ListenerError as error:
        err.print(f"[bold red]error:[/] {escape(str(error))}", highlight=False)
        sys.exit(EXIT_FAILED)
