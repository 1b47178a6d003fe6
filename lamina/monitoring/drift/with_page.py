"""A report that links Evidently's page, put beside the version in the registry."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

from lamina.monitoring.drift.evidently_page import write_page
from lamina.monitoring.drift.report import PAGE, DriftReport
from lamina.monitoring.drift.watch import Watched
from lamina.registry.protocol import ModelRegistry, find

LOG = logging.getLogger(__name__)


def with_page(registry: ModelRegistry, watched: Watched) -> DriftReport:
    """The report with a link to Evidently's page, which is put beside the version; there is one, of the newest report
    that has it. Where it cannot be made or put there, the log says why, and the report has no link.
    """
    report, (before, now) = watched.report, watched.columns
    if report.model_version is None or not now:
        return report
    try:
        with tempfile.TemporaryDirectory(prefix="lamina-drift-") as folder:
            file = Path(folder) / PAGE
            write_page(file, before, now)
            registry.attach(report.system, report.model_version, file)
        run_id = find(registry, report.system, report.model_version).run_id
    except Exception:  # of Evidently or of the artefact store: what drifted is said without the page
        LOG.exception("no page of what drifted of %s version %s", report.system, report.model_version)
        return report
    return report.model_copy(update={"page": f"runs:/{run_id}/{PAGE}"})
