"""MLflow as far as ours asks it, in memory: importing the real one takes longer than all tests of this folder.

The contract of registries holds on this one and on a real server, so neither says what the other does not.
"""

from __future__ import annotations

import re
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

import pytest

CONDITION = re.compile(r"(?:tags\.)?`?([\w.]+)`? = '([^']*)'")
RUNS_A_PAGE = 2
STARTED_MS = 1_700_000_000_000


class MlflowException(Exception):
    def __init__(self, message: str, error_code: str = "INTERNAL_ERROR") -> None:
        super().__init__(message)
        self.error_code = error_code


class Metric(NamedTuple):
    key: str
    value: float
    timestamp: int
    step: int


class Param(NamedTuple):
    key: str
    value: str


class Page(list[Any]):
    token: str | None = None


def page(found: list[Any], size: int, token: str | None) -> Page:
    begin = int(token or 0)
    made = Page(found[begin : begin + size])
    made.token = str(begin + size) if begin + size < len(found) else None
    return made


@dataclass
class Run:
    info: SimpleNamespace
    data: SimpleNamespace
    logged: list[Metric] = field(default_factory=list)


@dataclass
class Version:
    name: str
    version: int
    source: str
    run_id: str
    tags: dict[str, str]
    creation_timestamp: int = STARTED_MS
    aliases: list[str] = field(default_factory=list)


@dataclass
class Model:
    name: str
    made: int = 0
    versions: dict[int, Version] = field(default_factory=dict)
    aliases: dict[str, int] = field(default_factory=dict)


