"""Times of a file against Python's own datetime and zoneinfo."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from lamina.contracts.transactions import Transaction
from lamina.ingest.fields import TimestampField
from lamina.ingest.mapping import TransactionMapping
from lamina.ingest.transactions import Events, import_transactions, read_events
from tests.unit.ingest.test_mapping import MINIMAL
from tests.unit.ingest.test_validate import GOOD

PLAIN = {**MINIMAL, "user_id": "who", "card_token": "card", "amount": {"column": "cents"}}
NOON = 1_533_729_600  # 2018-08-08T12:00:00Z


def ms(text: str) -> int:
    """Epoch milliseconds of an ISO time with an offset."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def read(tmp_path: Path, values: list[Any], **how: Any) -> Events:
    """The values as a column `at`, written as text to a CSV where all are texts, else to parquet."""
    mapping = TransactionMapping.model_validate({**PLAIN, "timestamp": {"column": "at", **how}})
    columns = {name: ["x1234"] * len(values) for name in ("who", "card", "shop", "kind")}
    columns |= {"id": [f"t{number}" for number in range(len(values))], "cents": ["1"] * len(values), "at": values}
    if all(isinstance(value, str) for value in values):
        path = tmp_path / "times.csv"
        names = list(columns)
        lines = [",".join(f'"{columns[name][row]}"' for name in names) for row in range(len(values))]
        path.write_text("\n".join([",".join(names), *lines]) + "\n")
    else:
        path = tmp_path / "times.parquet"
        pq.write_table(pa.table(columns), path)
    return next(iter(read_events(path, mapping)))


def outcome(tmp_path: Path, values: list[Any], **how: Any) -> list[int | str]:
    """Of each value the milliseconds, or the reason why its row was refused."""
    events = read(tmp_path, values, **how)
    found: dict[int, int | str] = {number: reason for number, _, reason, _ in events.rejected}
    kept = events.transactions
    for name, at_ms in zip(kept["transaction_id"].to_pylist(), kept["timestamp"].to_pylist(), strict=True):
        found[int(name[1:]) + 1] = at_ms
    return [found[number] for number in range(1, len(values) + 1)]


def test_a_times_own_offset_counts_and_the_mappings_zone_where_there_is_none(tmp_path: Path) -> None:
    given = {
        "2020-12-31 21:25:58.745232+02": "2020-12-31T21:25:58.745232+02:00",
        "2020-12-31 21:25:58+00": "2020-12-31T21:25:58+00:00",
        "2020-12-31 21:25:58+05:30": "2020-12-31T21:25:58+05:30",
        "2020-12-31T21:25:58Z": "2020-12-31T21:25:58+00:00",
        "2020-12-31 21:25:58": "2020-12-31T21:25:58+01:00",
        "2020-12-31 21:25:58 +02:00": "2020-12-31T21:25:58+02:00",
        "2020-12-31 21:25:58-0500": "2020-12-31T21:25:58-05:00",
        "2020-12-31 21:25:58 UTC": "2020-12-31T21:25:58+00:00",
        "2020-12-31T21:25": "2020-12-31T21:25:00+01:00",
        "2020-07-31": "2020-07-31T00:00:00+02:00",
        "20201231T212558Z": "2020-12-31T21:25:58+00:00",
        "20201231T212558+02": "2020-12-31T21:25:58+02:00",
        "2020-12-31 21:25:58,5": "2020-12-31T21:25:58.5+01:00",
    }
    assert outcome(tmp_path, list(given), timezone="Europe/Brussels") == [ms(text) for text in given.values()]


