"""Which messages keep the contract of their topic, as conditions in SQL: the same that the contract itself keeps."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from jobs.flink.forms import CARD_NUMBER, HALF_PAIR, UUID, Form, Forms
from lamina.contracts.base import TOKEN
from lamina.contracts.by_topic import CONTRACTS
from lamina.contracts.epoch import MAX_TIMESTAMP_MS, MIN_TIMESTAMP_MS
from lamina.contracts.features import EventSource

LONGEST_TEXT = 128
CHECKED = "_json"
"""Column with the fields of the contract as `jobs.flink.forms` expects them; NULL of what is not one JSON object."""
MESSAGE = "CAST(`message` AS STRING)"


def literal(value: str) -> str:
    """A text as SQL writes it."""
    return "'" + value.replace("'", "''") + "'"


def quoted(column: str) -> str:
    """A column's name as SQL writes it, without the dots of nested ones.

    >>> quoted("location.lat")
    '`location__lat`'
    """
    return f"`{column.replace('.', '__')}`"


def checked(source: EventSource) -> str:
    """The expression of column `CHECKED`. Around the message stands an object, so that nothing can stand behind it."""
    forms = _forms(source.topic)
    if forms is None:
        return "CAST(NULL AS STRING)"
    return f"JSON_QUERY(CONCAT('{{\"m\":', {MESSAGE}, '}}'), {_members('$.m', forms.ordered)})"


def problems(source: EventSource) -> list[tuple[str, str]]:
    """Conditions under which an event breaks its contract, each with the expression of the reason."""
    return [*((c, literal(reason)) for c, reason in _of_columns(source)), *_of_forms(source)]


def _of_columns(source: EventSource) -> list[tuple[str, str]]:
    required = {n: k for n, k in source.columns.items() if source.is_required(n)}
    texts = [quoted(n) for n, k in source.columns.items() if k == "string" and "." not in n]
    written = [c if c.strip("`") in required else f"COALESCE({c}, '')" for c in texts]
    at = quoted(source.timestamp)
    found = [(f"{quoted(n)} IS NULL", f"{n}: missing, or not a {k}") for n, k in required.items()]
    found += [
        (f"CHAR_LENGTH({c}) NOT BETWEEN 1 AND {LONGEST_TEXT}", f"{c.strip('`')}: not of 1 to {LONGEST_TEXT} characters")
        for c in texts
    ]
    found.append(
        (f"{at} NOT BETWEEN {MIN_TIMESTAMP_MS} AND {MAX_TIMESTAMP_MS}", f"{source.timestamp}: not epoch milliseconds")
    )
    # NaN and infinity. An inequality would not do: Flink turns NOT (x < y) into x >= y, and NaN passes both.
    found += [
        (f"{quoted(n)} - {quoted(n)} <> 0", f"{n}: not a finite number")
        for n, k in source.columns.items()
        if k == "double"
    ]
    # Control characters separate the parts of a stored tile; U+FFFD stands for what could not be decoded.
    found.append(
        (
            f"REGEXP(CONCAT({', '.join(written)}), '[\\x00-\\x1f\\x7f\\x{{FFFD}}]')",
            "a text holds a control character, or is not UTF-8",
        )
    )
    # In fields that are no columns, too: decoding replaces what it cannot read.
    found.append((f"CAST({MESSAGE} AS BYTES) <> `message`", "(whole event): is not UTF-8"))
    found.append(
        (
            f"POSITION('\\u' IN {MESSAGE}) > 0 AND REGEXP({MESSAGE}, {literal(HALF_PAIR)})",
            "(whole event): holds half of a surrogate pair",
        )
    )
    return found


def _of_forms(source: EventSource) -> Iterator[tuple[str, str]]:
    forms = _forms(source.topic)
    if forms is None:
        return
    for name, form in _leaves(forms.fields):
        if name in source.columns:
            yield from _of_form(quoted(name), name, form)
    for name, (other, value) in CONTRACTS[source.topic].only_with.items():
        if {name, other} <= source.columns.keys():
            yield (
                f"({quoted(other)} = {literal(value)}) <> ({quoted(name)} IS NOT NULL)",
                literal(f"{name}: belongs to a {value}, and only to one"),
            )
    fits = f"REGEXP(`{CHECKED}`, {literal(forms.exact)})"
    if forms.objects:
        # Seldom: an object with fields that this version does not know.
        parts = " AND ".join(
            f"REGEXP(JSON_QUERY({MESSAGE}, {_members(f'$.{o.name}', o.parts)}), {literal(_alone(o))})"
            for o in forms.objects
        )
        fits = f"{fits} OR (REGEXP(`{CHECKED}`, {literal(forms.loose)}) AND {parts})"
    wrong = f"COALESCE(REGEXP_EXTRACT(`{CHECKED}`, {literal(forms.wrong)}, 0), '(whole event)')"
    yield f"({fits}) IS NOT TRUE", f"'' || {wrong} || ': of another type or form than the contract has'"


def _of_form(column: str, name: str, form: Form) -> Iterator[tuple[str, str]]:
    low, high = form.schema.get("minimum"), form.schema.get("maximum")
    if low is not None and high is not None:
        yield f"{column} NOT BETWEEN {low} AND {high}", literal(f"{name}: not between {low} and {high}")
    if form.schema.get("format") == TOKEN:
        alone = f"REGEXP_REPLACE({column}, {literal(UUID)}, 'x')"
        yield f"REGEXP({alone}, {literal(CARD_NUMBER)})", literal(f"{name}: looks like a card number")


def _leaves(forms: tuple[Form, ...], path: str = "") -> Iterator[tuple[str, Form]]:
    for form in forms:
        if form.parts:
            yield from _leaves(form.parts, f"{path}{form.name}.")
        else:
            yield path + form.name, form


def _members(path: str, forms: tuple[Form, ...]) -> str:
    return literal(f"lax {path}[{','.join(repr(f.name) for f in forms)}]")


def _alone(form: Form) -> str:
    return rf"\A{form.value}\z"


@lru_cache
def _forms(topic: str) -> Forms | None:
    """The fields of a topic's contract; None of a topic without one."""
    return Forms.of(CONTRACTS[topic]) if topic in CONTRACTS else None
