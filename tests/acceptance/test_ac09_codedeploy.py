"""AC9 again, for services whose traffic AWS CodeDeploy moves: the gateway, in a world of its own.

9.1 should_useBlueGreenDeployment_when_productionRelease    CodeDeploy was asked, and a good release costs nobody
9.2 should_maintainOldVersion_when_blueGreenInProgress      a bad one harms by its own errors alone
"""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from promotion_world import Promotions, register, starting, watched

PER_SECOND = 100


@pytest.fixture(scope="module")
def by_codedeploy(
    prefect_server: None,
    process_environment: dict[str, str],
    catalogue_file: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Promotions]:
    from blocks.doors import open_application
    from deployments.sandbox import patience
    from deployments.sandbox.room import ControlRoom

    folder = tmp_path_factory.mktemp("codedeploy")
    text = patience.by_codedeploy(catalogue_file.read_text(), "gateway", 1.0)
    catalogue = folder / "catalogue.toml"
    catalogue.write_text(text.replace('application = "batbern"', 'application = "by-codedeploy"'))
    with starting(catalogue, folder, process_environment) as process:
        assert process.stdout is not None
        world = json.loads(process.stdout.readline())
        name = register(catalogue, world, folder).application
        with closing(ControlRoom(world["control_room_url"])) as room:
            room.set_visitors("staging", PER_SECOND)
            yield Promotions(room, open_application(name))


def met_since(promotions: Promotions, before: dict[str, dict[str, int]]) -> dict[str, dict[str, int]]:
    """What visitors met of each version since then."""
    now = promotions.met("staging")
    return {
        version: {kind: number - before.get(version, {}).get(kind, 0) for kind, number in tally.items()}
        for version, tally in now.items()
    }


def test_a_good_release_costs_no_visitor_a_request(by_codedeploy: Promotions) -> None:
    placed = by_codedeploy.in_dev("good")
    before = by_codedeploy.met("staging")
    with watched(by_codedeploy.room.url) as looks:
        state = by_codedeploy.roll_out(placed.version, services=["gateway"])
    assert state.is_completed(), state.message
    assert by_codedeploy.serving_of("staging", "gateway") == placed.version
    met = met_since(by_codedeploy, before)
    assert sum(tally["requests"] for tally in met.values()) > PER_SECOND
    assert sum(tally["failed"] for tally in met.values()) == 0
    gateway = [it.revisions.get(placed.version, (0.0, 0)) for it in looks if it.service == "gateway"]
    assert all(healthy > 0 for weight, healthy in gateway if weight > 0)


def test_a_bad_release_is_taken_back_and_harms_by_its_own_errors_alone(by_codedeploy: Promotions) -> None:
    old = by_codedeploy.serving_of("staging", "gateway")
    placed = by_codedeploy.in_dev("canary-dead")
    before = by_codedeploy.met("staging")
    state = by_codedeploy.roll_out(placed.version, services=["gateway"])
    assert state.name == "PutBack", state.message
    assert by_codedeploy.serving_of("staging", "gateway") == old
    met = met_since(by_codedeploy, before)
    assert met[placed.version]["failed"] > 0
    assert sum(tally["failed"] for version, tally in met.items() if version != placed.version) == 0


def test_a_canary_by_codedeploy_is_judged_at_its_one_step(by_codedeploy: Promotions) -> None:
    old = by_codedeploy.room.release("staging", "canary-good", 180)
    placed = by_codedeploy.in_dev("canary-good")
    by_codedeploy.until_known("staging", old.version)
    with watched(by_codedeploy.room.url) as looks:
        state = by_codedeploy.roll_out(placed.version, strategy="canary", services=["gateway"])
    assert state.is_completed(), state.message
    weights = [it.revisions[placed.version][0] for it in looks if placed.version in it.revisions]
    assert {round(100 * weight) for weight in weights if weight} == {10, 100}


def test_a_worse_canary_by_codedeploy_is_stopped_at_its_step(by_codedeploy: Promotions) -> None:
    old = by_codedeploy.room.release("staging", "canary-good", 180)
    placed = by_codedeploy.in_dev("canary-slow")
    by_codedeploy.until_known("staging", old.version)
    with watched(by_codedeploy.room.url) as looks:
        state = by_codedeploy.roll_out(placed.version, strategy="canary", services=["gateway"])
    assert state.name == "PutBack", state.message
    assert "slow" in str(state.message) or "took longer" in str(state.message)
    assert by_codedeploy.serving_of("staging", "gateway") == old.version
    assert max(it.revisions[placed.version][0] for it in looks if placed.version in it.revisions) < 0.2
