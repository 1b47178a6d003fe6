"""A report that links Evidently's page, put beside the version in the registry."""

from __future__ import annotations

import tempfile
from pathlib import Path

from lamina.monitoring.drift.evidently_page import write_page
from lamina.monitoring.drift.report import PAGE, DriftReport
from lamina.monitoring.drift.watch import Watched
from lamina.registry.protocol import ModelRegistry, find


def with_page(registry: ModelRegistry, watched: Watched) -> DriftReport:
    """The report with a link to Evidently's page, which is put beside the version; there is one, of the newest report
    that has it.
    """
    report, (before, now) = watched.report, watched.columns
    if report.model_version is None or not now:
        return report
    with tempfile.TemporaryDirectory(prefix="lamina-drift-") as folder:
        file = Path(folder) / PAGE
        write_page(file, before, now)
        registry.attach(report.system, report.model_version, file)
    run_id = find(registry, report.system, report.model_version).run_id
    return report.model_copy(update={"page": f"runs:/{run_id}/{PAGE}"})
