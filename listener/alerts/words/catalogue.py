"""The catalogues of translations: ``python -m listener.alerts.words.catalogue`` brings them up to date.

It collects the sentences from the code, adds new ones to each ``locale/<language>/LC_MESSAGES/listener.po`` (a changed
one with its old translation, marked fuzzy), drops those that are gone, and compiles ``listener.mo`` beside it. What is
left to translate is printed. A language that has an entry in ``LANGUAGES`` and no file yet gets one.

For developers: it needs Babel; the daemon only reads the compiled files, with ``gettext``.
"""

import sys
from io import BytesIO
from pathlib import Path
from string import Formatter

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from listener.alerts.words.languages import DOMAIN, LANGUAGES, LOCALE, SOURCE

KEYWORDS = {"say": None, "word": ((1, "c"), 2), "many": (1, 2)}  # the methods of Tongue
PO_WIDTH = 110


def po_path(code: str) -> Path:
    """Where people translate."""
    return LOCALE / code / "LC_MESSAGES" / f"{DOMAIN}.po"


def mo_path(code: str) -> Path:
    """Where the daemon reads."""
    return po_path(code).with_suffix(".mo")


def template() -> Catalog:
    """What the code says, in the order of its files and lines."""
    found = Catalog(project="listener", charset="utf-8")
    folder = Path(__file__).parent
    for name, line, message, comments, context in extract_from_dir(folder, [("**.py", "python")], keywords=KEYWORDS):
        found.add(message, None, [(f"listener/alerts/words/{name}", line)], auto_comments=comments, context=context)
    return found


def read(code: str) -> Catalog:
    """The translations of one language as they are; empty when there are none yet."""
    path = po_path(code)
    if not path.exists():
        return Catalog(locale=code, domain=DOMAIN, project="listener", charset="utf-8", fuzzy=False)
    with path.open("rb") as file:
        return read_po(file, locale=code, domain=DOMAIN)


def updated(code: str) -> Catalog:
    """... with what the code says now; sentences that are gone are gone."""
    catalogue = read(code)
    catalogue.update(template(), update_creation_date=False)
    catalogue.obsolete.clear()
    return catalogue


def as_po(catalogue: Catalog) -> bytes:
    """The file that people translate: without line numbers and dates, which would change with everything."""
    out = BytesIO()
    catalogue.fuzzy = False
    write_po(out, catalogue, width=PO_WIDTH, include_lineno=False, omit_header=True)
    return f"{_header(catalogue)}\n".encode() + out.getvalue()


def _header(catalogue: Catalog) -> str:
    return "\n".join(
        (
            f"# {catalogue.locale.english_name if catalogue.locale else '?'} translations of listener.",
            'msgid ""',
            'msgstr ""',
            '"Project-Id-Version: listener\\n"',
            f'"Language: {catalogue.locale_identifier}\\n"',
            f'"Plural-Forms: {catalogue.plural_forms}\\n"',
            '"MIME-Version: 1.0\\n"',
            '"Content-Type: text/plain; charset=utf-8\\n"',
            '"Content-Transfer-Encoding: 8bit\\n"',
            "",
        )
    )


def as_mo(catalogue: Catalog) -> bytes:
    """The file that the daemon reads."""
    out = BytesIO()
    write_mo(out, catalogue)
    return out.getvalue()


def forms(message: Message) -> tuple[str, ...]:
    """The translations of a message, one for each plural form."""
    return (message.string,) if isinstance(message.string, str) else tuple(message.string or ("",))


def placeholders(text: str) -> frozenset[str]:
    """The names in braces. Errors: ValueError for braces that do not match."""
    return frozenset(name for _, name, _, _ in Formatter().parse(text) if name is not None)


def faults(catalogue: Catalog) -> list[str]:
    """What is missing or wrong in a language, one line each."""
    found = [f"not in the code any more: {key}" for key in catalogue.obsolete]
    for message in catalogue:
        if not message.id:
            continue
        ids = (message.id,) if isinstance(message.id, str) else tuple(message.id)
        wanted = placeholders(ids[-1])
        if message.fuzzy:
            found.append(f"to be checked (fuzzy): {ids[0]}")
        if not all(forms(message)):
            found.append(f"not translated: {ids[0]}")
            continue
        if len(ids) > 1 and len(forms(message)) != catalogue.num_plurals:
            found.append(f"{catalogue.num_plurals} plural forms are needed: {ids[0]}")
        for form in forms(message):
            # A form for one thing need not name the number.
            given = placeholders(form) | (wanted & {"count"} if len(ids) > 1 else frozenset())
            if given != wanted:
                found.append(f"other placeholders than in the code: {form}")
    return found


def main() -> int:
    """Bring all languages up to date. Exit status 1: something is left to translate."""
    left = 0
    for code in (one for one in LANGUAGES if one != SOURCE):
        catalogue = updated(code)
        po_path(code).parent.mkdir(parents=True, exist_ok=True)
        po_path(code).write_bytes(as_po(catalogue))
        mo_path(code).write_bytes(as_mo(catalogue))
        wrong = faults(catalogue)
        left += len(wrong)
        sys.stdout.write("".join(f"{code}: {line}\n" for line in wrong))
        sys.stdout.write(f"{code}: {len(catalogue)} sentences, {len(wrong)} to do, in {po_path(code)}\n")
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
