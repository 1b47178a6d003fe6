"""MLflow: tracking server and model registry on SQLite, artifacts in the stack's folder."""

from __future__ import annotations

import sys
from types import MappingProxyType

from lamina.local.service import Program, Service, StackPlan, answers

# For servers and clients alike: nothing is reported to anyone, no job workers that nothing uses.
MLFLOW_ENV = MappingProxyType(
    {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
)


def mlflow(plan: StackPlan) -> Service:
    """The server, in one process."""
    folder = plan.layout.data / "mlflow"
    command = (sys.executable, "-m", "lamina.local.mlflow_server", str(plan.ports["mlflow"]), str(folder))
    return Service(
        name="mlflow",
        address=plan.url("mlflow"),
        programs=(Program("mlflow", command, MLFLOW_ENV),),
        prepare=lambda: (folder / "artifacts").mkdir(parents=True, exist_ok=True),
        ready=answers(f"{plan.url('mlflow')}/health"),
        deadline_s=300,
    )
