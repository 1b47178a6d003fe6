"""A mapping: a small YAML file that says which column of a file is which field of the contract.

A field is named by a column (`amount: TX_AMOUNT`), a template (`user_id: "customer-{CUSTOMER_ID}"`), a constant, or a
column with a default or hashed. Unknown keys are refused, and so are columns that the file does not have.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from lamina.contracts.cards import starred
from lamina.contracts.transactions import Transaction
from lamina.errors import MappingError
from lamina.ingest.file_format import FileFormat
from lamina.ingest.patterns import pattern_of
from lamina.ingest.quoting import AsWritten
from lamina.yaml_files import read_yaml

SHIPPED = Path(__file__).parent / "mappings"
LONGEST_LABEL_DELAY_S = 7 * 86_400
DEFAULT_LABEL_DELAY_S = LONGEST_LABEL_DELAY_S - 1
_NEEDS_TEXT = {"string_type", "model_type", "literal_error"}
_COLUMN = re.compile(r"{([^{}]+)}")
_OFFSET = re.compile(r"^[+-](0\d|1[0-4]):[0-5]\d$")


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class TextField(_Strict):
    """Where a text field comes from: exactly one of `column`, `template` and `constant`."""

    column: str | None = Field(None, description="Source column; dots reach into nested JSON.")
    template: str | None = Field(None, description="Text with source columns in braces.")
    constant: str | None = Field(None, description="The same value for every row.")
    default: str | None = Field(None, description="Used where the column is empty.")
    sha256: bool = Field(False, description="Replace the value by a keyed hash; never stored otherwise.")
    prefix: str = Field("", description="Put before the column's value or its hash.")

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        if sum(origin is not None for origin in (self.column, self.template, self.constant)) != 1:
            raise ValueError("needs exactly one of column, template and constant")
        if self.column is None and (self.sha256 or self.default is not None or self.prefix):
            raise ValueError("default, sha256 and prefix go with a column")
        if self.template is not None and not _COLUMN.search(self.template):
            raise ValueError("template names no column in braces: use constant")
        return self

    @property
    def columns(self) -> list[str]:
        """Source columns this field reads."""
        if self.template is not None:
            return _COLUMN.findall(self.template)
        return [] if self.column is None else [self.column]

    @property
    def pieces(self) -> list[tuple[str, bool]]:
        """The template cut into texts; True marks a column's name.

        >>> TextField(template="customer-{id}").pieces
        [('customer-', False), ('id', True)]
        """
        cut = _COLUMN.split(self.template or "")
        return [(text, place % 2 == 1) for place, text in enumerate(cut) if text]


def _short(value: object) -> object:
    """`TX_AMOUNT` and `customer-{ID}` are short for a column and a template."""
    if isinstance(value, str):
        return {"template": value} if _COLUMN.search(value) else {"column": value}
    return value


Text = Annotated[TextField, BeforeValidator(_short)]


class AmountField(_Strict):
    """The amount's column. It is divided by `divisor`, 100 where a file counts cents."""

    column: str
    divisor: float = Field(1.0, gt=0)


