"""A first configuration for a brand: what ``listener init`` writes."""

import json
import re
import unicodedata
from dataclasses import dataclass

TEMPLATE = """\
# Written by `listener init`. All options: docs/configuration.md; check with `listener check-config {file}`.
# Secrets do not belong here: use environment variables (LISTENER_MQTT__PASSWORD) or files (password_file = "…").

{scoring}[fetch]
contact = {contact}

[brands.{slug}]
names = [{brand}]  # add other spellings; case endings are found by themselves

[sources.news]
type = "feed"
url = {feed}
interval_secs = 600

[mqtt]
# A broker inside listener (pip install 'listener[broker]'); for your own: broker = "external", host, port, username.
broker = "embedded"
host = "127.0.0.1"
port = 18830
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Starter:
    """The answers that a first configuration needs; without a ``model`` it is the one that comes with listener."""

    brand: str
    feed: str
    contact: str
    model: str = ""
    file: str = "listener.toml"


def starter(answers: Starter) -> str:
    """The file as TOML."""
    return TEMPLATE.format(
        file=answers.file,
        slug=slug(answers.brand),
        brand=quoted(answers.brand),
        feed=quoted(answers.feed),
        scoring=f"[scoring]\nmodel = {quoted(answers.model)}\n\n" if answers.model else "",
        contact=quoted(answers.contact),
    )


def slug(name: str) -> str:
    """A name as a table key: lower-case ASCII letters, digits and _."""
    ascii_ = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode("ascii").lower()
    key = re.sub(r"[^a-z0-9]+", "_", ascii_).strip("_")
    return key if key[:1].isalpha() else f"brand_{key}".rstrip("_")


def quoted(text: str) -> str:
    """A TOML basic string; JSON's escapes are a subset of TOML's, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
