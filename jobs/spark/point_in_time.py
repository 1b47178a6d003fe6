"""Features of any rows as they were at the time of each row: what models train on, and what parity compares with.

Every entity is one pass: the rows and the entity's events are brought together by entity id and handed to the workers,
who know nothing of other partitions; the rows leave with the entity's features as further columns.
"""

from __future__ import annotations

from collections.abc import Mapping

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F
from pyspark.sql.types import ArrayType, DataType, DoubleType, StringType, StructField, StructType

from jobs.spark.compile import condition, derived, number, text
from lamina.contracts.aggregates import DATED
from lamina.contracts.features import EventSource, FeatureSet
from lamina.features.entity_pass import AT, ENTITY, ID, KIND, QUERY, ROW, EntityPass, Slot, slot_kind
from lamina.features.standing import KNOWN, UNTIL


def features_at(features: FeatureSet, rows: DataFrame, events: Mapping[str, DataFrame]) -> DataFrame:
    """`rows` with every feature of `features` at the time of each row, in the order of `features.names`.

    A row is a request: it has the columns of `features.request`, and its own event is expected among the events where a
    view includes it. Other columns are kept; one named like a feature is replaced by it. `rows` is computed twice.

    Args: events: by name of the source, as `events_of` gives them; only those that some window can reach are used.
    """
    request = features.request
    ends = rows.agg(F.min(request.timestamp), F.max(request.timestamp)).first()
    first, last = (ends[0] or 0, ends[1] or 0) if ends else (0, 0)
    carried = list(rows.columns)
    for entity in features.entities:
        rows = _pass(EntityPass(features, entity), rows, events, first, last)
    kept = [F.col(name) for name in carried if name not in features.names]
    windowed = [F.col(f.name) for f in features.window_features]
    return rows.select(*kept, *windowed, *derived(features))


def _pass(
    entity: EntityPass, rows: DataFrame, events: Mapping[str, DataFrame], first_ms: int, last_ms: int
) -> DataFrame:
    names = [f.name for f in entity.window_features]
    rows = rows.drop(*names)
    row_type = rows.schema
    queries = rows.select(
        F.lit(QUERY).alias(KIND),
        F.col(entity.entity.key).alias(ENTITY),
        F.col(entity.features.request.timestamp).alias(AT),
        F.lit(None).cast("string").alias(ID),
        *(F.lit(None).cast("long").alias(name) for name in (KNOWN, UNTIL)),
        *(F.lit(None).cast(slot.kind).alias(slot.name) for slot in entity.slots),
        F.struct(*rows.columns).alias(ROW),
    )
    union = queries
    for at, source in enumerate(entity.sources):
        horizon_ms = max(v.horizon for v in entity.views if v.source == source) * 1000
        ts = F.col(source.timestamp)
        reached = events[source.name].where((ts >= first_ms - horizon_ms) & (ts <= last_ms))
        # By position: the columns are the same, and their names hold dots.
        union = union.union(
            reached.select(
                F.lit(at).alias(KIND),
                F.col(entity.entity.key).alias(ENTITY),
                ts.alias(AT),
                (F.col(source.id) if entity.needs_id(source) else F.lit(None)).cast("string").alias(ID),
                *((F.col(n) if source.revisions else F.lit(None).cast("long")).alias(n) for n in (KNOWN, UNTIL)),
                *(_slot(slot, at, source).alias(slot.name) for slot in entity.slots),
                F.lit(None).cast(StructType(row_type.fields)).alias(ROW),
            )
        )
    added = [StructField(f.name, _type(entity, f.name)) for f in entity.window_features]
    partitions = int(rows.sparkSession.conf.get("spark.sql.shuffle.partitions") or 1)
    return union.repartition(partitions, ENTITY).mapInArrow(entity, StructType([*row_type.fields, *added]))


def _slot(slot: Slot, number_of_source: int, source: EventSource) -> Column:
    if slot.source != number_of_source:
        return F.lit(None).cast(slot.kind)
    if not isinstance(slot.what, str):
        return condition(slot.what)
    return number(slot.what) if slot.kind == "double" else text(source, slot.what)


def _type(entity: EntityPass, name: str) -> DataType:
    feature = next(f for f in entity.window_features if f.name == name)
    takes_text = feature.aggregate.kind in DATED and (slot_kind(feature.view.source, feature.aggregate) == "string")
    element = StringType() if takes_text else DoubleType()
    return ArrayType(element, False) if feature.aggregate.is_list else element
