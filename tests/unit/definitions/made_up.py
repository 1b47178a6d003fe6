"""Runs a process in which a folder's systems stand beside those of the product, as if their modules were there.

`python -m tests.unit.definitions.made_up FOLDER` prints what every registry says then; with a file and its arguments
behind the folder that file is run instead.
"""

import importlib
import json
import runpy
import sys
from pathlib import Path
from typing import Any

from lamina import definitions

definitions.__path__.append(sys.argv[1])


def registries() -> dict[str, Any]:
    """What is made of the records, by what it is."""
    catalog, schemas, suites, jobs, topics = (
        importlib.import_module(f"lamina.{name}")
        for name in ("catalog", "lake.schemas", "quality.suites", "orchestration.jobs", "streams.topics")
    )
    compile_stream = importlib.import_module("jobs.flink.compile").compile_stream
    options = importlib.import_module("jobs.flink.options").StreamOptions
    plan = importlib.import_module("lamina.semantics.plan").make_plan
    names = definitions.system_names()
    streams = {
        name: compile_stream(plan(definitions.load(name)), options(system=name, bootstrap="b")) for name in names
    }
    return {
        "systems": names,
        "topics": [topic.name for topic in catalog.TOPICS],
        "created": [topic.name for topic in topics.create_topics.__defaults__[1]],
        "contracts": {topic: contract.__name__ for topic, contract in catalog.CONTRACTS.items()},
        "schemas": {topic: schema.names for topic, schema in schemas.SCHEMAS.items()},
        "suites": {topic: len(suite.expectations) for topic, suite in suites.SUITES.items()},
        "archived": {name: jobs.archived_topics(name) for name in names},
        "usual": definitions.usual_system(),
        "models": [name for name in names if jobs.has_model(name)],
        "delays": {name: jobs.label_days(name) for name in names},
        "streams": {name: "\n".join((*sql.setup, *sql.inserts)) for name, sql in streams.items()},
        "frozen": definitions.freeze(),
    }


if __name__ == "__main__":
    if (served := Path(sys.argv[1]) / "serving").exists():
        importlib.import_module("serving.systems").__path__.append(str(served))
    if len(sys.argv) > 2:
        sys.argv = sys.argv[2:]
        runpy.run_path(sys.argv[0], run_name="__main__")
    else:
        json.dump(registries(), sys.stdout)
