"""Which messages keep the contract of their topic, as conditions in SQL: the same that the contract itself keeps.

Two kinds of conditions. What can be said of the text of a message (its fields, their types, lengths and alphabets) is
asked once, as column `FITS`: it costs the most, although nearly every message fits at first sight. What needs a number
or two fields is asked of columns (`of_values`). Why a message does not fit is looked for only then.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from jobs.flink.forms import CARD_NUMBER, HALF_PAIR, UUID, Form, Forms
from lamina.catalog import CONTRACTS
from lamina.contracts.epoch import MAX_TIMESTAMP_MS, MIN_TIMESTAMP_MS
from lamina.contracts.features import ColumnType, EventSource

LONGEST_TEXT = 128
FITS = "_fits"
MESSAGE = "CAST(`message` AS STRING)"
_SQL_TYPE: dict[ColumnType, str] = {"string": "STRING", "double": "DOUBLE", "long": "BIGINT", "boolean": "BOOLEAN"}


def literal(value: str) -> str:
    """A text as SQL writes it."""
    return "'" + value.replace("'", "''") + "'"


def quoted(column: str) -> str:
    """A column's name as SQL writes it, without the dots of nested ones.

    >>> quoted("location.lat")
    '`location__lat`'
    """
    return f"`{column.replace('.', '__')}`"


def extracted(source: EventSource, column: str) -> str:
    """The expression of a column's value; it reads the whole message."""
    found, kind = _value(column), source.columns[column]
    return found if kind == "string" else f"TRY_CAST({found} AS {_SQL_TYPE[kind]})"


def _value(path: str) -> str:
    return f"JSON_VALUE({MESSAGE}, {literal('lax $.' + path)})"


def asked_columns(source: EventSource) -> set[str]:
    """Those that `of_values` asks about."""
    numbers = {name for name, kind in source.columns.items() if kind != "string"}
    return numbers | {name for pair in _belonging(source) for name in pair[:2]}


def fits(source: EventSource) -> str:
    """The expression of column `FITS`."""
    forms = _forms(source.topic)
    asked = [*_of_bytes(), *(_of_tokens(forms) if forms else _of_texts(source))]
    kept = [f"({condition}) IS NOT TRUE" for condition, _ in asked]
    if forms is None:
        return " AND ".join(kept)
    return f"REGEXP({MESSAGE}, {literal(forms.written)}) OR (({_form(forms)}) AND {' AND '.join(kept)})"


def problems(source: EventSource) -> list[tuple[str, str]]:
    """Conditions under which an event breaks its contract, each with the expression of the reason: those of `of_values`
    and others, which hold for nothing that `FITS`.
    """
    forms = _forms(source.topic)
    found = [*_of_texts(source), *_of_bytes(), *(_of_tokens(forms) if forms else ())]
    unfit = [(f"`{FITS}` IS NOT TRUE AND ({condition})", literal(reason)) for condition, reason in found]
    wrong = literal("(whole event)")
    if forms is not None:
        wrong = f"COALESCE(REGEXP_EXTRACT({_rewritten(forms)}, {literal(forms.wrong)}, 0), {wrong})"
    other = (f"`{FITS}` IS NOT TRUE", f"'' || {wrong} || ': of another type or form than the contract has'")
    return [*unfit, *((condition, literal(reason)) for condition, reason in of_values(source)), other]


