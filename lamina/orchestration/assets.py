"""What DAGs make that others wait for: an event of an asset says that a day of it is there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import Asset, BaseSensorOperator
from airflow.sdk.exceptions import AirflowSensorTimeout

from lamina.orchestration.days import logical_day
from lamina.orchestration.spark import refuse_open_day


def topic_asset(topic: str) -> Asset:
    """The archived events of `topic` that passed the quality gate; each event of it carries the day in `extra`."""
    return Asset(name=f"topic_{topic}", uri=f"lamina://topics/{topic}", group="lamina")


def features_asset(system: str) -> Asset:
    """The published batch features of `system`; each event of it carries the day in `extra`."""
    return Asset(name=f"features_{system}", uri=f"lamina://features/{system}", group="lamina")


def training_asset(system: str) -> Asset:
    """The training of `system`, once it is said who serves; each event of it carries the day in `extra`."""
    return Asset(name=f"training_{system}", uri=f"lamina://trainings/{system}", group="lamina")


def model_asset(system: str) -> Asset:
    """The champion of `system` in the model registry."""
    return Asset(name=f"champion_{system}", uri=f"lamina://models/{system}/champion", group="lamina")


class DayOfAssets(BaseSensorOperator):  # type: ignore[misc]
    """Waits until an event for the run's own day has been recorded of every asset.

    An asset as a schedule would start a second run beside the daily one and give it no logical date, so that it could
    not be backfilled; as an input it keeps one run a day, in the right order.

    Args: maker: the DAG that records the events; option: the parameter that turns the waiting off.
    """

    def __init__(self, *, assets: Sequence[Asset], maker: str, option: str, **kwargs: Any) -> None:
        self.assets, self.maker, self.option = tuple(assets), maker, option
        super().__init__(inlets=list(assets), mode="reschedule", poke_interval=60, timeout=12 * 3600, **kwargs)

    def execute(self, context: Any) -> Any:
        """Look, and come back later as long as something is missing; in the end, say what."""
        try:
            return super().execute(context)
        except AirflowSensorTimeout as over:
            raise AirflowSensorTimeout("\n".join((str(over), *self.missing(context)))) from over

    def poke(self, context: Any) -> bool:
        """Whether the day is there; a run with the option off does not ask. A day that is not over fails."""
        refuse_open_day(context)
        if not context["params"][self.option]:
            self.log.info("%s is off: going on with what the lake holds", self.option)
            return True
        missing = self.missing(context)
        for what in missing:
            self.log.info("%s", what)
        return not missing

    def missing(self, context: Any) -> list[str]:
        """A sentence with the next step for each asset whose day is not there."""
        day = logical_day(context["dag_run"]).isoformat()
        return [
            f"{asset.uri} has no event for {day} yet: run the DAG {self.maker} for that day (is it switched on?), or "
            f"trigger this one with {self.option} off when what it reads was made by hand"
            for asset in self.assets
            if day not in {event.extra.get("day") for event in context["inlet_events"][asset]}
        ]
