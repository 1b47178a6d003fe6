"""A first mapping for a file that nobody has described: by the names of its columns and what is in them.

A guess is a start: what was not found is a constant, marked with `# ?`, and the mapping is there to be read and
corrected. No value of the file is written into it but those that name kinds of transactions and labels.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from lamina.contracts.cards import holds_card_number, mostly_cards, starred
from lamina.errors import MappingError
from lamina.ingest.checks import Check
from lamina.ingest.file_format import FileFormat
from lamina.ingest.mapping import SHIPPED, load_mapping
from lamina.ingest.numbers import numbers
from lamina.ingest.sample import Sample, sample
from lamina.ingest.times import written_times

UNSURE = "  # ?"
_MOSTLY = 0.8
_PLAIN = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_TOKEN = re.compile(r"[A-Za-z0-9_\-]{4,64}")
_SIGNS = ((".", None), (".", ","), (",", None), (",", "."), (",", " "), (".", " "), (".", "'"))
_DAYS = ("%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%Y/%m/%d", "%Y%m%d", "%d-%b-%Y", "%d %b %Y", "%b %d %Y")
_CLOCKS = (" %H:%M:%S", " %H:%M", " %H:%M:%S.%f", " %I:%M:%S %p", " %I:%M %p", "T%H:%M:%S", "%H%M%S", "")
_KINDS = {
    "in_store": "instore pos store chip swipe cardpresent purchase terminal contactless retail",
    "online": "online ecommerce ecom web internet moto cnp cardnotpresent payment app",
    "atm": "atm cash cashout cashin withdrawal",
    "transfer": "transfer wire sepa debit p2p",
}
_FRAUD, _NO_FRAUD = "fraud fraudulent chargeback bad", "legit legitimate genuine normal nofraud notfraud ok good"

# Names without what is no letter or digit, in small letters; the first that fits is taken.
NAMES = {
    "transaction_id": "transactionid transid transnum txid trxid tranid paymentid orderid reference uuid id",
    "user_id": "userid customerid clientid custid accountid acctnum accountnumber nameorig cardholderid user customer "
    "client cardholder payer sender account",
    "card_token": "cardtoken cardid ccnum cardnumber cardno cardnum creditcardnumber pan card",
    "amount": "amount transactionamount transactionamt amountcents cents amt txamount value price total sum betrag "
    "montant",
    "currency": "currency currencycode ccy curr",
    "merchant_id": "merchantid terminalid storeid shopid payeeid namedest merchantname merchant shop store vendor "
    "payee recipient",
    "merchant_category": "merchantcategory merchantcategorycode mcc category merchanttype productcd",
    "country": "merchantcountry transactioncountry countrycode country",
    "user_country": "usercountry customercountry cardcountry homecountry issuercountry",
    "transaction_type": "transactiontype txtype channel entrymode usechip type",
    "device_type": "devicetype device",
    "timestamp": "timestamp transactiontimestamp datetime transactiondatetime transdatetranstime txdatetime "
    "transactiontime createdat eventtime unixtime transactiondate at ts timestampms epoch date time transactiondt step",
    "date": "transdate transactiondate txdate bookingdate date day",
    "time": "transtime transactiontime txtime time clock",
    "lat": "merchlat merchantlat merchantlatitude latitude lat",
    "lon": "merchlong merchlon merchantlong merchantlongitude longitude long lon lng",
    "label": "isfraud fraud fraudulent isfraudulent txfraud fraudlabel chargeback label class target",
}


def guess_mapping(path: Path) -> str:
    """The text of a mapping for the file at `path`; a shipped one where the file has all its columns.

    Raises: MappingError: the file cannot be read, or has neither an amount nor a time.
    """
    found = sample(path)
    for file in sorted(SHIPPED.glob("*.yaml")):
        if set(load_mapping(file.stem).columns) <= set(found.table.column_names):
            return file.read_text(encoding="utf-8")
    return _Guess(path, found).text()


class _Guess:
    """Takes columns for fields, each once."""

    def __init__(self, path: Path, found: Sample) -> None:
        self._path, self._sample, self._taken = path, found, set[str]()
        self._texts = {name: found.texts(name) for name in found.table.column_names}
        self._format = found.format

    def text(self) -> str:
        """The mapping; what needs others' columns least comes last."""
        amount, timestamp = self._amount(), self._timestamp()
        label, location, card = self._label(), self._location(), self._card()
        user = self._take("user_id", self._no_cards)
        identity = self._take("transaction_id", lambda texts: self._no_cards(texts) and _all_differ(texts))
        fields = {
            "transaction_id": _name(identity) if identity else "{row_number: true, prefix: row-}" + UNSURE,
            "user_id": _name(user) if user else "{row_number: true, prefix: user-}" + UNSURE,
            "card_token": card
            or (_quoted(f"card-{{{user}}}") if user else "{row_number: true, prefix: card-}") + UNSURE,
            "amount": amount,
            "currency": self._text("currency", "EUR", lambda texts: _share(texts, r"[A-Z]{3}") >= _MOSTLY),
            "merchant_id": self._text("merchant_id", "unknown-merchant", self._no_cards),
            "merchant_category": self._text("merchant_category", "unknown", self._no_cards),
            "country": self._text("country", "ZZ", _is_country),
            "user_country": self._text("user_country", "ZZ", _is_country),
            "transaction_type": self._kind(),
            "device_type": self._text("device_type", "unknown", self._no_cards),
            "timestamp": timestamp,
            "location": location,
            "label": label,
        }
        name = re.sub(r"[^a-z0-9_-]+", "-", self._path.stem.lower()).strip("-") or "mine"
        lines = [
            f"# A first guess from the columns of {self._path.name}. Read it line by line: what ends in `# ?` was not",
            "# found, or may mean two things. All words are in docs/concepts/import.md.",
            f"name: {_quoted(name)}",
            *self._file_lines(),
            *(f"{field}: {how}" for field, how in fields.items() if how),
        ]
        return "\n".join(lines) + "\n"

    def _file_lines(self) -> list[str]:
        said = self._format.model_dump(exclude_defaults=True)
        return [f"file: {json.dumps(said, ensure_ascii=False)}"] if said else []

    def _candidates(self, field: str) -> Iterable[str]:
        plain = {re.sub(r"[\W_]", "", name.rpartition(".")[2]).lower(): name for name in reversed(self._texts)}
        plain |= {re.sub(r"[\W_]", "", name).lower(): name for name in reversed(self._texts)}
        return (plain[word] for word in NAMES[field].split() if word in plain and plain[word] not in self._taken)

    def _take(self, field: str, fits: Callable[[list[str]], bool]) -> str | None:
        for name in self._candidates(field):
            if "{" not in name and "}" not in name and self._texts[name] and fits(self._texts[name]):
                self._taken.add(name)
                return name
        return None

    def _text(self, field: str, otherwise: str, fits: Callable[[list[str]], bool]) -> str:
        name = self._take(field, fits)
        if name is None:
            return f"{{constant: {otherwise}}}{UNSURE}"
        return f"{{column: {_name(name)}, default: unknown}}" if otherwise == "unknown" else _name(name)

    @staticmethod
    def _no_cards(texts: list[str]) -> bool:
        return not mostly_cards(texts)

    def _amount(self) -> str:
        for share, (decimal, thousands) in product((1.0, _MOSTLY), _SIGNS):
            signs = FileFormat.model_validate({**self._format.model_dump(), "decimal": decimal, "thousands": thousands})
            name = self._take("amount", partial(_are_numbers, signs=signs, share=share))
            if name is not None:
                self._format = signs
                return f"{{column: {_name(name)}{', divisor: 100' if 'cent' in name.lower() else ''}}}"
        raise self._nothing("an amount")

    def _timestamp(self) -> str:
        date, time = (next(iter(self._candidates(part)), None) for part in ("date", "time"))
        if date and time and date != time:
            both = [f"{day} {clock}" for day, clock in zip(self._texts[date], self._texts[time], strict=False)]
            how = _written(both)
            if how is not None and _written(self._texts[time]) is None:
                self._taken |= {date, time}
                return f"{{date: {_name(date)}, time: {_name(time)}{how.rest}}}{how.mark}"
        others = (name for name in self._texts if not _are_numbers(self._texts[name], FileFormat()))
        for name in (*self._candidates("timestamp"), *others):
            how = self._how(name)
            if how is not None:
                self._taken.add(name)
                return f"{{column: {_name(name)}{how.rest}}}{how.mark}"
        for name in self._texts:
            # Numbers under another name, all of them times since 1970.
            if name not in self._taken and self._how(name) is not None:
                self._taken.add(name)
                return f"{{column: {_name(name)}}}{UNSURE}"
        for name in self._candidates("timestamp"):
            if _are_numbers(self._texts[name], FileFormat()):
                self._taken.add(name)
                return f'{{column: {_name(name)}, unit: s, origin: "2020-01-01T00:00:00Z"}}{UNSURE}'
        raise self._nothing("a date and time")

    def _nothing(self, what: str) -> MappingError:
        return MappingError(
            f"{self._path.name}: no column looks like {what}; write the mapping by hand, as docs/concepts/import.md "
            f"shows. The columns are: {starred(', '.join(self._texts))}"
        )

    def _how(self, name: str) -> _Written | None:
        kind = self._sample.table.schema.field(name).type
        dated = pa.types.is_date(kind) or pa.types.is_timestamp(kind)
        return _Written("", True) if dated else _written(self._texts[name])

    def _card(self) -> str | None:
        for name in self._candidates("card_token"):
            # One is enough: a hash of what is no card number does no harm.
            if any(map(holds_card_number, self._texts[name])):
                self._taken.add(name)
                return f"{{column: {_name(name)}, sha256: true, prefix: card-}}"
        name_or_none = self._take("card_token", lambda texts: _share(texts, r"[A-Za-z0-9_\-]{1,59}") >= _MOSTLY)
        if name_or_none is None:
            return None
        plain = all(_TOKEN.fullmatch(text) and not text.isdigit() for text in self._texts[name_or_none])
        return _name(name_or_none) if plain else f"{{column: {_name(name_or_none)}, prefix: card-}}"

    def _kind(self) -> str:
        meant = {word: kind for kind, words in _KINDS.items() for word in [kind.replace("_", ""), *words.split()]}
        for name in self._candidates("transaction_type"):
            values = sorted(set(self._texts[name]))
            named = {value: kind for value in values if (kind := meant.get(re.sub(r"[\W_]", "", value).lower()))}
            if named and len(values) <= 20:
                self._taken.add(name)
                pairs = ", ".join(f"{_quoted(value)}: {kind}" for value, kind in named.items())
                unsure = "" if len(named) == len(values) else UNSURE
                return f"{{column: {_name(name)}, values: {{{pairs}}}, otherwise: in_store}}{unsure}"
        return "{constant: in_store}" + UNSURE

    def _location(self) -> str | None:
        lat, lon = (self._take(part, lambda texts: _are_numbers(texts, self._format)) for part in ("lat", "lon"))
        return f"{{lat: {_name(lat)}, lon: {_name(lon)}}}" if lat and lon else None

    def _label(self) -> str | None:
        for name in self._candidates("label"):
            values = {text.lower() for text in self._texts[name]}
            if values and values <= {"0", "1", "true", "false", "yes", "no", "y", "n", "t", "f"}:
                self._taken.add(name)
                return f"{{column: {_name(name)}}}"
            words = {value: _says(value) for value in values}
            if words and None not in words.values():
                self._taken.add(name)
                pairs = ", ".join(f"{_quoted(value)}: {str(fraud).lower()}" for value, fraud in sorted(words.items()))
                return f"{{column: {_name(name)}, values: {{{pairs}}}}}"
        return None


