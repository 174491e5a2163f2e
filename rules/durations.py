"""How long a roll-out is expected to take, so that it is not begun where it cannot end inside its window."""

from collections.abc import Iterable, Mapping
from math import ceil

from rules.catalogue import Catalogue
from rules.vocabulary import Service, Strategy

START_SHARE = 1 / 3
"""Of the time after which a revision that does not serve is given up: what one usually takes, and some."""


def expected_minutes(catalogue: Catalogue, services: Iterable[Service], strategies: Mapping[str, Strategy]) -> float:
    """Whole minutes for all waves, one after the other; services of one wave go side by side."""
    moving = {service.id for service in services}
    waves = [[it for it in wave if it.id in moving] for wave in catalogue.waves()]
    return float(ceil(sum(max(_minutes(catalogue, strategies[it.id]) for it in wave) for wave in waves if wave)))


def _minutes(catalogue: Catalogue, strategy: Strategy) -> float:
    rollout, canary = catalogue.rollout, catalogue.canary
    watched = len(canary.steps) * canary.window_minutes if strategy is Strategy.CANARY else 0.0
    return rollout.start_minutes * START_SHARE + watched + rollout.bake_minutes
