"""Lists beside a rules file: an entry a line, read leniently where that is unambiguous and refused where it is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lamina.contracts.ids import BLANKS

_QUOTES = ('"', "'", "\u201c\u201d")
LINES_NAMED = 5


def read_list(path: Path, entry_of: Callable[[str], str | None], expected: str) -> frozenset[str]:
    """The entries of the file at `path`.

    Empty lines and what follows a `#` are left out; so are a byte-order mark, quotes around an entry, and a comma or
    semicolon behind it.

    Args: entry_of: what a text means as an entry, or None; expected: what entries are, for the message.

    Raises: OSError: when there is no such file. ValueError: names the lines that are no entries and never repeats one:
    it may be a card number.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValueError(f"{path.name} is not UTF-8: save it as UTF-8") from None
    entries, wrong = set(), []
    for number, line in enumerate(text.splitlines(), start=1):
        bare = _bare(line)
        if not bare:
            continue
        entry = entry_of(bare)
        if entry is None:
            wrong.append(number)
        else:
            entries.add(entry)
    if wrong:
        lines = ", ".join(map(str, wrong[:LINES_NAMED])) + (" and more" if len(wrong) > LINES_NAMED else "")
        raise ValueError(f"{path.name}: {len(wrong)} entries are not {expected}: line {lines}")
    return frozenset(entries)


def _bare(line: str) -> str:
    """A line without what is around its entry.

    >>> _bare('  "card-1", # stolen'), _bare("# lost"), _bare('"card-1')
    ('card-1', '', '"card-1')
    """
    text = line.partition("#")[0].strip(BLANKS + "\t").rstrip(",;").rstrip(BLANKS + "\t")
    for opening in _QUOTES:
        if len(text) > 1 and text[0] == opening[0] and text[-1] == opening[-1]:
            text = text[1:-1].strip(BLANKS)
    return text
