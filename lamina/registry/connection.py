"""A connection to MLflow: short waits, and errors that say what was asked, of whom, and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from lamina.registry.protocol import RegistryError

REQUEST_TIMEOUT_S = 30
RETRIES = 2


class MlflowConnection:
    """The MLflow server or store at `uri`."""

    def __init__(self, uri: str) -> None:
        self.uri = uri

    @cached_property
    def client(self) -> Any:
        """MLflow's own client."""
        from mlflow import MlflowClient
        from mlflow.environment_variables import (
            MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR,
            MLFLOW_HTTP_REQUEST_MAX_RETRIES,
            MLFLOW_HTTP_REQUEST_TIMEOUT,
        )

        # By default a lost server is asked for minutes before anyone hears of it.
        MLFLOW_HTTP_REQUEST_MAX_RETRIES.set(RETRIES)
        MLFLOW_HTTP_REQUEST_TIMEOUT.set(REQUEST_TIMEOUT_S)
        MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.set(False)  # half a dozen small files
        return MlflowClient(tracking_uri=self.uri, registry_uri=self.uri)

    @contextmanager
    def asking(self, what: str) -> Iterator[None]:
        """Turn MLflow's exceptions into one that says what was asked, of whom, and what to do."""
        from mlflow.exceptions import MlflowException

        try:
            yield
        except MlflowException as error:
            reason = str(error).splitlines()[0]
            raise RegistryError(
                f"MLflow at {self.uri} could not {what}: {reason}. "
                "Is it up (`lamina status`), is LAMINA_MLFLOW_URI right?"
            ) from error

    def experiment(self, name: str) -> str:
        """The id of the experiment `name`, which is made where there is none."""
        from mlflow.exceptions import MlflowException

        found = self.client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        try:
            return str(self.client.create_experiment(name))
        except MlflowException as error:
            if error.error_code != "RESOURCE_ALREADY_EXISTS":
                raise
            return str(self.client.get_experiment_by_name(name).experiment_id)


def pages(fetch: Callable[[str | None], Any]) -> Iterator[Any]:
    """Everything that `fetch` gives, page after page, by the token of each."""
    token: str | None = None
    while True:
        page = fetch(token)
        yield from page
        token = page.token
        if not token:
            return
