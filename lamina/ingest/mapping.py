"""A mapping: a small YAML file that says which column of a file is which field of the contract.

A field is named by a column (`amount: TX_AMOUNT`), a template (`user_id: "customer-{CUSTOMER_ID}"`), a constant, or a
column with a default or hashed. Unknown keys are refused, and so are columns that the file does not have.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, model_validator

from lamina.contracts.cards import starred
from lamina.contracts.transactions import Transaction
from lamina.errors import MappingError
from lamina.ingest.fields import AmountField, LabelField, LocationField, Strict, Text, TextField, TimestampField
from lamina.ingest.file_format import FileFormat
from lamina.ingest.quoting import AsWritten
from lamina.yaml_files import YamlNumber, read_yaml

SHIPPED = Path(__file__).parent / "mappings"
_NEEDS_TEXT = {"string_type", "model_type", "literal_error"}


CurrencyCode = Annotated[str, Field(pattern=r"^[A-Z]{3}$")]


class TransactionMapping(Strict):
    """How a file becomes transactions and labels. All of the contract's fields are required but the location."""

    name: str = Field(pattern=r"^[a-z0-9_-]+$")
    description: str = ""
    file: FileFormat = Field(default_factory=FileFormat, description="How the file is written.")
    salt: str | None = Field(None, description="Key of the hashes, only for data that is not secret; else give --salt.")
    transaction_id: Text
    user_id: Text
    card_token: Text
    amount: AmountField
    currency: Text
    merchant_id: Text
    merchant_category: Text
    country: Text
    user_country: Text
    transaction_type: Text
    device_type: Text
    timestamp: TimestampField
    location: LocationField | None = None
    label: LabelField | None = None
    rates: dict[CurrencyCode, Annotated[YamlNumber, Field(gt=0, allow_inf_nan=False)]] = Field(
        default_factory=dict,
        description="What one unit of a foreign currency is worth in the installation's: amounts become so.",
    )
    no_cards: tuple[str, ...] = Field((), description="Columns whose long numbers are no card numbers.")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if both := sorted(self.hashed_columns & set(self._plainly_read)):
            raise ValueError(
                f"hashes {', '.join(map(repr, both))} in one field and reads it as it stands in another, which stores "
                "what the hash hides: hash it there, too, or take another column"
            )
        if unread := sorted(set(self.no_cards) - set(self.columns)):
            raise ValueError(f"no_cards names {', '.join(map(repr, unread))}, which no field reads")
        return self

    @property
    def _plainly_read(self) -> list[str]:
        """Source columns of fields that do not hash them."""
        names = [name for field in self.texts.values() if not field.sha256 for name in field.columns]
        return [*names, *self._other_columns]

    @property
    def _other_columns(self) -> list[str]:
        """Source columns of what is no text field."""
        names = [self.amount.column, *self.timestamp.columns]
        if self.location:
            names += [self.location.lat, self.location.lon]
        if self.label:
            names += self.label.columns
        return names

    @property
    def plain_columns(self) -> list[str]:
        """Source columns that are stored as they stand and may not hold card numbers.

        Without that of the token: the contract refuses each of its rows that holds one.
        """
        names = [
            n for field, text in self.texts.items() if field != "card_token" for n in text.columns if not text.sha256
        ]
        names += [self.label.scenario.column] if self.label and self.label.scenario else []
        return [name for name in dict.fromkeys(names) if name not in self.no_cards]

    @property
    def texts(self) -> dict[str, TextField]:
        """The text fields by name, in the contract's order."""
        fields = ((name, getattr(self, name)) for name in Transaction.model_fields)
        return {name: field for name, field in fields if isinstance(field, TextField)}

    @property
    def hashed_columns(self) -> set[str]:
        """Source columns that must not be stored as they are."""
        return {field.column for field in self.texts.values() if field.sha256 and field.column}

    @property
    def columns(self) -> list[str]:
        """Every source column that is read, without repetition."""
        names = [name for field in self.texts.values() for name in field.columns]
        return list(dict.fromkeys([*names, *self._other_columns]))

    def check_columns(self, present: list[str], file: str = "the file") -> None:
        """Raise: MappingError: names the columns that `file` does not have or has twice, and those it has."""
        missing = [name for name in self.columns if name not in present]
        if missing:
            raise MappingError(
                f"mapping {self.name!r} names columns {file} does not have: {', '.join(missing)}. "
                # Of a file without a header these are its first row.
                f"The file has: {starred(', '.join(present))}{_hint(missing, present)}"
            )
        twice = [name for name in self.columns if present.count(name) > 1]
        if twice:
            raise MappingError(
                f"{file} has columns of one name: {', '.join(twice)}. Rename them, or name all in file.columns"
            )


def _hint(missing: list[str], present: list[str]) -> str:
    """What may be meant, as the end of a message."""
    if len(present) == 1:
        other = next((sign for sign in ";|\t," if sign in present[0]), None)
        return f". It is one column: say separator: {other!r} in the mapping's file" if other else ""
    plain = {re.sub(r"\W|_", "", name).lower(): name for name in present}
    meant = {name: plain.get(re.sub(r"\W|_", "", name).lower()) for name in missing}
    close = [f"{found!r} for {name!r}" for name, found in meant.items() if found]
    return f". Did you mean {', '.join(close)}?" if close else ""


def load_mapping(name_or_path: str) -> TransactionMapping:
    """The mapping in a file, or a shipped one by its name.

    Raises: MappingError: one line for everything that is wrong with it.

    >>> load_mapping("handbook").amount.column
    'TX_AMOUNT'
    """
    path = SHIPPED / f"{name_or_path}.yaml"
    if not path.exists():
        path = Path(name_or_path)
    if not path.is_file():
        shipped = ", ".join(sorted(file.stem for file in SHIPPED.glob("*.yaml")))
        raise MappingError(f"no mapping {name_or_path!r}: give the path of a YAML file, or one of: {shipped}")
    content = read_yaml(path, MappingError)
    written = AsWritten(path)
    problems = written.keys(content)
    try:
        mapping = TransactionMapping.model_validate(content)
    except ValidationError as error:
        problems += [
            f"{'.'.join(str(part) for part in item['loc']) or '(file)'}: "
            f"{(item['type'] in _NEEDS_TEXT and written.problem(item['loc'], item['input'])) or item['msg']}"
            for item in error.errors(include_url=False)
        ]
    if problems:
        raise MappingError(f"mapping {path.name}: " + "; ".join(problems))
    return mapping
