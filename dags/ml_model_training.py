"""Daily retraining, one DAG a system: extract, engineer, train, evaluate, and deploy what beats the champion."""

from airflow.sdk import DAG, Param, chain

from lamina.definitions import record, system_names
from lamina.orchestration.assets import DayOfAssets, features_asset, model_asset, training_asset
from lamina.orchestration.daily import daily
from lamina.orchestration.days import TEST_DAYS, TRAIN_DAYS
from lamina.orchestration.deployment import ChooseChampion, KeepChampion
from lamina.orchestration.jobs import EXTRACT_DATA, TRAINING_SET, has_model, label_days
from lamina.orchestration.modules import module_task
from lamina.orchestration.spark import SparkJobOperator

DOC = """
### Retraining of a system

The run with the logical date **D** trains on what was known at the end of D. Labels arrive late, so the test days are
the last ones whose labels are complete (`delay_days` before D) and the training days end `delay_days` before those.
With the defaults, D = 2018-08-21 trains on 2018-07-18..31 and tests on 2018-08-08..14.

The first task waits for `features_daily_<system>` of the same day. The new model is deployed only when it is better
than the champion on the same rows and the latest parity report is clean; otherwise `keep_champion` says why, and
makes it the challenger when it is not surely worse. Serving picks a new champion up by itself.
"""

DAY = {"type": ["null", "string"], "format": "date"}
PARAMS = {
    "train_days": Param(TRAIN_DAYS, type="integer", minimum=1, description="Days to train on."),
    "test_days": Param(TEST_DAYS, type="integer", minimum=1, description="Days to evaluate on."),
    "gap_days": Param(
        None,
        type=["null", "integer"],
        minimum=0,
        description="Days between training and test; empty: as many as labels take.",
    ),
    "split": Param("time", enum=["time", "random"], description="Test on later days, or on rows drawn at random."),
    "better": Param(
        "point",
        enum=["point", "interval"],
        description="Beat the champion by the measured difference, or only when chance cannot explain it.",
    ),
    "search_trials": Param(
        0, type="integer", minimum=0, description="Trials to search parameters with; 0: those of the last search."
    ),
    "parameters": Param(
        "last-search",
        enum=["last-search", "defaults"],
        description="Without a search: parameters that the last one chose, or the recorded defaults.",
    ),
    "first_day": Param(None, **DAY, description="First day of the rows to extract; empty: computed from the above."),
    "last_day": Param(None, **DAY, description="Last day of the rows to extract; empty: computed from the above."),
    "wait_for_features": Param(True, type="boolean", description="Wait until the features of the day are published."),
}
REGISTER = "Register a model from this AUC on."
DELAY = "Days after an event until its labels are complete."
ROWS = {
    "first-day": "{{ training_days(logical_day(dag_run), params)[0] }}",
    "last-day": "{{ training_days(logical_day(dag_run), params)[1] }}",
}

WINDOW = {f"{name}-days": f"{{{{ params.{name}_days }}}}" for name in ("train", "delay", "test")}
WINDOW["gap-days"] = "{{ params.delay_days if params.gap_days is none else params.gap_days }}"
MINIMUM = {"min-auc": "{{ params.min_auc }}"}
SEARCH = {"search": "{{ params.search_trials }}", "parameters": "{{ params.parameters }}"}

for system in filter(has_model, system_names()):
    of = {"system": system}
    least = Param(record(system).min_auc, type="number", minimum=0, maximum=1, description=REGISTER)
    delay = Param(label_days(system), type="integer", minimum=0, description=DELAY)
    params = PARAMS | {"min_auc": least, "delay_days": delay}
    with DAG(f"ml_model_training_{system}", doc_md=DOC, params=params, tags=["training", system], **daily()):
        wait = DayOfAssets(
            task_id="wait_for_features",
            assets=[features_asset(system)],
            maker=f"features_daily_{system}",
            option="wait_for_features",
            doc_md="Waits for the event that `features_daily_<system>` records when it has published the day.",
        )
        extract = SparkJobOperator(task_id="extract_data", job=EXTRACT_DATA, arguments={**of, **ROWS})
        engineer = SparkJobOperator(task_id="engineer_features", job=TRAINING_SET, arguments=of)
        train = module_task(
            "train_model",
            f"models.{system}.train",
            {**WINDOW, **MINIMUM, **SEARCH, "split": "{{ params.split }}"},
            doc_md="Searches parameters when asked to, trains on the window's rows, logs parameters, metrics and "
            "curves to MLflow.",
        )
        evaluate = module_task(
            "evaluate_model",
            f"models.{system}.evaluate",
            {**MINIMUM, "better": "{{ params.better }}", "kind": "training"},
            report_folder=f"training/{system}/{{{{ logical_day(dag_run) }}}}",
            doc_md="Compares the new model with the champion on the same rows; writes `evaluation.json` and the "
            "version's model card.",
        )
        choose = ChooseChampion(
            task_id="choose_champion",
            system=system,
            deploy="deploy_model",
            keep="keep_champion",
            doc_md="Reads `evaluation.json` and goes one of two ways; its log says why.",
        )
        deploy = module_task(
            "deploy_model",
            "lamina.registry.deploy",
            of,
            outlets=[model_asset(system), training_asset(system)],
            doc_md="Moves the registry's alias `champion` to the new version; serving reloads by itself.",
        )
        keep = KeepChampion(
            task_id="keep_champion",
            system=system,
            outlets=[training_asset(system)],
            doc_md="Says why the champion stays; makes a version that is good enough the challenger.",
        )
        chain(wait, extract, engineer, train, evaluate, choose, [deploy, keep])
