"""Settings of predictions by any registered model, a part of `lamina.settings.Settings`."""

from __future__ import annotations

from pydantic import Field
from pydantic_settings import BaseSettings

from lamina.contracts.predictions import MODEL_NAME


class PredictionSettings(BaseSettings):
    """How long `/predict` may take, and what is remembered of it."""

    predict_timeout_ms: int = Field(
        500,
        gt=0,
        description="Longest wait of a prediction for its features, in milliseconds; it has nothing to fall back to.",
    )
    predict_deadline_ms: int = Field(
        5000,
        gt=0,
        description="After this long a call to /predict is answered 504, in milliseconds, whatever it waits for.",
    )
    predict_model: str = Field(
        "fraud", pattern=MODEL_NAME, description="Registered model that /predict asks where a call names none."
    )
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
    predict_cache_redis_entries: int = Field(
        50_000, gt=0, description="Predictions that Redis remembers at most, of about 220 bytes each."
    )
