"""What DAGs make that others wait for."""

from __future__ import annotations

from typing import Any

from airflow.sdk import Asset, BaseSensorOperator

from lamina.orchestration.days import logical_day
from lamina.orchestration.spark import refuse_open_day


def features_asset(system: str) -> Asset:
    """The published batch features of `system`; each event of it carries the day in `extra`."""
    return Asset(name=f"features_{system}", uri=f"lamina://features/{system}", group="lamina")


def model_asset(system: str) -> Asset:
    """The champion of `system` in the model registry."""
    return Asset(name=f"champion_{system}", uri=f"lamina://models/{system}/champion", group="lamina")


class DayOfAsset(BaseSensorOperator):  # type: ignore[misc]
    """Waits until the asset's event for the run's own day has been recorded.

    An asset as a schedule would start a second run beside the daily one and give it no logical date, so that it could
    not be backfilled; as an input it keeps one run a day, in the right order.
    """

    def __init__(self, *, asset: Asset, **kwargs: Any) -> None:
        self.asset = asset
        super().__init__(inlets=[asset], mode="reschedule", poke_interval=60, timeout=12 * 3600, **kwargs)

    def poke(self, context: Any) -> bool:
        """Whether the day is there; a run with `wait_for_features` off does not ask. A day that is not over fails."""
        refuse_open_day(context)
        if not context["params"]["wait_for_features"]:
            self.log.info("wait_for_features is off: going on with what the lake holds")
            return True
        day = logical_day(context["dag_run"]).isoformat()
        known = {event.extra.get("day") for event in context["inlet_events"][self.asset]}
        if day not in known:
            self.log.info(
                "%s has no event for %s yet: run the DAG features_daily_<system> for that day, or trigger this one "
                "with wait_for_features off when the features were made by hand",
                self.asset.uri,
                day,
            )
        return day in known
