"""A task's report as a link in Airflow's UI, to the page that `lamina.orchestration.report_pages` gives."""

from __future__ import annotations

from typing import Any

from airflow.sdk import BaseOperatorLink
from airflow.sdk.configuration import conf

PREFIX = "/lamina/reports"
"""Where Airflow's own server gives the pages."""


class ReportLink(BaseOperatorLink):  # type: ignore[misc]
    """Leads to the report of an operator that has a `report_folder`: its folder within the lake, templated."""

    name = "Report"

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        """The address, as a task that has ended notes it down."""
        return f"{conf.get('api', 'base_url', fallback='/').rstrip('/')}{PREFIX}/{operator.report_folder}"
