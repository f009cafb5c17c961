# ruff: noqa: RUF001, RUF002, RUF003 -- Cyrillic letters are what this is about
"""The forms that a name takes in a sentence: case endings, and the changes of the stem before them.

A name is declined like a word of the language that it stands in, whatever its own, so every name gets the endings of
every language of its script: Estonian (14 cases), Finnish, Latvian, Lithuanian and the Germanic -s for Latin names,
Russian and Ukrainian for Cyrillic ones, and Russian endings typed onto Latin names ("Boltом"). The detected language of
a text does not gate them: short texts are misdetected. An ending after a hyphen, an apostrophe or a colon ("LHV-s",
"Bolt’i", "VR:n") needs no rule, since the name stands there as a word of its own.

Only endings are known, not words: "Mart" finds "Martin", where "in" is a Finnish ending. What people often write is in
``FALSE_FRIENDS``; for the rest a brand has exclusions and exact names.

Sources: Erelt et al., Eesti keele käsiraamat (morphology, gradation); Iso suomen kielioppi, § 41-108; Institute of the
Lithuanian Language and Valsts valodas centrs on foreign names; Zaliznyak's declension classes for Russian.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from listener.matching.fold import fold, strip_marks

# Words that look like a form of a brand's name, and are not: they count only as a name that is spelled so itself.
_FALSE_FRIENDS = """
rimini virginia virginian virginias victoria victorian georgia georgian romania india indian austria australia asia
patricia julia maria mania media mafia austin martin martins martina martini justin justina robin robins latin berlin
robert europa europas artist artists tourist tourists realist specialist finalist socialist capitalist nationalist
journalist minimalist journalista campus bonus status focus markus marina carina karina regina china latina sabina
visit limit profit credit spirit merit transit summit basis basin cabin marin cousin audit audits realista artista
turista finalista metal metals maximale maximalt della dello delle mardi marta nestea bingo почти
"""
FALSE_FRIENDS = frozenset(_FALSE_FRIENDS.split())

_VOWELS = frozenset("aeiouy")
_BALTIC_LETTERS = frozenset("āēīūčšžģķļņąęėįųū")
_CYRILLIC = frozenset("абвгдеёжзийклмнопрстуфхцчшщъыьэюяіїєґў")
SHORT = 3  # letters up to which a name is also a piece of many words


@dataclass(frozen=True, slots=True)
class Endings:
    """What may follow a stem. After ``spelled`` only where the text spells the name as the brand does, capitals too."""

    free: frozenset[str]
    spelled: frozenset[str] = frozenset()

    @property
    def all(self) -> frozenset[str]:
        """Both."""
        return self.free | self.spelled


BARE = Endings(frozenset({""}))


@dataclass(frozen=True, slots=True)
class Stem:
    """The beginning that some forms of a name share (folded), and how they end."""

    text: str
    endings: Endings


def stems(word: str, *, phrase: bool = False) -> tuple[Stem, ...]:
    """All forms of one word of a name; ``phrase`` says that the name has other words, which makes it safer.

    A word with diacritics also has its forms without them. The word itself is the form with the empty ending.
    """
    folded = fold(word)
    found = _cyrillic(folded, phrase=phrase) if folded[-1] in _CYRILLIC else _latin(word, folded, phrase=phrase)
    plain = [Stem(strip_marks(stem.text), stem.endings) for stem in found]
    return tuple(dict.fromkeys([*found, *plain]))


def exactly(word: str) -> tuple[Stem, ...]:
    """No form but the word itself, with and without its diacritics."""
    folded = fold(word)
    return tuple(Stem(text, BARE) for text in dict.fromkeys([folded, strip_marks(folded)]))


def _words(text: str) -> frozenset[str]:
    """The endings in ``text``, also as typed without diacritics; "-" is the empty one."""
    endings = {"" if word == "-" else word for word in text.split()}
    return frozenset(endings | {strip_marks(ending) for ending in endings})


def _after(prefix: str, endings: Iterable[str]) -> frozenset[str]:
    return frozenset(prefix + ending for ending in endings)


# ------------------------------------------------------------------------------------------------------------ Estonian

_ET_CASES = _words("- sse s st le l lt ks ni na ta ga")  # on the genitive, singular and plural


def _with_gi(endings: Iterable[str]) -> frozenset[str]:
    """With the clitic -gi ("also"), which is -ki after a voiceless sound."""
    endings = frozenset(endings)
    return endings | {ending + ("ki" if ending[-1:] in {"s", "t", "k", "p"} else "gi") for ending in endings}


# After a stem that ends in a vowel: 14 cases of singular and plural.
_ET = _with_gi(_ET_CASES | _words("t d sid") | _after("de", _ET_CASES) | _after("te", _ET_CASES))
_ET_E = _ET - _words("d")  # "focus" has "focuse" but not "focused"
_ET_AFTER_I = _after("i", _ET)
_WEAK = {"p": "b", "t": "d", "k": "g"}


def _estonian_stems(word: str) -> Iterable[Stem]:
    """What changes in ``word`` (folded, ends in a consonant or -ne, four letters or more) before a genitive vowel."""
    head, last = word[:-1], word[-1]
    if last in _WEAK:
        voiced = word[-2] in "lrnm" or (word[-2] in _VOWELS and word[-3] in _VOWELS)
        if voiced:  # Bolt: Boldi, apteek: apteegi; not post: posti
            yield Stem(head + _WEAK[last], Endings(_ET_AFTER_I))
        if word.endswith("nk"):  # pank: panga
            yield Stem(head + "ga", Endings(_ET))
        if word[-2] == last:  # Snapp: Snapi
            yield Stem(head, Endings(_ET_AFTER_I))
    if len(word) > 4 and last == "s" and word[-2] in _VOWELS:  # noqa: PLR2004 -- keskus: keskuse, keskust, keskusse
        yield Stem(word, Endings(_words("t tki se segi") | _after("e", _ET_E)))
    if word.endswith(("ing", "at", "ik")) and len(word) > 4:  # noqa: PLR2004 -- liising: liisingu, raamat: raamatu
        yield Stem(word + "u", Endings(_ET))
    if word.endswith("kond"):  # linnakond: linnakonna
        yield Stem(word[:-1] + "na", Endings(_ET))
    if word.endswith("ne") and len(word) > 5:  # noqa: PLR2004 -- punane: punase, punast
        yield Stem(word[:-2] + "s", Endings(_words("t tki") | _after("e", _ET)))
    if word.endswith("er") and word[-3] in "ptkbdg":  # teater: teatri
        yield Stem(word[:-2] + "ri", Endings(_ET))


# ------------------------------------------------------------------------------------------------------------- Finnish

_FI_CLOSED = _words("n t ssa ssä sta stä lla llä lta ltä lle ksi tta ttä")  # close a syllable: weak grade before them


@cache
def _finnish(vowel: str, *, long: bool) -> frozenset[str]:
    """After a stem that ends in ``vowel``, or in two vowels (``long``). Both harmonies: foreign names waver."""
    open_endings = _words(f"a ä na nä {vowel}n")
    if long or vowel == "e":
        open_endings |= _words(f"ta tä h{vowel}n seen")
    return _fi_clitics(_FI_CLOSED | open_endings)


def _fi_clitics(endings: frozenset[str]) -> frozenset[str]:
    clitics = _words("kin kaan kään ko kö han hän")
    return endings | {ending + clitic for ending in endings | {""} for clitic in clitics}


def _finnish_stems(word: str) -> Iterable[Stem]:
    """What changes in ``word`` (folded, four letters or more) before a Finnish ending."""
    geminate = word[-3] == word[-2] and word[-2] in "kpt"
    if word[-1] in _VOWELS and geminate:  # pankki: pankin
        yield Stem(word[:-2] + word[-1], Endings(_fi_clitics(_FI_CLOSED)))
    if word[-1] in _VOWELS and word[-3:-1] == "nk":  # kaupunki: kaupungin
        yield Stem(word[:-2] + "g" + word[-1], Endings(_fi_clitics(_FI_CLOSED)))
    if len(word) > 4 and word[-1] == "s" and word[-2] in _VOWELS:  # noqa: PLR2004 -- Sokos: Sokoksen, Sokosta
        yield Stem(word[:-1] + "kse", Endings(_finnish("e", long=False)))
        yield Stem(word, Endings(_words("ta tä")))
    if word.endswith("nen"):  # Suominen: Suomisen, Suomista
        yield Stem(word[:-3] + "s", Endings(_words("ta tä") | _after("e", _finnish("e", long=False))))
    if word[-1] == "e":  # Neste: Nesteen
        yield Stem(word + "e", Endings(_FI_CLOSED | _words("seen")))


# ------------------------------------------------------------------------------------------- Latvian, Lithuanian, rest

# On a foreign name that ends in a consonant: masculine, and the feminine -a that banks and shops get.
_BALTIC = _words("a am u ā i iem as ai ām ās ui ą ų")
_BALTIC_SPELLED = _words("o e")  # one letter more makes another English or Italian word of many a name
_BALTIC_FOR = {  # instead of the last letters; the names are as Latvian and Lithuanian brands write themselves
    "a": _words("as ai u ā ām ās os ą oje ų oms omis ose"),
    "as": _words("o ui ą u e ai ų"),
    "is": _words("io iui į iu yje"),
    "us": _words("aus ui ų umi"),
    "ė": _words("ės ei ę ėje ių ėms"),
}
_LATVIAN_E = frozenset({"ē", "ēm", "ēs", "ei"})  # with their diacritics only: "apples" is English
_LATVIAN_E_NATIVE = _words("i u")
_LATVIAN_S = _words("a am u ā")
_GERMANIC = _words("s")
# "maximal", "compensate"; "wisest", "wised", "apples", "applet", Swedish "tiden": words unless written as the name is.
_TE_PLURAL = _with_gi(_after("te", _ET_CASES))
_RISKY_AFTER = {"a": _words("l") | _TE_PLURAL, "e": _words("s st d t l n") | _TE_PLURAL}
# Typed onto a Latin name without a hyphen.
_RUSSIAN_ON_LATIN = _words("а у ом ем е ы и ой ою ей ю я ов ам ами ах і ові ів")


def _baltic_stems(word: str, *, phrase: bool) -> Iterable[Stem]:
    """Endings that replace the last letters of ``word`` (folded, four letters or more)."""
    native = bool(_BALTIC_LETTERS & set(word))
    for last, endings in _BALTIC_FOR.items():
        if word.endswith(last) and (len(word) > 4 or native):  # noqa: PLR2004 -- "Visa" is not Latvian "visu" (all)
            yield Stem(word.removesuffix(last), Endings(endings))
    if word.endswith("e"):
        yield Stem(word[:-1], Endings(_LATVIAN_E | (_LATVIAN_E_NATIVE if native else frozenset())))
    if phrase and word[-1] == "s" and word[-2] not in _VOWELS | {"s"}:  # Latvijas Pasts: Latvijas Pasta
        yield Stem(word[:-1], Endings(_LATVIAN_S))


# ------------------------------------------------------------------------------------------------------------- the sum


def _latin(word: str, folded: str, *, phrase: bool) -> list[Stem]:
    last = strip_marks(folded[-1])
    if not last.isalpha():  # Tele2: Tele2st, Tele2-le
        endings = Endings(_ET | _RUSSIAN_ON_LATIN)
    elif last in _VOWELS:
        long = len(folded) > 1 and strip_marks(folded[-2]) in _VOWELS
        free = _ET | _finnish(last, long=long) | _RUSSIAN_ON_LATIN | (_after("i", _ET) if last == "e" else frozenset())
        risky = _RISKY_AFTER.get(last, frozenset())
        endings = Endings(free - risky, risky)
    else:
        free = _words("- gi ki") | _ET_AFTER_I | _after("i", _finnish("i", long=False)) | _BALTIC | _RUSSIAN_ON_LATIN
        spelled = _BALTIC_SPELLED | (frozenset() if last in {"s", "x", "z"} else _GERMANIC)
        if word.isupper() and len(word) <= 5:  # noqa: PLR2004 -- an abbreviation, read by letters: LHVst, LHVle
            spelled |= {ending for ending in _ET if len(ending) == 1}
            free |= _ET - spelled
        endings = Endings(free - spelled, spelled)
    if len(folded) <= SHORT:
        return [Stem(folded, _shortened(folded, endings))]
    more = [*_finnish_stems(folded), *_baltic_stems(folded, phrase=phrase)]
    if last not in _VOWELS or folded.endswith("ne"):
        more.extend(_estonian_stems(folded))
    return [Stem(folded, endings), *more]


def _shortened(folded: str, endings: Endings) -> Endings:
    """Of a short name only long Estonian and Russian endings are free: "sebist" is SEB, but "opin" is not OP."""
    vowelless = not any(strip_marks(letter) in _VOWELS for letter in folded)
    known = _ET | _ET_AFTER_I | _RUSSIAN_ON_LATIN
    least = 2 if vowelless else 3  # "lhvst" cannot be another word
    free = {ending for ending in endings.free if ending in known and len(ending) >= least and len(folded) == SHORT}
    return Endings(frozenset(free | {""}), (endings.free | endings.spelled) - free - {""})


# ------------------------------------------------------------------------------------------------------------ Cyrillic

_CY_NOUN = _words("а у ом ем е ы и ов ев ей ам ами ах і ові еві ів")
_CY_SOFT = _words("я ю ем ём е и ей ев ям ями ях ью і їв ів єм єві еві")
_CY_HE = _words("ого его ому ему ым им ом ем ім")
_CY_SHE = _words("ой ую ою ей юю ею")
_CY_THEY = _words("ых их ым им ыми ими")
_CY_FOR = {  # instead of the last letters
    "а": _words("ы и е у ой ою ей ею ам ами ах і ої ій"),
    "я": _words("и е ю ей ею ям ями ях ї і й є єю"),
    "ая": _CY_SHE,
    "яя": _CY_SHE,
    "о": _words("а у ом е ам ами ах"),
    "ие": _words("ия ию ием ии") | _CY_THEY,
    "ые": _CY_THEY,
    "ое": _CY_HE,
    "ы": _words("ов ев ам ами ах"),
    "и": _words("ов ев ей ам ами ах ям ями ях ів"),
    "ь": _CY_SOFT,
    "й": _CY_SOFT | _words("ї"),
    "ый": _CY_HE,
    "ий": _CY_HE,
    "ой": _CY_HE,
    # the vowel that falls out (перекрёсток: перекрёстка), and the Ukrainian change before -і (аптека: аптеці)
    "ок": _after("к", _CY_NOUN),
    "ёк": _after("ьк", _CY_NOUN),
    "ек": _after("к", _CY_NOUN) | _after("ьк", _CY_NOUN),
    "ец": _after("ц", _CY_NOUN),
    "ка": _words("ці"),
    "га": _words("зі"),
}
_CY_PHRASE_A = _words("- ов")  # рога и копыта: рогов и копыт
_CY_VOWELS = frozenset("аеёиоуыэюяіїєьй")


def _cyrillic(word: str, *, phrase: bool) -> list[Stem]:
    free = frozenset({""}) if word[-1] in _CY_VOWELS else _CY_NOUN | {""}
    if len(word) <= SHORT:  # МТС, ВТБ: not declined, or after a hyphen
        return [Stem(word, Endings(frozenset({""}), free - {""}))]
    found = [Stem(word, Endings(free))]
    for last, endings in _CY_FOR.items():
        if word.endswith(last) and len(word) - len(last) > 1:
            found.append(Stem(word.removesuffix(last), Endings(endings)))
    if phrase and word[-1] == "а":
        found.append(Stem(word[:-1], Endings(_CY_PHRASE_A)))
    return found
