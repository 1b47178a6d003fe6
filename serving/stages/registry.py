"""Registered models in MLflow, as serving needs them. Control path: everything here may block for seconds."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mlflow import MlflowClient

ALIAS = "champion"
REQUEST_TIMEOUT_S = 10
RETRIES = 1


class MlflowRegistry:
    """Implements `serving.stages.model.Registry`. The constructor opens no connection and imports nothing heavy."""

    def __init__(self, uri: str, name: str) -> None:
        self._uri, self._name = uri, name

    def champion(self) -> str | None:
        """See `Registry.champion`."""
        from mlflow.exceptions import RestException

        try:
            return str(self._client.get_model_version_by_alias(self._name, ALIAS).version)
        except RestException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise

    def download(self, version: str, folder: Path) -> Path:
        """See `Registry.download`."""
        import mlflow

        uri = self._client.get_model_version_download_uri(self._name, version)
        return Path(mlflow.artifacts.download_artifacts(artifact_uri=uri, dst_path=str(folder), tracking_uri=self._uri))

    @cached_property
    def _client(self) -> MlflowClient:
        from mlflow import MlflowClient
        from mlflow.environment_variables import MLFLOW_HTTP_REQUEST_MAX_RETRIES, MLFLOW_HTTP_REQUEST_TIMEOUT

        # By default a lost server is asked for minutes; here the next poll asks again.
        MLFLOW_HTTP_REQUEST_MAX_RETRIES.set(RETRIES)
        MLFLOW_HTTP_REQUEST_TIMEOUT.set(REQUEST_TIMEOUT_S)
        return MlflowClient(tracking_uri=self._uri, registry_uri=self._uri)
