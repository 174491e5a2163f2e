"""A run that is killed leaves half a release. The next run finishes it, or takes back what both did."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
from prefect.settings import get_current_settings
from promotion_world import ROOT, TTL, Promotions

from rules.canary_memory import Happening
from rules.records import Event, EventKind, Record
from tasks.locks import lock_name

PROMOTE = "from flows.promote_to_staging import promote_to_staging; promote_to_staging('batbern')"


ROLL_OUT = "from flows.roll_out import roll_out; roll_out('batbern', 'staging', '{}', 'canary', ['gateway'])"
PER_SECOND = 100


def promote_and_kill_when(promotions: Promotions, kind: EventKind) -> None:
    run_and_kill_when(promotions, PROMOTE, lambda event: event.kind is kind)


def run_and_kill_when(promotions: Promotions, command: str, when: Callable[[Event], bool]) -> None:
    """Starts a run in a process of its own and kills it, without a chance to tidy up, when it records such an event."""
    seen = promotions.application.ledger.head().seq
    environment = {**os.environ, **get_current_settings().to_environment_variables(exclude_unset=True)}
    with subprocess.Popen([sys.executable, "-c", command], cwd=ROOT, env=environment, start_new_session=True) as run:
        deadline = time.monotonic() + 60
        while not any(it.seq > seen and when(it.event) for it in promotions.application.ledger.records()):
            assert time.monotonic() < deadline, "the run did not get so far"
            assert run.poll() is None, "the run ended by itself"
            time.sleep(0.05)
        os.killpg(run.pid, signal.SIGKILL)
    end_the_lease()


def end_the_lease() -> None:
    """What Prefect does by itself a minute after the holder of a lock has died."""
    with get_client(sync_client=True) as client:
        client.update_global_concurrency_limit(
            lock_name("batbern", "staging"), GlobalConcurrencyLimitUpdate(active_slots=0)
        )


@pytest.fixture
def changed_ttl(promotions: Promotions) -> Iterator[str]:
    """A parameter that the killed run has already written."""
    former = promotions.parameters("dev")[TTL][0]
    promotions.room.put_parameter("dev", TTL, "8080")
    yield "8080"
    promotions.room.put_parameter("dev", TTL, former)


def values(promotions: Promotions) -> dict[str, str]:
    return {key: value for key, (value, _) in promotions.parameters("staging").items()}


def test_the_next_run_finishes_what_a_killed_one_began(promotions: Promotions, changed_ttl: str) -> None:
    placed = promotions.in_dev("good")
    promote_and_kill_when(promotions, EventKind.ROLLOUT_INTENT)
    written = promotions.parameters("staging")[TTL]
    assert written[0] == changed_ttl
    state = promotions.to_staging()
    assert state.is_completed(), state.message
    assert promotions.serving("staging") == {placed.version}
    assert promotions.parameters("staging")[TTL] == written, "what had arrived was written again"


@pytest.mark.usefixtures("changed_ttl")
def test_a_run_that_fails_after_a_killed_one_goes_back_to_before_both(promotions: Promotions) -> None:
    before: dict[str, Any] = {"serving": promotions.serving("staging"), "parameters": values(promotions)}
    promotions.in_dev("good")
    promote_and_kill_when(promotions, EventKind.ROLLOUT_SUCCEEDED)
    wait_until_quiet(promotions)
    assert promotions.serving("staging") != before["serving"]
    promotions.in_dev("crash")
    state = promotions.to_staging()
    assert state.name == "PutBack", state.message
    assert {"serving": promotions.serving("staging"), "parameters": values(promotions)} == before


def wait_until_quiet(promotions: Promotions) -> None:
    """Until ECS has finished what the killed run asked for."""
    staging = promotions.application.environment("staging")
    deadline = time.monotonic() + 60
    while any(it.deploying for it in staging.containers.states(staging.services, "staging").values()):
        assert time.monotonic() < deadline, "a deployment does not end"
        time.sleep(0.2)


@pytest.fixture
def dead_canary(promotions: Promotions) -> Iterator[tuple[str, str]]:
    """Old and new version of a canary whose run was killed when it had a tenth of the traffic."""
    promotions.room.set_visitors("staging", PER_SECOND)
    try:
        old = promotions.room.release("staging", "canary-good", 180)
        new = promotions.in_dev("canary-good")
        promotions.until_known("staging", old.version)
        run_and_kill_when(promotions, ROLL_OUT.format(new.version), lambda it: Happening.REACHED in happened([it]))
        yield old.version, new.version
    finally:
        promotions.room.set_visitors("staging", 5)


def happened(events: Iterable[Event]) -> list[str]:
    return [event.details["happened"] for event in events if event.kind is EventKind.ROLLOUT_OBSERVED]


def told(story: Iterable[Record]) -> list[Event]:
    return [record.event for record in story]


def test_a_canary_of_a_killed_run_goes_on_from_where_it_was(
    promotions: Promotions, dead_canary: tuple[str, str]
) -> None:
    _, new = dead_canary
    state = promotions.roll_out(new, strategy="canary", services=["gateway"])
    assert state.is_completed(), state.message
    assert promotions.serving_of("staging", "gateway") == new
    # Neither the start nor the tenth is new to it.
    assert happened(told(promotions.story(state))) == [Happening.CLEARED, Happening.REACHED, Happening.CLEARED]


def test_a_canary_that_no_run_takes_over_goes_back_by_itself_and_the_ledger_learns_why(
    promotions: Promotions, dead_canary: tuple[str, str]
) -> None:
    old, new = dead_canary
    ecs = promotions.application.environment("staging").containers
    gateway = promotions.application.catalogue.services["gateway"]
    deadline = time.monotonic() + 150
    while ecs.state(gateway, "staging").deploying:
        assert time.monotonic() < deadline, "ECS does not go back"
        time.sleep(0.5)
    assert promotions.serving_of("staging", "gateway") == old
    state = promotions.roll_out(new, strategy="canary", services=["gateway"], dry_run=True)
    assert state.is_completed(), state.message
    [back] = [it for it in told(promotions.story(state)) if it.kind is EventKind.ROLLOUT_ROLLED_BACK]
    assert back.details["service"] == "gateway"
    assert "timed out" in back.sentence
