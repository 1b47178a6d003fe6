"""From a definition to Spark's columns: conditions, the partial states of a tile, and features that need no window."""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column
from pyspark.sql import functions as F

from lamina.clock import DAY_MS
from lamina.contracts.aggregates import Predicate
from lamina.contracts.features import Chosen, Elapsed, EventSource, FeatureSet, Membership, Ratio, RequestFeature
from lamina.semantics.events import FIRST_WEEKEND_DAY, NIGHT_UNTIL_HOUR
from lamina.semantics.plan import State, TileSpec
from lamina.semantics.sketch import HASH_DIGITS, kept
from lamina.semantics.states import PART_SEPARATOR, TIMESTAMP_DIGITS

HOUR_MS = 3_600_000
EPOCH_WEEKDAY = 3  # 1970-01-01 was a Thursday; Monday is 0


def condition(predicate: Predicate) -> Column:
    """The predicate as a column that is never null: a missing value satisfies only `is null`."""
    column, value = F.col(predicate.column), F.lit(predicate.value)
    match predicate.operator:
        case "is null":
            return column.isNull()
        case "is not null":
            return column.isNotNull()
        case "=":
            found = column == value
        case "<>":
            found = column != value
        case "<":
            found = column < value
        case "<=":
            found = column <= value
        case ">":
            found = column > value
        case ">=":
            found = column >= value
    return F.coalesce(found, F.lit(False))


def tile_start(tile_spec: TileSpec) -> Column:
    """Start of the tile that holds an event, epoch ms."""
    ts = F.col(tile_spec.source.timestamp)
    return ts - F.pmod(ts, F.lit(tile_spec.resolution.ms))


def number(column: str) -> Column:
    """A column as a double; the only form in which numbers and truth values are aggregated."""
    return F.col(column).cast("double")


def text(source: EventSource, column: str) -> Column:
    """A column as the text that every engine writes for it: whole numbers in digits, `True` and `False`."""
    match source.columns[column]:
        case "string":
            return F.col(column)
        case "boolean":
            return F.initcap(F.col(column).cast("string"))
        case _:
            return F.col(column).cast("string")


def state(of: State, tile_spec: TileSpec) -> Column:
    """The aggregate that makes a state from the events of a tile, named by the state's label.

    Numeric states are doubles (min, max and times null where missing, the others 0), first and last are text, distinct
    and last_k sorted arrays of as many as are needed.

    Two payments of 5.0 and 7.0 in one minute become one row, with 2.0 in `count(*)` and 12.0 in `sum(amount)`. The
    start of its tile, by which they are grouped, and these two states are in Spark's words:

        -(timestamp, pmod(timestamp, 60000))
        CAST(count(CASE WHEN true THEN 1.0 END) AS DOUBLE) AS count(*)
        coalesce(sum(CASE WHEN true THEN CAST(amount AS DOUBLE) END), 0.0) AS sum(amount)
    """
    return _state(of, tile_spec).alias(of.label)


def _state(of: State, tile_spec: TileSpec) -> Column:
    source = tile_spec.source
    value = number(of.column) if of.column else F.lit(1.0)
    taken = condition(of.where) if of.where else F.lit(True)
    present = F.when(taken, value)
    match of.kind:
        case "count":
            return F.count(present).cast("double")
        case "sum":
            return F.coalesce(F.sum(present), F.lit(0.0))
        case "m2":
            return F.coalesce(F.var_pop(present) * F.count(present), F.lit(0.0))
        case "min":
            return F.min(present)
        case "max":
            return F.max(present)
        case "first_time":
            return F.min(F.when(taken, number(source.timestamp)))
        case "last_time":
            return F.max(F.when(taken, number(source.timestamp)))
        case "decayed":
            return F.coalesce(F.sum(F.when(taken, _weight(of, tile_spec))), F.lit(0.0))
        case "first":
            return F.min(F.when(taken, _dated(of, source)))
        case "last":
            return F.max(F.when(taken, _dated(of, source)))
        case "distinct":
            digest = F.substring(F.md5(text(source, of.column or "")), 1, HASH_DIGITS)
            return F.slice(F.sort_array(F.collect_set(F.when(taken, digest))), 1, kept(of.size))
        case "last_k":
            return F.slice(F.sort_array(F.collect_list(F.when(taken, _dated(of, source))), asc=False), 1, of.size)


