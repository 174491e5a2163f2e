"""AC9: "Blue-Green Deployments: Zero-downtime production deployments", by Amazon ECS's own controller.

The story's tests, and where they are shown here:
    9.1 should_useBlueGreenDeployment_when_productionRelease    the deployments that ECS was asked for
    9.2 should_maintainOldVersion_when_blueGreenInProgress      what a watcher saw, look by look, and the visitors met
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime

from promotion_world import Promotions, Walk

from rules.records import EventKind

Walking = Callable[[str], Walk]


def test_ecs_was_asked_for_blue_green_deployments_of_every_service(walk: Walking, promotions: Promotions) -> None:
    asked = [record.event for record in walk("good").story if record.event.kind is EventKind.ROLLOUT_INTENT]
    assert {event.details["service"] for event in asked} == set(promotions.application.catalogue.services)
    ecs = promotions.application.environment("staging").containers
    states = ecs.states(promotions.application.catalogue.services.values(), "staging")
    strategies = {ecs.strategy(state.name) for state in states.values()}
    assert strategies == {"BLUE_GREEN"}


def test_a_good_release_costs_no_visitor_a_request(walk: Walking) -> None:
    met = walk("good").visitors
    assert sum(sample["requests"] for sample in met) > 20
    assert sum(sample["errors"] for sample in met) == 0


def test_traffic_only_ever_goes_to_a_revision_with_healthy_tasks(walk: Walking) -> None:
    good = walk("good")
    assert all(abs(it.weights - 1) < 1e-6 for it in good.looks)
    serving = [it.revisions[good.new] for it in good.looks if it.revisions.get(good.new, (0.0, 0))[0] > 0]
    assert serving
    assert all(healthy > 0 for _, healthy in serving)


def test_the_old_version_stays_available_through_the_bake(walk: Walking, promotions: Promotions) -> None:
    good = walk("good")
    baking = [it for it in good.looks if it.stage == "BAKE_TIME"]
    assert {it.service for it in baking} == set(promotions.application.catalogue.services)
    assert all(it.revisions[good.new][0] == 1.0 and it.revisions[good.old][1] > 0 for it in baking)


def test_while_the_new_version_cannot_start_the_old_one_serves_everybody(walk: Walking) -> None:
    crash = walk("crash")
    assert all(it.revisions[crash.old][0] == 1.0 for it in crash.looks)
    assert sum(sample["errors"] for sample in crash.visitors) == 0


def test_after_a_bad_release_visitors_are_back_on_the_old_version(walk: Walking, promotions: Promotions) -> None:
    bad = walk("bad")
    assert bad.serving == {bad.old}
    assert sum(sample["errors"] for sample in bad.visitors) > 0, "the release was not bad at all"
    since = datetime.now(UTC).isoformat()
    time.sleep(2)  # visitors of the real world, on its real clock
    met = promotions.visitors_met("staging", since)
    assert sum(sample["requests"] for sample in met) > 0
    assert sum(sample["errors"] for sample in met) == 0
