# ruff: noqa: RUF001, RUF002, RUF003 -- Cyrillic letters are what this is about
"""The forms that a name takes in a sentence: case endings, and the changes of the stem before them.

A name is declined like a word of the language that it stands in, whatever its own, so every name gets the endings of
every language of its script: Estonian (14 cases), Finnish, Latvian, Lithuanian and the Germanic -s for Latin names,
Russian and Ukrainian for Cyrillic ones, and Russian endings typed onto Latin names ("Boltом"). The detected language of
a text does not gate them: short texts are misdetected. An ending after a hyphen, an apostrophe or a colon ("LHV-s",
"Bolt’i", "VR:n") needs no rule, since the name stands there as a word of its own.

Only endings are known, not words: "Mart" finds "Martin", where "in" is a Finnish ending. What people often write is in
``FALSE_FRIENDS``; for the rest a brand has exclusions and exact names.

The declensions are those of the standard grammars (Eesti keele käsiraamat, Iso suomen kielioppi, Zaliznyak's of
Russian), kept to what is said of names.
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
turista finalista metal metals maximale maximalt della dello delle mardi marta nestea bingo vissa почти
"""
FALSE_FRIENDS = frozenset(_FALSE_FRIENDS.split())

_VOWELS = frozenset("aeiouyåäöõüéāēīūąęėįųø")
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
_ET_ENDINGS = Endings(_ET)
_ET_ENDINGS_AFTER_I = Endings(_ET_AFTER_I)
_ET_ENDINGS_US = Endings(_words("t tki se segi") | _after("e", _ET_E))
_ET_ENDINGS_NE = Endings(_words("t tki") | _after("e", _ET))
_WEAK = {"p": "b", "t": "d", "k": "g"}


def _estonian_stems(word: str) -> Iterable[Stem]:
    """What changes in ``word`` (folded, ends in a consonant or -ne, four letters or more) before a genitive vowel."""
    head, last = word[:-1], word[-1]
    if last in _WEAK:
        voiced = word[-2] in "lrnm" or (word[-2] in _VOWELS and word[-3] in _VOWELS)
        if voiced:  # Bolt: Boldi, apteek: apteegi; not post: posti
            yield Stem(head + _WEAK[last], _ET_ENDINGS_AFTER_I)
        if word.endswith("nk"):  # pank: panga
            yield Stem(head + "ga", _ET_ENDINGS)
        if word[-2] == last:  # Snapp: Snapi
            yield Stem(head, _ET_ENDINGS_AFTER_I)
    if len(word) > 4 and last == "s" and word[-2] in _VOWELS:  # noqa: PLR2004 -- keskus: keskuse, keskust, keskusse
        yield Stem(word, _ET_ENDINGS_US)
    if word.endswith(("ing", "at", "ik")) and len(word) > 4:  # noqa: PLR2004 -- liising: liisingu, raamat: raamatu
        yield Stem(word + "u", _ET_ENDINGS)
    if word.endswith("kond"):  # linnakond: linnakonna
        yield Stem(word[:-1] + "na", _ET_ENDINGS)
    if word.endswith("ne") and len(word) > 5:  # noqa: PLR2004 -- punane: punase, punast
        yield Stem(word[:-2] + "s", _ET_ENDINGS_NE)
    if word.endswith("er") and word[-3] in "ptkbdg":  # teater: teatri
        yield Stem(word[:-2] + "ri", _ET_ENDINGS)


def _estonian_short(word: str) -> Iterable[Stem]:
    """The short form of "into": maja: majja, Rimi: Rimmi. Of words of two syllables only, and of what is a house."""
    if word[-2] in _VOWELS or word[-3] not in _VOWELS or not word[-2].isalpha():
        return
    voiceless = {voiced: last for last, voiced in _WEAK.items()}.get(word[-2], word[-2])
    if word.endswith("maja") or sum(letter in _VOWELS for letter in word) == 2:  # noqa: PLR2004 -- two syllables
        yield Stem(word[:-2] + 2 * voiceless, Endings(frozenset({word[-1], word[-1] + "gi"})))


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