def _weight(of: State, tile_spec: TileSpec) -> Column:
    """2 to the power of the half-lives since the start of the tile."""
    assert of.half_life is not None, "a decayed state has a half-life"
    since = F.pmod(F.col(tile_spec.source.timestamp), F.lit(tile_spec.resolution.ms))
    return F.pow(F.lit(2.0), since / of.half_life.ms)


def _dated(of: State, source: EventSource) -> Column:
    """Time, id and value in the form of `lamina.semantics.states.encode_text`; null where the value is missing."""
    ts = F.lpad(F.col(source.timestamp).cast("string"), TIMESTAMP_DIGITS, "0")
    separator = F.lit(PART_SEPARATOR)
    return F.concat(ts, separator, F.col(source.id).cast("string"), separator, text(source, of.column or ""))


def ratio(definition: Ratio, own: Mapping[str, Column]) -> Column:
    """The quotient of two features; the definition's default where the denominator is 0 or either part is missing.

    Args: own: by name the features that are no columns yet.
    """
    top, bottom = (own.get(part, F.col(part)) for part in definition.parts)
    default = F.lit(definition.default).cast("double")
    return F.coalesce(F.when(bottom != 0, top / bottom), default).alias(definition.name)


def elapsed(definition: Elapsed, at: str, own: Mapping[str, Column]) -> Column:
    """Seconds from the time that a feature holds to that of another, or to column `at`; null where one is missing."""
    until, since = (own.get(name, F.col(name)) for name in (definition.until or at, definition.since))
    return ((until - since) / 1000).alias(definition.name)


def chosen(definition: Chosen) -> Column:
    """The value of the feature that the row's column names, or the default where it names none."""
    found, column = F.lit(definition.default).cast("double"), F.col(definition.column)
    for value, part in definition.of.items():
        found = F.when(column == value, F.col(part)).otherwise(found)
    return found.alias(definition.name)


def membership(definition: Membership) -> Column:
    """1.0 where a list holds the row's column, 0.0 where it does not; null where the column is."""
    column = F.col(definition.column)
    held = F.coalesce(F.array_contains(F.col(definition.of), column), F.lit(False))
    return F.when(column.isNotNull(), held.cast("double")).alias(definition.name)


def request_feature(feature: RequestFeature, source: EventSource) -> Column:
    """A feature of the request alone, from the columns of its row."""
    return _request_feature(feature, source).alias(feature.name)


def _request_feature(feature: RequestFeature, source: EventSource) -> Column:
    ts = F.col(source.timestamp)
    hour = F.floor(F.pmod(ts, F.lit(DAY_MS)) / HOUR_MS)
    weekday = F.pmod(F.floor(ts / DAY_MS) + EPOCH_WEEKDAY, F.lit(7))
    match feature.transform:
        case "hour_of_day":
            return hour.cast("double")
        case "day_of_week":
            return weekday.cast("double")
        case "weekend":
            return (weekday >= FIRST_WEEKEND_DAY).cast("double")
        case "night":
            return (hour <= NIGHT_UNTIL_HOUR).cast("double")
        case "differs":
            return (~F.col(feature.column).eqNullSafe(F.col(feature.other))).cast("double")
        case "equals":
            return F.col(feature.column).eqNullSafe(F.lit(feature.value)).cast("double")
        case "field":
            is_text = source.columns[feature.column] == "string"
            return F.col(feature.column) if is_text else number(feature.column)


def derived(features: FeatureSet) -> list[Column]:
    """What is made from other features, then the features of the request, in the order of `features.names`."""
    own = {f.name: _request_feature(f, features.request) for f in features.request_features}
    picked = {c.name: chosen(c) for c in features.chosen}
    own |= picked
    return [
        *(ratio(r, own) for r in features.ratios),
        *(elapsed(e, features.request.timestamp, picked) for e in features.elapsed),
        *picked.values(),
        *(membership(m) for m in features.memberships),
        *(request_feature(f, features.request) for f in features.request_features),
    ]
