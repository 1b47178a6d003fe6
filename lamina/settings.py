"""Settings of one installation, read once by an entry point and passed down.

Every field can be set by an environment variable `LAMINA_<FIELD>`, or by a file `lamina_<field>` in the folder that
`LAMINA_SECRETS_DIR` names. The local stack writes the addresses it chose to `<stack_dir>/stack.env`, which is read when
it exists; variables of the environment win over it, and it wins over the files.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from lamina import addresses, proxies
from lamina.clock import Clock, system_clock
from lamina.console_settings import ConsoleSettings
from lamina.contracts.names import TOPIC_PREFIX
from lamina.prediction_settings import PredictionSettings
from lamina.setting_checks import checked, no_link, separated
from lamina.setting_names import PREFIX, advice, known, secret_files

ROOT = Path(__file__).resolve().parent.parent
STACK_ENV = "stack.env"
UNSCHEDULED = "none"
STOP_WAIT_S = 30
"""What the local stack and compose wait between SIGTERM and SIGKILL, in seconds; Kubernetes waits as long."""
STOP_REST_S = 7.0
"""Of the API's end, what is no setting: background tasks 2 s, threads and connections 3 s, the interpreter 2 s."""


def _stack_env_file() -> Path:
    """Where a running local stack leaves its addresses; must be known before the settings are read."""
    return Path(os.environ.get("LAMINA_STACK_DIR") or ROOT / ".lamina") / STACK_ENV


