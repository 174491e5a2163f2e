"""What a catalogue must say of a service whose weights we move ourselves."""

from dataclasses import replace
from pathlib import Path

import pytest

from blocks.catalogue import load_catalogue
from rules.catalogue import Catalogue
from rules.catalogue_checks import problems
from rules.strategies import check_strategies
from rules.vocabulary import Controller, Service, Strategy

SHIPPED = load_catalogue(Path(__file__).parents[2] / "deployments" / "catalogue.toml")
PAIR = replace(
    SHIPPED.services["gateway"],
    ecs_service="{environment}-gateway-blue",
    ecs_service_beside="{environment}-gateway-green",
    controller=Controller.LISTENER,
    stays_without_us=True,
    alarms=(),
)


def with_gateway(gateway: Service) -> Catalogue:
    return replace(SHIPPED, services={**SHIPPED.services, "gateway": gateway})


def test_a_pair_is_a_service() -> None:
    assert problems(with_gateway(PAIR)) == ()


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"stays_without_us": False}, "stays_without_us"),
        ({"alarms": ("gateway-5xx",)}, "alarms"),
        ({"load_balanced": False}, "load_balanced"),
        ({"ecs_service_beside": ""}, "ecs_service_beside"),
        ({"ecs_service_beside": "{region}-gateway"}, "ecs_service_beside"),
        ({"ecs_service_beside": "{environment}-gateway-blue-2"}, "ecs_service_beside"),
        ({"ecs_service": "{environment}-gateway-green"}, "ecs_service"),
    ],
)
def test_what_a_pair_must_say(changes: dict[str, object], key: str) -> None:
    found = problems(with_gateway(replace(PAIR, **changes)))  # type: ignore[arg-type]
    assert ("services", "gateway", key) in {problem.path for problem in found}


@pytest.mark.parametrize("strategy", [Strategy.BLUE_GREEN, Strategy.CANARY])
def test_a_pair_can_have_both_strategies(strategy: Strategy) -> None:
    assert check_strategies([PAIR], {"gateway": strategy}, SHIPPED.canary) == ()
