from __future__ import annotations

import re
from itertools import pairwise

import pytest

from jobs.flink.compile import CARD_FIELD, CARD_NUMBER, StreamSql, compile_stream
from jobs.flink.options import StreamOptions
from lamina.contracts.aggregates import (
    Aggregate,
    Predicate,
    count,
    decayed_count,
    distinct,
    first,
    last,
    last_k,
    last_time,
    maximum,
    mean,
    minimum,
    session_count,
    std,
    total,
)
from lamina.contracts.cards import holds_card_number
from lamina.contracts.features import (
    Entity,
    FeatureSet,
    FeatureView,
    Layers,
    RequestFeature,
    days,
    hours,
    minutes,
    seconds,
)
from lamina.definitions import load
from lamina.definitions.fraud import FRAUD_LABELS, MERCHANT, TRANSACTIONS, USER
from lamina.semantics.plan import Plan, make_plan

OPTIONS = StreamOptions(system="fraud", bootstrap="broker:9092", topic_prefix="p-")


def view(*aggregates: Aggregate, **more: object) -> FeatureView:
    chosen: dict[str, object] = {
        "name": "v",
        "entity": USER,
        "source": TRANSACTIONS,
        "owner": "test",
        "windows": (hours(1),),
        "resolution": minutes(1),
    }
    return FeatureView(aggregates=aggregates, **{**chosen, **more})  # type: ignore[arg-type]


def plan_of(*views: FeatureView) -> Plan:
    return make_plan(
        FeatureSet(
            system="s",
            request=TRANSACTIONS,
            views=views,
            ratios=(),
            elapsed=(),
            request_features=(RequestFeature("amount", "field", "amount"),),
            model_features=("amount",),
        )
    )


def tiles(plan: Plan) -> list[str]:
    return [i for i in compile_stream(plan, OPTIONS).inserts if i.startswith("INSERT INTO feature_tiles")]


def state_sql(aggregate: Aggregate) -> list[str]:
    """The states of the one tile query, in order, without what all of them share."""
    (query, *_) = tiles(plan_of(view(aggregate)))
    payload = query.split("SELECT `key`, CONCAT(", 1)[1].split(") AS `payload`", 1)[0]
    head, *states = payload.split(", CHR(31), ")
    assert head == "CAST(COUNT(*) AS STRING)"
    return [re.fullmatch(r"COALESCE\(CAST\((.*) AS STRING\), ''\)", s)[1] for s in states]  # type: ignore[index]


FRENCH = Predicate("country", "=", "F'R")
TEXT = "CONCAT(LPAD(CAST(`timestamp` AS STRING), 13, '0'), CHR(30), `transaction_id`, CHR(30), "
ONLY = " FILTER (WHERE `country` = 'F''R')"


@pytest.mark.parametrize(
    ("aggregate", "states"),
    [
        (count("x"), ["COUNT(*)"]),
        (count("x", where=FRENCH), ["COUNT(*)" + ONLY]),
        (total("amount", "x"), ["SUM(`amount`)"]),
        (mean("amount", "x", where=FRENCH), ["COUNT(`amount`)" + ONLY, "SUM(`amount`)" + ONLY]),
        (minimum("amount", "x"), ["MIN(`amount`)"]),
        (maximum("location.lat", "x"), ["MAX(`location__lat`)"]),
        (std("amount", "x"), ["COUNT(`amount`)", "SUM(`amount`)", "(VAR_POP(`amount`) * COUNT(`amount`))"]),
        (session_count("x", gap=hours(1)), ["COUNT(*)", "MIN(`timestamp`)", "MAX(`timestamp`)"]),
        (
            decayed_count("x", half_life=hours(1), where=FRENCH),
            ["SUM(POWER(CAST(2 AS DOUBLE), CAST(MOD(`timestamp`, 60000) AS DOUBLE) / 3600000))" + ONLY],
        ),
        (last_time("x", where=FRENCH), ["MAX(`timestamp`)" + ONLY]),
        (first("merchant_id", "x"), [f"MIN({TEXT}`merchant_id`))"]),
        (last("amount", "x", where=FRENCH), [f"MAX({TEXT}CAST(`amount` AS STRING)))" + ONLY]),
    ],
    ids=lambda v: v.kind if isinstance(v, Aggregate) else "",
)
def test_each_state_is_one_aggregate(aggregate: Aggregate, states: list[str]) -> None:
    assert state_sql(aggregate) == states