@pytest.mark.parametrize(
    "text",
    [
        "2020-06-07 12:14:00 extra", "2020-06-31 12:14:00", "2020-02-30", "2021-02-29 12:00:00", "2020-13-01",
        "2020-00-10", "2020-06-00", "2020-06-07 24:00:00", "2020-06-07 12:60:00", "2020-06-07 12:14:61", "soon",
        "2020-06-07 12:14:00+24:00", "2020-06-07 12:14:00+02:60", "2020-06-07 12:14:00 EST", "07/06/2020", "1.6e9",
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused(tmp_path: Path, text: str) -> None:
    assert outcome(tmp_path, [text]) == ["timestamp: is not a date and time"]


@pytest.mark.parametrize("text", ["NULL", "nan", "\\N", "", "  "])
@pytest.mark.parametrize("how", [{}, {"format": "%Y-%m-%d"}, {"unit": "s"}])
def test_what_says_nothing_is_missing(tmp_path: Path, text: str, how: dict[str, str]) -> None:
    assert outcome(tmp_path, [text], **how) == ["timestamp: is missing"]


@pytest.mark.parametrize("how", [{}, {"format": "%Y-%m-%d %H:%M:%S"}, {"date": "day", "time": "clock"}])
def test_the_hour_that_comes_twice_is_taken_once_and_said(tmp_path: Path, how: dict[str, str]) -> None:
    texts = ["2018-10-28 02:30:00", "2018-03-25 02:30:00", "2018-10-28 03:30:00", "2018-03-25 03:00:00"]
    if "date" in how:
        mapping = TransactionMapping.model_validate(
            {**PLAIN, "timestamp": {**how, "timezone": "Europe/Brussels"}, "transaction_id": "id"}
        )
        path = tmp_path / "parts.csv"
        rows = [f"t{n},u,card,1,s,k,{text.replace(' ', ',')}" for n, text in enumerate(texts)]
        path.write_text("\n".join(["id,who,card,cents,shop,kind,day,clock", *rows]) + "\n")
        events = next(iter(read_events(path, mapping)))
    else:
        events = read(tmp_path, texts, timezone="Europe/Brussels", **how)
    assert events.transactions["timestamp"].to_pylist() == [
        ms("2018-10-28T02:30:00+02:00"), ms("2018-10-28T03:30:00+01:00"), ms("2018-03-25T03:00:00+02:00"),
    ]  # fmt: skip
    assert [(number, "does not exist in Europe/Brussels" in reason) for number, _, reason, _ in events.rejected] == [
        (2, True)
    ]
    assert list(events.notes.values()) == [1]
    assert "the first was taken" in next(iter(events.notes))


def test_a_parquet_column_without_a_zone_is_treated_as_texts_are(tmp_path: Path) -> None:
    column = [datetime(2018, 10, 28, 2, 30), datetime(2018, 3, 25, 2, 30), datetime(2018, 8, 8, 12), None]  # noqa: DTZ001
    events = read(tmp_path, column, timezone="Europe/Brussels")
    assert events.transactions["timestamp"].to_pylist() == [ms("2018-10-28T02:30+02:00"), ms("2018-08-08T12:00+02:00")]
    assert sum(events.notes.values()) == 1
    assert [row.reason for row in events.rejected][1] == "timestamp: is missing"
    assert outcome(tmp_path, [date(2018, 8, 8)]) == [ms("2018-08-08T00:00Z")]
    aware = [datetime(2018, 8, 8, 12, tzinfo=timezone(timedelta(hours=2)))]
    assert outcome(tmp_path, aware, timezone="America/New_York") == [ms("2018-08-08T12:00+02:00")]


def test_the_report_says_what_was_decided(tmp_path: Path) -> None:
    path = tmp_path / "twice.csv"
    path.write_text("id,who,card,cents,shop,kind,at\nt1,u,card,1,s,k,2018-10-28 02:30:00\n")
    mapping = TransactionMapping.model_validate({**PLAIN, "timestamp": {"column": "at", "timezone": "Europe/Brussels"}})
    report = import_transactions(path, mapping, str(tmp_path / "lake"))
    assert report.accepted == 1
    assert dict(report.notes) == {
        "timestamp: lies in the hour that comes twice when clocks go back: the first was taken": 1
    }


def test_a_format_is_read_to_its_end_with_fractions_offsets_and_names_of_months(tmp_path: Path) -> None:
    for pattern, text, expected in [
        ("%Y/%m/%d %H:%M:%S.%f", "2024/10/27 20:43:05.495", "2024-10-27T20:43:05.495Z"),
        ("%Y/%m/%d %H:%M:%S.%f", "2024/10/27 20:43:05.123456789", "2024-10-27T20:43:05.123Z"),
        ("%d.%m.%Y %H:%M:%S", "8.8.2018 12:00:00", "2018-08-08T12:00:00Z"),
        ("%d-%b-%y %I:%M %p", "08-AUG-18 12:05 am", "2018-08-08T00:05:00Z"),
        ("%A, %B %d, %Y %I:%M:%S %p", "Wednesday, August 08, 2018 12:05:01 PM", "2018-08-08T12:05:01Z"),
        ("%d/%b/%Y:%H:%M:%S %z", "08/Aug/2018:12:00:00 +0200", "2018-08-08T10:00:00Z"),
        ("%Y%m%d%H%M%S", "20180808120000", "2018-08-08T12:00:00Z"),
        ("%Y-%j", "2020-366", "2020-12-31T00:00:00Z"),
        ("%D %T", "08/08/18 12:00:00", "2018-08-08T12:00:00Z"),
        ("%Y-%m-%d %H:%M:%S %Z", "2018-08-08 12:00:00 gmt", "2018-08-08T12:00:00Z"),
    ]:
        assert outcome(tmp_path, [text], format=pattern) == [ms(expected)], (pattern, text)
    no_time = "timestamp: is not a date and time"
    texts = ["2020-06-07 12:14:00 extra", "2020-06-31 12:14:00", "2020-02-30 12:00:00", "2020-06-07 12:14:00.5"]
    assert outcome(tmp_path, texts, format="%Y-%m-%d %H:%M:%S") == [no_time] * 4
    assert outcome(tmp_path, ["2021-366", "2021-000"], format="%Y-%j") == [no_time] * 2
    assert outcome(tmp_path, ["13:00 am 2018-08-08", "0:00 am 2018-08-08"], format="%I:%M %p %Y-%m-%d") == [no_time] * 2


def test_the_name_of_a_zone_is_refused_unless_it_means_one_offset(tmp_path: Path) -> None:
    texts = [f"2018-08-08 12:00:00 {name}" for name in ("EST", "CEST", "rubbish", "UTC", "Z", "BST")]
    found = outcome(tmp_path, texts, format="%Y-%m-%d %H:%M:%S %Z", timezone="Europe/Brussels")
    assert [isinstance(one, str) and "several offsets" in one for one in found] == [
        True,
        True,
        True,
        False,
        False,
        True,
    ]
    assert found[3] == found[4] == NOON * 1000


def test_formats_read_what_python_writes(tmp_path: Path) -> None:
    rng = random.Random(3)
    moments = [datetime.fromtimestamp(rng.uniform(1e9, 3e9), tz=UTC) for _ in range(300)]
    for pattern in ("%Y-%m-%d %H:%M:%S.%f%z", "%d %B %Y %I.%M.%S.%f %p", "%y%j %H:%M:%S.%f", "%a %b %d %H:%M:%S.%f %Y"):
        events = read(tmp_path, [one.strftime(pattern) for one in moments], format=pattern)
        assert events.transactions["timestamp"].to_pylist() == [
            (one.microsecond + 500) // 1000 + int(one.timestamp()) * 1000 for one in moments
        ]


def test_zones_agree_with_zoneinfo(tmp_path: Path) -> None:
    rng = random.Random(5)
    for zone in ("America/New_York", "Australia/Lord_Howe", "Europe/Dublin", "Asia/Kathmandu"):
        local = [datetime(2018, 1, 1) + timedelta(minutes=rng.randrange(525_600 * 4)) for _ in range(500)]  # noqa: DTZ001
        expected = [one.replace(tzinfo=ZoneInfo(zone)) for one in local]
        real = [
            one.astimezone(UTC).astimezone(ZoneInfo(zone)).replace(tzinfo=None) == plain
            for one, plain in zip(expected, local, strict=True)
        ]
        found = outcome(tmp_path, [str(one) for one in local], timezone=zone)
        for one, plain, exists in zip(expected, found, real, strict=True):
            assert plain == round(one.timestamp() * 1000) if exists else isinstance(plain, str)


@pytest.mark.parametrize("kind", [str, int, float])
def test_numbers_are_told_apart_by_their_size(tmp_path: Path, kind: type) -> None:
    numbers = [kind(NOON * per) for per in (1, 10**3, 10**6, 10**9)]
    assert outcome(tmp_path, numbers) == [NOON * 1000] * 4
    unknown = outcome(tmp_path, [kind(number) for number in (2020, 20_180_808_120_000, 5_000_000_000)])
    assert all("no known unit" in str(reason) for reason in unknown)


def test_a_stated_unit_is_held_to(tmp_path: Path) -> None:
    seconds, milliseconds = NOON, NOON * 1000
    assert outcome(tmp_path, [str(seconds), f"{seconds}.4996"], unit="s") == [milliseconds, milliseconds + 500]
    assert outcome(tmp_path, [seconds], unit="ms") == ["timestamp: looks like seconds since the epoch: say unit: s"]
    assert outcome(tmp_path, [milliseconds], unit="s") == [
        "timestamp: looks like milliseconds since the epoch: say unit: ms"
    ]
    assert outcome(tmp_path, [str(NOON * 10**6)], unit="us") == [milliseconds]
    assert outcome(tmp_path, [NOON * 10**9], unit="ns") == [milliseconds]
    assert outcome(tmp_path, [float("nan"), float("inf"), 7.0], unit="s") == [
        "timestamp: is missing",
        "timestamp: is not a date and time",
        "timestamp: must lie between the years 2000 and 2100: see the mapping's unit, and origin where it is not 1970",
    ]
    assert outcome(tmp_path, ["soon", "1.5e9"], unit="s") == [
        "timestamp: is not a number", "timestamp: is not a number",
    ]  # fmt: skip


@pytest.mark.parametrize("unit", ["s", "ns", "d"])
def test_numbers_beyond_all_years_are_refused(tmp_path: Path, unit: str) -> None:
    found = outcome(tmp_path, [1e300, -1e300, 1e19], unit=unit)
    assert all("between the years 2000 and 2100" in str(one) for one in found)


def test_numbers_count_from_the_mappings_origin(tmp_path: Path) -> None:
    start = ms("2017-12-01T00:00:00Z")
    assert outcome(tmp_path, [0, 86_400], unit="s", origin="2017-12-01") == [start, start + 86_400_000]
    assert outcome(tmp_path, ["1", "1.5"], unit="h", origin="2017-12-01T00:00:00Z") == [
        start + 3_600_000,
        start + 5_400_000,
    ]
    assert outcome(tmp_path, [43320.5], unit="d", origin="1899-12-30") == [ms("2018-08-08T12:00:00Z")]
    brussels = outcome(tmp_path, [0], unit="min", origin="2017-12-01", timezone="Europe/Brussels")
    assert brussels == [ms("2017-12-01T00:00:00+01:00")]
    assert outcome(tmp_path, [0], unit="min", origin="2017-12-01", timezone="+02:00") == [ms("2017-12-01T00:00+02:00")]
    assert outcome(tmp_path, ["2017-12-01 00:00"], timezone="+02:00") == [ms("2017-12-01T00:00+02:00")]


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"format": "%Y-%m-%d %Q"}, "%Q is not read; known are .*%Y"),
        ({"format": "%m-%d"}, "names no year"),
        ({"format": "%Y %H"}, "names no month and day"),
        ({"format": "%Y-%m-%d %I:%M"}, "%p"),
        ({"format": "%Y-%m-%d %d"}, "day twice"),
        ({"format": "%Y-%m-%d", "unit": "s"}, "format is for texts"),
        ({"origin": "2017-01-01"}, "origin goes with a unit"),
        ({"unit": "s", "origin": "yesterday"}, "origin is not ISO-8601"),
        ({"timezone": "Europe/Brussel"}, "no zone 'Europe/Brussel'"),
        ({"timezone": "+2"}, "an offset such as"),
    ],
)
def test_what_cannot_be_right_is_refused_when_it_is_loaded(how: dict[str, str], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TimestampField.model_validate({"column": "at", **how})


@pytest.mark.parametrize(("factor", "unit"), [(1, "seconds"), (10**6, "microseconds"), (10**9, "nanoseconds")])
def test_the_contract_tells_a_wrong_unit_by_the_same_rule(factor: int, unit: str) -> None:
    event = {name: values[0] for name, values in GOOD.items()}
    with pytest.raises(ValidationError, match=f"this looks like {unit}"):
        Transaction.model_validate({**event, "timestamp": NOON * factor})
    with pytest.raises(ValidationError, match=f"this looks like {unit}"):
        Transaction.model_validate({**event, "timestamp": float(NOON * factor)})
    assert Transaction.model_validate({**event, "timestamp": NOON * 1000}).timestamp == NOON * 1000


def test_contract_and_import_round_alike(tmp_path: Path) -> None:
    event = {name: values[0] for name, values in GOOD.items()}
    texts = [f"2018-08-08T12:00:00.{fraction}Z" for fraction in ("4994", "4995", "4996", "999999", "0005", "12345678")]
    contract = [Transaction.model_validate({**event, "timestamp": text}).timestamp for text in texts]
    assert outcome(tmp_path, texts) == contract == [NOON * 1000 + more for more in (499, 500, 500, 1000, 1, 123)]
