"""Further versions of a day that may be tried beside the champion: made, measured, and put under an alias."""

from __future__ import annotations

from airflow.sdk import BaseOperator, chain

from lamina.orchestration.deployment import KeepChampion
from lamina.orchestration.modules import module_task
from lamina.registry.protocol import Kind
from lamina.settings import ROOT

WAYS = {
    Kind.BLEND: ("blend", "Past versions as one, weighed by their loss on the newest days with complete labels."),
    Kind.ONLINE: ("learn", "The regression that learns row by row goes on with the days that became complete."),
}
"""How each kind is made: the command of `models.<system>`, and what it does."""
MINIMUM = {"min-auc": "{{ params.min_auc }}"}


def ways_of(system: str) -> tuple[Kind, ...]:
    """The kinds that `system` has commands for.

    >>> ways_of("fraud") == tuple(WAYS)
    True
    """
    return tuple(kind for kind, (module, _) in WAYS.items() if (ROOT / "models" / system / f"{module}.py").exists())


def challenger(system: str, kind: Kind, after: BaseOperator) -> None:
    """Three tasks after one, within the DAG at hand. Where there is too little to make a version of, they say so."""
    module, doc = WAYS[kind]
    make = module_task(
        f"make_{kind}",
        f"models.{system}.{module}",
        MINIMUM,
        doc_md=f"{doc} Registered in the place of an earlier one of the day; too few rows or versions are no failure.",
    )
    evaluate = module_task(
        f"evaluate_{kind}",
        f"models.{system}.evaluate",
        {**MINIMUM, "kind": kind.value},
        report_folder=f"training/{system}/{{{{ logical_day(dag_run) }}}}/{kind}",
        doc_md="Compares it with the champion on the same rows; writes `evaluation.json` and the version's model card.",
    )
    tried = KeepChampion(
        task_id=f"try_{kind}",
        system=system,
        kind=kind,
        doc_md=f"Puts a version that is better, or not surely worse, under the alias `{kind.alias}`; promotes nothing.",
    )
    chain(after, make, evaluate, tried)