_FI_WEAK = Endings(_fi_clitics(_FI_CLOSED))
_FI_KSE = Endings(_finnish("e", long=False))
_FI_S = Endings(_words("ta tä"))
_FI_SE = Endings(_words("ta tä") | _after("e", _finnish("e", long=False)))
_FI_EE = Endings(_FI_CLOSED | _words("seen"))


def _finnish_stems(word: str) -> Iterable[Stem]:
    """What changes in ``word`` (folded, four letters or more) before a Finnish ending."""
    geminate = word[-3] == word[-2] and word[-2] in "kpt"
    if word[-1] in _VOWELS and geminate:  # pankki: pankin
        yield Stem(word[:-2] + word[-1], _FI_WEAK)
    if word[-1] in _VOWELS and word[-3:-1] == "nk":  # kaupunki: kaupungin
        yield Stem(word[:-2] + "g" + word[-1], _FI_WEAK)
    if len(word) > 4 and word[-1] == "s" and word[-2] in _VOWELS:  # noqa: PLR2004 -- Sokos: Sokoksen, Sokosta
        yield Stem(word[:-1] + "kse", _FI_KSE)
        yield Stem(word, _FI_S)
    if word.endswith("nen"):  # Suominen: Suomisen, Suomista
        yield Stem(word[:-3] + "s", _FI_SE)
    if word[-1] == "e":  # Neste: Nesteen
        yield Stem(word + "e", _FI_EE)


# ------------------------------------------------------------------------------------------- Latvian, Lithuanian, rest

# On a foreign name that ends in a consonant: masculine, and the feminine -a that banks and shops get.
_BALTIC = _words("a am u ā i iem as ai ām ās ui ą ų")
_BALTIC_SPELLED = _words("o e")  # one letter more makes another English or Italian word of many a name
_BALTIC_FOR = {  # instead of the last letters; the names are as Latvian and Lithuanian brands write themselves
    "a": Endings(_words("as ai u ā ām ās os ą oje ų oms omis ose")),
    "as": Endings(_words("o ui ą u e ai ų")),
    "is": Endings(_words("io iui į iu yje")),
    "us": Endings(_words("aus ui ų umi")),
    "ė": Endings(_words("ės ei ę ėje ių ėms")),
}
_LATVIAN_E = frozenset({"ē", "ēm", "ēs", "ei"})  # with their diacritics only: "apples" is English
_LATVIAN_E_FOREIGN = Endings(_LATVIAN_E)
_LATVIAN_E_NATIVE = Endings(_LATVIAN_E | _words("i u"))
_LATVIAN_I = Endings(frozenset({"ī", "īs"}))  # likewise: Rimi, Rimī
_LATVIAN_S = Endings(_words("a am u ā"))
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
            yield Stem(word.removesuffix(last), endings)
    if word.endswith("e"):
        yield Stem(word[:-1], _LATVIAN_E_NATIVE if native else _LATVIAN_E_FOREIGN)
    if word.endswith("i"):
        yield Stem(word[:-1], _LATVIAN_I)
    if phrase and word[-1] == "s" and word[-2] not in _VOWELS | {"s"}:  # Latvijas Pasts: Latvijas Pasta
        yield Stem(word[:-1], _LATVIAN_S)


# ------------------------------------------------------------------------------------------------------------- the sum


def _latin(word: str, folded: str, *, phrase: bool) -> list[Stem]:
    last, before = folded[-1], folded[-2:-1]
    abbreviation = word.isupper() and len(word) <= 5  # noqa: PLR2004 -- read by letters: LHVst, LHVle
    endings = _after_name(last if last.isalpha() else "", long=before in _VOWELS, abbreviation=abbreviation)
    if len(folded) <= SHORT:
        return [Stem(folded, _shortened(endings, letters=len(folded), vowelless=not _VOWELS & set(folded)))]
    found = [Stem(folded, endings), *_finnish_stems(folded), *_baltic_stems(folded, phrase=phrase)]
    if last not in _VOWELS or folded.endswith("ne"):
        found.extend(_estonian_stems(folded))
    else:
        found.extend(_estonian_short(folded))
    return found