class Client:
    """MLflow's client. `failing`: what the next call of each method ends with."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.experiments: dict[str, str] = {}
        self.runs: dict[str, Run] = {}
        self.models: dict[str, Model] = {}
        self.failing: dict[str, MlflowException] = {}

    def __getattribute__(self, name: str) -> Any:
        failing = object.__getattribute__(self, "__dict__").get("failing", {})
        if name in failing:
            raise failing.pop(name)
        return object.__getattribute__(self, name)

    def get_experiment_by_name(self, name: str) -> Any:
        return SimpleNamespace(experiment_id=self.experiments[name]) if name in self.experiments else None

    def create_experiment(self, name: str) -> str:
        self.experiments[name] = str(len(self.experiments) + 1)
        return self.experiments[name]

    def create_run(self, experiment_id: str, start_time: int = STARTED_MS, *, tags: Any, run_name: str) -> Run:
        run_id = f"run-{len(self.runs) + 1}"
        (self.folder / run_id).mkdir(parents=True)
        info = SimpleNamespace(
            run_id=run_id,
            experiment_id=experiment_id,
            run_name=run_name,
            status="RUNNING",
            start_time=start_time,
            end_time=None,
            artifact_uri=(self.folder / run_id).as_uri(),
            lifecycle_stage="active",
        )
        run = self.runs[run_id] = Run(info, SimpleNamespace(tags=dict(tags), params={}, metrics={}))
        return run

    def get_run(self, run_id: str) -> Run:
        return self.runs[run_id]

    def update_run(self, run_id: str, status: str) -> None:
        self.runs[run_id].info.status = status

    def set_terminated(self, run_id: str, status: str, end_time: int | None = None) -> None:
        self.runs[run_id].info.status, self.runs[run_id].info.end_time = status, end_time

    def delete_run(self, run_id: str) -> None:
        self.runs[run_id].info.lifecycle_stage = "deleted"

    def log_batch(self, run_id: str, *, metrics: list[Metric], params: list[Param]) -> None:
        run = self.runs[run_id]
        run.logged += metrics
        run.data.metrics |= {metric.key: metric.value for metric in metrics}
        run.data.params |= {param.key: param.value for param in params}

    def set_tag(self, run_id: str, key: str, value: str) -> None:
        self.runs[run_id].data.tags[key] = value

    def search_runs(self, experiments: list[str], where: str, page_token: str | None = None) -> Page:
        wanted = dict(CONDITION.findall(where))
        found = [
            run
            for run in self.runs.values()
            if run.info.experiment_id in experiments
            and run.info.lifecycle_stage == "active"
            and wanted.items() <= run.data.tags.items()
        ]
        return page(found, RUNS_A_PAGE, page_token)

    def log_artifacts(self, run_id: str, folder: str) -> None:
        shutil.copytree(folder, self.folder / run_id, dirs_exist_ok=True)

    def log_artifact(self, run_id: str, file: str) -> None:
        shutil.copy(file, self.folder / run_id)

    def list_artifacts(self, run_id: str, path: str = "") -> list[Any]:
        root = self.folder / run_id
        return [SimpleNamespace(path=str(each.relative_to(root))) for each in (root / path).glob("*")]

    def create_registered_model(self, name: str) -> None:
        if name in self.models:
            raise MlflowException(f"{name} is there", "RESOURCE_ALREADY_EXISTS")
        self.models[name] = Model(name)

    def get_registered_model(self, name: str) -> Model:
        return self.models[name]

    def search_registered_models(self, *, max_results: int, page_token: str | None) -> Page:
        return page(list(self.models.values()), max_results, page_token)

    def create_model_version(self, name: str, source: str, *, run_id: str, tags: dict[str, str]) -> Version:
        model = self.models[name]
        model.made += 1
        version = model.versions[model.made] = Version(name, model.made, source, run_id, tags)
        return version

    def search_model_versions(self, where: str, *, max_results: int, page_token: str | None) -> Page:
        wanted = dict(CONDITION.findall(where))
        every = [version for model in self.models.values() for version in model.versions.values()]
        found = [v for v in every if all(getattr(v, key) == value for key, value in wanted.items())]
        return page(found, max_results, page_token)

    def delete_model_version(self, name: str, version: str) -> None:
        model = self.models[name]
        del model.versions[int(version)]
        model.aliases = {alias: held for alias, held in model.aliases.items() if held != int(version)}

    def get_model_version_download_uri(self, name: str, version: str) -> str:
        return self.models[name].versions[int(version)].source

    def set_model_version_tag(self, name: str, version: str, key: str, value: str) -> None:
        self.models[name].versions[int(version)].tags[key] = value

    def set_registered_model_alias(self, name: str, alias: str, version: str) -> None:
        self.models[name].aliases[alias] = int(version)

    def delete_registered_model_alias(self, name: str, alias: str) -> None:
        del self.models[name].aliases[alias]

    def get_model_version_by_alias(self, name: str, alias: str) -> Version:
        if name not in self.models:
            raise MlflowException(f"no model {name}", "RESOURCE_DOES_NOT_EXIST")
        model = self.models[name]
        if alias not in model.aliases:
            raise MlflowException(f"no alias {alias}", "INVALID_PARAMETER_VALUE")
        found = model.versions[model.aliases[alias]]
        found.aliases = [each for each, version in model.aliases.items() if version == found.version]
        return found

    def download_artifacts(self, *, dst_path: str, artifact_uri: str = "", **which: str) -> str:
        source = Path(unquote(urlsplit(artifact_uri).path)) if artifact_uri else None
        source = source or self.folder / which["run_id"] / which["artifact_path"]
        target = Path(dst_path) / source.name
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True)
        else:
            shutil.copy(source, target)
        return str(target)


class Variable:
    """One of MLflow's settings by environment."""

    value: Any = None

    def set(self, value: Any) -> None:
        self.value = value


def install(monkeypatch: pytest.MonkeyPatch, folder: Path) -> tuple[Client, dict[str, Variable]]:
    """Put this in MLflow's place for a test; returns the client that everybody gets, and MLflow's settings."""
    client = Client(folder)
    names = "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "MLFLOW_HTTP_REQUEST_MAX_RETRIES", "MLFLOW_HTTP_REQUEST_TIMEOUT"
    settings = {name: Variable() for name in names}
    contents: dict[str, dict[str, Any]] = {
        "mlflow": {"MlflowClient": lambda **where: client, "artifacts": client},
        "mlflow.entities": {"Metric": Metric, "Param": Param},
        "mlflow.exceptions": {"MlflowException": MlflowException},
        "mlflow.environment_variables": settings,
    }
    for name, content in contents.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    return client, settings
