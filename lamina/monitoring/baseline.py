"""What a version was found to be worth when it was made: the measure of what it does in service."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from lamina.registry.protocol import ModelRegistry
from lamina.scoring.protocol import SPEC_FILE


def own_evaluations(registry: ModelRegistry, name: str) -> Callable[[Sequence[str]], dict[str, dict[str, float]]]:
    """Gives, of versions of the model `name`, the figures of the test that each passed when it was trained, by version.

    A version that the registry does not hold any more has none. Raises RegistryError where the registry does not
    answer: a report without a baseline would look like one that found no fall.
    """

    def read(versions: Sequence[str]) -> dict[str, dict[str, float]]:
        held = {found.version for found in registry.versions(name)} if versions else set()
        found = {}
        for version in versions:
            if version in held:
                with tempfile.TemporaryDirectory(prefix="lamina-baseline-") as folder:
                    files = registry.download(name, version, Path(folder))
                    spec = json.loads((files / SPEC_FILE).read_text(encoding="utf-8"))
                found[version] = {key: float(value) for key, value in spec.get("metrics", {}).items()}
        return found

    return read
