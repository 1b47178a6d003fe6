"""What the pages show of the lake, the registry and Airflow. Every function may take seconds: it runs in a thread."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from typing import Any

from lamina import definitions
from lamina.catalog import CONTRACTS
from lamina.clock import day_of
from lamina.contracts.dead_letters import DeadLetter
from lamina.contracts.features import EventSource
from lamina.lake import layout
from lamina.lake.files import children, name_of
from lamina.lake.partitions import ingested_days
from lamina.lake.write import open_lake
from lamina.orchestration.airflow_client import AirflowClient
from lamina.orchestration.airflow_runs import DagRun
from lamina.quality.standing import Standing, standing
from lamina.registry.gate import Parity, latest_parity
from lamina.registry.protocol import CARD_FILE, CHALLENGER, CHAMPION, ModelRegistry, ModelVersion, RegistryError
from lamina.reviews.cases import Case
from lamina.settings import Settings
from lamina.streams import dead_letters

VERSIONS, LETTERS, RUNS, EVENTS, EVENT_DAYS = 8, 30, 30, 15, 7
AIRFLOW_S = 3.0


@dataclass(frozen=True)
class Served:
    """A registered model: its newest versions, and the cards of champion and challenger, in Markdown."""

    name: str
    versions: Sequence[ModelVersion]
    cards: dict[str, str]


@dataclass(frozen=True)
class Letters:
    """The newest dead letters, and how many there are by topic and reason."""

    newest: list[DeadLetter]
    counts: list[tuple[tuple[str, str], int]]


def models(registry: ModelRegistry, names: Sequence[str]) -> list[Served]:
    """Of each name what is registered.

    Raises: RegistryError: the registry does not answer.
    """
    return [Served(name, versions := registry.versions(name)[:VERSIONS], _cards(registry, versions)) for name in names]


def _cards(registry: ModelRegistry, versions: Sequence[ModelVersion]) -> dict[str, str]:
    found = {}
    for alias in (CHAMPION, CHALLENGER):
        for version in versions:
            if alias in version.aliases:
                try:
                    found[alias] = registry.read(version.name, version.version, CARD_FILE)
                except RegistryError:
                    found[alias] = "This version has no card."
    return found


def parity(lake: str, systems: Sequence[str]) -> dict[str, Parity | None]:
    """By system the newest parity report.

    Raises: BrokenReport: one cannot be read.
    """
    return {system: latest_parity(lake, system) for system in systems}


def quality(lake: str) -> list[Standing]:
    """How the newest day of each topic stands that the quality gate has looked at."""
    fs, folder = open_lake(f"{lake.rstrip('/')}/quality")
    found = []
    for topic in children(fs, folder):
        if days := [name_of(day) for day in children(fs, topic)]:
            found.append(standing(lake, name_of(topic), date.fromisoformat(days[-1])))
    return found


def runs(settings: Settings) -> list[tuple[DagRun, str]]:
    """The newest runs of all DAGs, each with its address in Airflow.

    Raises: AirflowError: it does not answer.
    """
    with AirflowClient(settings.airflow_url, timeout_s=AIRFLOW_S, attempts=1) as airflow:
        return [(run, airflow.run_url(run)) for run in airflow.newest_runs(RUNS)]


def letters(settings: Settings) -> Letters:
    """The dead letters.

    Raises: StreamError: Kafka does not answer.
    """
    found = list(dead_letters.read(settings.kafka_bootstrap, settings.topic_prefix))
    counts = Counter((letter.topic, letter.reason) for letter in found).most_common(LETTERS)
    return Letters(found[: -LETTERS - 1 : -1], counts)


def recent_events(lake: str, system: str, case: Case) -> tuple[list[str], list[dict[str, Any]]]:
    """Columns, and the newest archived events of the first subject of `case` up to its own time, the newest first."""
    import pyarrow as pa
    import pyarrow.dataset as ds

    source: EventSource = definitions.load(system).request
    entity = next(iter(definitions.load(system).entities), None)
    fields = CONTRACTS[source.topic].model_fields
    # What a contract keeps out of logs, such as a card's token, is not for the eyes of who looks over a shoulder.
    columns = [name for name in source.columns if name in fields and fields[name].repr]
    if entity is None or entity.name not in case.subjects or entity.key not in columns:
        return columns, []
    where = (ds.field(entity.key) == case.subjects[entity.name]) & (ds.field(source.timestamp) <= case.answered_at)
    found: list[dict[str, Any]] = []
    for day in islice(reversed(ingested_days(lake, source.topic)), EVENT_DAYS):
        fs, path = open_lake(layout.events(lake, source.topic, day))
        try:
            found += (
                ds.dataset(path, format="parquet", filesystem=fs).to_table(columns=columns, filter=where).to_pylist()
            )
        except (FileNotFoundError, pa.ArrowInvalid):
            continue  # a run is writing the day anew
    once = {event[source.id]: event for event in found}
    return columns, sorted(once.values(), key=lambda event: -int(event[source.timestamp]))[:EVENTS]


def truths(lake: str, cases: Sequence[Case]) -> dict[int, str]:
    """What became known of the answers of these cases, by case id: by the joined rows of their days."""
    import pyarrow.dataset as ds

    from lamina.lake.joined import SAID, read_joined

    if not cases:
        return {}
    days = sorted({day_of(case.answered_at) for case in cases})
    where = ds.field("request_id").isin([case.request_id for case in cases]) & (ds.field("label_status") == SAID)
    columns = ["request_id", "event_id", "label", "label_source"]
    found = read_joined(lake, cases[0].system, columns, days=days, where=where)
    # One request may have asked about many events.
    told = {(row["request_id"], row["event_id"]): row for row in found.to_pylist()}
    known = ((case.case_id, told.get((case.request_id, case.event_id))) for case in cases)
    return {case_id: f"{row['label']:g} ({row['label_source']})" for case_id, row in known if row}
