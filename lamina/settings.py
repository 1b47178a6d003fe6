"""Settings of one installation, read once by an entry point and passed down.

Every field can be set by an environment variable `LAMINA_<FIELD>`. The local stack writes the addresses it chose to
`<stack_dir>/stack.env`, which is read when it exists; variables of the environment win over it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Self

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

ROOT = Path(__file__).resolve().parent.parent
STACK_ENV = "stack.env"
UNSCHEDULED = "none"


def _stack_env_file() -> Path:
    """Where a running local stack leaves its addresses; must be known before the settings are read."""
    return Path(os.environ.get("LAMINA_STACK_DIR", ROOT / ".lamina")) / STACK_ENV


class Settings(BaseSettings):
    """Where things are and how long they may take. Frozen; unknown names are refused."""

    model_config = SettingsConfigDict(env_prefix="LAMINA_", frozen=True, extra="forbid")

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
    spark_driver_java: str = Field(
        "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
        description="Options for the JVM of the DAGs' Spark drivers. Light compilation halves jobs of less than a few "
        "minutes; give it up (empty) where a local driver works for longer.",
    )
    api_host: str = Field("127.0.0.1", description="Address the API listens on.")
    api_port: int = Field(8000, ge=1, le=65535, description="Port the API listens on.")
    api_keys_file: Path | None = Field(
        None, description="YAML file with the clients' API keys, hashed; without it every client may do everything."
    )
    api_max_in_flight: int = Field(
        200, gt=0, description="Requests at work at once; what comes on top is answered 503 with Retry-After."
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
    predict_timeout_ms: int = Field(
        500,
        gt=0,
        description="Longest wait of a prediction for its features, in milliseconds; it has nothing to fall back to.",
    )
    predict_model: str = Field("fraud", description="Registered model that /predict asks where a call names none.")
    predict_batch_rows: int = Field(128, gt=0, description="Rows that a model scores in one call at most.")
    predict_batch_wait_ms: float = Field(
        2.0, ge=0, description="How long a row waits for others to be scored with, in milliseconds."
    )
    predict_queue_rows: int = Field(
        4096, ge=512, description="Rows that wait for a model at once; calls that come on top are answered 503."
    )
    predict_cache_entries: int = Field(10_000, gt=0, description="Predictions that a process remembers.")
    predict_cache_ttl_s: int = Field(
        3600, ge=0, description="How long Redis remembers a prediction, in seconds; 0 leaves Redis out."
    )
    rules_file: Path = Field(
        ROOT / "serving" / "rules" / "fraud.yaml", description="Versioned file with the fraud rules as data."
    )
    experiment_file: Path = Field(
        ROOT / "serving" / "rules" / "experiment.yaml",
        description="Versioned file with the experiment between models, if one runs.",
    )
    topic_prefix: str = Field("", description="Put before every topic name; lets tests share a broker.")

    @model_validator(mode="after")
    def _cross_check(self) -> Self:
        if self.decision_deadline_ms < self.redis_timeout_ms:
            raise ValueError(
                f"decision_deadline_ms ({self.decision_deadline_ms}) must not be below redis_timeout_ms "
                f"({self.redis_timeout_ms}): raise LAMINA_DECISION_DEADLINE_MS or lower LAMINA_REDIS_TIMEOUT_MS"
            )
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ValueError("tls_certificate and tls_key go together: set LAMINA_TLS_CERTIFICATE and LAMINA_TLS_KEY")
        if self.tls_client_ca is not None and self.tls_certificate is None:
            raise ValueError("tls_client_ca needs LAMINA_TLS_CERTIFICATE: without TLS no client shows a certificate")
        return self


def load_settings(**overrides: object) -> Settings:
    """Settings from the environment, then from a running local stack, then the defaults; `overrides` win over all.

    >>> load_settings(api_port=9001).api_port
    9001
    """
    env_file = _stack_env_file()
    return Settings(_env_file=env_file if env_file.exists() else None, **overrides)  # type: ignore[arg-type]
