"""The Prometheus metrics of the platform. Names are an interface: dashboards and alerts read them."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import Counter, Gauge, Histogram

LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.045, 0.065, 0.1, 0.25, 1.0)
STAGE_BUCKETS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5)
SCORE_BUCKETS = tuple(i / 20 for i in range(1, 21))
AGE_BUCKETS_S = (1.0, 5.0, 15.0, 60.0, 300.0, 3600.0, 21_600.0, 86_400.0, 3 * 86_400.0, 7 * 86_400.0, 30 * 86_400.0)

PREDICTIONS = Counter("model_predictions_total", "Answers served", ["system", "model_version", "status"])
PREDICTION_LATENCY = Histogram(
    "model_prediction_latency_seconds",
    "From the request's arrival to its answer, by the version whose score it holds; none where no model gave one",
    ["system", "model_version"],
    buckets=LATENCY_BUCKETS_S,
)
SCORES = Histogram("model_score_distribution", "What models gave", ["system", "model_version"], buckets=SCORE_BUCKETS)
DECISIONS = Counter("decisions_total", "Decisions by action", ["system", "action"])
STAGE_LATENCY = Histogram(
    "decision_stage_seconds", "Time an answer spent per stage", ["system", "stage"], buckets=STAGE_BUCKETS_S
)
FALLBACKS = Counter("fallbacks_total", "Answers made without the model", ["system", "reason"])
STAGES_MISSED = Counter(
    "stages_missed_total",
    "Times that a stage took longer than it may (over_budget), and answers made without it (fell_back)",
    ["system", "stage", "outcome"],
)
LISTS = Counter(
    "lists_total", "Lists answered, by what they were made without (none), or empty", ["system", "fallback"]
)
LIST_ITEMS = Counter("list_items_total", "Items shown on lists, by what found them", ["system", "source"])
LIST_REMOVED = Counter(
    "list_items_removed_total", "Items that a rule kept from a list which they were good enough for", ["system", "rule"]
)
ITEMS_HELD = Gauge("items_held", "Entities that candidates are looked up in, as last read", ["system", "entity"])
ITEMS_AGE = Gauge("items_held_age_seconds", "For how long they have not been read", ["system"])
REPEATS = Counter(
    "repeats_total",
    "Events that came again and were answered (waited, known, shared) or refused (other_content, pending), were "
    "answered unchecked because Redis does not answer, and answers not kept for all (unwritten, forgotten, unreadable)",
    ["system", "outcome"],
)
EXPLANATIONS_FAILED = Counter(
    "explanations_failed_total", "Answers by a score whose causes the model could not name", ["system"]
)
UNKNOWN_USERS = Counter("unknown_users_total", "Decisions about users of whom nothing was stored")
UNKNOWN_SUBJECTS = Counter(
    "unknown_subjects_total", "Answers about an entity of which nothing was stored", ["system", "entity"]
)
STALE_FEATURES = Counter("stale_features_total", "Answers on features of a view that is stale", ["system", "view"])
FEATURE_AGE = Histogram(
    "feature_age_seconds", "Age of the newest event in the features", ["system"], buckets=AGE_BUCKETS_S
)
PASSED_THROUGH = Counter(
    "decisions_passed_through_total", "Declines let through by chance, by action", ["system", "action"]
)
RULES_FIRED = Counter("rules_fired_total", "Rules that fired", ["code"])
RULES_RELOADS = Counter("rules_reloads_total", "Changed rules files taken over or refused", ["outcome"])
MODEL_RELOADS = Counter(
    "model_reloads_total",
    "New versions taken over or refused; a model that /predict alone asks is counted under its own name",
    ["system", "outcome"],
)
INDEX_SHARDS = Counter(
    "index_shards_total",
    "Shards asked by searches: those that answered, were late, or failed; the last two are left out of the answer",
    ["index", "outcome"],
)
INDEX_SEARCHES = Counter(
    "index_searches_total",
    "Searches of an index: whole, partial (shards are missing), refused (vectors of another version), or failed",
    ["index", "outcome"],
)
INDEX_BUILDS = Counter(
    "index_builds_total", "Builds of an index that a process took into service, or could not", ["index", "outcome"]
)
EXPOSURES = Counter(
    "experiment_exposures_total", "Decisions by the arm whose model gave the score", ["experiment", "arm"]
)
EXPERIMENT_RELOADS = Counter("experiment_reloads_total", "Changed experiment files taken over or refused", ["outcome"])
ARMS_OFF = Counter("experiment_arms_off_total", "Arms turned off by a guardrail", ["experiment", "arm", "reason"])
ARM_FAILURES = Counter(
    "experiment_arm_failures_total", "Scores that an arm's model failed to give", ["experiment", "arm"]
)
SHADOW_SCORES = Counter(
    "shadow_scores_total", "Answers scored by a shadow model too, or not", ["system", "arm", "outcome"]
)
EVENTS_REPLAYED = Counter("events_replayed_total", "Events that went to Kafka late, from the journal", ["topic"])
EVENTS_DELIVERED = Counter("events_delivered_total", "Events that Kafka acknowledged", ["topic"])
JOURNAL_BYTES = Gauge("journal_bytes", "Size of the events that Kafka has not acknowledged yet")
JOURNAL_MAX_BYTES = Gauge("journal_max_bytes", "Size from which on the journal takes no event")
JOURNAL_MAX_AGE = Gauge("journal_max_age_seconds", "Age of the oldest event from which on the journal takes no event")
EVENTS_REFUSED = Counter(
    "events_refused_total", "Events that the journal did not take, so that their requests were refused", ["reason"]
)
EVENTS_DEAD = Counter("events_dead_total", "Events that Kafka will never take, by where they went", ["topic", "to"])
JOURNAL_ROLLS_FAILED = Counter("journal_rolls_failed_total", "Files of the journal that could not be begun in time")
JOURNAL_OLDEST = Gauge("journal_oldest_seconds", "Age of the oldest event that Kafka has not acknowledged yet")
BACKGROUND_FAILURES = Counter("background_failures_total", "Failures of tasks in the background", ["task"])
INVALID_REQUESTS = Counter("invalid_requests_total", "Requests that were refused", ["status"])
REQUESTS_TAKEN = Counter(
    "requests_taken_total", "Requests that brought events, labels or feedback and were taken, by their topic", ["topic"]
)
IN_FLIGHT = Gauge("requests_in_flight", "Requests at work now")
REQUESTS_SHED = Counter("requests_shed_total", "Requests refused because too many were at work")
BODIES_TOO_SLOW = Counter("bodies_too_slow_total", "Requests whose body did not arrive in time")
KEYS_REFUSED = Counter("keys_refused_total", "Requests with an unknown key, or without the right", ["key"])
RATE_LIMITED = Counter("rate_limited_total", "Requests beyond the rate of their key", ["key"])
CONCURRENCY_LIMITED = Counter("concurrency_limited_total", "Requests beyond what their key may have at once", ["key"])
LABEL_JOIN_ANSWERS = Gauge(
    "label_join_answers",
    "Answers of the days that the newest join of labels made anew: joined (contradicted among them), assumed, waiting",
    ["system", "status"],
)
LABEL_JOIN_FEEDBACK = Gauge(
    "label_join_feedback",
    "Feedback that the newest join of labels took: used, superseded, repeated, unmatched",
    ["system", "outcome"],
)
LABEL_JOIN_DAY = Gauge(
    "label_join_day_seconds", "Logical date of the newest join of labels, since the epoch", ["system"]
)
PARITY_MISMATCHES = Gauge("parity_mismatches", "Unexplained values in the newest parity report", ["system"])
ROLLOUT_AGE = Gauge(
    "feature_rollout_age_seconds",
    "How long a rollout of features has been in a state: filling, or kept after another went live; 0 where none is",
    ["system", "state"],
)
MODEL_PERFORMANCE = Gauge(
    "model_performance",
    "Figures by complete labels, from the newest report that has a verdict on the version",
    ["system", "model_version", "metric"],
)
MODEL_PERFORMANCE_LOW = Gauge(
    "model_performance_low", "Lower end of the figure's interval", ["system", "model_version", "metric"]
)
MODEL_PERFORMANCE_HIGH = Gauge(
    "model_performance_high", "Upper end of the figure's interval", ["system", "model_version", "metric"]
)
MODEL_PERFORMANCE_ESTIMATED = Gauge(
    "model_performance_estimated",
    "Figures that scores make likely of answers without labels, from the newest report",
    ["system", "model_version", "metric"],
)
MODEL_PERFORMANCE_ESTIMATED_LOW = Gauge(
    "model_performance_estimated_low", "Lower end of the estimate's band", ["system", "model_version", "metric"]
)
MODEL_PERFORMANCE_ESTIMATED_HIGH = Gauge(
    "model_performance_estimated_high", "Upper end of the estimate's band", ["system", "model_version", "metric"]
)
MODEL_PERFORMANCE_ESTIMATE_ERROR = Gauge(
    "model_performance_estimate_error",
    "Mean distance of estimate and truth over the days whose labels are complete",
    ["system", "model_version", "metric"],
)
MODEL_PERFORMANCE_LABELS = Gauge(
    "model_performance_labels", "Answers with complete labels in the newest report", ["system", "model_version"]
)
MONITORING_ALERTS = Gauge(
    "monitoring_alerts", "Alerts in the newest report of a kind", ["system", "report", "alert", "severity"]
)
MONITORING_REPORT_END = Gauge(
    "monitoring_report_end_seconds", "Until when the newest report of a kind looks, Unix time", ["system", "report"]
)
MONITORING_NO_VERDICT = Gauge(
    "monitoring_no_verdict",
    "1 where the newest report of a kind had too little to go by to judge anything, else 0",
    ["system", "report"],
)
FEATURE_DRIFT = Gauge(
    "feature_drift_score",
    "How far a feature is from what the model was trained on: Kolmogorov-Smirnov, or Jensen-Shannon of texts",
    ["system", "feature_name"],
)
FEATURE_DRIFT_P = Gauge(
    "feature_drift_p_value", "How likely chance alone gives it, corrected for all features", ["system", "feature_name"]
)
MODEL_DRIFT = Gauge(
    "model_drift_score",
    "How far scores (prediction), the share of positives (prior) and the AUC (concept) are from the model's own test",
    ["system", "kind"],
)
PREDICT_ROWS = Counter("predict_rows_total", "Rows answered by /predict", ["model", "version", "status"])
PREDICT_TIMEOUTS = Counter("predict_timeouts_total", "Calls to /predict that were not answered within their deadline")
PREDICT_LATENCY = Histogram(
    "predict_latency_seconds", "From the arrival of a call to /predict to its answer", buckets=LATENCY_BUCKETS_S
)
PREDICT_STAGE_LATENCY = Histogram(
    "predict_stage_seconds", "Time a call to /predict spent per stage", ["stage"], buckets=STAGE_BUCKETS_S
)
PREDICT_BATCH_ROWS = Histogram(
    "predict_batch_rows", "Rows that a model scored in one call", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
)
PREDICTION_CACHE = Counter(
    "prediction_cache_total", "Rows by tier (local, redis, model) and what came of asking it", ["tier", "outcome"]
)
REVIEW_CASES = Gauge("review_cases", "Cases of the review queue by state", ["system", "state"])
REVIEW_LABELS = Counter("review_labels_total", "Verdicts that were published as labels", ["system", "verdict"])
CONSOLE_ERRORS = Counter("console_errors_total", "Pages of the console that were answered with an error", ["status"])
SIGN_INS = Counter("console_sign_ins_total", "Attempts to sign in to the console", ["outcome"])


def begin(systems: Iterable[str]) -> None:
    """Have what is known before be there at 0: a counter that begins with its first event begins at 1, and nobody sees
    it rise.
    """
    for reason in ("size", "age", "disk"):
        EVENTS_REFUSED.labels(reason)
    for status in ("500", "503", "504"):
        INVALID_REQUESTS.labels(status)
    for outcome in ("taken", "refused"):
        RULES_RELOADS.labels(outcome)
        EXPERIMENT_RELOADS.labels(outcome)
    for system in systems:
        MODEL_RELOADS.labels(system, "taken")
        MODEL_RELOADS.labels(system, "refused")
        REPEATS.labels(system, "unchecked")
