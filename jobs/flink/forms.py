"""What a contract asks of each field, as patterns over the JSON of an event: what the stream checks beside columns.

A message that is written as the contract writes it, as nearly all are, is told by one pattern (`Forms.written`). Any
other is written anew by `JSON_QUERY` with the contract's fields alone, in the order of their names and without blanks.
Then one pattern says whether types, lengths, alphabets and choices are those of the contract; another finds the field
that is not so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lamina.contracts.base import ID, TOKEN, Event
from lamina.contracts.cards import LONGEST, SHORTEST
from lamina.contracts.ids import BLANKS, NOTHING, SCIENTIFIC, WHOLE
from lamina.errors import DefinitionError

WHOLE_NUMBER = "-?(?:0|[1-9][0-9]*)"
NUMBER = rf"{WHOLE_NUMBER}(?:\.[0-9]+)?(?:[eE][+\-]?[0-9]+)?"
"""A number as JSON writes it; its value is checked beside."""
PLAIN = r'[^"\\\x00-\x1f\x7f\uFFFD]'
CHARACTER = rf'(?:{PLAIN}|\\["\\])'
"""One character of a text: no control character, none that stands for what could not be read."""
HALF_PAIR = (
    r"(?<!\\)(?:\\\\)*+(?:\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    r"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F])"
)
"""Half of a surrogate pair, escaped: no text of UTF-8."""

UUID = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_ALONE = "(?<![0-9])(?<![0-9][-_])(?<![0-9][-_]{2})(?<![0-9][-_]{3})"
_BEGINS = f"(?<![0-9A-Za-z])(?:[A-Za-z]+|{_ALONE})"
_NUMBER = f"[0-9](?:[-_]{{0,3}}[0-9]){{{SHORTEST - 1},{LONGEST - 1}}}(?![-_]{{0,3}}[0-9])"
_GROUP = f"[0-9]{{{SHORTEST},{LONGEST}}}(?![0-9])"
_NO_HASH = "[0-9A-Za-z]*[g-zG-Z]"
CARD_NUMBER = (
    f"{_BEGINS}{_NUMBER}(?![0-9A-Za-z])|(?<![0-9A-Za-z])[A-Za-z]*{_GROUP}(?![A-Za-z])|{_ALONE}{_NUMBER}(?={_NO_HASH})"
    f"|(?<![0-9A-Za-z])[A-Za-z]*(?=[0-9]{_NO_HASH})[0-9A-Za-z]*?(?:{_ALONE}{_NUMBER}|(?<![0-9]){_GROUP})"
)
"""What `lamina.contracts.cards.holds_card_number` finds in a token, of whose alphabet two are separators."""
DIGITS = f"[0-9](?:[-_]{{0,3}}[0-9]){{{SHORTEST - 1}}}"
"""What every card number has, and few tokens."""


@dataclass(frozen=True)
class Form:
    """One field of a contract: `schema` is that of its type in JSON Schema, `parts` those of an object's fields."""

    name: str
    schema: Mapping[str, Any]
    optional: bool
    nullable: bool
    parts: tuple[Form, ...] = ()

    @property
    def value(self) -> str:
        """The pattern of its value."""
        if self.parts:
            return r"\{" + ",".join(f'"{p.name}":{p.value}' for p in self.parts) + r"\}"
        if self.type == "array":
            return self._or_null(self._list)
        return self._or_null(
            {"number": NUMBER, "integer": WHOLE_NUMBER, "boolean": "(?:true|false)"}.get(self.type) or self._text
        )

    @property
    def type(self) -> str:
        """Its type, as JSON Schema names it."""
        return str(self.schema["type"])

    @property
    def exact(self) -> str:
        """The pattern of its value where it may be null, too."""
        return self._or_null(self.value) if self.parts else self.value

    @property
    def certain(self) -> str:
        """The same, of values about which nothing else is to be asked."""
        return f'(?!"[^"]*{DIGITS}){self.exact}' if self.is_token else self.exact

    @property
    def is_token(self) -> bool:
        """Whether it stands for a card."""
        return self.schema.get("format") == TOKEN

    @property
    def anything(self) -> str:
        """The pattern of a value whose parts are looked at beside."""
        return self._or_null(r"\{[\s\S]*\}" if self.parts else self.value)

    @property
    def begun(self) -> str:
        """The pattern of its value and what follows it, of an object no more than where it begins: that it ends is
        known, and looking for the end again at each of many objects would take for ever.
        """
        if not self.parts:
            return f"{self.anything}[,}}]"
        return r"(?:null[,}]|\{)" if self.nullable else r"\{"

    @property
    def _list(self) -> str:
        if self.schema["items"].get("type") in (None, "array", "object"):
            raise DefinitionError(
                f"{self.name}: a list of what is no text, number or truth value: the stream cannot check it. Make it a "
                "list of those, or keep it out of a topic that features read"
            )
        item = Form(self.name, self.schema["items"], optional=False, nullable=False).value
        least, most = self.schema.get("minItems", 0), self.schema.get("maxItems", "")
        more = f"(?:,{item}){{{max(least - 1, 0)},{most and most - 1}}}+"
        return rf"\[{item}{more}\]" if least else rf"\[(?:{item}{more})?\]"

    def _or_null(self, pattern: str) -> str:
        return f"(?:null|{pattern})" if self.nullable else pattern

    @property
    def _text(self) -> str:
        if "enum" in self.schema:
            return f'"(?:{"|".join(re.escape(_in_json(v)) for v in self.schema["enum"])})"'
        if "const" in self.schema:
            return f'"{re.escape(_in_json(self.schema["const"]))}"'
        shortest, longest = self.schema.get("minLength", 0), self.schema.get("maxLength", "")
        own = self.schema.get("pattern", "")
        nothing = f'(?i:{"|".join(re.escape(_in_json(word)) for word in sorted(NOTHING))})"'
        if self.is_token:
            return f'"(?!{nothing}){own[1:-1].removesuffix("+")}{{{shortest},{longest}}}"'
        if re.fullmatch(r"\^\[[A-Za-z0-9-]+\]\{\d+\}\$", own):
            return f'"{own[1:-1]}"'
        if self.schema.get("format") == ID:
            blank = f"[{''.join(map(_escaped, BLANKS))}]"
            return f'"(?!{blank}|{nothing}|{WHOLE}"|{SCIENTIFIC}"){_run(shortest, longest)}(?<!{blank})"'
        return f'"{_run(shortest, longest)}"'


