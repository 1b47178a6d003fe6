"""The embedded stack: real services as child processes, in one folder, on free ports."""

from __future__ import annotations

import base64
import json
import os
import random
import secrets as random_secrets
import threading
import time
import xmlrpc.client
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from filelock import FileLock, Timeout

from lamina import proxies
from lamina.errors import StackError
from lamina.local import orphans, ports
from lamina.local.layout import Layout
from lamina.local.ports import HOST
from lamina.local.service import NotReady, Service, StackPlan, write
from lamina.local.services import OPTIONAL, PORT_RANGES, PORTS, SERVICES
from lamina.local.services.airflow import airflow_env
from lamina.local.services.flink import client_env
from lamina.local.state import ServiceState, describe
from lamina.local.supervisor import GONE_STATES, Supervisor
from lamina.setting_names import PREFIX
from lamina.settings import Settings, load_settings

POLL_S = 0.25
LOG_LINES = 25
STOP_DEADLINE_S = 120.0
LOCK_WAIT_S = 300.0


class Stack:
    """Services of one stack folder; many stacks live side by side, each in its own.

    Args: stack_dir: the folder; services: what to start, default all that are not optional; env: variables its
    children inherit, default this process's; preferred_ports: False takes random ones, for stacks that stand beside
    another.

    >>> stack = Stack(Path("/tmp/example"), services={"redis"})  # nothing is opened yet
    >>> sorted(stack.services)
    ['redis']
    """

    def __init__(
        self,
        stack_dir: Path,
        services: Collection[str] | None = None,
        *,
        env: Mapping[str, str] | None = None,
        preferred_ports: bool = True,
        rng: random.Random | None = None,
    ) -> None:
        unknown = set(services or ()) - set(SERVICES)
        if unknown:
            raise StackError(f"no such service: {', '.join(sorted(unknown))}; there are {', '.join(SERVICES)}")
        self.layout = Layout(stack_dir.absolute())
        self.services = frozenset(SERVICES.keys() - OPTIONAL if services is None else services)
        self._base_env = dict(os.environ if env is None else env)
        for used in (self._base_env, os.environ):  # what it starts, and what speaks to that from here
            proxies.spare_this_machine(used)
        self._preferred = PORTS if preferred_ports else dict.fromkeys(PORTS, 0)
        self._rng = rng or random.Random(os.urandom(8))
        self._supervisor = Supervisor(self.layout)
        self._plan: StackPlan | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self, *more: str, keep: bool = False) -> dict[str, str]:
        """Start the stack's services and `more`, with all they need; returns their addresses once all are ready.

        Can be called again to add services. When one fails, what this call started is stopped unless `keep`.
        """
        with self._lock():
            self._attach()
            wanted = self._with_needs(self.services | set(more))
            before = {state.name for state in self.status() if state.state == "running"}
            try:
                self._start_all(wanted)
            except BaseException:
                if not keep:
                    self._stop(set(wanted) - before) if before else self._stop_all()
                raise
            return {name: service.address for name, service in wanted.items()}

    def stop(self) -> list[int]:
        """Stop everything in reverse order and sweep what is left; returns the pids of strays that had to be ended."""
        with self._lock():
            return self._stop_all()

    def stop_service(self, name: str) -> None:
        """Stop one service; the others stay."""
        self._attach()
        self._stop([name])

    def restart_service(self, name: str) -> None:
        """Stop one service, start it again on the same port, and wait until it is ready.

        Raises: StackError: when the stack does not run, or the service does not become ready.
        """
        if not self._supervisor.running():
            raise StackError(f"the stack in {self.layout.stack_dir} does not run: start it with `make up`")
        self.stop_service(name)
        self.start(name)

    def status(self) -> list[ServiceState]:
        """Each service with its state, pids, address, age and memory."""
        if not self._supervisor.running():
            return [ServiceState(name, "stopped") for name in SERVICES]
        self._plan = self._plan or self._make_plan(ports.load(self._ports_file))
        return describe(self._services().values(), self._supervisor.info())

    def pids(self) -> dict[str, int]:
        """The pid of every program that runs, by its name such as `flink-taskmanager`: a service may have several."""
        return {name: int(entry["pid"]) for name, entry in self._supervisor.info().items() if entry["pid"]}

    @property
    def addresses(self) -> dict[str, str]:
        """The address of every service, running or not, as chosen at the last start."""
        return {name: service.address for name, service in self._services().items()}

    @property
    def env(self) -> dict[str, str]:
        """The `LAMINA_*` variables that lead a process to this stack; `lamina.settings` reads them."""
        return dict(self._known_plan().env)

    def settings(self) -> Settings:
        """The settings of a process that shall use this stack."""
        return load_settings(**{name.removeprefix(PREFIX).lower(): value for name, value in self.env.items()})

    def airflow_env(self) -> dict[str, str]:
        """Variables for any `airflow` command on this stack: lamina's that it was started with among them, such as
        the schedule, since a command that reads a DAG writes down what it read for the scheduler.
        """
        started = {name: value for name, value in self._base_env.items() if name.startswith(PREFIX)}
        return started | self.env | airflow_env(self._known_plan())

    def flink_env(self) -> dict[str, str]:
        """Variables for `flink run` and PyFlink against this stack's cluster."""
        return self.env | client_env(self.layout)

    @property
    def _ports_file(self) -> Path:
        return self.layout.run / "ports.json"

    @contextmanager
    def _lock(self) -> Iterator[None]:
        self.layout.make()
        lock = FileLock(self.layout.run / "stack.lock")
        try:
            lock.acquire(timeout=LOCK_WAIT_S)
        except Timeout as error:
            raise StackError(f"another process is starting or stopping {self.layout.stack_dir}: wait for it") from error
        with lock:
            yield

    def _known_plan(self) -> StackPlan:
        if self._plan is None:
            self._plan = self._make_plan(ports.load(self._ports_file))
        return self._plan

    def _services(self) -> dict[str, Service]:
        plan = self._known_plan()
        return {name: build(plan) for name, build in SERVICES.items()}

    def _with_needs(self, names: Collection[str]) -> dict[str, Service]:
        services, wanted = self._services(), set(names)
        while more := {need for name in wanted for need in services[name].needs} - wanted:
            wanted |= more
        return {name: service for name, service in services.items() if name in wanted}

    def _attach(self) -> None:
        """Find the running supervisord, or start one after ending what a killed one left behind."""
        if self._supervisor.running():
            self._known_plan()
            return
        orphans.sweep(self.layout.stack_dir)
        chosen = ports.choose(self._preferred, ports.load(self._ports_file), self._rng, PORT_RANGES)
        ports.save(self._ports_file, chosen)
        self._plan = plan = self._make_plan(chosen)
        self._supervisor.configure(self._services().values())
        write(self.layout.env_file, "".join(f"{key}={value}\n" for key, value in plan.env.items()))
        marker = orphans.marker(self.layout.stack_dir) | {"PYTHONUNBUFFERED": "1"}
        self._supervisor.launch({**self._base_env, **plan.env, **marker})

    def _make_plan(self, chosen: Mapping[str, int]) -> StackPlan:
        if not chosen:
            raise StackError(f"the stack in {self.layout.stack_dir} was never started: run `make up`")
        env = {
            "LAMINA_STACK_DIR": str(self.layout.stack_dir),
            "LAMINA_LAKE_URL": self._base_env.get("LAMINA_LAKE_URL", str(self.layout.stack_dir / "lake")),
            "LAMINA_KAFKA_BOOTSTRAP": f"{HOST}:{chosen['kafka']}",
            "LAMINA_REDIS_URL": f"redis://{HOST}:{chosen['redis']}/0",
            "LAMINA_MLFLOW_URI": f"http://{HOST}:{chosen['mlflow']}",
            "LAMINA_FLINK_URL": f"http://{HOST}:{chosen['flink']}",
            "LAMINA_AIRFLOW_URL": f"http://{HOST}:{chosen['airflow']}",
            "LAMINA_API_HOST": HOST,
            "LAMINA_API_PORT": str(chosen["api"]),
        }
        return StackPlan(self.layout, chosen, self._secrets(), env)

    def _secrets(self) -> dict[str, str]:
        file = self.layout.run / "secrets.json"
        if not file.exists():
            made = {
                "airflow_fernet": base64.urlsafe_b64encode(os.urandom(32)).decode(),
                "airflow_api": random_secrets.token_urlsafe(32),
                "airflow_jwt": random_secrets.token_urlsafe(64),
            }
            write(file, json.dumps(made), mode=0o600)
        return {str(key): str(value) for key, value in json.loads(file.read_text()).items()}

    def _start_all(self, wanted: Mapping[str, Service]) -> None:
        """Start independent services at the same time; one waits only for what it needs."""
        failed = threading.Event()

        def start(name: str) -> None:
            if failed.is_set():
                return
            try:
                self._start_one(wanted[name], failed)
            except BaseException:
                failed.set()
                raise

        _each_after({name: service.needs for name, service in wanted.items()}, start)

    def _start_one(self, service: Service, failed: threading.Event) -> None:
        info = self._supervisor.info()
        if any(info[program.name]["statename"] != "RUNNING" for program in service.programs):
            if service.prepare:
                service.prepare()
            for program in service.programs:
                self._supervisor.start(program.name)
        deadline = time.monotonic() + service.deadline_s
        while True:
            reason = self._problem(service)
            if reason is None or failed.is_set():
                return
            gone = self._gone(service)
            if gone or time.monotonic() > deadline:
                raise self._failure(service, gone, reason)
            time.sleep(POLL_S)

    def _problem(self, service: Service) -> str | None:
        info = self._supervisor.info()
        for program in service.programs:
            if info[program.name]["statename"] != "RUNNING":
                return f"{program.name} is {info[program.name]['statename'].lower()}"
        try:
            service.ready()
        except NotReady as error:
            return str(error)
        return None

    def _gone(self, service: Service) -> str | None:
        info = self._supervisor.info()
        return next((p.name for p in service.programs if info[p.name]["statename"] in GONE_STATES), None)

    def _failure(self, service: Service, gone: str | None, reason: str) -> StackError:
        program = gone or next((p.name for p in service.programs if p.name in reason), service.programs[0].name)
        log = self.layout.log(program)
        lines = log.read_text(errors="replace").splitlines()[-LOG_LINES:] if log.exists() else ["(no log)"]
        what = "ended by itself" if gone else f"was not ready after {service.deadline_s:.0f} s"
        text = "\n".join(f"  | {line}" for line in lines)
        return StackError(f"{service.name} {what}: {reason}\nthe end of {log}:\n{text}\n{service.advice}")

    def _stop(self, names: Collection[str]) -> None:
        """Stop independent services at the same time; one waits only for those that need it."""
        known = {name: service for name, service in self._services().items() if name in names}

        def stop(name: str) -> None:
            for program in reversed(known[name].programs):
                self._supervisor.stop(program.name)

        _each_after({name: [other for other in known if name in known[other].needs] for name in known}, stop)

    def _stop_all(self) -> list[int]:
        if self._supervisor.running():
            with suppress(OSError, xmlrpc.client.Error):  # supervisord stops what is left, one program after the other
                self._stop(SERVICES)
        self._supervisor.shutdown(STOP_DEADLINE_S)
        self.layout.env_file.unlink(missing_ok=True)
        return orphans.sweep(self.layout.stack_dir)


def _each_after(waits: Mapping[str, Collection[str]], do: Callable[[str], None]) -> None:
    """`do` every name at the same time, but each after those that it waits for have ended, well or not.

    Raises: the first error, once all have ended.
    """
    done = {name: threading.Event() for name in waits}

    def run(name: str) -> None:
        try:
            for other in waits[name]:
                done[other].wait()
            do(name)
        finally:
            done[name].set()

    with ThreadPoolExecutor(max_workers=max(1, len(waits))) as pool:
        futures = [pool.submit(run, name) for name in waits]
    errors = [error for future in futures if (error := future.exception())]
    if errors:
        raise errors[0]
