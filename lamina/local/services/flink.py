"""A Flink session cluster from the distribution inside the PyFlink wheel: one job manager, one task manager."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping

import yaml

from lamina.errors import StackError
from lamina.local.jvm import FRUGAL, SERIAL_GC
from lamina.local.layout import Layout, flink_env, flink_home
from lamina.local.ports import HOST
from lamina.local.service import NotReady, Program, Service, StackPlan, get_json, write
from lamina.yaml_files import read_yaml

SLOTS = 4

LOGGING = """\
rootLogger.level=INFO
rootLogger.appenderRef.console.ref=ConsoleAppender
appender.console.name=ConsoleAppender
appender.console.type=CONSOLE
appender.console.layout.type=PatternLayout
appender.console.layout.pattern=%d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %c{1} - %m%n
logger.pekko.name=org.apache.pekko
logger.pekko.level=WARN
logger.kafka.name=org.apache.kafka
logger.kafka.level=WARN
"""


def _flat(tree: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def configuration(plan: StackPlan) -> dict[str, object]:
    """Flink's configuration: the distribution's own, with the stack's ports, folders and sizes."""
    folder = plan.layout.data / "flink"
    python = str(flink_env(plan.layout.root) / "bin" / "python")
    shipped = read_yaml(flink_home(plan.layout.root) / "conf" / "config.yaml", StackError)
    return dict(_flat(shipped)) | {
        "jobmanager.rpc.address": HOST,
        "jobmanager.rpc.port": plan.ports["flink_rpc"],
        "jobmanager.bind-host": HOST,
        "jobmanager.memory.process.size": "1024m",
        "rest.address": HOST,
        "rest.bind-address": HOST,
        "rest.port": plan.ports["flink"],
        # No jar is taken from the web page: jobs come from `flink run`, which hands in a graph and its files at once.
        "web.submit.enable": False,
        "taskmanager.host": HOST,
        "taskmanager.bind-host": HOST,
        "taskmanager.numberOfTaskSlots": SLOTS,
        "taskmanager.memory.process.size": "3000m",
        # Managed memory serves RocksDB and Python workers only; SQL on the heap state backend wants heap.
        "taskmanager.memory.managed.fraction": 0.1,
        # Without a folder, state over 5 MB fails every checkpoint and the job restarts for ever.
        "execution.checkpointing.dir": (folder / "checkpoints").as_uri(),
        "execution.checkpointing.savepoint-dir": (folder / "savepoints").as_uri(),
        # A stopped job is continued from its newest checkpoint: Flink must not name an older one, already removed, from
        # its cache.
        "rest.cache.checkpoint-statistics.timeout": "100ms",
        # A killed task manager is missed after two of these, not after the timeout of 50 s.
        "heartbeat.interval": "1000ms",
        "io.tmp.dirs": str(folder / "tmp"),
        "python.executable": python,
        "python.client.executable": python,
        # A client compiles one job and ends, and the job manager has little to do.
        "env.java.opts.client": " ".join(FRUGAL),
        "env.java.opts.jobmanager": " ".join(FRUGAL),
        "env.java.opts.taskmanager": SERIAL_GC,
        # A session cluster runs the jobs of many tests; each loads the connector anew.
        "classloader.check-leaked-classloader": False,
    }


def client_env(layout: Layout) -> dict[str, str]:
    """Variables for `flink run` and PyFlink against this stack's cluster."""
    environment = flink_env(layout.root)
    return {
        "FLINK_CONF_DIR": str(layout.run / "flink"),
        "FLINK_HOME": str(flink_home(layout.root)),
        "FLINK_LOG_DIR": str(layout.logs),
        "PATH": f"{environment / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
    }


def flink(plan: StackPlan) -> Service:
    """The cluster; ready when the task manager has offered all its slots."""
    layout = plan.layout
    home = flink_home(layout.root)
    conf = layout.run / "flink"

    def prepare() -> None:
        if not home.exists():
            raise StackError(f"flink: {home} is missing: run `make env`")
        for name in ("checkpoints", "savepoints", "tmp"):
            (layout.data / "flink" / name).mkdir(parents=True, exist_ok=True)
        write(conf / "config.yaml", yaml.safe_dump(configuration(plan), width=10_000))
        for name in (
            "log4j-console.properties",
            "log4j-cli.properties",
            "log4j.properties",
            "log4j-session.properties",
        ):
            write(conf / name, LOGGING)

    def ready() -> None:
        overview = get_json(f"{plan.url('flink')}/overview")
        if overview["slots-total"] < SLOTS:
            raise NotReady(f"flink at {plan.url('flink')}: {overview['slots-total']} of {SLOTS} slots")

    env = client_env(layout) | {"FLINK_PID_DIR": str(layout.run)}
    return Service(
        name="flink",
        address=plan.url("flink"),
        programs=tuple(
            Program(f"flink-{part}", ("bash", str(home / "bin" / f"{part}.sh"), "start-foreground"), env)
            for part in ("jobmanager", "taskmanager")
        ),
        prepare=prepare,
        ready=ready,
        deadline_s=300,
    )
