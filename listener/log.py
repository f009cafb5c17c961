"""Logs for people and machines: events are ``noun.verbed``, with ids; never a text, an author or a secret."""

import logging
import sys
from typing import Literal

import structlog

# Libraries that log every request or job at info: their news is in our events already.
CHATTY = (
    "httpx2",
    "httpcore2",
    "apscheduler",
    "alembic",
    "uvicorn",
    "asyncio",
    "aiosqlite",
    "amqtt",
    "transitions",
    "requests",
    "urllib3",
    "apprise",
    "matplotlib",
)


def configure(log_format: Literal["console", "json"], log_level: str) -> None:
    """Write events to standard error, our own and those of the libraries alike."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    final: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer(ensure_ascii=False)]
        if log_format == "json"
        else [
            structlog.dev.ConsoleRenderer(
                colors=sys.stderr.isatty(),
                pad_event_to=24,
                # The default shows the local variables of every frame: headers, tokens, texts.
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(log_level),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(log_level.upper())
    for name in CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)