def test_a_distinct_state_has_a_tile_per_value() -> None:
    plan = plan_of(view(count("n"), distinct("country", "a", cap=9), distinct("merchant_id", "b", cap=9, where=FRENCH)))
    scalar, countries, merchants = tiles(plan)
    assert "`country`" not in scalar
    assert "'/0/', SUBSTRING(MD5(`country`), 1, 16)) AS `key`" in countries
    assert "WHERE `country` IS NOT NULL\n" in countries
    assert "'/1/', SUBSTRING(MD5(`merchant_id`), 1, 16)) AS `key`" in merchants
    assert "WHERE `merchant_id` IS NOT NULL AND `country` = 'F''R'\n" in merchants


def test_a_short_tile_holds_the_values_of_its_keyed_states_itself() -> None:
    both = (count("n"), distinct("country", "a", cap=9, where=FRENCH), last_k("amount", "b", k=2))
    (query,) = tiles(plan_of(view(*both, resolution=seconds(1))))
    assert "LISTAGG(SUBSTRING(MD5(`country`), 1, 16), U&'\\001D')" + ONLY in query
    assert f"LISTAGG({TEXT}CAST(`amount` AS STRING)), U&'\\001D')" in query
    assert len(tiles(plan_of(view(*both, resolution=seconds(2))))) == 3


def test_booleans_are_written_as_the_reference_writes_them() -> None:
    labels = view(distinct("is_fraud", "kinds", cap=3), entity=MERCHANT, source=FRAUD_LABELS)
    assert "CASE WHEN `is_fraud` THEN 'True' WHEN NOT `is_fraud` THEN 'False' END" in tiles(plan_of(labels))[1]


def test_of_the_newest_values_a_tile_keeps_only_so_many() -> None:
    _, newest = tiles(plan_of(view(last_k("country", "x", k=5, where=FRENCH))))
    assert "PARTITION BY `tile` ORDER BY `timestamp` DESC, `transaction_id` DESC" in newest
    assert newest.endswith("WHERE `_rank` <= 5")
    assert "WHERE `country` IS NOT NULL AND `country` = 'F''R')" in newest
    assert "`_turn`" not in newest


def test_of_a_hot_entity_a_tile_keeps_only_the_smallest_hashes() -> None:
    hot = view(distinct("user_id", "x", cap=9), entity=Entity("merchant", "merchant_id", hot=True))
    _, smallest = tiles(plan_of(hot))
    assert "PARTITION BY `tile` ORDER BY `value` ASC" in smallest
    assert smallest.endswith("WHERE `_rank` <= 10")
    assert "PARTITION BY `key` ORDER BY `_arrived`) AS `_turn`" in smallest


def test_the_key_is_that_of_the_topic_and_is_the_only_group() -> None:
    """Then a tile's writes are in order on one partition, and Flink needs no operator to put them in order."""
    plan = make_plan(load("fraud"))
    keys = ("'user:', `user_id`, CHR(9), 'transactions@", "'merchant:', `merchant_id`, CHR(9), 'fraud_reports@")
    for query, key in zip(tiles(plan), keys, strict=True):
        assert query.endswith("GROUP BY `key`")
        assert f"SELECT CONCAT({key}" in query
    assert sum(t.id in q for t in plan.speed for q in tiles(plan)) == len(tiles(plan))


def test_tiles_start_at_whole_resolutions() -> None:
    (query,) = tiles(plan_of(view(count("n"))))
    assert "CAST(`timestamp` - MOD(`timestamp`, 60000) AS STRING)" in query


def test_only_the_speed_layer_is_streamed() -> None:
    batch = view(count("n"), entity=MERCHANT, source=FRAUD_LABELS, layers=Layers.BATCH, delay=days(1))
    sql = compile_stream(plan_of(view(count("m")), batch), OPTIONS)
    assert not any("fraud_labels" in text for text in (*sql.setup, *sql.inserts))


def test_topics_carry_the_prefix() -> None:
    sql = compile_stream(make_plan(load("fraud")), OPTIONS)
    topics = [t for text in sql.setup for t in re.findall(r"'topic' = '([^']*)'", text)]
    assert topics == ["p-feature-tiles", "p-dead-letters", "p-transactions", "p-fraud-labels"]