def _says(value: str) -> bool | None:
    word = re.sub(r"[\W_]", "", value)
    return True if word in _FRAUD.split() else False if word in _NO_FRAUD.split() else None


class _Written(NamedTuple):
    """How times are written, as the rest of their mapping, and whether they may be read in one way only."""

    rest: str
    sure: bool

    @property
    def mark(self) -> str:
        return "" if self.sure else f"{UNSURE} the day first, or the month?"


def _written(texts: list[str]) -> _Written | None:
    """How a column's times are written; None where they are none."""
    column = pa.array(texts, pa.string())
    if not texts:
        return None
    # What reads every row is better than what reads most.
    for share in (1.0, _MOSTLY):
        if _read(column, None, share):
            return _Written("", True)
        for day, clock in product(_DAYS, _CLOCKS):
            if _read(column, day + clock, share):
                month_first = day == "%d/%m/%Y" and _read(column, f"%m/%d/%Y{clock}", share)
                return _Written(f", format: {_quoted(day + clock)}", not month_first)
    return None


def _read(column: pa.Array, strptime: str | None, share: float) -> bool:
    at_ms = written_times(column, strptime, "UTC").at_ms
    return bool(len(at_ms) - at_ms.null_count >= share * len(column))


def _are_numbers(texts: list[str], signs: FileFormat, share: float = _MOSTLY) -> bool:
    checks: list[Check] = []
    found = numbers(pa.array(texts, pa.string()), "amount", checks, signs)
    return len(texts) > 0 and len(found) - found.null_count >= share * len(texts)


def _share(texts: list[str], pattern: str) -> float:
    return sum(re.fullmatch(pattern, text) is not None for text in texts) / len(texts) if texts else 0.0


def _is_country(texts: list[str]) -> bool:
    return _share(texts, r"[A-Z]{2}") >= _MOSTLY


def _all_differ(texts: list[str]) -> bool:
    return len(set(texts)) >= _MOSTLY * len(texts)


def _name(column: str) -> str:
    return column if _PLAIN.fullmatch(column) and column.lower() not in _NOT_TEXT else _quoted(column)


_NOT_TEXT = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)
