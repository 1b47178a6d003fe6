"""The dashboards, as data. `lamina.monitoring.grafana` writes them in the form that Grafana reads.

A panel asks only for series that are there once something was served: one that is empty on a good day looks broken.
"""

from __future__ import annotations

from lamina.monitoring.panels import OWN, Dashboard, Panel, Query, quantiles, rates

BUSINESS = Dashboard(
    "business",
    "Business: what is answered",
    (
        Panel("Answers", "Answers a second.", rates("model_predictions_total", "system", OWN), "reqps"),
        Panel(
            "Actions",
            "What was done, a second, of systems that act.",
            rates("decisions_total", "system, action", OWN),
            "reqps",
        ),
        Panel(
            "Share of each action",
            "Of all that a system did.",
            (
                Query(
                    f"sum by (system, action) (rate(decisions_total{{{OWN}}}[$__rate_interval])) / on (system) "
                    f"group_left () sum by (system) (rate(decisions_total{{{OWN}}}[$__rate_interval]))",
                    "{{system}} {{action}}",
                ),
            ),
            "percentunit",
        ),
        Panel(
            "By what it was answered",
            "`ok` is the model; everything else is the name of a fallback.",
            rates("model_predictions_total", "system, status", OWN),
            "reqps",
        ),
        Panel(
            "Scores",
            "Median and upper end of what models gave.",
            quantiles("model_score_distribution", "system", OWN, 0.5, 0.9, 0.99),
            "none",
        ),
        Panel(
            "Events on the topics",
            "Messages a second, by topic.",
            (Query("topic:messages:rate10m > 0", "{{topic}}"),),
            "wps",
        ),
    ),
)
MODEL = Dashboard(
    "model",
    "Model: versions and what they give",
    (
        Panel(
            "Answers by version",
            "`none`: no model gave a score.",
            rates("model_predictions_total", "system, model_version", OWN),
            "reqps",
        ),
        Panel(
            "Latency by version, P99",
            "From the request's arrival to its answer.",
            (
                Query(
                    "histogram_quantile(0.99, sum by (system, model_version, le) "
                    f"(rate(model_prediction_latency_seconds_bucket{{{OWN}}}[$__rate_interval])))",
                    "{{system}} {{model_version}}",
                ),
            ),
            "s",
        ),
        Panel(
            "Mean score by version",
            "Two versions that see the same users and differ here differ in their prior.",
            (
                Query(
                    f"sum by (system, model_version) (rate(model_score_distribution_sum{{{OWN}}}[$__rate_interval])) / "
                    f"sum by (system, model_version) (rate(model_score_distribution_count{{{OWN}}}[$__rate_interval]))",
                    "{{system}} {{model_version}}",
                ),
            ),
            "none",
        ),
        Panel(
            "Time a score takes, P99",
            "The stage `model`, by system.",
            quantiles("decision_stage_seconds", "system", f'stage="model", {OWN}', 0.99),
            "s",
        ),
        Panel(
            "Performance on complete labels",
            "By the newest report that has a verdict, with the lower end of each interval.",
            (
                Query(
                    f"max by (system, model_version, metric) (model_performance{{{OWN}}})",
                    "{{system}} {{model_version}} {{metric}}",
                ),
                Query(
                    f"max by (system, model_version, metric) (model_performance_low{{{OWN}}})",
                    "{{system}} {{model_version}} {{metric}}, at least",
                ),
            ),
            "none",
        ),
        Panel(
            "Performance, estimated from scores",
            "Of answers whose labels are not complete yet, and how far estimates were off where they are by now.",
            (
                Query(
                    f"max by (system, model_version, metric) (model_performance_estimated{{{OWN}}})",
                    "{{system}} {{model_version}} {{metric}}",
                ),
                Query(
                    f"max by (system, model_version, metric) (model_performance_estimate_error{{{OWN}}})",
                    "{{system}} {{model_version}} {{metric}}, off by",
                ),
            ),
            "none",
        ),
        Panel(
            "How far from the model's own test",
            "By the newest drift report: scores (prediction), the share of positives (prior), the AUC (concept).",
            (Query(f"max by (system, kind) (model_drift_score{{{OWN}}})", "{{system}} {{kind}}"),),
            "none",
        ),
        Panel(
            "Alerts of the newest reports",
            "By kind of report and name.",
            (Query(f"max by (system, report, alert) (monitoring_alerts{{{OWN}}})", "{{system}} {{report}} {{alert}}"),),
        ),
        Panel(
            "New versions taken over and refused",
            "Within the last hour, of champions, rules and experiments.",
            tuple(
                Query(f"sum by (outcome) (increase({kind}_reloads_total[1h]))", f"{kind} {{{{outcome}}}}")
                for kind in ("model", "rules", "experiment")
            ),
        ),
    ),
)
FEATURES = Dashboard(
    "features",
    "Features: how fresh and how right",
    (
        Panel(
            "Age of the newest event in the features",
            "Of the user that was asked about: it depends on how often they come, too.",
            quantiles("feature_age_seconds", "system", OWN, 0.5, 0.9),
            "s",
        ),
        Panel(
            "From an event to the store",
            "By the event's own time; the sink's part of it below.",
            quantiles("lamina_sink_event_age_seconds", "", "", 0.5, 0.99),
            "s",
        ),
        Panel(
            "From the stream job to the store, P99",
            "Above 5 s for five minutes somebody is paged.",
            (Query("sink:record_age_seconds:p99_5m", "P99"),),
            "s",
        ),
        Panel(
            "Not yet read by the stream job",
            "At its last checkpoint.",
            (Query(f"max by (system, topic) (lamina_stream_lag_messages{{{OWN}}})", "{{system}} {{topic}}"),),
        ),
        Panel(
            "Tiles that wait for the sink",
            "By partition.",
            (Query("max by (partition) (lamina_sink_lag_messages)", "{{partition}}"),),
        ),
        Panel("Tiles", "A second, by what became of them.", rates("lamina_sink_tiles_total", "outcome"), "wps"),
        Panel(
            "Messages that broke their contract",
            "Within a quarter of an hour.",
            (Query('max(increase(lamina_topic_messages_total{topic="dead-letters"}[15m]))', "dead letters"),),
        ),
        Panel(
            "Features that are furthest from the training",
            "By the newest drift report, ten of a system: Kolmogorov-Smirnov, or Jensen-Shannon of texts.",
            (
                Query(
                    f"topk by (system) (10, max by (system, feature_name) (feature_drift_score{{{OWN}}}))",
                    "{{system}} {{feature_name}}",
                ),
            ),
            "none",
        ),
        Panel(
            "Values that parity does not explain",
            "By the newest report of each system.",
            (Query(f"max by (system) (parity_mismatches{{{OWN}}})", "{{system}}"),),
            kind="stat",
        ),
    ),
)
SYSTEM = Dashboard(
    "system",
    "System: is it there, is it fast, is it full",
    (
        Panel("Up", "1: Prometheus gets its metrics.", (Query("up", "{{job}} {{instance}}"),), kind="stat"),
        Panel(
            "Requests answered 5xx",
            "Share of the last hour; the service level leaves 0.1 %.",
            (Query("api:errors:ratio_1h", "1 h"),),
            "percentunit",
            "stat",
        ),
        Panel(
            "Answers over 65 ms",
            "Share of the last hour; the service level leaves 1 %.",
            (Query("system:slow_answers:ratio_1h", "{{system}}"),),
            "percentunit",
            "stat",
        ),
        Panel("Kafka answers", "Asked by the sink.", (Query("lamina_kafka_up", "{{instance}}"),), kind="stat"),
        Panel(
            "Latency",
            "From a request's arrival to its answer.",
            quantiles("model_prediction_latency_seconds", "system", "", 0.5, 0.95, 0.99),
            "s",
        ),
        Panel("Time per stage, P99", "All systems.", quantiles("decision_stage_seconds", "stage", "", 0.99), "s"),
        Panel("Requests at work", "By process.", (Query("requests_in_flight", "{{instance}}"),)),
        Panel("Requests refused", "A second, by status.", rates("invalid_requests_total", "status"), "reqps"),
        Panel(
            "Processor time",
            "1: a whole processor.",
            (Query("rate(process_cpu_seconds_total[$__rate_interval])", "{{job}} {{instance}}"),),
        ),
        Panel("Memory", "Resident.", (Query("process_resident_memory_bytes", "{{job}} {{instance}}"),), "bytes"),
        Panel(
            "Waits for Kafka",
            "Share of what the journal may take, and age.",
            (
                Query("journal_bytes / journal_max_bytes", "{{instance}} size"),
                Query("journal_oldest_seconds / journal_max_age_seconds", "{{instance}} age"),
            ),
            "percentunit",
        ),
        Panel("Events that Kafka has", "A second, by topic.", rates("events_delivered_total", "topic"), "wps"),
        Panel(
            "Failures in the background",
            "Within a quarter of an hour, by task.",
            (Query("sum by (task) (increase(background_failures_total[15m]))", "{{task}}"),),
        ),
        Panel(
            "A write of the sink, P99",
            "Of a batch of tiles, to Redis.",
            quantiles("lamina_sink_batch_seconds", "", "", 0.99),
            "s",
        ),
    ),
    by_system=False,
)
DASHBOARDS = (BUSINESS, MODEL, FEATURES, SYSTEM)
