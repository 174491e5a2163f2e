"""A run that is killed leaves half a release. The next run finishes it, or takes back what both did."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
from prefect.settings import get_current_settings
from promotion_world import ROOT, TTL, Promotions

from rules.records import EventKind
from tasks.locks import lock_name

PROMOTE = "from flows.promote_to_staging import promote_to_staging; promote_to_staging('batbern')"


def promote_and_kill_when(promotions: Promotions, kind: EventKind) -> None:
    """Starts a promotion in a process of its own and kills it, without a chance to tidy up, when it records `kind`."""
    seen = promotions.application.ledger.head().seq
    environment = {**os.environ, **get_current_settings().to_environment_variables(exclude_unset=True)}
    with subprocess.Popen([sys.executable, "-c", PROMOTE], cwd=ROOT, env=environment, start_new_session=True) as run:
        deadline = time.monotonic() + 60
        while not any(it.seq > seen and it.event.kind is kind for it in promotions.application.ledger.records()):
            assert time.monotonic() < deadline, f"the run did not get as far as {kind}"
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