@cache
def _after_name(last: str, *, long: bool, abbreviation: bool) -> Endings:
    """What follows a whole name that ends in the letter ``last``, or in a digit; ``long``: a vowel is before it."""
    if not last:  # Tele2: Tele2st
        return Endings(_ET | _RUSSIAN_ON_LATIN)
    if last in _VOWELS:
        free = _ET | _finnish(last, long=long) | _RUSSIAN_ON_LATIN | (_ET_AFTER_I if last == "e" else frozenset())
        risky = _RISKY_AFTER.get(strip_marks(last), frozenset())
        return Endings(free - risky, risky)
    free = _words("- gi ki") | _ET_AFTER_I | _after("i", _finnish("i", long=False)) | _BALTIC | _RUSSIAN_ON_LATIN
    spelled = _BALTIC_SPELLED | (frozenset() if last in {"s", "x", "z"} else _GERMANIC)
    if abbreviation:
        spelled |= {ending for ending in _ET if len(ending) == 1}
        free |= _ET
    return Endings(free - spelled, spelled)


@cache
def _shortened(endings: Endings, *, letters: int, vowelless: bool) -> Endings:
    """Of a short name only long Estonian and Russian endings are free: "sebist" is SEB, but "opin" is not OP."""
    known = _ET | _ET_AFTER_I | _RUSSIAN_ON_LATIN
    least = 2 if vowelless else 3  # "lhvst" cannot be another word
    free = {ending for ending in endings.free & known if len(ending) >= least and letters == SHORT}
    return Endings(frozenset(free | {""}), endings.all - free - {""})


# ------------------------------------------------------------------------------------------------------------ Cyrillic

_CY_NOUN = _words("а у ом ем е ы и ов ев ей ам ами ах і ові еві ів")
_CY_SOFT = _words("я ю ем ём е и ей ев ям ями ях ью і їв ів єм єві еві")
_CY_HE = _words("ого его ому ему ым им ом ем ім")
_CY_SHE = _words("ой ую ою ей юю ею")
_CY_THEY = _words("ых их ым им ыми ими")
_CY_FOR = {  # instead of the last letters
    "а": Endings(_words("ы и е у ой ою ей ею ам ами ах і ої ій")),
    "я": Endings(_words("и е ю ей ею ям ями ях ї і й є єю")),
    "ая": Endings(_CY_SHE),
    "яя": Endings(_CY_SHE),
    "о": Endings(_words("а у ом е ам ами ах")),
    "ие": Endings(_words("ия ию ием ии") | _CY_THEY),
    "ые": Endings(_CY_THEY),
    "ое": Endings(_CY_HE),
    "ы": Endings(_words("ов ев ам ами ах")),
    "и": Endings(_words("ов ев ей ам ами ах ям ями ях ів")),
    "ь": Endings(_CY_SOFT),
    "й": Endings(_CY_SOFT | _words("ї")),
    "ый": Endings(_CY_HE),
    "ий": Endings(_CY_HE),
    "ой": Endings(_CY_HE),
    # the vowel that falls out (перекрёсток: перекрёстка), and the Ukrainian change before -і (аптека: аптеці)
    "ок": Endings(_after("к", _CY_NOUN)),
    "ёк": Endings(_after("ьк", _CY_NOUN)),
    "ек": Endings(_after("к", _CY_NOUN) | _after("ьк", _CY_NOUN)),
    "ец": Endings(_after("ц", _CY_NOUN)),
    "ка": Endings(_words("ці")),
    "га": Endings(_words("зі")),
}
_CY_PHRASE_A = Endings(_words("- ов"))  # рога и копыта: рогов и копыт
_CY_VOWELS = frozenset("аеёиоуыэюяіїєьй")


_CY_AFTER_CONSONANT = Endings(_CY_NOUN | {""})
_CY_ABBREVIATION = Endings(frozenset({""}), _CY_NOUN)  # МТС, ВТБ: declined, if at all, after a hyphen or in capitals


def _cyrillic(word: str, *, phrase: bool) -> list[Stem]:
    if len(word) <= SHORT:
        return [Stem(word, _CY_ABBREVIATION)]
    found = [Stem(word, BARE if word[-1] in _CY_VOWELS else _CY_AFTER_CONSONANT)]
    for last, endings in _CY_FOR.items():
        if word.endswith(last) and len(word) - len(last) > 1:
            found.append(Stem(word.removesuffix(last), endings))
    if phrase and word[-1] == "а":
        found.append(Stem(word[:-1], _CY_PHRASE_A))
    return found
