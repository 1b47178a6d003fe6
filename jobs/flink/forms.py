"""What a contract asks of each field, as patterns over the JSON of an event: what the stream checks beside columns.

A message is written anew by `JSON_QUERY` with the contract's fields alone, in the order of their names and without
blanks. Then one pattern says whether types, lengths, alphabets and choices are those of the contract; another finds the
field that is not so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lamina.contracts.base import ID, TOKEN, Event
from lamina.contracts.cards import LONGEST, SHORTEST
from lamina.contracts.ids import BLANKS, NOTHING, SCIENTIFIC, WHOLE

NUMBER, WHOLE_NUMBER = r"-?[0-9][0-9.E+\-]*", "-?[0-9]+"
"""Any number, as what is no number does not begin like one; its value is checked beside."""
CHARACTER = r'(?:[^"\\\x00-\x1f\x7f\uFFFD]|\\["\\])'
"""One character of a text: no control character, none that stands for what could not be read."""
HALF_PAIR = (
    r"(?<!\\)(?:\\\\)*+(?:\\u[dD][89abAB][0-9a-fA-F]{2}(?!\\u[dD][c-fC-F])"
    r"|(?<!\\u[dD][89abAB][0-9a-fA-F]{2})\\u[dD][c-fC-F])"
)
"""Half of a surrogate pair, escaped: no text of UTF-8."""

UUID = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_BEGINS = "(?<![0-9A-Za-z])(?:[A-Za-z]+|(?<![0-9])(?<![0-9][-_])(?<![0-9][-_]{2})(?<![0-9][-_]{3}))"
CARD_NUMBER = (
    f"{_BEGINS}[0-9](?:[-_]{{0,3}}[0-9]){{{SHORTEST - 1},{LONGEST - 1}}}(?![-_]{{0,3}}[0-9])(?![0-9A-Za-z])"
    f"|(?<![0-9A-Za-z])[A-Za-z]*[0-9]{{{SHORTEST},{LONGEST}}}(?![0-9A-Za-z])"
)
"""What `lamina.contracts.cards.holds_card_number` finds in a token, of whose alphabet two are separators."""


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
        return self._or_null(
            {"number": NUMBER, "integer": WHOLE_NUMBER, "boolean": "(?:true|false)"}.get(self.type) or self._text
        )

    @property
    def type(self) -> str:
        """Its type, as JSON Schema names it."""
        return str(self.schema["type"])

    @property
    def anything(self) -> str:
        """The pattern of a value whose parts are looked at beside."""
        return self._or_null(r"\{[\s\S]*\}" if self.parts else self.value)

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
        if self.schema.get("format") == TOKEN:
            return f'"{own[1:-1].removesuffix("+")}{{{shortest},{longest}}}"'
        if re.fullmatch(r"\^\[[A-Za-z0-9-]+\]\{\d+\}\$", own):
            return f'"{own[1:-1]}"'
        if self.schema.get("format") == ID:
            blank, nothing = (
                f"[{''.join(map(_escaped, BLANKS))}]",
                "|".join(re.escape(_in_json(w)) for w in sorted(NOTHING)),
            )
            return (
                f'"(?!{blank}|(?i:{nothing})"|{WHOLE}"|{SCIENTIFIC}"){CHARACTER}{{{shortest},{longest}}}(?<!{blank})"'
            )
        return f'"{CHARACTER}{{{shortest},{longest}}}"'


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
    def exact(self) -> str:
        """The pattern of an event that keeps the contract, and whose objects have no fields but their own, in order."""
        return self._pattern(lambda f: f._or_null(f.value) if f.parts else f.value)

    @property
    def loose(self) -> str:
        """The same with any object, whose parts are looked at beside."""
        return self._pattern(lambda f: f.anything)

    @property
    def objects(self) -> tuple[Form, ...]:
        """The fields that are objects."""
        return tuple(f for f in self.fields if f.parts)

    @property
    def wrong(self) -> str:
        """The pattern that finds the name of the first field of another form."""
        names = "|".join(f'{f.name}(?=":(?!{f.anything}[,}}]))' for f in self.ordered)
        return rf'(?<=[{{,]")(?:{names})'

    def _pattern(self, value: Any) -> str:
        # A comma is that of the field before it: at the end there is one too many, which is never written.
        parts = [f'"{field.name}":{value(field)}(?:,|(?=\\}}))' for field in self.ordered]
        parts = [f"(?:{part})?" if f.optional else part for f, part in zip(self.ordered, parts, strict=True)]
        return rf"\A\{{{''.join(parts)}\}}\z"


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


def _in_json(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _escaped(character: str) -> str:
    return f"\\u{ord(character):04x}"
