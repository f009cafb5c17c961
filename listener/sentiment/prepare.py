"""A text as the bundled model was trained to read it. Pure, and linear in the text's length, whatever it holds.

Names of users, addresses and mailboxes say nothing of a customer's experience, and a model must not learn who wrote:
they are ``@user``, ``http`` and ``email`` in the training texts, so they are here.
"""

import html
import re
import unicodedata

# One pass, and every alternative is bounded: no input makes it go back over more than a few hundred characters. The
# mailbox comes first, since its part behind the @ looks like a user; it begins where a word does, or each of its
# letters would be tried as a beginning.
_IMPERSONAL = re.compile(
    r"(?P<email>(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,4})"
    r"|(?P<http>(?<!\w)(?:https?://|www\.)[^\s<>\"]{1,2048})"
    r"|(?P<user>(?<![\w@])@\w{1,64})",
    re.IGNORECASE,
)
_REPLACED = {"email": "email", "http": "http", "user": "@user"}
# Entities and tags that the normaliser of mentions has left, or that came with a text from elsewhere.
_ENTITY = re.compile(r"&(?:[a-z]{2,8}|#\d{1,7}|#x[0-9a-f]{1,6});", re.IGNORECASE)
_TAG = re.compile(
    r"</?(?:a|b|i|u|p|em|br|hr|li|ol|ul|div|img|span|font|strong|blockquote)(?:\s[^<>]{0,512})?/?>", re.IGNORECASE
)
_APOSTROPHE = ("\u02bc", "\u2019")  # the letter that Unicode has for Ukrainian, and the sign that people type
_TRAILING = ".,;:!?)]}'…»”"  # ends the sentence, not the address


def prepared(text: str) -> str:
    """``text`` without rests of HTML, control characters and names, its spaces single.

    Direction marks and other invisible characters of format go too, but for the joiner that holds an emoji together.
    """
    plain = _TAG.sub(" ", _ENTITY.sub(lambda found: html.unescape(found[0]), text)).replace(*_APOSTROPHE)
    visible = "".join(map(_visible, plain))
    return " ".join(_IMPERSONAL.sub(_impersonal, visible).split())


def _visible(char: str) -> str:
    """The character, a space for a control, nothing for an invisible one."""
    if char.isascii():
        return char if " " <= char <= "~" else " "
    kind = unicodedata.category(char)
    if kind == "Cf" and char != "\u200d":
        return ""
    return " " if kind in {"Cc", "Cn", "Co"} else char


def _impersonal(found: re.Match[str]) -> str:
    kind = found.lastgroup or ""
    written = found[0]
    rest = written[len(written.rstrip(_TRAILING)) :] if kind == "http" else ""
    return _REPLACED[kind] + rest
