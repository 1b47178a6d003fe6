"""How a file is written: what separates its values, its encoding, and its numbers."""

from __future__ import annotations

import codecs
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

_BY_NAME = {"tab": "\t", "comma": ",", "semicolon": ";", "pipe": "|"}


class FileFormat(BaseModel):
    """Part `file` of a mapping; all of it may be left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["csv", "json", "parquet"] | None = Field(
        None, description="By the file's ending where it is left out."
    )
    separator: str | None = Field(
        None, description="One character or tab; a comma, or what fits the header of ; | and tab, where it is left out."
    )
    encoding: str | None = Field(None, description="Such as latin-1, cp1252 or utf-16; UTF-8 where it is left out.")
    columns: tuple[str, ...] = Field((), description="Names of the columns of a CSV file without a header.")
    decimal: Literal[".", ","] = Field(".", description="What stands before the fraction of a number.")
    thousands: Literal[",", ".", " ", "'", "_"] | None = Field(None, description="What groups the digits of a number.")

    @field_validator("separator")
    @classmethod
    def _one_character(cls, separator: str | None) -> str | None:
        separator = _BY_NAME.get(separator or "", separator)
        if separator is not None and (len(separator) != 1 or ord(separator) > 127 or separator in '"\r\n'):
            raise ValueError("needs one ASCII character that is no quote, or tab")
        return separator

    @field_validator("encoding")
    @classmethod
    def _known(cls, encoding: str | None) -> str | None:
        if encoding is None:
            return None
        try:
            known = codecs.lookup(encoding)
            codecs.getincrementaldecoder(encoding)().decode(b"", final=True)
        except (LookupError, ValueError, TypeError, AttributeError):
            raise ValueError(f"no text encoding {encoding!r}: say utf-8, latin-1, cp1252 or utf-16") from None
        return known.name

    @model_validator(mode="after")
    def _two_signs(self) -> Self:
        if self.decimal == self.thousands:
            raise ValueError("decimal and thousands are the same sign")
        if len(set(self.columns)) < len(self.columns):
            raise ValueError("columns names one twice")
        return self
