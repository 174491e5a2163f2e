"""Carries what the edges counted to CloudWatch, some times in every AWS minute."""

import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from deployments.sandbox.clock import Clock
from deployments.sandbox.services.edge import Edge
from deployments.sandbox.services.meter import Balancer, data, put

log = logging.getLogger(__name__)

MINUTES = 0.25
"""More often than the minute that CloudWatch sums up, so that no minute is empty and none holds two."""
LEAST_SECONDS = 0.2


class Metering:
    """A thread between `start` and `stop`."""

    def __init__(
        self,
        clock: Clock,
        lock: AbstractContextManager[Any],
        edges: Mapping[str, Edge],
        balancers: Mapping[str, Balancer],
        group_of: Callable[[str], str],
    ) -> None:
        """`lock` is the stand-in's; `group_of` gives a revision's target group as metrics name it."""
        self._lock, self._edges, self._balancers, self._group_of = lock, edges, balancers, group_of
        self._pause = max(LEAST_SECONDS, clock.seconds(MINUTES))
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._keep_metering, name="metering", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._closing.set()
        self._thread.join(10)

    def meter(self) -> None:
        """Carry over what was counted since the last time."""
        for name, edge in self._edges.items():
            hits = edge.traffic.unmetered()
            with self._lock:
                put(self._balancers[name], data(self._balancers[name].name, hits, self._group_of))

    def _keep_metering(self) -> None:
        while not self._closing.wait(self._pause):
            try:
                self.meter()
            except Exception:
                # A minute without metrics is what the product must be able to stand, not the end of the world.
                log.exception("Metrics could not be stored")
