"""The kinds of rules: what each is told in the rules file, and when it fires. Pure but for reading lists at load."""

from __future__ import annotations

import hashlib
import hmac
import re
from abc import abstractmethod
from collections.abc import Mapping
from math import asin, cos, pi, radians, sin, sqrt
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, TypeAdapter, ValidationError, model_validator

from lamina.contracts.served import FeatureValue
from lamina.contracts.transactions import CardToken, Location, Transaction
from lamina.rules.lists import read_list
from lamina.rules.tokens import mask_token
from lamina.yaml_files import YamlNumber, YamlWhole

EARTH_RADIUS_KM = 6371.0088  # mean radius, IUGG
FARTHEST_KM = EARTH_RADIUS_KM * pi  # no place is farther from another
MINUTE_MS = 60_000

Features = Mapping[str, FeatureValue]
"""Features by name; empty when the store did not answer, and rules about the past then stay silent."""

LAST_PLACE = ("last_lat", "last_lon", "last_located_ms")
USUAL_AMOUNT = ("lifetime_txn_count", "avg_txn_amount", "std_txn_amount", "max_txn_amount")
FEATURES_READ = (*LAST_PLACE, *USUAL_AMOUNT)
"""Every feature that a rule looks at; all are numbers."""


def distance_km(a: Location, b: Location) -> float:
    """Great-circle distance in kilometres, by the haversine formula.

    >>> round(distance_km(Location(lat=48.86, lon=2.35), Location(lat=40.71, lon=-74.01)))
    5837
    """
    lat_a, lat_b = radians(a.lat), radians(b.lat)
    half_lat, half_lon = (lat_b - lat_a) / 2, radians(b.lon - a.lon) / 2
    chord = sin(half_lat) ** 2 + cos(lat_a) * cos(lat_b) * sin(half_lon) ** 2
    return 2 * EARTH_RADIUS_KM * asin(min(1.0, sqrt(chord)))


