"""Ports of the loopback interface: find a free one, or say who holds the one that was asked for."""

import random
import socket
from contextlib import closing
from dataclasses import fields, replace

import psutil

from deployments.sandbox.settings import LOOPBACK, Ports

OPTIONS = {port.name: f"--{port.name.replace('_', '-')}-port" for port in fields(Ports)}
"""The command line option that chooses each port."""


OURS = range(20_000, 32_000)


class PortHeld(Exception):
    """A port that was asked for is not free. The message says who holds it and what to do."""


def free_port() -> int:
    """A port that nobody holds at this moment, below those that the kernel gives away by itself.

    Between this answer and the listening others start: one of theirs, by the kernel's choice, would be the same.
    """
    return next(port for port in random.sample(OURS, len(OURS)) if is_free(port))


def is_free(port: int) -> bool:
    with closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def holder(port: int) -> str:
    """Who listens on a port, as a person can act on it: `process 4711 (python -m http.server 4200)`."""
    try:
        listening = [
            held for held in psutil.net_connections("tcp") if held.laddr and held.laddr.port == port and held.pid
        ]
        process = psutil.Process(listening[0].pid)
        return f"process {process.pid} ({' '.join(process.cmdline())[:120] or process.name()})"
    except (psutil.Error, IndexError):
        return "a process that this user may not look at"


def require_free(ports: Ports) -> None:
    """Raise PortHeld for the first port, asked for by its number, that somebody holds."""
    for name, option in OPTIONS.items():
        port = getattr(ports, name)
        if port and not is_free(port):
            raise PortHeld(
                f"Port {port} is held by {holder(port)}. "
                f"End that process, or choose another port with {option} (0 = any free one)."
            )


def choose(ports: Ports) -> Ports:
    """Check the ports that were asked for, and settle the one that must be known before anything starts."""
    require_free(ports)
    return ports if ports.ui else replace(ports, ui=free_port())
