"""Other versions of a day beside the trained one, one DAG a system: to be tried beside the champion, never promoted."""

from airflow.sdk import DAG, Param

from lamina.definitions import record, system_names
from lamina.orchestration.assets import DayOfAssets, training_asset
from lamina.orchestration.challengers import challenger, ways_of
from lamina.orchestration.daily import daily
from lamina.orchestration.jobs import has_model

DOC = """
### Challengers of a day

The run with the logical date **D** makes, of the training set of D, what may stand beside the trained model: a blend of
past versions, weighed by what each was worth lately, and the regression that learns row by row. Each is registered,
measured against the champion by the same gate, and put under an alias of its own (`blend`, `online`) unless it is
surely worse: an experiment can try it, in the shadow or on live traffic. None is promoted here; `lamina models promote`
does it.

The first task waits until `ml_model_training_<system>` of the same day has said who serves. A rerun of a day takes the
place of what it made before. Days with too few rows or versions make nothing, and the log says so.
"""
PARAMS = {
    "wait_for_training": Param(True, type="boolean", description="Wait until the training of the day is through.")
}
REGISTER = "Register a version from this AUC on."

for system in filter(ways_of, filter(has_model, system_names())):
    least = Param(record(system).min_auc, type="number", minimum=0, maximum=1, description=REGISTER)
    params = PARAMS | {"min_auc": least}
    with DAG(f"challengers_{system}", doc_md=DOC, params=params, tags=["training", system], **daily()):
        wait = DayOfAssets(
            task_id="wait_for_training",
            assets=[training_asset(system)],
            maker=f"ml_model_training_{system}",
            option="wait_for_training",
            doc_md="Waits for the event that `ml_model_training_<system>` records once it is said who serves.",
        )
        for kind in ways_of(system):
            challenger(system, kind, wait)
