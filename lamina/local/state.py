"""The state of each service as a user wants to see it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import psutil

from lamina.local.service import Service


@dataclass(frozen=True)
class ServiceState:
    """One service: `state` is running, starting, failed or stopped."""

    name: str
    state: str
    pids: tuple[int, ...] = ()
    address: str = "-"
    uptime_s: int = 0
    memory_mb: int = 0


def _memory_mb(pids: Iterable[int]) -> int:
    """Resident memory of the processes and all their children."""
    total = 0
    for pid in pids:
        try:
            process = psutil.Process(pid)
            total += sum(each.memory_info().rss for each in [process, *process.children(recursive=True)])
        except psutil.Error:
            continue
    return total // 2**20


def _state(names: set[str]) -> str:
    if names == {"RUNNING"}:
        return "running"
    if names & {"FATAL", "BACKOFF", "UNKNOWN"}:
        return "failed"
    if names <= {"STOPPED", "EXITED"}:
        return "stopped"
    return "starting"


def describe(services: Iterable[Service], info: Mapping[str, Mapping[str, Any]]) -> list[ServiceState]:
    """States of `services` from what supervisord says of their programs."""
    states = []
    for service in services:
        programs = [info[program.name] for program in service.programs]
        pids = tuple(int(program["pid"]) for program in programs if program["pid"])
        uptimes = [int(program["now"] - program["start"]) for program in programs if program["pid"]]
        states.append(
            ServiceState(
                name=service.name,
                state=_state({program["statename"] for program in programs}),
                pids=pids,
                address=service.address,
                uptime_s=min(uptimes, default=0),
                memory_mb=_memory_mb(pids),
            )
        )
    return states
