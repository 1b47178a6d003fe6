"""lamina's own processes: the sink from the topic `feature-tiles` to Redis, and the API."""

from __future__ import annotations

import sys
import time

from lamina.local.service import NotReady, Program, Service, StackPlan, answers
from lamina.local.services.mlflow import MLFLOW_ENV
from lamina.settings import STOP_WAIT_S
from lamina.streams.topics import create_topics

# A process without a port counts as ready when it has lived this long.
SETTLED_S = 3.0


def sink(plan: StackPlan) -> Service:
    """The sink; the topics are made before it starts, as nothing creates them by itself.

    Its only port is that of its metrics: a process that stays up is taken as ready.
    """
    started: list[float] = []

    def prepare() -> None:
        create_topics(plan.address("kafka"))
        started.append(time.monotonic())

    def ready() -> None:
        # Not started by this call: it has been up for a while.
        if started and time.monotonic() - started[-1] < SETTLED_S:
            raise NotReady("the sink has only just started")

    return Service(
        name="sink",
        address=f"{plan.url('sink_metrics')}/metrics",
        programs=(
            Program(
                "sink",
                (sys.executable, "-m", "lamina.streams.sink", "--metrics-port", str(plan.ports["sink_metrics"])),
            ),
        ),
        prepare=prepare,
        ready=ready,
        deadline_s=60,
        needs=frozenset({"kafka", "redis"}),
    )


def api(plan: StackPlan) -> Service:
    """The HTTP API; it refuses to start with settings under which its end would take longer than is waited for."""
    env = {**MLFLOW_ENV, "LAMINA_API_STOP_WAIT_S": str(STOP_WAIT_S)}
    return Service(
        name="api",
        address=plan.url("api"),
        programs=(Program("api", (sys.executable, "-m", "serving.app"), env, stop_wait_s=STOP_WAIT_S),),
        ready=answers(f"{plan.url('api')}/openapi.json"),
        deadline_s=240,
        needs=frozenset({"kafka", "redis", "mlflow"}),
    )