class Rule(BaseModel):
    """One rule as data. `action` is what it asks for when it fires; the most severe of all wins."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    code: str = Field(pattern=r"^[a-z][a-z0-9_]{0,63}$")
    action: Literal["review", "reject"]

    @abstractmethod
    def fires(self, transaction: Transaction, features: Features) -> str | None:
        """The numbers that made the rule fire, in words, or None when it did not."""

    def load(self, folder: Path) -> None:
        """Read the files the rule names, relative to `folder`, that of the rules file.

        Raises: OSError, ValueError: when a file cannot be read or holds what it must not.
        """

    @property
    def files(self) -> tuple[str, ...]:
        """Names of the files the rule reads."""
        return ()


class ImpossibleVelocity(Rule):
    """Fires when the last place is farther away than `max_km` and was left less than `within_minutes` ago."""

    kind: Literal["impossible_velocity"]
    max_km: YamlNumber = Field(gt=0, lt=FARTHEST_KM)
    within_minutes: YamlNumber = Field(gt=0)

    def fires(self, transaction: Transaction, features: Features) -> str | None:
        """See `Rule.fires`."""
        here = transaction.location
        lat, lon, at_ms = (features.get(name) for name in LAST_PLACE)
        if here is None or not isinstance(lat, float) or not isinstance(lon, float) or not isinstance(at_ms, float):
            return None
        minutes = (transaction.timestamp - at_ms) / MINUTE_MS
        if not 0 <= minutes <= self.within_minutes:
            return None
        km = distance_km(Location.model_construct(lat=lat, lon=lon), here)
        return f"{km:,.0f} km in {minutes:.0f} min" if km > self.max_km else None


_TOKEN: TypeAdapter[str] = TypeAdapter(CardToken)
_DIGEST = re.compile(r"[0-9a-fA-F]{64}")
# The first line of an exported column: no token, though it looks like one.
_HEADINGS = frozenset(
    "card cards cardid cardids cardtoken cardtokens cardnumber cardnumbers cardno ccnum token tokens tokenid".split()
)


class _Listed(Rule):
    file: str = Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_. -]{0,127}$")
    _entries: frozenset[str] = PrivateAttr(default=frozenset())

    def load(self, folder: Path) -> None:
        """See `Rule.load`."""
        self._entries = read_list(folder / self.file, self._entry, self._expected)

    @property
    def files(self) -> tuple[str, ...]:
        """See `Rule.files`."""
        return (self.file,)

    @property
    def _expected(self) -> str:
        raise NotImplementedError

    def _entry(self, text: str) -> str | None:
        raise NotImplementedError


class ListedCard(_Listed):
    """Fires on cards of a list. `hashing: sha256` compares HMAC-SHA-256 of the token under `salt`, in hexadecimal."""

    kind: Literal["listed_card"]
    hashing: Literal["none", "sha256"] = "none"
    salt: str = Field("", repr=False)

    @model_validator(mode="after")
    def _salted(self) -> ListedCard:
        if self.hashing == "sha256" and not self.salt:
            raise ValueError("hashing needs a salt: tokens are short enough to be tried one by one without it")
        return self

    def fires(self, transaction: Transaction, features: Features) -> str | None:
        """See `Rule.fires`."""
        token = transaction.card_token
        if self.hashing == "sha256":
            listed = hmac.new(self.salt.encode(), token.encode(), hashlib.sha256).hexdigest() in self._entries
        else:
            listed = token in self._entries
        return f"card {mask_token(token)} is listed in {self.file}" if listed else None

    @property
    def _expected(self) -> str:
        return "64 hexadecimal digits" if self.hashing == "sha256" else "card tokens, one a line; never card numbers"

    def _entry(self, text: str) -> str | None:
        if self.hashing == "sha256":
            return text.lower() if _DIGEST.fullmatch(text) else None
        try:
            token = _TOKEN.validate_python(text)
        except ValidationError:
            return None
        return None if re.sub("[_-]", "", token).lower() in _HEADINGS else token


class ListedCountry(_Listed):
    """Fires on transactions in a country of a list."""

    kind: Literal["listed_country"]

    def fires(self, transaction: Transaction, features: Features) -> str | None:
        """See `Rule.fires`."""
        listed = transaction.country in self._entries
        return f"country {transaction.country} is listed in {self.file}" if listed else None

    @property
    def _expected(self) -> str:
        return "country codes of two capital letters"

    def _entry(self, text: str) -> str | None:
        return text if len(text) == 2 and text.isascii() and text.isalpha() and text.isupper() else None


class UnusualAmount(Rule):
    """Fires on an amount far above the user's own past: by deviations above the mean and by the largest so far.

    Silent for users with fewer than `min_transactions` in their history: too few to say what is usual.
    """

    kind: Literal["unusual_amount"]
    min_transactions: YamlWhole = Field(ge=2)
    deviations: YamlNumber = Field(gt=0)
    times_largest: YamlNumber = Field(ge=1)

    def fires(self, transaction: Transaction, features: Features) -> str | None:
        """See `Rule.fires`."""
        count, mean, std, largest = (features.get(name) for name in USUAL_AMOUNT)
        if not isinstance(count, float) or count < self.min_transactions:
            return None
        if not isinstance(mean, float) or not isinstance(std, float) or not isinstance(largest, float):
            return None
        amount = transaction.amount
        if amount <= mean + self.deviations * std or amount <= self.times_largest * largest:
            return None
        above = f"{(amount - mean) / std:.1f} deviations above" if std else "above"
        return f"{amount:,.2f} is {above} the mean {mean:,.2f} of {count:.0f} transactions, largest {largest:,.2f}"


AnyRule = Annotated[
    ImpossibleVelocity | ListedCard | ListedCountry | UnusualAmount,
    Field(discriminator="kind"),
]
"""Every kind of rule. A new kind is a class here, its line above, and its paragraph in docs/concepts/rules.md."""
