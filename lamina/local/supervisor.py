"""Supervision of the stack's programs by supervisord: its configuration, its start, and calls over its Unix socket."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from lamina.errors import StackError
from lamina.local.layout import Layout
from lamina.local.service import Program, Service, write

START_DEADLINE_S = 15.0
GONE_STATES = frozenset({"FATAL", "EXITED"})

HEAD = """\
[unix_http_server]
file={socket}
chmod=0600

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface

[supervisord]
nodaemon=true
silent=true
logfile={log}
logfile_maxbytes=5MB
logfile_backups=1
pidfile={pid}
umask=022
# Kafka alone keeps hundreds of segments open.
minfds=1024
"""

PROGRAM = """
[program:{name}]
command={command}
directory={directory}
environment={environment}
priority={priority}
autostart=false
autorestart=true
startsecs=2
startretries=3
stopsignal=TERM
stopwaitsecs={stop_wait_s}
stopasgroup=true
killasgroup=true
redirect_stderr=true
stdout_logfile={log}
stdout_logfile_maxbytes=20MB
stdout_logfile_backups=1
"""


def _plain(value: str, what: str) -> str:
    if "\n" in value or " ;" in value or " #" in value:  # the value itself may be a secret
        raise StackError(
            f"supervisord's configuration cannot hold {what}, with a line break, ` ;` or ` #` in it: "
            "use another path for the stack, or another value"
        )
    return value.replace("%", "%%")


def _quoted(key: str, value: str) -> str:
    quote = '"' if '"' not in value else "'"
    if quote in value:
        raise StackError(f"the variable {key} holds both kinds of quotes, which supervisord cannot pass on")
    return f"{key}={quote}{_plain(value, f'the variable {key}')}{quote}"


def program_section(program: Program, layout: Layout, priority: int) -> str:
    """The part of supervisord's configuration for one program."""
    return PROGRAM.format(
        name=program.name,
        command=_plain(shlex.join(program.command), f"the command of {program.name}"),
        directory=layout.root,
        environment=",".join(_quoted(key, value) for key, value in sorted(program.env.items())),
        priority=priority,
        stop_wait_s=program.stop_wait_s,
        log=_plain(str(layout.log(program.name)), f"the path {layout.log(program.name)}"),
    )


class Supervisor:
    """The supervisord of one stack.

    Priorities follow the order of the services, and supervisord stops in reverse order of priority.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def _pid_file(self) -> Path:
        return self.layout.run / "supervisord.pid"

    @contextmanager
    def _server(self) -> Iterator[Any]:
        from supervisor.xmlrpc import SupervisorTransport

        # A connection a call: threads share nothing, and a restarted supervisord is found again.
        transport = SupervisorTransport(None, None, f"unix://{self.layout.socket}")
        try:
            yield xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport).supervisor
        finally:
            transport.close()

    def running(self) -> bool:
        """Whether supervisord answers."""
        try:
            with self._server() as server:
                return bool(server.getState()["statename"] == "RUNNING")
        except (OSError, xmlrpc.client.Error):
            return False

    def configure(self, services: Iterable[Service]) -> None:
        """Write the configuration: all known services, none of them started by itself. Environments make it private."""
        head = HEAD.format(socket=self.layout.socket, log=self.layout.log("supervisord"), pid=self._pid_file)
        sections = [
            program_section(program, self.layout, (number + 1) * 10)
            for number, service in enumerate(services)
            for program in service.programs
        ]
        write(self.layout.run / "supervisord.conf", head + "".join(sections), mode=0o600)

    def launch(self, env: Mapping[str, str]) -> None:
        """Start supervisord in a session of its own; its children inherit `env`."""
        self.layout.socket.unlink(missing_ok=True)
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self.layout.run / "supervisord.conf")]
        with self.layout.log("supervisord").open("ab") as log:
            self._process = subprocess.Popen(
                command, env=dict(env), stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + START_DEADLINE_S
        while not self.running():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise StackError(f"supervisord did not start: read {self.layout.log('supervisord')}")
            time.sleep(0.1)

    def start(self, program: str) -> None:
        """Start one program unless it runs."""
        from supervisor.xmlrpc import Faults

        with self._server() as server:
            try:
                server.startProcess(program, False)
            except xmlrpc.client.Fault as fault:
                # It runs, or supervisord starts it again by itself just now.
                if fault.faultCode != Faults.ALREADY_STARTED:
                    raise

    def stop(self, program: str) -> None:
        """Stop one program and wait for its end; a stopped one stays so."""
        from supervisor.xmlrpc import Faults

        with self._server() as server:
            if server.getProcessInfo(program)["statename"] not in ("RUNNING", "STARTING", "BACKOFF"):
                return
            try:
                server.stopProcess(program, True)
            except xmlrpc.client.Fault as fault:
                if fault.faultCode != Faults.NOT_RUNNING:  # it has ended by itself just now
                    raise

    def info(self) -> dict[str, dict[str, Any]]:
        """What supervisord knows of every program, by name."""
        with self._server() as server:
            return {entry["name"]: entry for entry in server.getAllProcessInfo()}

    def pid(self) -> int | None:
        """The pid of the supervisord that wrote the pid file, when it lives."""
        try:
            pid = int(self._pid_file.read_text())
            return pid if "supervisor.supervisord" in " ".join(psutil.Process(pid).cmdline()) else None
        except (OSError, ValueError, psutil.Error):
            return None

    def shutdown(self, deadline_s: float) -> None:
        """Stop every program in reverse order of priority, then supervisord. What stays is for `orphans.sweep`."""
        pid = self.pid()
        try:
            with self._server() as server:
                server.shutdown()
        except (OSError, xmlrpc.client.Error):
            return
        if self._process is not None:
            try:
                self._process.wait(deadline_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        elif pid is not None:
            try:
                psutil.Process(pid).wait(deadline_s)
            except psutil.TimeoutExpired:
                os.kill(pid, 9)
            except psutil.NoSuchProcess:
                pass
        self.layout.socket.unlink(missing_ok=True)