class TimestampField(_Strict):
    """When it happened: one column, or a date and a time column."""

    column: str | None = None
    date: str | None = None
    time: str | None = None
    unit: Literal["s", "ms", "us", "ns", "min", "h", "d", "datetime"] = Field(
        "datetime", description="What numbers count; datetime: dates, and numbers told apart by their size."
    )
    origin: str | None = Field(None, description="ISO-8601 time that numbers count from, instead of 1970.")
    format: str | None = Field(None, description="strptime format of texts; ISO-8601 without it.")
    timezone: str = Field("UTC", description="Zone of times that name none, such as Europe/Brussels or +02:00.")

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.column is None) == (self.date is None or self.time is None):
            raise ValueError("needs either column, or date and time")
        if self.column is None and self.unit != "datetime":
            raise ValueError("date and time columns go with unit datetime")
        if self.unit != "datetime" and self.format is not None:
            raise ValueError("format is for texts and unit for numbers: say one of them")
        if self.unit == "datetime" and self.origin is not None:
            raise ValueError("origin goes with a unit: s, ms, us, ns, min, h or d")
        return self

    @field_validator("format")
    @classmethod
    def _readable(cls, format: str | None) -> str | None:
        if format is not None:
            pattern_of(format)
        return format

    @field_validator("timezone")
    @classmethod
    def _known(cls, timezone: str) -> str:
        if not _OFFSET.match(timezone) and timezone not in available_timezones():
            raise ValueError(f"no zone {timezone!r}: give a name such as Europe/Brussels, or an offset such as +02:00")
        return timezone

    @model_validator(mode="after")
    def _origin_is_a_time(self) -> Self:
        if self.origin is not None:
            try:
                datetime.fromisoformat(self.origin)
            except ValueError:
                raise ValueError("origin is not ISO-8601, such as 2017-12-01 or 2017-12-01T00:00:00Z") from None
        return self

    @property
    def origin_us(self) -> int | None:
        """The origin in microseconds since 1970, None where numbers count from 1970.

        >>> TimestampField(column="step", unit="h", origin="1970-01-02").origin_us
        86400000000
        """
        if self.origin is None:
            return None
        at = datetime.fromisoformat(self.origin)
        if at.tzinfo is None:
            at = datetime.fromisoformat(f"{at.isoformat()}{self.timezone}") if _OFFSET.match(self.timezone) else at
            at = at if at.tzinfo else at.replace(tzinfo=ZoneInfo(self.timezone))
        return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)

    @property
    def columns(self) -> list[str]:
        """Source columns this field reads."""
        return [name for name in (self.column, self.date, self.time) if name is not None]


class LocationField(_Strict):
    """Columns with the place in decimal degrees; both empty means no place."""

    lat: str
    lon: str


def _keys_as_text(value: Any) -> Any:
    """Numbers as keys are the text they are written as; truth values are not what was meant."""
    if not isinstance(value, dict):
        return value
    for key in value:
        if isinstance(key, bool) or key is None:
            raise ValueError(
                f"YAML reads a key as {str(key).lower()}, such as NO, YES, ON, OFF or NULL without quotes: quote it"
            )
    return {str(key): meant for key, meant in value.items()}


class ScenarioField(_Strict):
    """Column that says how a fraud was done, and the names of its values."""

    column: str
    names: Annotated[dict[str, str], BeforeValidator(_keys_as_text)] = Field(
        default_factory=dict, description="Source value -> name; others keep their text."
    )


class LabelField(_Strict):
    """Which rows are fraud, and when that became known."""

    column: str
    values: Annotated[dict[str, bool], BeforeValidator(_keys_as_text)] = Field(
        default_factory=dict, description="Source value -> whether that is fraud; 1/0, true/false, yes/no without it."
    )
    delay_s: int = Field(
        DEFAULT_LABEL_DELAY_S,
        ge=0,
        le=LONGEST_LABEL_DELAY_S,
        description="Label's time less the transaction's, seconds.",
    )
    source: Literal["chargeback", "analyst", "customer", "simulator"] = "chargeback"
    scenario: ScenarioField | None = None

    @property
    def columns(self) -> list[str]:
        """Source columns this field reads."""
        return [self.column, *([self.scenario.column] if self.scenario else [])]

    @field_validator("values")
    @classmethod
    def _without_regard_to_case(cls, values: dict[str, bool]) -> dict[str, bool]:
        found: dict[str, bool] = {}
        for key, fraud in values.items():
            if found.setdefault(key.strip().lower(), fraud) is not fraud:
                raise ValueError(f"{key!r} is fraud in one case and not in another: case makes no difference here")
        return found


class TransactionMapping(_Strict):
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

    def check_columns(self, present: list[str]) -> None:
        """Raise: MappingError: names the columns that the file does not have or has twice, and those it has."""
        missing = [name for name in self.columns if name not in present]
        if missing:
            raise MappingError(
                f"mapping {self.name!r} names columns the file does not have: {', '.join(missing)}. "
                # Of a file without a header these are its first row.
                f"The file has: {starred(', '.join(present))}{_hint(missing, present)}"
            )
        twice = [name for name in self.columns if present.count(name) > 1]
        if twice:
            raise MappingError(
                f"the file has columns of one name: {', '.join(twice)}. Rename them, or name all in file.columns"
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
