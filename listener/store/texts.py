"""Texts as people and programs send them, fit for any database."""


def storable(text: str | None) -> str | None:
    """Without NUL, which PostgreSQL refuses, and with a mark where half a character stood."""
    return None if text is None else text.replace("\0", "").encode("utf-8", errors="replace").decode()
