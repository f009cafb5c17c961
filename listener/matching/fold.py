"""The form in which words are compared: case is folded, and marks can be taken off."""

import unicodedata

# Letters whose mark customers do leave out but that Unicode does not take apart.
_UNMARKED = str.maketrans("øłđıæœðþ", "oldiaodt")
_LETTERS_OF_THEIR_OWN = "йїў"  # a Cyrillic keyboard has them: nobody leaves these marks out


def fold(text: str) -> str:
    """``text`` without case and width: "BOLT" and its full-width letters to "bolt", "ß" to "ss"."""
    if text.isascii():
        return text.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", text).casefold())


def strip_marks(folded: str) -> str:
    """``folded`` as typed without its marks: "täre" to "tare", "paštas" to "pastas", "рублёв" to "рублев"."""
    if folded.isascii():
        return folded
    parts = (char if char in _LETTERS_OF_THEIR_OWN else unicodedata.normalize("NFD", char)[0] for char in folded)
    return "".join(parts).translate(_UNMARKED)
