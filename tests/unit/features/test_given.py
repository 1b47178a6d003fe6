"""Frames as people hand them over: right, or refused in words. Values are counted by hand."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from lamina.contracts.aggregates import Predicate, count, distinct, maximum, total
from lamina.contracts.durations import days, minutes
from lamina.contracts.features import Entity, EventSource, FeatureView
from lamina.definitions.fraud import USER_SPEND
from lamina.errors import FrameError
from lamina.features import training_set

AT_MS = 1_533_686_400_000
MEAN = "user_avg_amount_1d"
USERS = [596, 596, 7]
"""Of three payments of 10, 20 and 30, a second apart; each is in its own mean."""
MEANS = [10.0, 15.0, 30.0]


def frame(**columns: Any) -> pd.DataFrame:
    plain = {
        "transaction_id": ["t1", "t2", "t3"],
        "user_id": USERS,
        "amount": [10.0, 20.0, 30.0],
        "timestamp": [AT_MS, AT_MS + 1000, AT_MS + 2000],
    }
    return pd.DataFrame(plain | columns)


def found(rows: Any, events: Any, **options: Any) -> pd.DataFrame:
    return training_set(rows, [USER_SPEND], events={"transactions": events}, **options)


def check(result: pd.DataFrame) -> None:
    assert result[MEAN].tolist() == MEANS


WAYS_OF_IDS: dict[str, Any] = {
    "int": USERS,
    "float": [596.0, 596.0, 7.0],
    "text": ["596", "596", "7"],
    "float text": ["596.0", "596.00", "7.0"],
    "blanks": ["596 ", " 596", "7\u00a0"],
    "mixed texts": ["596", "596.0", " 7"],
    "nullable": pd.array([596, 596, 7], dtype="Int64"),
    "category": pd.Categorical(["596", "596", "7"]),
    "float32": np.array([596, 596, 7], dtype=np.float32),
    "numbers among texts": pd.Series([596, "596", 7.0], dtype=object),
    "numpy's numbers among texts": pd.Series(["596.0", np.int64(596), np.float32(7)], dtype=object),
}


@pytest.mark.parametrize("there", WAYS_OF_IDS.values(), ids=WAYS_OF_IDS)
@pytest.mark.parametrize("here", ["int", "float", "blanks"])
def test_ids_are_one_text_on_both_sides(here: Any, there: Any) -> None:
    here = WAYS_OF_IDS[here]
    result = found(frame(user_id=here), frame(user_id=there))
    check(result)
    assert list(result["user_id"]) == list(frame(user_id=here)["user_id"]), "the caller's own ids stay"


def test_numbers_too_long_for_64_bits_are_their_digits() -> None:
    long = [2**70, str(2**70), 2**70 + 1]
    result = found(to_dicts(frame(user_id=pd.Series(long, dtype=object))), frame(user_id=pd.Series(long, dtype=object)))
    assert result[MEAN].tolist() == MEANS


@pytest.mark.parametrize("odd", [True, 2.0**60, {"id": 7}])
def test_a_value_among_others_that_has_no_text_is_refused_without_repeating_it(odd: object) -> None:
    with pytest.raises(FrameError, match=r"the rows: .*(neither text|rounded)") as raised:
        found(frame(user_id=pd.Series(["4111111111111111", 596, odd], dtype=object)), frame())
    assert "1111" not in str(raised.value)


@pytest.mark.parametrize("first", ["2018-08-08T02:00:00+02:00", "2018-08-07T20:00:00-0400", "2018-08-08T00:00:00Z"])
def test_a_time_without_an_offset_is_utc_whatever_stands_before_it(first: str) -> None:
    times = [first, "2018-08-08 00:00:01", "2018-08-08T00:00:02"]
    check(found(frame(timestamp=times), frame()))
    check(found(frame(), frame(timestamp=times)))
    days = ["2018-08-08T05:30:00+05:30", "2018-08-08", "2018-08-08"]
    assert found(frame(timestamp=days), frame(timestamp=[AT_MS] * 3))[MEAN].tolist() == [15.0, 15.0, 30.0]


@pytest.mark.parametrize("kind", [lambda rows: rows, lambda rows: to_dicts(rows)])
@pytest.mark.parametrize("truth", [True, np.bool_(True)])
def test_a_truth_value_is_not_one(kind: Callable[[pd.DataFrame], Any], truth: object) -> None:
    with pytest.raises(FrameError, match=r"truth value stands among numbers|neither text nor a whole number"):
        found(kind(frame(user_id=pd.Series([1.0, truth, 7.5], dtype=object))), frame())


def to_dicts(rows: pd.DataFrame) -> list[dict[str, Any]]:
    return [{str(name): value for name, value in row.items()} for row in rows.to_dict("records")]


KINDS: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas": lambda rows: rows,
    "arrow": lambda rows: pa.Table.from_pandas(rows),
    "dicts": to_dicts,
    "polars": pl.from_pandas,
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_kinds_of_frames(kind: Callable[[pd.DataFrame], Any], tmp_path: Path) -> None:
    check(found(kind(frame()), kind(frame(user_id=[596.0, 596.0, 7.0]))))
    pq.write_table(pa.Table.from_pandas(frame(user_id=[596.0, 596.0, 7.0])), tmp_path / "a.parquet")
    check(found(kind(frame()), tmp_path))
    check(found(str(tmp_path / "*.parquet"), kind(frame())))


@pytest.mark.parametrize(
    "index",
    [
        [5, 3, 9],
        ["a", "b", "c"],
        pd.date_range("2018-08-08", periods=3),
        pd.MultiIndex.from_tuples([(1, 2), (1, 3), (0, 0)]),
    ],
)
def test_the_index_is_the_callers_so_that_a_column_can_be_assigned_back(index: Any) -> None:
    rows = frame().set_axis(index)
    result = found(rows, frame())
    assert result.index.equals(rows.index)
    backwards = rows.iloc[::-1]
    rows["spent"] = found(backwards, frame())["user_avg_amount_1d"]
    assert rows["spent"].tolist() == MEANS


UTC_TEXTS = ["2018-08-08T00:00:00Z", "2018-08-08T00:00:01Z", "2018-08-08T00:00:02Z"]
TIMES: dict[str, Any] = {
    "ms": [AT_MS, AT_MS + 1000, AT_MS + 2000],
    "float ms": [float(AT_MS), AT_MS + 1000.0, AT_MS + 2000.0],
    "s": [AT_MS // 1000 + i for i in range(3)],
    "float s": [AT_MS / 1000 + i for i in range(3)],
    "us": [(AT_MS + 1000 * i) * 1000 for i in range(3)],
    "ns": [(AT_MS + 1000 * i) * 1_000_000 for i in range(3)],
    "text": UTC_TEXTS,
    "text without zone": [text.removesuffix("Z").replace("T", " ") for text in UTC_TEXTS],
    "text of another zone": ["2018-08-08T02:00:00+02:00", "2018-08-08T02:00:01+02:00", "2018-08-07T22:00:02-02:00"],
    "datetimes": pd.to_datetime(UTC_TEXTS),
    "naive": pd.to_datetime(UTC_TEXTS).tz_localize(None),
    "zoned": pd.to_datetime(UTC_TEXTS).tz_convert("Europe/Brussels"),
    "objects": pd.Series([datetime(2018, 8, 8, 0, 0, i, tzinfo=UTC) for i in range(3)], dtype=object),
    "seconds": pd.to_datetime(UTC_TEXTS).tz_localize(None).astype("datetime64[s]"),
}


@pytest.mark.parametrize("there", TIMES.values(), ids=TIMES)
@pytest.mark.parametrize("here", ["ms", "s", "text"])
def test_times_in_every_form(here: str, there: Any) -> None:
    result = found(frame(timestamp=TIMES[here]), frame(timestamp=there))
    check(result)
    assert result["timestamp"].tolist() == TIMES["ms"]


@pytest.mark.parametrize(
    "times",
    [
        ["2018-08-08", "soon", "2018-08-09"], ["08/08/2018", "08/08/2018", "08/08/2018"], ["1533686400000"] * 3,
        [20180808, 20180808, 20180809], [1, 2, 3], [AT_MS, AT_MS, 1e30], [date(2018, 8, 8)] * 3, [True, False, True],
        [AT_MS, AT_MS, None], ["2018-08-08T00:00:00Z", "NULL", ""], [None] * 3, [AT_MS, AT_MS, float("inf")],
        ["2018-02-30T00:00:00Z"] * 3,
    ],
)  # fmt: skip
def test_what_is_no_time_is_refused_on_both_sides(times: list[Any]) -> None:
    for rows, events in ((frame(timestamp=times), frame()), (frame(), frame(timestamp=times))):
        with pytest.raises(FrameError, match="'timestamp'"):
            found(rows, events)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([596.0, None, 7.0], "1 of 3 .*have no"),
        (["596", "NULL", "nan"], "2 of 3 .*have no"),
        (["596", "", " "], "2 of 3 .*have no"),
        (["4.0E+15", "4.0E+15", "7"], "2 of 3 rows is a number that was rounded"),
        ([2.0**53, 2.0**53 + 2, 7.0], "2 of 3 rows is a number that was rounded"),
        ([True, False, True], "3 of 3 rows is neither text nor a whole number"),
    ],
)
@pytest.mark.parametrize("column", ["user_id", "transaction_id"])
def test_ids_that_are_nobodys_or_two_peoples_are_refused(column: str, values: list[Any], words: str) -> None:
    with pytest.raises(FrameError, match=f"{column}|{words}") as raised:
        found(frame(), frame(**{column: values}))
    assert column in str(raised.value)
    if column == "user_id":
        with pytest.raises(FrameError, match=words):
            found(frame(user_id=values), frame())


def test_events_without_ids_do_not_collapse_into_one() -> None:
    with pytest.raises(FrameError, match="3 of 3 have no 'transaction_id'"):
        found(frame(), frame(transaction_id=[None, None, None]))
    with pytest.raises(FrameError, match="transaction_id"):
        found(frame(), frame().drop(columns=["transaction_id"]))


def test_ids_beside_each_other_are_repetitions_however_written() -> None:
    again = pd.concat([frame(transaction_id=[1, 2, 3]), frame(transaction_id=[1, 2, 3])])
    check(found(frame(), again))
    mixed = pa.concat_tables(
        [pa.Table.from_pandas(frame(transaction_id=t)) for t in (["1", "2", "3"], ["1.0", "2.0", "3.0"])]
    )
    check(found(frame(), mixed))


@pytest.mark.parametrize("both", [["user_id", "USER_ID"], ["Amount", "amount"], ["note", "NOTE"]])
def test_columns_that_differ_by_case_alone_are_refused(both: list[str]) -> None:
    rows = frame(**{name: USERS for name in both if name not in frame()})
    with pytest.raises(FrameError, match=f"{sorted(both)[0]}.*{sorted(both)[1]}.*differ by case"):
        found(rows, frame())
    # Of events only the columns that the definition names are read.
    check(found(frame(), pa.Table.from_pandas(rows)))


def test_a_column_named_like_a_feature_but_for_the_case_is_refused() -> None:
    with pytest.raises(FrameError, match=MEAN):
        found(frame(**{MEAN.upper(): USERS}), frame())


def test_a_column_given_twice_is_refused() -> None:
    twice = pd.concat([frame(), frame()[["amount"]]], axis=1)
    for rows, events in ((twice, frame()), (frame(), twice)):
        with pytest.raises(FrameError, match="amount"):
            found(rows, events)


def test_of_a_list_all_rows_say_what_columns_there_are() -> None:
    first, *others = to_dicts(frame())
    del first["amount"]
    result = found([first, *others], frame())
    assert result["amount"].tolist()[1:] == [20.0, 30.0]


GIVEN = EventSource(
    "given", "given", "event_id", "timestamp",
    {"event_id": "string", "user_id": "string", "shop": "string", "amount": "double", "items": "long",
     "paid": "boolean", "timestamp": "long"},
)  # fmt: skip
SPENT = FeatureView(
    name="spent",
    entity=Entity("user", "user_id"),
    source=GIVEN,
    owner="test",
    windows=(days(1),),
    resolution=minutes(1),
    suffix=False,
    aggregates=(
        total("amount", "spent"),
        maximum("amount", "most"),
        count("large", where=Predicate("amount", ">", 5.0)),
        count("paid_ones", where=Predicate("paid", "=", True)),
        distinct("shop", "shops", cap=16),
        distinct("items", "baskets", cap=16),
    ),
)
NAN = float("nan")
EVENTS: dict[str, list[Any]] = {
    "event_id": ["a", "b", "c", "d"],
    "user_id": ["u"] * 4,
    "shop": [7.0, 7.0, 8.0, NAN],
    "amount": [10.0, NAN, 4.0, 6.0],
    "items": [2.0, 2.0, NAN, 3.0],
    "paid": [1.0, 0.0, 1.0, NAN],
    "timestamp": [AT_MS] * 4,
}
EXPECTED = {"spent": 20.0, "most": 10.0, "large": 2.0, "paid_ones": 2.0, "shops": 2.0, "baskets": 2.0}
"""Of the events above, by hand: NaN is nothing."""


def asked(events: Any) -> dict[str, Any]:
    rows = [{"user_id": "u", "timestamp": AT_MS + 3_600_000}]
    return dict(training_set(rows, [SPENT], events={"given": events}).iloc[0])


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_nan_is_nothing_whatever_the_kind(kind: Callable[[pd.DataFrame], Any]) -> None:
    result = asked(kind(pd.DataFrame(EVENTS)))
    assert {name: result[name] for name in EXPECTED} == EXPECTED


def test_nan_is_nothing_in_arrow_where_it_is_a_number(tmp_path: Path) -> None:
    table = pa.table(EVENTS)
    assert table["amount"].null_count == 0
    pq.write_table(table, tmp_path / "a.parquet")
    for events in (table, tmp_path):
        result = asked(events)
        assert {name: result[name] for name in EXPECTED} == EXPECTED


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("items", 2.5, "'items' of 1 of 4 rows is not a whole number"),
        ("paid", 2.0, "'paid' of 1 of 4 rows is not true, false, 1 or 0"),
        ("shop", 2.0**60, "'shop' of 1 of 4 rows is a number that was rounded"),
    ],
)
def test_values_that_are_not_of_their_type_are_refused(column: str, value: float, words: str) -> None:
    with pytest.raises(FrameError, match=words):
        asked(pd.DataFrame(EVENTS | {column: [value, *EVENTS[column][1:]]}))


def test_messages_show_no_card_number() -> None:
    with pytest.raises(FrameError) as raised:
        asked(pd.DataFrame(EVENTS | {"amount": ["4111111111111111x"] * 4}))
    assert "4111111111111111" not in str(raised.value)


@pytest.mark.parametrize(
    ("rows", "events", "message"),
    [
        (lambda f: f, lambda f: f.drop(columns="transaction_id"), r"events .* have no columns \['transaction_id'\]"),
        (lambda f: f, lambda f: f.rename(columns={"user_id": "User_ID"}), r"have no columns \['user_id'\]"),
        (lambda f: f, lambda f: pd.DataFrame(), r"have no columns \['timestamp', 'transaction_id', 'user_id'\]"),
        (lambda f: f["user_id"], lambda f: f, "the rows: neither a table nor"),
        (lambda f: (row for row in f.to_dict("records")), lambda f: f, "the rows: neither a table nor"),
        (lambda f: f, lambda f: f.assign(amount=True), "'amount' holds truth values, which are no numbers"),
        (lambda f: f, lambda f: f.assign(amount=["10", "1_0", "x"]), "'amount' of 2 of 3 rows is not a number"),
        (lambda f: f.assign(note=pd.Series([1, "a", [2]])), lambda f: f, "column 'note': one of several values"),
    ],
)
def test_a_frame_that_cannot_be_is_refused_in_words(
    rows: Callable[[pd.DataFrame], Any], events: Callable[[pd.DataFrame], Any], message: str
) -> None:
    with pytest.raises(FrameError, match=message):
        found(rows(frame()), events(frame()))


def test_amounts_as_text_are_numbers() -> None:
    check(found(frame(), frame(amount=["10", " 20.0 ", "3e1"])))
    assert found(frame(), frame(amount=["10", "NaN", None]))[MEAN].tolist()[:2] == [10.0, 10.0]


@pytest.mark.parametrize("url", ["", " ", "/", "s3://", "file:///"])
def test_a_lake_that_is_none_is_refused_and_not_read_as_empty(url: str) -> None:
    with pytest.raises(FrameError, match="events: the URL of a lake"):
        training_set(frame(), [USER_SPEND], events=url)
