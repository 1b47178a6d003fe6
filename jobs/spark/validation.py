"""A suite of `lamina.quality` run by Great Expectations, on pandas for a day that fits into memory, else on Spark."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.spark.lake import spark_source
from lamina.contracts.expectations import Expectation, Suite
from lamina.errors import NotMigrated
from lamina.lake.schemas import SCHEMAS, in_lake

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

MAX_PANDAS_ROWS = 2_000_000
RESULT_FORMAT = {"result_format": "SUMMARY", "partial_unexpected_count": 10}


@dataclass(frozen=True)
class Broken:
    """A rule that does not hold, and the numbers that say so."""

    expectation: Expectation
    observed: str

    def __str__(self) -> str:
        why = f" ({self.expectation.why})" if self.expectation.why else ""
        return f"{self.expectation.severity}: {self.expectation.name}: {self.observed}{why}"


@dataclass(frozen=True)
class Validation:
    """What came of a suite. `result` is Great Expectations' own; `broken` in the order of the suite."""

    result: Any
    broken: tuple[Broken, ...]
    rows: int
    engine: str

    @property
    def html(self) -> str:
        """The report as a page, made by Great Expectations' renderer."""
        from great_expectations.render.renderer.page_renderer import ValidationResultsPageRenderer
        from great_expectations.render.view import DefaultJinjaPageView

        return str(DefaultJinjaPageView().render(ValidationResultsPageRenderer().render(self.result)))


def validate(
    suite: Suite,
    fs: Any,
    files: Sequence[str],
    parameters: dict[str, int],
    spark: Callable[[], SparkSession],
    *,
    max_pandas_rows: int = MAX_PANDAS_ROWS,
) -> Validation:
    """Hold the events in `files` of file system `fs` to `suite`.

    Args: parameters: see `Suite.parameters`; spark: gives a session, asked for above `max_pandas_rows` only.
    """
    rows = sum(_rows(fs, file) for file in files)
    expectations = [e for e in suite.expectations if rows or not e.columns]
    if rows > max_pandas_rows:
        urls = [spark_source(str(fs.unstrip_protocol(file))) for file in files]
        return _run(suite, expectations, _spark_frame(spark(), suite, urls), parameters, rows, "spark")
    return _run(suite, expectations, _pandas_frame(suite, fs, files), parameters, rows, "pandas")


def _rows(fs: Any, file: str) -> int:
    with fs.open(file, "rb") as source:
        return int(pq.read_metadata(source).num_rows)


def flat_columns(suite: Suite) -> dict[str, str]:
    """Columns that the suite reads, by the flat name it gives them: `location_lat` is `location.lat`.

    >>> from lamina.quality.suites import suite_of
    >>> flat_columns(suite_of("transactions"))["location_lat"]
    'location.lat'
    """
    flat: dict[str, str] = {}
    for field in in_lake(SCHEMAS[suite.topic]):
        children = [f.name for f in field.type] if pa.types.is_struct(field.type) else []
        flat |= {f"{field.name}_{child}": f"{field.name}.{child}" for child in children} or {field.name: field.name}
    return {name: flat[name] for name in suite.columns}


def _pandas_frame(suite: Suite, fs: Any, files: Sequence[str]) -> Any:
    columns = flat_columns(suite)
    roots = list(dict.fromkeys(c.partition(".")[0] for c in columns.values()))
    schema = pa.schema([in_lake(SCHEMAS[suite.topic]).field(r).with_nullable(True) for r in roots])
    tables = []
    for file in files:
        with fs.open(file, "rb") as source:
            # The nullability of files differs by writer; the data does not.
            found = pq.ParquetFile(source)
            if lacking := sorted(set(roots) - set(found.schema_arrow.names)):
                raise NotMigrated(f"{file} lacks columns {', '.join(lacking)}: run `lamina migrate`")
            table = found.read(columns=roots).select(roots)
        tables.append(pa.Table.from_arrays([_nullable(c) for c in table.columns], names=roots))
    table = (pa.concat_tables(tables) if tables else schema.empty_table()).flatten()
    return table.rename_columns([n.replace(".", "_") for n in table.column_names]).select(list(columns)).to_pandas()


def _nullable(column: pa.ChunkedArray) -> pa.ChunkedArray:
    if not pa.types.is_struct(column.type):
        return column
    return column.cast(pa.struct([f.with_nullable(True) for f in column.type]))


def _spark_frame(spark: SparkSession, suite: Suite, urls: Sequence[str]) -> Any:
    from pyspark.sql import functions as F
    from pyspark.sql.pandas.types import from_arrow_schema

    frame = spark.read.schema(from_arrow_schema(in_lake(SCHEMAS[suite.topic]))).parquet(*urls)
    return frame.select(*(F.col(path).alias(name) for name, path in flat_columns(suite).items()))


def _run(
    suite: Suite, expectations: Sequence[Expectation], frame: Any, parameters: dict[str, int], rows: int, engine: str
) -> Validation:
    import great_expectations as gx

    context = gx.get_context(mode="ephemeral")
    context.enable_analytics(False)
    context.variables.progress_bars = {"globally": False}
    sources = context.data_sources
    source = sources.add_spark("lake") if engine == "spark" else sources.add_pandas("lake")
    batch = source.add_dataframe_asset(suite.topic).add_batch_definition_whole_dataframe("day")
    made = context.suites.add(gx.ExpectationSuite(name=suite.topic, expectations=[_made(e) for e in expectations]))
    definition = gx.ValidationDefinition(name=suite.topic, data=batch, suite=made)
    result = context.validation_definitions.add(definition).run(
        batch_parameters={"dataframe": frame}, expectation_parameters=parameters, result_format=RESULT_FORMAT
    )
    for one in result.results:
        # Great Expectations cannot render the numbers of numpy that its own pandas engine answers with.
        if isinstance(observed := one.result.get("observed_value"), np.generic):
            one.result["observed_value"] = observed.item()
    by_name = {e.name: e for e in expectations}
    broken = [Broken(by_name[r.expectation_config.meta["name"]], _observed(r)) for r in result.results if not r.success]
    # The order of the results is that of the engine's metrics, not that of the suite.
    broken.sort(key=lambda b: expectations.index(b.expectation))
    return Validation(result, tuple(broken), rows, engine)


def _made(expectation: Expectation) -> Any:
    import great_expectations.expectations as kinds
    from great_expectations.expectations.row_conditions import Column

    name = "".join(part.capitalize() for part in expectation.kind.split("_"))
    made = getattr(kinds, name)
    notes = {"notes": expectation.why} if expectation.why else {}
    arguments = dict(expectation.arguments)
    conditions = [Column(column) == value for column, value in expectation.rows.items()]
    if conditions:
        arguments["row_condition"] = reduce(and_, conditions)
    return made(**arguments, severity=expectation.severity, meta={"name": expectation.name}, **notes)


def _observed(result: Any) -> str:
    if result.exception_info and result.exception_info.get("raised_exception"):
        return f"could not be checked: {result.exception_info.get('exception_message')}"
    found = result.result
    if "unexpected_count" in found:
        share = found.get("unexpected_percent") or 0.0
        return f"{found['unexpected_count']} of {found['element_count']} values ({share:.3g} %)"
    return f"observed {found.get('observed_value')}"