@pytest.mark.parametrize(
    ("start", "mode"), [("earliest", "earliest-offset"), ("latest", "latest-offset"), ("committed", "group-offsets")]
)
def test_where_reading_begins(start: str, mode: str) -> None:
    sql = compile_stream(make_plan(load("fraud")), StreamOptions(system="fraud", bootstrap="b:1", start=start))  # type: ignore[arg-type]
    assert f"'scan.startup.mode' = '{mode}'" in "\n".join(sql.setup)


UNFIT = "`_fits` IS NOT TRUE"


def _conditions(sql: StreamSql) -> tuple[list[str], list[str]]:
    first_view = next(s for s in sql.setup if "_first`" in s.split("\n")[0])
    kept = re.findall(r"(?m)^ *(?:WHERE|AND) (.*?)\)?$", first_view)
    refused = re.findall(r"(?m)WHEN (.*) THEN '", next(i for i in sql.inserts if "dead_letters" in i))
    return kept, refused


def test_an_event_is_either_counted_or_a_dead_letter() -> None:
    """Both branches ask the same conditions: what one refuses the other takes."""
    kept, refused = _conditions(compile_stream(make_plan(load("fraud")), OPTIONS))
    assert kept[0] == "`_fits` IS TRUE"
    assert refused[-1] == UNFIT
    of_columns = [r for r in refused if not r.startswith(UNFIT)]
    assert [k.removeprefix("(").removesuffix(") IS NOT TRUE") for k in kept[1:]] == of_columns
    assert len(refused) > len(TRANSACTIONS.columns)


def test_only_nested_columns_may_be_missing() -> None:
    _, refused = _conditions(compile_stream(make_plan(load("fraud")), OPTIONS))
    asked = " ".join(r for r in refused if r.rstrip(")").endswith(" IS NULL"))
    texts = re.findall(r"'lax \$\.([\w.]+)'\) IS NULL", asked)
    numbers = re.findall(r"`(\w+)` IS NULL", asked)
    assert {*texts, *numbers} == {name for name in TRANSACTIONS.columns if "." not in name}


def test_only_columns_that_are_read_are_taken_out_of_a_message() -> None:
    (parsed,) = (s for s in compile_stream(plan_of(view(total("amount", "x"))), OPTIONS).setup if "_parsed` AS" in s)
    columns = re.findall(r"AS `(\w+)`", parsed.split("SELECT", 1)[1])
    read = {"transaction_id", "user_id", "amount", "location__lat", "location__lon", "timestamp"}
    assert {*columns} == {*read, "_fits"}


def test_every_view_is_made_before_it_is_read() -> None:
    sql = compile_stream(make_plan(load("fraud")), OPTIONS)
    made = [re.search(r"(?:TABLE|VIEW) `?(\w+)`?", s)[1] for s in sql.setup]  # type: ignore[index]
    for text, (_, name) in zip(sql.setup[1:], pairwise(made), strict=True):
        for read in re.findall(r"FROM `(\w+)`", text):
            assert read in made[: made.index(name)]


def test_a_label_counts_once_a_verdict() -> None:
    setup = "\n".join(compile_stream(make_plan(load("fraud")), OPTIONS).setup)
    assert "PARTITION BY `transaction_id`, `is_fraud` ORDER BY `_arrived`" in setup
    assert "PARTITION BY `transaction_id` ORDER BY `_arrived`" in setup


@pytest.mark.parametrize(
    ("token", "is_number"),
    [
        ("4000001234567899", True),
        ("4000-0012-3456-7890", True),
        ("card-4000001234567899", True),
        ("card4000001234567899", True),
        ("426614174000", True),
        ("card-83e1204c97a1b02c55d0e1f4", False),
        ("123e4567-e89b-12d3-a456-426614174000", False),
        ("12345678901", False),
        ("1" * 20, False),
    ],
)
def test_letters_hold_no_card_number(token: str, is_number: bool) -> None:
    message = f'{{"user_id": "u1", "card_token": "{token}", "timestamp": 1533686400}}'
    assert bool(re.search(CARD_FIELD, message)) == is_number == holds_card_number(token)
    if is_number:
        assert not re.search(r"([0-9][ -]?){11}", re.sub(CARD_NUMBER, "****", message))
