"""What a Spark driver is told of the settings.

A driver that runs beside the task inherits the task's environment, which only its own user can read. One that a cluster
starts is told by options of spark-submit: anybody can read these in `ps`, in the pod's specification and on Spark's own
pages. So only settings that are listed here go there, and a secret goes by a file.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lamina.addresses import redis_password
from lamina.errors import SettingsError
from lamina.local.service import write
from lamina.setting_names import variable
from lamina.settings import Settings

PASSED = ("clock_at", "currency", "kafka_bootstrap", "lake_url", "mlflow_uri", "topic_prefix")
"""Settings that the jobs read and that anybody may read."""

SECRET = "redis_url"
"""The one setting of the jobs that may hold a password."""

FILES = "/etc/lamina/secrets"
"""Where Kubernetes mounts the secret in a driver's pod."""

# YARN puts the files of an application into the folder that a container starts in, and names that folder.
CONTAINER_FOLDER = "{{PWD}}"


@dataclass(frozen=True)
class Handover:
    """Variables of the driver, further options and files of spark-submit: none of them but the files is secret."""

    variables: Mapping[str, str]
    conf: Mapping[str, str] = field(default_factory=dict)
    files: tuple[Path, ...] = ()


@contextmanager
def hand_over(settings: Settings, master: str, in_cluster: bool) -> Iterator[Handover]:
    """What a driver is given for as long as it is submitted.

    Args: master: of the connection, as a URL; in_cluster: whether the cluster starts the driver.

    Raises: SettingsError: when there is a secret that could only be written where others read it.
    """
    variables = {variable(name): str(getattr(settings, name)) for name in PASSED if name in settings.model_fields_set}
    given = SECRET in settings.model_fields_set
    secret = settings.redis_url.get_secret_value()
    if not given or redis_password(secret) is None:
        yield Handover(variables | ({variable(SECRET): secret} if given else {}))
    elif not in_cluster:
        # The driver is a child of this process and finds it where this process did.
        yield Handover(variables)
    elif "k8s" in master:
        if not settings.spark_kubernetes_secret:
            raise SettingsError(
                f"the password in {variable(SECRET)} would stand in the specification of the driver's pod: "
                f"make a Kubernetes secret with the key lamina_{SECRET}, and name it in LAMINA_SPARK_KUBERNETES_SECRET"
            )
        mount = {f"spark.kubernetes.driver.secrets.{settings.spark_kubernetes_secret}": FILES}
        yield Handover({**variables, variable("secrets_dir"): FILES}, mount)
    elif "yarn" in master:
        with tempfile.TemporaryDirectory(prefix="lamina-") as private:
            file = write(Path(private) / f"lamina_{SECRET}", secret, mode=0o600)
            yield Handover({**variables, variable("secrets_dir"): CONTAINER_FOLDER}, files=(file,))
    else:
        raise SettingsError(
            f"a driver that {master} starts cannot be given {variable(SECRET)} but by its command line: "
            "let the connection spark_default submit in client mode, or take Kubernetes or YARN"
        )
