"""Recorded pages and what each source type reads: ``TYPE[.VARIANT].page.*`` beside ``TYPE[.VARIANT].golden.json``.

``python -m tests.sources.golden`` writes the golden files anew, keeping their ``options`` and ``url``: read the diff.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from listener.domain import Page
from listener.sources import offline
from listener.sources.base import BaseSource, Parsed

FOLDER = Path(__file__).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One recorded page with its golden file."""

    name: str
    page: Path
    golden: Path

    @property
    def type(self) -> str:
        """The source type: the first part of the name."""
        return self.name.split(".")[0]

    @property
    def given(self) -> Mapping[str, Any]:
        """What the golden file says of the source: its options and the page's address."""
        stated = json.loads(self.golden.read_bytes()) if self.golden.exists() else {}
        return {"options": stated.get("options", {}), "url": stated.get("url", f"https://{self.type}.example/page")}

    def source(self) -> BaseSource:
        """The configured source."""
        return offline.build(self.type, self.page.read_bytes(), **self.given)

    def answer(self) -> Page:
        """The page as the fetcher would give it."""
        return Page(
            url=self.given["url"],
            status=200,
            headers={},
            body=self.page.read_bytes(),
            fetched_at=datetime(2026, 11, 21, tzinfo=UTC),
        )

    def written(self, parsed: Parsed) -> bytes:
        """The golden file for this result."""
        mentions = [{key: _plain(value) for key, value in asdict(one).items()} for one in parsed.mentions]
        rejected = [asdict(one) for one in parsed.rejected]
        content = {**self.given, "mentions": mentions, "rejected": rejected}
        return (json.dumps(content, indent=2, ensure_ascii=False) + "\n").encode()


def recorded() -> list[Recorded]:
    """Every recorded page in this folder."""
    pages = sorted(FOLDER.glob("*.page.*"))
    names = [page.name.split(".page.")[0] for page in pages]
    return [
        Recorded(name=name, page=page, golden=FOLDER / f"{name}.golden.json")
        for name, page in zip(names, pages, strict=True)
    ]


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


if __name__ == "__main__":
    for each in recorded():
        each.golden.write_bytes(each.written(each.source().parse(each.answer())))
