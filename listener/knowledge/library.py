"""All articles of a folder, read again when a file changes."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from listener.errors import ConfigError, Fault
from listener.knowledge.articles import FILES_MAX, Article, ArticleError, files_of, parse

Seen = tuple[int, int]  # when a file was changed last (ns), and its bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """The articles that can be read, and what is wrong with the others."""

    articles: tuple[Article, ...] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def approved(self) -> tuple[Article, ...]:
        """Those that may be shown with alerts."""
        return tuple(article for article in self.articles if article.approved)


class Shelf:
    """A folder of articles. Asking costs a look at the files' times; only what has changed is read again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._read: dict[Path, tuple[Seen, Article | tuple[Fault, ...]]] = {}
        self._library = Library()
        self._stale = True

    def library(self) -> Library:
        """The articles as they are now; never raises."""
        try:
            files = list(files_of(self.folder))
        except OSError as error:
            self._read, self._stale = {}, True
            fix = "make the folder, or correct knowledge.folder"
            problem = f"{self.folder} cannot be read: {error.strerror or type(error).__name__}"
            return Library(faults=(Fault(path="knowledge.folder", problem=problem, fix=fix),))
        kept = set(files[:FILES_MAX])
        self._stale |= bool(self._read.keys() - kept)
        self._read = {file: known for file, known in self._read.items() if file in kept}
        for file in files[:FILES_MAX]:
            self._look(file)
        if self._stale:
            self._library, self._stale = self._gathered(too_many=len(files) > FILES_MAX), False
        return self._library

    def _look(self, file: Path) -> None:
        try:
            state = file.stat()
            seen = state.st_mtime_ns, state.st_size
            if file in self._read and self._read[file][0] == seen:
                return
            found: Article | tuple[Fault, ...] = parse(file, file.read_bytes())
        except ArticleError as error:
            found = error.faults
        except OSError as error:
            seen, problem = (0, 0), f"cannot be read: {error.strerror or type(error).__name__}"
            found = (Fault(path=f"{file}:1", problem=problem, fix="give listener the right to read it"),)
        self._read[file] = seen, found
        self._stale = True

    def _gathered(self, *, too_many: bool) -> Library:
        articles: dict[tuple[str, str, bool], Article] = {}
        faults: list[Fault] = []
        for file, (_, found) in sorted(self._read.items()):
            if not isinstance(found, Article):
                faults += found
                continue
            key = found.id, found.lang, found.approved
            if key in articles:
                problem = f"is the article {found.id!r} in {found.lang!r} again, after {articles[key].file.name}"
                faults.append(Fault(path=f"{file}:2", problem=problem, fix="give one of them another id or lang"))
                continue
            articles[key] = found
        if too_many:
            problem = f"{self.folder} has more than {FILES_MAX} files; the rest is left out"
            faults.append(Fault(path="knowledge.folder", problem=problem, fix="keep fewer in one folder"))
        return Library(articles=tuple(articles.values()), faults=tuple(faults))


def check_folder(folder: Path | None, brands: Iterable[str] = ()) -> Library:
    """All articles of ``folder``, None: of none. Raises ConfigError with every fault of every file.

    An article for a brand that is not one of ``brands`` is a fault: nobody would ever see it.
    """
    library = Library() if folder is None else Shelf(folder).library()
    known = frozenset(brands)
    strange = [
        Fault(
            path=f"{article.file}:2",
            problem=f"is for the brand {brand!r}, which is not in the configuration",
            fix="correct brands, or leave them out for all",
        )
        for article in library.articles
        for brand in article.brands
        if brand not in known
    ]
    if faults := [*library.faults, *strange]:
        raise ConfigError(faults)
    return library
