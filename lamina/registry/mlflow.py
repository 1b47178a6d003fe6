"""Models in MLflow: runs by its tracking API, versions and aliases by its registry. Control path: every call may block.

Artefacts are plain files, no MLflow flavour: what is registered is the folder `model` of a run.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

from lamina.registry.connection import MlflowConnection, pages
from lamina.registry.names import check_alias, check_name, is_name
from lamina.registry.protocol import MODEL_FOLDER, ModelVersion, NotInRegistry, RegistryError, TrainingRun, find

PAGE = 200
NOT_THERE = ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE")
"""Codes by which MLflow says that a model, or an alias of it, is unknown."""


class MlflowRegistry(MlflowConnection):
    """Implements `ModelRegistry` on the MLflow server or store at `uri`; each system has an experiment of its name."""

    def record(self, run: TrainingRun) -> str:
        """See `ModelRegistry.record`."""
        check_name(run.system)
        with self.asking(f"record the training of {run.system} for {run.logical_date}"):
            run_id = self._start(run)
            try:
                self._fill(run_id, run)
            except BaseException:
                self.client.set_terminated(run_id, "FAILED")
                raise
            self.client.set_terminated(run_id, "FINISHED")
            return run_id

    def _start(self, run: TrainingRun) -> str:
        tags = {**run.tags, "system": run.system, "logical_date": run.logical_date.isoformat()}
        name = f"{run.system}-{run.logical_date}"
        return str(self.client.create_run(self.experiment(run.system), tags=tags, run_name=name).info.run_id)

    def _fill(self, run_id: str, run: TrainingRun) -> None:
        from mlflow.entities import Metric, Param

        now = int(self.client.get_run(run_id).info.start_time)
        self.client.log_batch(
            run_id,
            metrics=[Metric(key, value, now, 0) for key, value in run.metrics.items()],
            params=[Param(key, str(value)) for key, value in run.parameters.items()],
        )
        self.client.log_artifacts(run_id, str(run.artefacts))

    def register(self, name: str, run_id: str, tags: Mapping[str, str]) -> ModelVersion:
        """See `ModelRegistry.register`."""
        check_name(name)
        with self.asking(f"register run {run_id} as {name!r}"):
            if not self.client.list_artifacts(run_id, MODEL_FOLDER):
                raise RegistryError(f"run {run_id} has no folder {MODEL_FOLDER!r}: record the run with its model first")
            self._create_model(name)
            uri = f"{self.client.get_run(run_id).info.artifact_uri}/{MODEL_FOLDER}"
            made = self.client.create_model_version(name, uri, run_id=run_id, tags=dict(tags))
        return find(self, name, str(made.version))

    def _create_model(self, name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            self.client.create_registered_model(name)
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise

    def supersede(self, system: str, day: date, *, by: str) -> list[str]:
        """See `ModelRegistry.supersede`."""
        check_name(system)
        with self.asking(f"withdraw older runs of {system} for {day}"):
            where = f"tags.system = '{system}' and tags.logical_date = '{day.isoformat()}'"
            runs = pages(lambda token: self.client.search_runs([self.experiment(system)], where, page_token=token))
            old = [str(run.info.run_id) for run in runs if run.info.run_id != by]
            for run_id in old:
                self._withdraw(run_id, by)
            return old

    def _withdraw(self, run_id: str, by: str) -> None:
        for found in list(pages(lambda token: self._search_versions(f"run_id = '{run_id}'", token))):
            version = self._version(found, self._aliases(found.name))
            if version.aliases:
                self.client.set_model_version_tag(version.name, version.version, "superseded_by", by)
            else:
                self.client.delete_model_version(version.name, version.version)
        # A deleted run can be restored and keeps its files, so a version that still serves loses nothing.
        self.client.delete_run(run_id)

    def _search_versions(self, where: str, token: str | None) -> Any:
        return self.client.search_model_versions(where, max_results=PAGE, page_token=token)

    def _aliases(self, name: str) -> dict[str, str]:
        return {alias: str(v) for alias, v in self.client.get_registered_model(name).aliases.items()}

    def names(self) -> list[str]:
        """See `ModelRegistry.names`."""
        with self.asking("list the registered models"):
            ask = self.client.search_registered_models
            return sorted(found.name for found in pages(lambda token: ask(max_results=PAGE, page_token=token)))

    def versions(self, name: str) -> list[ModelVersion]:
        """See `ModelRegistry.versions`."""
        with self.asking(f"list the versions of {name!r}"):
            # A filter cannot hold every name that others may have given; of such a one all are looked through.
            where = f"name = '{name}'" if is_name(name) else ""
            every = pages(lambda token: self._search_versions(where, token))
            found = [each for each in every if str(each.name) == name]
            if not found:
                return []
            aliases = self._aliases(name)
            versions = [self._version(v, aliases) for v in found]
            return sorted(versions, key=lambda v: int(v.version), reverse=True)

    @staticmethod
    def _version(found: Any, aliases: Mapping[str, str]) -> ModelVersion:
        version = str(found.version)
        return ModelVersion(
            name=str(found.name),
            version=version,
            run_id=str(found.run_id),
            created_ms=int(found.creation_timestamp),
            tags=dict(found.tags),
            aliases=tuple(sorted(a for a, v in aliases.items() if v == version)),
        )

    def alias(self, name: str, alias: str) -> ModelVersion | None:
        """See `ModelRegistry.alias`."""
        from mlflow.exceptions import MlflowException

        # Serving polls this: one request, whatever the number of versions.
        with self.asking(f"look up alias {alias} of {name!r}"):
            try:
                found = self.client.get_model_version_by_alias(name, alias)
            except MlflowException as error:
                if error.error_code in NOT_THERE:
                    return None
                raise
            return self._version(found, dict.fromkeys(found.aliases, str(found.version)))

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """See `ModelRegistry.set_alias`."""
        check_alias(alias)
        find(self, name, version)
        with self.asking(f"set alias {alias} of {name!r}"):
            self.client.set_registered_model_alias(name, alias, version)

    def drop_alias(self, name: str, alias: str) -> None:
        """See `ModelRegistry.drop_alias`."""
        if self.alias(name, alias) is not None:
            with self.asking(f"drop alias {alias} of {name!r}"):
                self.client.delete_registered_model_alias(name, alias)

    def tag(self, name: str, version: str, key: str, value: str) -> None:
        """See `ModelRegistry.tag`."""
        find(self, name, version)
        with self.asking(f"tag {name!r} version {version}"):
            self.client.set_model_version_tag(name, version, key, value)

    def download(self, name: str, version: str, folder: Path) -> Path:
        """See `ModelRegistry.download`."""
        import mlflow

        find(self, name, version)
        folder.mkdir(parents=True, exist_ok=True)
        with self.asking(f"download {name!r} version {version}"):
            uri = self.client.get_model_version_download_uri(name, version)
            return Path(
                mlflow.artifacts.download_artifacts(
                    artifact_uri=uri, dst_path=str(folder), tracking_uri=self.uri, registry_uri=self.uri
                )
            )

    def attach(self, name: str, version: str, file: Path) -> None:
        """See `ModelRegistry.attach`."""
        run_id = find(self, name, version).run_id
        with self.asking(f"attach {file.name} to {name!r} version {version}"):
            self.client.log_artifact(run_id, str(file))

    def read(self, name: str, version: str, file: str) -> str:
        """See `ModelRegistry.read`."""
        import mlflow

        run_id = find(self, name, version).run_id
        with self.asking(f"read {file} of {name!r} version {version}"):
            if file not in {found.path for found in self.client.list_artifacts(run_id)}:
                raise NotInRegistry(f"{name!r} version {version} has no {file}")
            with tempfile.TemporaryDirectory(prefix="lamina-artefact-") as folder:
                copied = mlflow.artifacts.download_artifacts(
                    run_id=run_id, artifact_path=file, dst_path=folder, tracking_uri=self.uri
                )
                return Path(copied).read_text(encoding="utf-8")