class Settings(ConsoleSettings, PredictionSettings):
    """Where things are and how long they may take. Frozen; unknown names are refused."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        frozen=True,
        extra="forbid",
        # A time-out or a bound without an end is none.
        allow_inf_nan=False,
        # What is wrong may be a password, or hold one.
        hide_input_in_errors=True,
    )

    secrets_dir: Path | None = Field(
        None, description="Folder with one file a setting, such as `lamina_redis_url`; for what no variable shall hold."
    )
    stack_dir: Path = Field(ROOT / ".lamina", description="Folder for the local stack's data, logs and pids.")
    lake_url: str = Field(
        str(ROOT / ".lamina" / "lake"),
        description="Root of the lake, a local path or an fsspec URL such as s3://bucket/lake.",
    )
    data: Path = Field(
        ROOT.parent / "shared" / "data",
        description="Folder with third-party data for tests and benchmarks; may be absent.",
    )
    kafka_bootstrap: str = Field("127.0.0.1:9092", description="Kafka bootstrap servers, host:port[,host:port].")
    redis_url: SecretStr = Field(
        SecretStr("redis://127.0.0.1:6379/0"), description="Redis of the online store; may carry a password."
    )
    redis_timeout_ms: int = Field(50, gt=0, description="Longest wait for one round trip to Redis, in milliseconds.")
    mlflow_uri: str = Field("http://127.0.0.1:5000", description="MLflow tracking and registry server.")
    flink_url: str = Field("http://127.0.0.1:8081", description="REST address of the Flink job manager.")
    airflow_url: str = Field("http://127.0.0.1:8080", description="Airflow's API server and UI.")
    dag_schedule: str = Field(
        "@daily", description="Cron expression of the daily DAGs; `none`: runs are triggered, as in a replay."
    )
    clock_at: datetime | None = Field(
        None,
        description="The time, UTC, that a replay takes for now: a day that is not over by it is not processed. None: "
        "the system's clock counts.",
    )
    spark_driver_java: str = Field(
        "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        description="Options for the JVM of the DAGs' Spark drivers. Light compilation halves jobs of less than a few "
        "minutes; give it up (empty) where a local driver works for longer.",
    )
    spark_kubernetes_secret: str = Field(
        "",
        pattern=r"^([a-z0-9]([-a-z0-9.]*[a-z0-9])?)?$",
        description="Kubernetes secret with the key `lamina_redis_url`, mounted where a Spark driver runs in a pod.",
    )
    api_host: str = Field("127.0.0.1", description="Address the API listens on.")
    api_port: int = Field(8000, ge=1, le=65535, description="Port the API listens on.")
    served_systems: Annotated[frozenset[str], NoDecode] = Field(
        frozenset(), description="Systems that the API serves, separated by commas; all of them where none is named."
    )
    api_keys_file: Path | None = Field(
        None, description="YAML file with the clients' API keys, hashed; without it every client may do everything."
    )
    refuse_card_numbers_in: Annotated[frozenset[str], NoDecode] = Field(
        frozenset({"transaction_id", "user_id"}),
        description="Ids, separated by commas, that the API refuses where they have the length, first digits and check "
        "digit of a card number; empty where long numbers are ids by right. A card_token is refused in any case.",
    )
    currency: str = Field(
        "EUR",
        pattern=r"^[A-Z]{3}$",
        description="Currency of all amounts, ISO 4217: they are added up, so the API refuses any other, and an import "
        "converts it by its mapping's rates or refuses it.",
    )
    api_max_in_flight: int = Field(
        200, gt=0, description="Requests at work at once; what comes on top is answered 503 with Retry-After."
    )
    api_arrival_timeout_s: float = Field(
        5.0,
        gt=0,
        description="Longest time in which a client may send the headers of a request, and again its body, in seconds; "
        "then it is answered 408 and its connection closed.",
    )
    metrics_host: str = Field(
        "127.0.0.1",
        description="Address on which processes give their metrics. With another than the loopback, the API's /metrics "
        "answers everybody; else this machine alone, and whoever has a key for it.",
    )
    api_stop_grace_s: float = Field(
        1.0,
        ge=0,
        description="After SIGTERM the API says that it is not ready, and serves on for so many seconds, in which who "
        "sends it requests finds out: more than two intervals of a balancer's checks.",
    )
    api_stop_requests_s: int = Field(
        8, gt=0, description="After that, so many seconds for the requests in flight before they are cut off."
    )
    api_stop_events_s: float = Field(
        10.0,
        gt=0,
        description="At last, so many seconds for Kafka to take what waits; the rest waits in the journal.",
    )
    api_stop_wait_s: float = Field(
        STOP_WAIT_S,
        gt=0,
        description="How long the API's supervisor waits between SIGTERM and SIGKILL, in seconds: the three above and "
        "what the rest takes (7 s) must fit.",
    )
    journal_max_bytes: int = Field(
        4 * 2**30,
        ge=2**20,
        description="Most that the events that wait for Kafka may take of the disk; beyond it, requests whose events "
        "cannot be written down are answered 503.",
    )
    journal_max_age_s: float = Field(
        2 * 86_400.0,
        gt=0,
        description="Age of the oldest event that waits for Kafka, in seconds, beyond which requests are answered 503: "
        "the speed layer forgets, so that older events would count in features only from the next daily run.",
    )
    tls_certificate: Path | None = Field(
        None, description="PEM file with the API's certificate chain; none: plain HTTP."
    )
    tls_key: Path | None = Field(None, description="PEM file with the certificate's private key.")
    tls_key_password: SecretStr | None = Field(None, description="Password of the private key, if it has one.")
    tls_client_ca: Path | None = Field(
        None, description="PEM file with the authorities whose client certificates are asked for; none: none are."
    )
    champion_poll_s: float = Field(
        2.0,
        gt=0,
        description="How often serving looks for a new champion, in seconds. A rollback takes that and a load.",
    )
    decision_deadline_ms: int = Field(
        100, gt=0, description="After this long a decision is answered from the rules alone, in milliseconds."
    )
    repeat_window_s: int = Field(
        600,
        ge=0,
        description="For so long the same event sent again gets the answer it had, in seconds; 0: it is answered anew.",
    )
    repeat_entries: int = Field(
        50_000,
        gt=0,
        description="Answers that a process of the API keeps in Redis at once, about a kilobyte each; beyond them the "
        "oldest leave before their time.",
    )
    parity_max_age_days: int = Field(
        7,
        ge=0,
        description="A version goes live by a parity report that is not more days older than the day it was trained "
        "for.",
    )
    parity_min_decisions: int = Field(
        100, gt=0, description="A version goes live by a parity report on at least so many decisions."
    )
    retraining_cooldown_h: float = Field(
        24.0,
        gt=0,
        description="Hours after a retraining that an alert has asked for until the next may be asked for.",
    )
    rules_file: Path = Field(
        ROOT / "serving/systems/fraud/rules/fraud.yaml", description="Versioned file with the fraud rules as data."
    )
    experiment_file: Path = Field(
        ROOT / "serving/systems/fraud/rules/experiment.yaml",
        description="Versioned file with the experiment between models, if one runs.",
    )
    otlp_url: str | None = Field(
        None,
        description="Address of an OpenTelemetry collector, such as http://127.0.0.1:4318, to which the API and the "
        "sink send traces; none: nothing is traced.",
    )
    trace_share: float = Field(1.0, ge=0, le=1, description="Share of the requests that are traced, where any are.")
    trace_clients: bool = Field(
        False,
        description="Go on with the trace that a client names, and trace what it asks to have traced; else requests "
        "begin traces of their own, with a link to the client's.",
    )
    topic_prefix: str = Field(
        "", pattern=TOPIC_PREFIX, description="Put before every topic name; lets tests share a broker."
    )

    @model_validator(mode="before")
    @classmethod
    def _refuse_unknown(cls, values: Any) -> Any:
        names = {name.upper(): value for name, value in os.environ.items() if name.upper().startswith(PREFIX)}
        unknown = [name for name, value in names.items() if not known(name, cls.model_fields)]
        if unknown:
            raise ValueError("; ".join(advice(name, "variable", cls.model_fields) for name in sorted(unknown)))
        return values

    @field_validator("*", mode="after")
    @classmethod
    def _refuse_elsewhere(cls, value: Any, info: Any) -> Any:
        return checked(info.field_name, value)

    @field_validator("refuse_card_numbers_in", "served_systems", mode="before")
    @classmethod
    def _separated(cls, value: Any) -> Any:
        return separated(value)

    @field_validator("refuse_card_numbers_in", mode="after")
    @classmethod
    def _are_ids(cls, value: frozenset[str]) -> frozenset[str]:
        # Contracts are looked at by whoever sets it: nobody else's start waits for them.
        from lamina.catalog import id_fields

        if unknown := sorted(value - (known := id_fields())):
            raise ValueError(f"no event has an id called {', '.join(unknown)}: name some of {', '.join(sorted(known))}")
        return value

    @field_validator("api_port", mode="before")
    @classmethod
    def _refuse_link(cls, value: Any) -> Any:
        return no_link(value)

    @property
    def metrics_are_open(self) -> bool:
        """Whether it was said that others than this machine may read the metrics."""
        return self.metrics_host != "localhost" and not addresses.is_loopback(self.metrics_host)

    @property
    def clock(self) -> Clock:
        """Says whether a day is over: the system's clock, or in a replay a standing one."""
        if self.clock_at is None:
            return system_clock
        at = self.clock_at if self.clock_at.tzinfo else self.clock_at.replace(tzinfo=UTC)
        at_ms = round(at.timestamp() * 1000)
        return lambda: at_ms

    @model_validator(mode="after")
    def _cross_check(self) -> Self:
        if self.decision_deadline_ms < self.redis_timeout_ms:
            raise ValueError(
                f"decision_deadline_ms ({self.decision_deadline_ms}) must not be below redis_timeout_ms "
                f"({self.redis_timeout_ms}): raise LAMINA_DECISION_DEADLINE_MS or lower LAMINA_REDIS_TIMEOUT_MS"
            )
        if self.predict_deadline_ms < self.predict_timeout_ms:
            raise ValueError(
                f"predict_deadline_ms ({self.predict_deadline_ms}) must not be below predict_timeout_ms "
                f"({self.predict_timeout_ms}): raise LAMINA_PREDICT_DEADLINE_MS or lower LAMINA_PREDICT_TIMEOUT_MS"
            )
        stop_s = self.api_stop_grace_s + self.api_stop_requests_s + self.api_stop_events_s + STOP_REST_S
        if stop_s > self.api_stop_wait_s:
            raise ValueError(
                f"the API's end may take {stop_s:g} s (LAMINA_API_STOP_GRACE_S, _REQUESTS_S, _EVENTS_S and "
                f"{STOP_REST_S:g} s), and its supervisor waits {self.api_stop_wait_s:g}: lower one of them, or raise "
                "LAMINA_API_STOP_WAIT_S and what the supervisor really waits"
            )
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together: set LAMINA_TLS_CERTIFICATE and LAMINA_TLS_KEY")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError("tls_client_ca needs LAMINA_TLS_CERTIFICATE: without TLS no client shows a certificate")
        return self


def load_settings(**overrides: object) -> Settings:
    """Settings from the environment, then from a running local stack, then from files, then the defaults; `overrides`
    win over all, and a relative lake or folder among them is one of the current folder.

    Nothing that the calling process does afterwards asks this machine through a proxy.

    >>> load_settings(api_port=9001).api_port
    9001
    """
    proxies.spare_this_machine(os.environ)
    env_file, files = _stack_env_file(), secret_files(os.environ.get("LAMINA_SECRETS_DIR"), Settings.model_fields)
    given = {name: _from_here(name, value) for name, value in overrides.items()}
    return Settings(
        _env_file=env_file if env_file.exists() else None,
        _secrets_dir=files,
        **given,  # type: ignore[arg-type]
    )


def _from_here(name: str, value: object) -> object:
    if not isinstance(value, str | Path) or str(value) in ("", ".") or Path(value).is_absolute():
        return value
    field = Settings.model_fields.get(name)
    if name == "lake_url" and not addresses.SCHEME.match(str(value)):
        return str(Path(value).absolute())
    return Path(value).absolute() if isinstance(value, Path) and field is not None else value
