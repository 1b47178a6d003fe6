"""Fields of a mapping: where each value of the contract comes from, and how it is read."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal, Self
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from lamina.contracts.ids import id_of
from lamina.ingest.patterns import pattern_of
from lamina.yaml_files import YamlNumber, YamlWhole

LONGEST_LABEL_DELAY_S = 7 * 86_400
DEFAULT_LABEL_DELAY_S = LONGEST_LABEL_DELAY_S - 1
_COLUMN = re.compile(r"{([^{}]+)}")
_OFFSET = re.compile(r"^[+-](0\d|1[0-4]):[0-5]\d$")


class Strict(BaseModel):
    """Part of a mapping: unknown keys are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _keys_as_text(value: Any) -> Any:
    """Keys as the values of a file are read, by the rule of ids: 1, 1.0 and `"1"` are one. Truth values are not what
    was meant.
    """
    if not isinstance(value, dict):
        return value
    found: dict[str, Any] = {}
    for key, meant in value.items():
        if isinstance(key, bool) or key is None:
            raise ValueError(
                f"YAML reads a key as {str(key).lower()}, such as NO, YES, ON, OFF or NULL without quotes: quote it"
            )
        text = _as_read(key)
        if text in found:
            raise ValueError(
                f"names {text!r} twice, once as {key!r}: they are one value, and only one of them can count"
            )
        found[text] = meant
    return found


def _as_read(key: object) -> str:
    with suppress(ValueError):  # of countries `NA` is one, and what is refused in a file matches nothing
        return id_of(key)
    return str(key)


class TextField(Strict):
    """Where a text field comes from: exactly one of `column`, `template`, `constant` and `row_number`."""

    column: str | None = Field(None, description="Source column; dots reach into nested JSON.")
    template: str | None = Field(None, description="Text with source columns in braces.")
    constant: str | None = Field(None, description="The same value for every row.")
    row_number: bool = Field(False, description="The row's number in the file, from 1, where rows have no id.")
    default: str | None = Field(None, description="Used where the column, or one of the template's, is empty.")
    values: Annotated[dict[str, str], BeforeValidator(_keys_as_text)] = Field(
        default_factory=dict, description="Source value -> what it is called here; others keep their text."
    )
    otherwise: str | None = Field(None, description="What values are called that `values` does not name.")
    sha256: bool = Field(False, description="Replace the value by a keyed hash; never stored otherwise.")
    prefix: str = Field("", description="Put before the column's value, its hash or the row's number.")

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        origins = (self.column is not None, self.template is not None, self.constant is not None, self.row_number)
        if sum(origins) != 1:
            raise ValueError("needs exactly one of column, template, constant and row_number")
        if self.column is None and (self.sha256 or self.values):
            raise ValueError("sha256 and values go with a column")
        if self.constant is not None and (self.default is not None or self.prefix):
            raise ValueError("default and prefix go with a column")
        if (self.template is not None and self.prefix) or (self.row_number and self.default is not None):
            raise ValueError("prefix does not go with a template, nor default with row_number")
        if self.otherwise is not None and not self.values:
            raise ValueError("otherwise goes with values")
        if self.sha256 and self.values:
            raise ValueError("values and sha256 do not go together: a name would be hashed")
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


class AmountField(Strict):
    """The amount's column. It is divided by `divisor`, 100 where a file counts cents."""

    column: str
    divisor: YamlNumber = Field(1.0, gt=0)


class TimestampField(Strict):
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


class LocationField(Strict):
    """Columns with the place in decimal degrees; both empty means no place."""

    lat: str
    lon: str


class ScenarioField(Strict):
    """Column that says how a fraud was done, and the names of its values."""

    column: str
    names: Annotated[dict[str, str], BeforeValidator(_keys_as_text)] = Field(
        default_factory=dict, description="Source value -> name; others keep their text."
    )


class LabelField(Strict):
    """Which rows are fraud, and when that became known."""

    column: str
    values: Annotated[dict[str, bool], BeforeValidator(_keys_as_text)] = Field(
        default_factory=dict, description="Source value -> whether that is fraud; 1/0, true/false, yes/no without it."
    )
    delay_s: YamlWhole = Field(
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
