"""One Kafka broker in KRaft mode, its own controller."""

from __future__ import annotations

import base64
import subprocess
import uuid

from lamina.errors import StackError
from lamina.local import jars
from lamina.local.jvm import FRUGAL
from lamina.local.layout import java
from lamina.local.ports import HOST
from lamina.local.service import NotReady, Program, Service, StackPlan, write

HEAP = ("-Xms256m", "-Xmx512m")

PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller}
advertised.listeners=PLAINTEXT://{host}:{port}
log.dirs={data}
num.partitions=4
# A misspelt topic is an error, not a new topic.
auto.create.topics.enable=false
# Retention goes by the time in the record: replayed history would be deleted while it is being written.
log.retention.ms=-1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
"""

LOGGING = """\
status=warn
appender.out.type=Console
appender.out.name=out
appender.out.layout.type=PatternLayout
appender.out.layout.pattern=%d{ISO8601} %-5p %c{1} %m%n
rootLogger.level=warn
rootLogger.appenderRef.out.ref=out
logger.server.name=kafka.server.KafkaRaftServer
logger.server.level=info
"""


def kafka(plan: StackPlan) -> Service:
    """The broker; its log directory is formatted on the first start."""
    folder = plan.layout.data / "kafka"
    properties = plan.layout.run / "kafka.properties"
    logging = plan.layout.run / "kafka-log4j2.properties"
    base = (java(), *HEAP, *FRUGAL, f"-Dlog4j2.configurationFile={logging}", "-cp", f"{jars.folder('kafka')}/*")

    def prepare() -> None:
        jars.require("kafka")
        text = PROPERTIES.format(
            host=HOST, port=plan.ports["kafka"], controller=plan.ports["kafka_controller"], data=folder / "log"
        )
        write(properties, text)
        write(logging, LOGGING)
        if (folder / "log" / "meta.properties").exists():
            return
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes)[:22].decode().replace("-", "A")
        command = [
            *base,
            "kafka.tools.StorageTool",
            "format",
            "-t",
            cluster,
            "-c",
            str(properties),
            "--ignore-formatted",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise StackError(f"kafka: formatting {folder} failed; is this Java 17? {done.stderr or done.stdout}")

    def ready() -> None:
        from kafka import KafkaAdminClient
        from kafka.errors import KafkaError

        try:
            client = KafkaAdminClient(
                bootstrap_servers=plan.address("kafka"), request_timeout_ms=5_000, bootstrap_timeout_ms=5_000
            )
        except (KafkaError, OSError, ValueError) as error:
            raise NotReady(f"kafka at {plan.address('kafka')}: {error}") from error
        try:
            client.list_topics()
        except (KafkaError, OSError) as error:
            raise NotReady(f"kafka at {plan.address('kafka')}: {error}") from error
        finally:
            client.close()

    return Service(
        name="kafka",
        address=plan.address("kafka"),
        programs=(Program("kafka", (*base, "kafka.Kafka", str(properties)), stop_wait_s=30),),
        prepare=prepare,
        ready=ready,
        deadline_s=240,
    )
