"""Python modules as Airflow tasks: training, evaluation and deployment run where the worker is."""

from __future__ import annotations

import shlex
import sys
from typing import Any

from airflow.providers.standard.operators.bash import BashOperator

from lamina.settings import ROOT


def module_task(task_id: str, module: str, arguments: dict[str, str] | None = None, **kwargs: Any) -> BashOperator:
    """A task that runs `python -m <module> --date <day>` at the top of the repository, in the worker's environment.

    `arguments` are templated; a non-zero exit fails the task, and its output is the task's log.
    """
    words = [word for name, value in (arguments or {}).items() for word in (f"--{name}", value)]
    command = f"{shlex.quote(sys.executable)} -m {module} --date {{{{ logical_day(dag_run) }}}} {' '.join(words)}"
    return BashOperator(task_id=task_id, bash_command=command.rstrip(), cwd=str(ROOT), append_env=True, **kwargs)
