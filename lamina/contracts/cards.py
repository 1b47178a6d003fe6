"""Card numbers (PANs): how they are found in text, and how text is shown without them.

A card number must be nowhere in lamina: not as a token, not as an id, not in a message. It has 12 to 19 digits, the
first of them those of a network, and the last makes the Luhn sum right.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

SEPARATORS = "[ \u00a0\\-_./]{0,3}"
"""What people write between the groups of a card number."""
RUN = rf"[0-9](?:{SEPARATORS}[0-9]){{11,}}"
"""Twelve digits or more with separators, or without."""
UNSEEN = (
    "\u00ad\u034f\u061c\u1680\u180e\u2000-\u200f\u202a-\u202f\u205f-\u2064\u2066-\u206f\u3000\ufe00-\ufe0f\ufeff"
    "\u2010-\u2015\u2043\u2212\ufe58\ufe63\uff0d\uff0e\uff0f\uff3f"
)
"""More separators, for a set of characters in a pattern: blanks of all widths, none among them, and other dashes."""
SHORTEST, LONGEST = 12, 19
SHOWN = 4  # trailing digits, as on a receipt

STARRED = "card numbers starred: "
"""Begins what is kept of a message that holds a card number: it is no JSON, and nobody takes the stars for an id."""

IS_CARD_NUMBER = "looks like a card number: send the token that stands for it"

_ASCII_RUN = re.compile(RUN)
# Digits of all scripts, such as those of full width.
_ANY_RUN = re.compile(rf"\d(?:[ \u00a0\-_./{UNSEEN}]{{0,3}}\d){{11,}}")
# Nothing but groups of digits, whatever stands between them: `4000|0012|3456|7899`.
_GROUPS = re.compile(r"[^\w.]*\d{2,8}(?:[^\w.]{1,3}\d{2,8}){1,5}[^\w.]*")
_DIGITS, _NO_DIGIT = re.compile(r"\d+"), re.compile(r"[^0-9]")
# A number with decimals, such as a latitude; a card number that became a float has all its digits before the point.
_DECIMAL = re.compile(r"[0-9]{1,11}\.[0-9]+")
_UUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
# Letters glued to digits, as in `card4000...` and `4000...EUR`: hexadecimal digits of a hash mix both, too. So they do
# no harm where a word begins with them, or where one of them is no hexadecimal digit.
_WORD_BEFORE, _WORD_AFTER = re.compile(r"[A-Za-z]*([0-9A-Za-z]*)\Z"), re.compile(r"[^\W_]*")
_HEXADECIMAL = re.compile(r"[0-9A-Fa-f]*")
# First digits by network (ISO/IEC 7812): Visa, Mastercard, American Express, Diners, Discover, JCB, UnionPay, Maestro,
# RuPay, Mir, Troy, Elo and Dankort lie in these, with the lengths that they issue.
_NETWORKS: tuple[tuple[int, int, frozenset[int]], ...] = (
    (400000, 499999, frozenset((13, 16, 18, 19))),
    (510000, 559999, frozenset((16,))),
    (222100, 272099, frozenset((16,))),
    (220000, 220499, frozenset(range(16, 20))),
    (340000, 349999, frozenset((15,))),
    (370000, 379999, frozenset((15,))),
    (300000, 305999, frozenset(range(14, 20))),
    (309500, 309599, frozenset(range(14, 20))),
    (360000, 369999, frozenset(range(14, 20))),
    (380000, 399999, frozenset(range(14, 20))),
    (352800, 358999, frozenset(range(16, 20))),
    (601100, 601199, frozenset(range(16, 20))),
    (620000, 629999, frozenset(range(16, 20))),
    (640000, 659999, frozenset(range(16, 20))),
    (810000, 829999, frozenset(range(16, 20))),
    (979200, 979299, frozenset((16,))),
    (500000, 509999, frozenset(range(12, 20))),
    (560000, 589999, frozenset(range(12, 20))),
    (600000, 699999, frozenset(range(12, 20))),
)


def holds_card_number(token: str) -> bool:
    """Whether `token` holds 12 to 19 digits in a row, with separators, something before or behind, or neither.

    UUIDs and hashes in hexadecimal digits are none, whatever digits they happen to have.

    >>> holds_card_number("card-4000-0012-3456-7899"), holds_card_number("card-83e1204c97a1b02c55d0e1f4")
    (True, False)
    """
    return bool(_numbers_in(token))


def is_card_like(text: str) -> bool:
    """Whether `text` holds what is a card number by length, first digits and Luhn sum.

    >>> is_card_like("customer-4000001234567899"), is_card_like("4000001234567898")
    (True, False)
    """
    if len(text) < SHORTEST:
        return False
    return any(_has_all_marks(digits) for digits in _numbers_in(text)) or _is_grouped(text)


def _is_grouped(text: str) -> bool:
    return len(text) > SHORTEST and _GROUPS.fullmatch(text) is not None and _has_all_marks(_digits(text))


def _has_all_marks(digits: str) -> bool:
    return SHORTEST <= len(digits) <= LONGEST and _from_network(digits) and luhn_holds(digits)


def _run(text: str) -> re.Pattern[str]:
    return _ASCII_RUN if text.isascii() else _ANY_RUN


def _digits(text: str) -> str:
    """The digits of `text`, as those of ASCII.

    >>> _digits("4-\uff17 \u0667")
    '477'
    """
    if text.isascii():
        return _NO_DIGIT.sub("", text)
    return "".join(str(int(c)) for c in text if c.isdecimal())


def _numbers_in(text: str) -> list[str]:
    runs = _run(text)
    if runs.search(text) is None:
        return []
    text = _UUID.sub("x", text)
    found = []
    for run in runs.finditer(text):
        if _DECIMAL.fullmatch(run[0]):
            continue
        # The whole of it, or one group where dates and counters stand beside the number.
        for part in (run, *_DIGITS.finditer(text, run.start(), run.end())):
            digits = _digits(part[0])
            if SHORTEST <= len(digits) <= LONGEST and _stands_alone(text, part.start(), part.end()):
                found.append(digits)
    return found


def _stands_alone(text: str, start: int, end: int) -> bool:
    before, after = _WORD_BEFORE.search(text, 0, start), _WORD_AFTER.match(text, end)
    glued = (before[1] if before else "") + (after[0] if after else "")
    return not glued or _HEXADECIMAL.fullmatch(glued) is None


def _from_network(digits: str) -> bool:
    first = int(digits[:6])
    return any(low <= first <= high and len(digits) in lengths for low, high, lengths in _NETWORKS)


def luhn_holds(digits: str) -> bool:
    """Whether the last of `digits` is the check digit of the others (ISO/IEC 7812).

    >>> luhn_holds("4111111111111111"), luhn_holds("4111111111111112")
    (True, False)
    """
    doubled = (sum(divmod(2 * int(d), 10)) for d in digits[-2::-2])
    return (sum(doubled) + sum(int(d) for d in digits[-1::-2])) % 10 == 0


def without_separators(text: str) -> str:
    """A card number as its digits alone, so that all its spellings are hashed alike; other text as it is.

    Spreadsheets write `'4000...` and `="4000..."` for numbers that are to stay text.

    >>> without_separators("4000 0012-3456 7899"), without_separators("'4000001234567899"), without_separators("card 7")
    ('4000001234567899', '4000001234567899', 'card 7')
    """
    bare = text.strip("='\"`")
    if _run(bare).fullmatch(bare):
        digits = _digits(bare)
        if len(digits) <= LONGEST:
            return digits
    return text


def starred(text: str) -> str:
    """`text` with every run of 12 to 19 digits, separators and all, starred but for the last four.

    >>> starred("paid with 4546 9135.3678-5083")
    'paid with ***************5083'
    """
    return _starred(text) if _is_grouped(text) else _run(text).sub(_stars, text)


def _stars(found: re.Match[str]) -> str:
    run = found[0]
    if _DECIMAL.fullmatch(run):
        return run
    if sum(c.isdecimal() for c in run) <= LONGEST:
        return _starred(run)
    # Longer than a card number: those of its groups that are one.
    return _DIGITS.sub(lambda group: _starred(group[0]) if SHORTEST <= len(group[0]) <= LONGEST else group[0], run)


def _starred(run: str) -> str:
    return "*" * (len(run) - SHOWN) + run[-SHOWN:]


def mostly_cards(texts: Iterable[str]) -> bool:
    """Whether more than half of `texts` are card-like; of nothing, no.

    >>> mostly_cards(["4000001234567899", "4000001234567898"])
    False
    """
    found = [is_card_like(text) for text in texts]
    return sum(found) * 2 > len(found)
