"""How the stream job runs: where Kafka is, where reading starts, and Flink's own configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from lamina.store.protocol import SPEED_TTL_S

Start = Literal["earliest", "latest", "committed"]
StateBackend = Literal["rocksdb", "hashmap"]


@dataclass(frozen=True, kw_only=True)
class StreamOptions:
    """Options of one stream job.

    name: of the job, by default one made of the system's. start: where reading begins when the job starts without a
    checkpoint; `committed` continues a consumer group and begins at the earliest event where there is none. Times are
    in milliseconds. connector_jar: path of the Kafka connector where the cluster does not hold it. until_now: end at
    what the topics hold at the start, to rebuild or to test. checkpoint_dir: a URL that job manager and task managers
    can reach; absent, the cluster's own.
    """

    system: str
    bootstrap: str
    name: str = ""
    topic_prefix: str = ""
    group_id: str = ""
    start: Start = "earliest"
    parallelism: int = 1
    checkpoint_interval_ms: int = 10_000
    checkpoint_dir: str | None = None
    connector_jar: str | None = None
    mini_batch_ms: int = 0
    state_backend: StateBackend = "rocksdb"
    until_now: bool = False

    @property
    def job_name(self) -> str:
        """The name under which Flink lists the job."""
        return self.name or f"lamina-stream-{self.system}"

    @property
    def group(self) -> str:
        """The consumer group in which the job commits its position, to be looked at: the checkpoint is the truth."""
        return self.group_id or f"{self.topic_prefix}{self.job_name}"


def configuration(options: StreamOptions) -> dict[str, str]:
    """Flink's configuration for the job, by Flink's own names."""
    chosen = {
        "pipeline.name": options.job_name,
        "parallelism.default": str(options.parallelism),
        # No operator keeps a row it has passed on.
        "pipeline.object-reuse": "true",
        "execution.checkpointing.interval": f"{options.checkpoint_interval_ms}ms",
        "execution.checkpointing.mode": "EXACTLY_ONCE",
        "execution.checkpointing.min-pause": f"{options.checkpoint_interval_ms // 2}ms",
        "execution.checkpointing.externalized-checkpoint-retention": "RETAIN_ON_CANCELLATION",
        "restart-strategy.type": "exponential-delay",
        "restart-strategy.exponential-delay.initial-backoff": "1s",
        "restart-strategy.exponential-delay.max-backoff": "30s",
        "table.exec.state.ttl": f"{SPEED_TTL_S}s",
        "state.backend.type": options.state_backend,
        "execution.checkpointing.incremental": str(options.state_backend == "rocksdb").lower(),
        # Writes are absolute values under their own key, so their order across operators does not matter.
        "table.exec.sink.upsert-materialize": "NONE",
        "table.exec.sink.not-null-enforcer": "ERROR",
        "table.local-time-zone": "UTC",
        # Parsing and the removal of duplicates are steps that all branches share; without this each would do them anew.
        "table.optimizer.reuse-optimize-block-with-digest-enabled": "true",
    }
    if options.mini_batch_ms:
        chosen["table.exec.mini-batch.enabled"] = "true"
        chosen["table.exec.mini-batch.allow-latency"] = f"{options.mini_batch_ms}ms"
        chosen["table.exec.mini-batch.size"] = "5000"
    if options.checkpoint_dir:
        chosen["execution.checkpointing.dir"] = options.checkpoint_dir
    if options.connector_jar:
        jar = options.connector_jar
        chosen["pipeline.jars"] = jar if "://" in jar or jar.startswith("file:") else f"file://{jar}"
    return chosen
