"""The clock, and the runtime that only pretends to run tasks."""

import time
from datetime import UTC, timedelta

import pytest

from deployments.sandbox.aws.runtime import SimulatedRuntime, TaskPhase, TaskSpec
from deployments.sandbox.behaviour import Behaviour, image_manifest
from deployments.sandbox.clock import Clock, ManualClock


def spec(task_id: str = "1", cluster: str = "batbern-staging", digest: str = "sha256:1") -> TaskSpec:
    return TaskSpec(task_id, "222222222222", cluster, "Gateway", "gateway:1", "app", "gateway:x", digest)


def running(**behaviours: Behaviour) -> tuple[ManualClock, SimulatedRuntime]:
    clock = ManualClock()
    manifests = {"sha256:1": image_manifest("batbern/gateway", "abcdef1", behaviours)}
    return clock, SimulatedRuntime(clock, manifests.__getitem__)


def test_a_task_starts_and_then_is_healthy_at_an_address_of_its_own() -> None:
    clock, runtime = running(**{"*": Behaviour(start_seconds=2)})
    runtime.start(spec("1"))
    runtime.start(spec("2"))
    assert runtime.condition("1").phase is TaskPhase.STARTING
    assert runtime.condition("1").address is None
    clock.advance(2)
    assert runtime.condition("1").phase is TaskPhase.HEALTHY
    assert runtime.condition("1").address != runtime.condition("2").address
    assert len(runtime.running()) == 2


def test_an_environment_can_differ() -> None:
    clock, runtime = running(**{"*": Behaviour(), "staging": Behaviour(unhealthy=True)})
    runtime.start(spec("1"))
    runtime.start(spec("2", cluster="batbern-dev"))
    clock.advance(1)
    assert runtime.condition("1").phase is TaskPhase.UNHEALTHY
    assert runtime.condition("2").phase is TaskPhase.HEALTHY


def test_a_crash_at_start_exits_with_a_code_and_says_why() -> None:
    clock, runtime = running(**{"*": Behaviour(crash_at_start=True)})
    runtime.start(spec())
    clock.advance(1)
    condition = runtime.condition("1")
    assert (condition.phase, condition.exit_code) == (TaskPhase.EXITED, 1)
    assert "failed to start" in condition.reason


def test_what_was_stopped_or_never_started_is_not_running() -> None:
    _, runtime = running(**{"*": Behaviour()})
    runtime.start(spec("1"))
    runtime.start(spec("2", digest="sha256:unknown"))
    runtime.stop("1")
    runtime.stop("nobody")
    assert runtime.running() == ()
    assert [runtime.condition(name).phase for name in ("1", "2", "3")] == [TaskPhase.EXITED] * 3
    assert "CannotPullContainerError" in runtime.condition("2").reason
    assert (runtime.condition("1").exit_code, runtime.condition("2").exit_code) == (0, None)


def test_an_aws_minute_lasts_as_long_as_told() -> None:
    assert Clock().seconds(2) == 120
    assert Clock(minute_seconds=1).seconds(0.5) == 0.5


def test_the_clock_is_the_wall_clock_in_utc() -> None:
    clock = Clock(minute_seconds=1)
    assert clock.now().utcoffset() == timedelta(0)
    assert abs(clock.now().timestamp() - time.time()) < 1
    assert clock.monotonic() <= clock.monotonic()


def test_a_manual_clock_moves_only_when_told() -> None:
    clock = ManualClock()
    before = clock.now()
    assert before.tzinfo is UTC
    clock.advance(1.5)
    assert clock.now() - before == timedelta(seconds=1.5)
    assert clock.monotonic() == 1.5
    with pytest.raises(ValueError, match="go back 1 s"):
        clock.advance(-1)
