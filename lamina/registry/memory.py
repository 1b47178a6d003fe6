"""A registry in memory with the files on a local disk: for tests, and for tools that need no server."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from pathlib import Path
from uuid import uuid4

from lamina.clock import Clock, system_clock
from lamina.registry.names import check_alias, check_name
from lamina.registry.protocol import MODEL_FOLDER, ModelVersion, NotInRegistry, RegistryError, TrainingRun, find


class MemoryRegistry:
    """Implements `ModelRegistry`; the artefacts are copied under `folder`, the rest is gone with the process."""

    def __init__(self, folder: Path, clock: Clock = system_clock) -> None:
        self._folder, self._clock = folder, clock
        self._runs: dict[str, TrainingRun] = {}
        self._versions: dict[str, list[ModelVersion]] = {}
        self._last: dict[str, int] = {}
        self._aliases: dict[tuple[str, str], str] = {}

    def record(self, run: TrainingRun) -> str:
        """See `ModelRegistry.record`."""
        check_name(run.system)
        run_id = uuid4().hex
        shutil.copytree(run.artefacts, self._folder / run_id)
        self._runs[run_id] = run
        return run_id

    def register(self, name: str, run_id: str, tags: Mapping[str, str]) -> ModelVersion:
        """See `ModelRegistry.register`."""
        check_name(name)
        if run_id not in self._runs or not (self._folder / run_id / MODEL_FOLDER).is_dir():
            raise RegistryError(f"run {run_id} has no folder {MODEL_FOLDER!r}: record the run with its model first")
        number = self._last[name] = self._last.get(name, 0) + 1
        version = ModelVersion(name, str(number), run_id, self._clock(), dict(tags), ())
        self._versions.setdefault(name, []).insert(0, version)
        return version

    def supersede(self, system: str, day: date, *, by: str) -> list[str]:
        """See `ModelRegistry.supersede`."""
        old = [i for i, r in self._runs.items() if r.system == system and r.logical_date == day and i != by]
        for run_id in old:
            self._withdraw(run_id, by)
        return old

    def _withdraw(self, run_id: str, by: str) -> None:
        kept = False
        for name in self._versions:
            for version in self.versions(name):
                if version.run_id == run_id and version.aliases:
                    self.tag(name, version.version, "superseded_by", by)
                    kept = True
                elif version.run_id == run_id:
                    self._versions[name] = [v for v in self._versions[name] if v.version != version.version]
        del self._runs[run_id]
        if not kept:
            shutil.rmtree(self._folder / run_id)

    def names(self) -> list[str]:
        """See `ModelRegistry.names`."""
        return sorted(self._versions)

    def versions(self, name: str) -> list[ModelVersion]:
        """See `ModelRegistry.versions`."""
        return [self._with_aliases(v) for v in self._versions.get(name, [])]

    def _with_aliases(self, version: ModelVersion) -> ModelVersion:
        held = sorted(a for (n, a), v in self._aliases.items() if n == version.name and v == version.version)
        return replace(version, aliases=tuple(held))

    def alias(self, name: str, alias: str) -> ModelVersion | None:
        """See `ModelRegistry.alias`."""
        version = self._aliases.get((name, alias))
        return next((found for found in self.versions(name) if found.version == version), None)

    def set_alias(self, name: str, alias: str, version: str) -> None:
        """See `ModelRegistry.set_alias`."""
        check_alias(alias)
        self._aliases[name, alias] = find(self, name, version).version

    def drop_alias(self, name: str, alias: str) -> None:
        """See `ModelRegistry.drop_alias`."""
        self._aliases.pop((name, alias), None)

    def tag(self, name: str, version: str, key: str, value: str) -> None:
        """See `ModelRegistry.tag`."""
        find(self, name, version)
        self._versions[name] = [
            replace(v, tags={**v.tags, key: value}) if v.version == version else v for v in self._versions[name]
        ]

    def download(self, name: str, version: str, folder: Path) -> Path:
        """See `ModelRegistry.download`."""
        found = find(self, name, version)
        target = folder / MODEL_FOLDER
        shutil.copytree(self._folder / found.run_id / MODEL_FOLDER, target, dirs_exist_ok=True)
        return target

    def attach(self, name: str, version: str, file: Path) -> None:
        """See `ModelRegistry.attach`."""
        shutil.copy(file, self._folder / find(self, name, version).run_id / file.name)

    def read(self, name: str, version: str, file: str) -> str:
        """See `ModelRegistry.read`."""
        path = self._folder / find(self, name, version).run_id / file
        if not path.is_file():
            raise NotInRegistry(f"{name!r} version {version} has no {file}")
        return path.read_text(encoding="utf-8")