def of_values(source: EventSource) -> list[tuple[str, str]]:
    """Conditions on columns under which an event breaks its contract although it `FITS`, each with the reason."""
    at, forms = source.timestamp, _forms(source.topic)
    found = [
        (f"{quoted(n)} IS NULL", f"{n}: missing, or not a {k}")
        for n, k in source.columns.items()
        if k != "string" and source.is_required(n)
    ]
    found.append(
        (f"{quoted(at)} NOT BETWEEN {MIN_TIMESTAMP_MS} AND {MAX_TIMESTAMP_MS}", f"{at}: not epoch milliseconds")
    )
    # NaN and infinity. An inequality would not do: Flink turns NOT (x < y) into x >= y, and NaN passes both.
    found += [
        (f"{quoted(n)} - {quoted(n)} <> 0", f"{n}: not a finite number")
        for n, k in source.columns.items()
        if k == "double"
    ]
    for name, form in _leaves(forms.fields) if forms else ():
        low, high = form.schema.get("minimum"), form.schema.get("maximum")
        if name in source.columns and name != at and low is not None and high is not None:
            found.append((f"{quoted(name)} NOT BETWEEN {low} AND {high}", f"{name}: not between {low} and {high}"))
    for name, other, value in _belonging(source):
        belongs = f"({quoted(other)} = {literal(value)}) <> ({quoted(name)} IS NOT NULL)"
        found.append((belongs, f"{name}: belongs to a {value}, and only to one"))
    return found


def _of_texts(source: EventSource) -> list[tuple[str, str]]:
    """What a text may break, whatever the contract says beside. Of a message each is read anew: seldom asked."""
    texts = {n: extracted(source, n) for n, k in source.columns.items() if k == "string" and "." not in n}
    found = [(f"{c} IS NULL", f"{n}: missing, or not a string") for n, c in texts.items() if source.is_required(n)]
    found += [
        (f"CHAR_LENGTH({c}) NOT BETWEEN 1 AND {LONGEST_TEXT}", f"{n}: not of 1 to {LONGEST_TEXT} characters")
        for n, c in texts.items()
    ]
    # Control characters separate the parts of a stored tile; U+FFFD stands for what could not be decoded.
    written = ", ".join(c if source.is_required(n) else f"COALESCE({c}, '')" for n, c in texts.items())
    broken = f"REGEXP(CONCAT({written}), '[\\x00-\\x1f\\x7f\\x{{FFFD}}]')"
    return [*found, (broken, "a text holds a control character, or is not UTF-8")]


def _of_bytes() -> list[tuple[str, str]]:
    """In fields that are no columns, too: decoding replaces what it cannot read."""
    return [
        (f"CAST({MESSAGE} AS BYTES) <> `message`", "(whole event): is not UTF-8"),
        (f"REGEXP({MESSAGE}, {literal(HALF_PAIR)})", "(whole event): holds half of a surrogate pair"),
    ]


def _of_tokens(forms: Forms) -> Iterator[tuple[str, str]]:
    for token in forms.tokens:
        alone = f"REGEXP_REPLACE({_value(token.name)}, {literal(UUID)}, 'x')"
        yield f"REGEXP({alone}, {literal(CARD_NUMBER)})", f"{token.name}: looks like a card number"


def _form(forms: Forms) -> str:
    """Whether the fields are those of the contract, of its types, lengths and alphabets."""
    text = _rewritten(forms)
    found = f"REGEXP({text}, {literal(forms.exact)})"
    if forms.objects:
        # An object with fields that this version does not know.
        parts = " AND ".join(
            f"REGEXP(JSON_QUERY({MESSAGE}, {_members(f'$.{o.name}', o.parts)}), {literal(_alone(o))})"
            for o in forms.objects
        )
        found = f"{found} OR (REGEXP({text}, {literal(forms.loose)}) AND {parts})"
    return found


def _rewritten(forms: Forms) -> str:
    """The fields of the contract as `jobs.flink.forms` expects them; NULL of what is not one JSON object.

    Around the message stands an object, so that nothing can stand behind it.
    """
    return f"JSON_QUERY(CONCAT('{{\"m\":', {MESSAGE}, '}}'), {_members('$.m', forms.ordered)})"


def _belonging(source: EventSource) -> list[tuple[str, str, str]]:
    """Of each field that an event has if another one has a certain value: its name, the other's, the value."""
    contract = CONTRACTS.get(source.topic)
    told = contract.only_with.items() if contract else ()
    return [(name, other, value) for name, (other, value) in told if {name, other} <= source.columns.keys()]


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
