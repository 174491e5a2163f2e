"""How long a roll-out is expected to take, so that it is not begun where it cannot end inside its window."""

from collections.abc import Iterable, Mapping
from math import ceil, isfinite

from rules.catalogue import Catalogue
from rules.vocabulary import Controller, Service, Strategy

START_SHARE = 0.5
"""Of `start_minutes`. That is when a revision that does not serve is given up, and whoever sets such a limit leaves
about as much again as it usually takes. The whole of it for every wave would refuse what ends in time nearly always,
a time of its own in the catalogue would be one more number that nobody keeps true."""


def expected_minutes(catalogue: Catalogue, services: Iterable[Service], strategies: Mapping[str, Strategy]) -> float:
    """Whole minutes for all waves, one after the other; the services of a wave go side by side.

    What is expected when all goes well: no further window of a canary, no person who thinks, nothing put back. Going
    back needs no window. `strategies` by service id.
    """
    waves: dict[int, list[float]] = {}
    for service in services:
        waves.setdefault(service.wave, []).append(_minutes(catalogue, service, strategies[service.id]))
    together = sum(max(minutes) for minutes in waves.values())
    return float(ceil(together)) if isfinite(together) else together  # a mistake that the catalogue's checks tell


def _minutes(catalogue: Catalogue, service: Service, strategy: Strategy) -> float:
    rollout = catalogue.rollout
    watched = _watched(catalogue, service) if strategy is Strategy.CANARY else 0.0
    return rollout.start_minutes * START_SHARE + watched + rollout.bake_minutes


def _watched(catalogue: Catalogue, service: Service) -> float:
    """A canary's time at its steps. By CodeDeploy it has one, and stays there whatever the judge says."""
    canary = catalogue.canary
    if service.controller is Controller.CODEDEPLOY:
        return canary.codedeploy_minutes
    return len(canary.steps) * canary.window_minutes