@dataclass(frozen=True)
class Forms:
    """The fields of a contract."""

    fields: tuple[Form, ...]

    @classmethod
    def of(cls, contract: type[Event]) -> Forms:
        """Those of `contract`."""
        schema = contract.model_json_schema()
        return cls(_forms(schema, schema.get("$defs", {})))

    @cached_property
    def ordered(self) -> tuple[Form, ...]:
        """The fields as the patterns expect them, by name."""
        return tuple(sorted(self.fields, key=lambda f: f.name))

    @property
    def written(self) -> str:
        """The pattern of a message as the contract writes it: its fields and no others, in order, without blanks. It
        keeps the contract as far as patterns can say, and its tokens have too few digits for a card number.
        """
        return _pattern(self.fields, lambda f: f.certain)

    @property
    def exact(self) -> str:
        """The pattern of the fields, by name, of an event that keeps the contract, and whose objects have no fields but
        their own, in order.
        """
        return _pattern(self.ordered, lambda f: f.exact)

    @property
    def loose(self) -> str:
        """The same with any object, whose parts are looked at beside."""
        return _pattern(self.ordered, lambda f: f.anything)

    @property
    def tokens(self) -> tuple[Form, ...]:
        """The fields that stand for a card."""
        return tuple(f for f in self.fields if f.is_token)

    @property
    def objects(self) -> tuple[Form, ...]:
        """The fields that are objects."""
        return tuple(f for f in self.fields if f.parts)

    @property
    def wrong(self) -> str:
        """The pattern that finds the name of the first field of another form."""
        names = "|".join(f'{f.name}(?=":(?!{f.begun}))' for f in self.ordered)
        return rf'(?<=[{{,]")(?:{names})'


def _pattern(fields: Iterable[Form], value: Callable[[Form], str]) -> str:
    """The pattern of an object of these fields, in their order, those that are optional or not."""
    found = ((f, f'"{f.name}":{value(f)}(?:,|(?=\\}}))') for f in fields)
    parts = "".join(f"(?:{part})?" if f.optional else part for f, part in found)
    # A comma is that of the field before it.
    return rf"\A\{{{parts}(?<!,)\}}\z"


def _forms(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> tuple[Form, ...]:
    required, found = schema.get("required", ()), []
    for name, given in schema["properties"].items():
        kinds = [k for k in given.get("anyOf", [given]) if k.get("type") != "null"]
        own = kinds[0]
        if "$ref" in own:
            own = definitions[own["$ref"].rpartition("/")[2]]
        parts = _forms(own, definitions) if own.get("type") == "object" else ()
        found.append(Form(name, own, name not in required, len(given.get("anyOf", "1")) > 1, parts))
    return tuple(found)


def _run(shortest: int, longest: int | str) -> str:
    """So many characters. Nearly every text needs no escapes, and is passed over in one go."""
    times = f"{{{shortest},{longest}}}"
    return f'(?:{PLAIN}{times}+(?=")|{CHARACTER}{times}+)'


def _in_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _escaped(character: str) -> str:
    return f"\\u{ord(character):04x}"
