"""Tasks as real servers, asked over real HTTP."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import httpx
import pytest

from deployments.sandbox.aws.runtime import TaskPhase, TaskSpec
from deployments.sandbox.behaviour import Behaviour, behaviours_by_environment, image_manifest
from deployments.sandbox.services.loop import LoopThread
from deployments.sandbox.services.routes import Home, Routes
from deployments.sandbox.services.runtime import ServiceRuntime, repository_of

SHA = "3f2a1bc0" * 5


@dataclass(frozen=True)
class FakeRoute:
    revision: str
    weight: float
    addresses: tuple[str, ...]


@dataclass
class Stage:
    """A runtime, its images, and what the routing says."""

    runtime: ServiceRuntime
    manifests: dict[str, str]
    routing: dict[str, tuple[FakeRoute, ...]]
    started: list[str] = field(default_factory=list)

    def start(self, service: str, behaviour: Behaviour | None = None, environment: str = "staging") -> str:
        digest = f"sha256:{len(self.started):064d}"
        behaviours = {"*": behaviour or Behaviour(start_seconds=0.0)}
        self.manifests[digest] = image_manifest(service, SHA, behaviours)
        return self.start_image(service, digest, environment)

    def start_image(self, service: str, digest: str, environment: str = "staging") -> str:
        task = f"{len(self.started):032x}"
        image = f"111111111111.dkr.ecr.eu-central-1.amazonaws.com/batbern/{service}:3f2a1bc-develop.1"
        self.runtime.start(TaskSpec(task, "2" * 12, f"batbern-{environment}", service, "td:1", "app", image, digest))
        self.started.append(task)
        return task

    def reaches(self, task: str, phase: TaskPhase, seconds: float = 3.0) -> bool:
        return until(lambda: self.runtime.condition(task).phase is phase, seconds)

    def address(self, task: str) -> str:
        assert until(lambda: self.runtime.condition(task).phase in {TaskPhase.HEALTHY, TaskPhase.UNHEALTHY})
        address = self.runtime.condition(task).address
        assert address is not None
        return address

    def get(self, task: str, path: str) -> httpx.Response:
        return httpx.get(f"http://{self.address(task)}{path}", timeout=5, trust_env=False)


def until(fact: Callable[[], bool], seconds: float = 3.0) -> bool:
    deadline = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


@pytest.fixture
def stage() -> Iterator[Stage]:
    manifests: dict[str, str] = {}
    routing: dict[str, tuple[FakeRoute, ...]] = {}
    homes = {("staging", name): Home("2" * 12, "batbern-staging", name) for name in ("event-management", "gateway")}
    routes = Routes(lambda _account, _cluster, service: routing.get(service, ()), homes)
    with LoopThread() as loop:
        runtime = ServiceRuntime(loop, routes, manifests.__getitem__)
        yield Stage(runtime, manifests, routing)
        loop.run(runtime.close())


def test_a_healthy_service_says_up_with_its_groups(stage: Stage) -> None:
    answer = stage.get(stage.start("event-management"), "/actuator/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "UP", "groups": ["liveness", "readiness"]})


def test_a_service_answers_its_own_part_of_the_api_and_no_other(stage: Stage) -> None:
    task = stage.start("event-management")
    assert stage.get(task, "/api/events").json()["total"] == 3
    assert stage.get(task, "/api/events/57").json()["title"] == "Architecture under load"
    assert stage.get(task, "/api/events/999").status_code == 404
    assert stage.get(task, "/api/speakers").status_code == 404


def test_a_starting_service_gets_no_request(stage: Stage) -> None:
    task = stage.start("event-management", Behaviour(start_seconds=0.3))
    condition = stage.runtime.condition(task)
    assert (condition.phase, condition.address) == (TaskPhase.STARTING, None)
    assert stage.reaches(task, TaskPhase.HEALTHY)


def test_a_service_that_crashes_at_start_exits_with_1(stage: Stage) -> None:
    task = stage.start("event-management", Behaviour(start_seconds=0.05, crash_at_start=True))
    assert stage.reaches(task, TaskPhase.EXITED)
    assert stage.runtime.condition(task).exit_code == 1


def test_an_image_that_the_registry_lacks_ends_its_task_at_once(stage: Stage) -> None:
    condition = stage.runtime.condition(stage.start_image("gateway", "sha256:gone"))
    assert condition.phase is TaskPhase.EXITED
    assert condition.reason.startswith("CannotPullContainerError")


def test_an_unhealthy_service_says_down_although_its_api_works(stage: Stage) -> None:
    task = stage.start("event-management", Behaviour(start_seconds=0, unhealthy=True))
    answer = stage.get(task, "/actuator/health")
    assert (answer.status_code, answer.json()) == (503, {"status": "DOWN"})
    assert stage.get(task, "/api/events").status_code == 200
    assert stage.runtime.condition(task).phase is TaskPhase.UNHEALTHY


def test_a_failing_service_fails_its_api_but_not_its_health(stage: Stage) -> None:
    task = stage.start("event-management", Behaviour(start_seconds=0, error_rate=1.0, latency_ms=0))
    assert stage.get(task, "/api/events").status_code == 500
    assert stage.get(task, "/actuator/health").status_code == 200


def test_a_slow_service_takes_its_time(stage: Stage) -> None:
    task = stage.start("event-management", Behaviour(start_seconds=0, latency_ms=300))
    assert stage.get(task, "/api/events").elapsed.total_seconds() >= 0.3


def test_a_leaking_service_is_killed_when_it_is_over_its_memory(stage: Stage) -> None:
    task = stage.start("event-management", Behaviour(start_seconds=0, latency_ms=0, leak_mb_per_request=100))
    assert [stage.get(task, "/api/events").status_code for _ in range(2)] == [200, 200]
    with pytest.raises(httpx.HTTPError):
        stage.get(task, "/api/events")
    assert stage.runtime.condition(task).exit_code == 137
    assert "OutOfMemory" in stage.runtime.condition(task).reason


def test_a_stopping_task_finishes_what_it_is_answering(stage: Stage) -> None:
    task = stage.start("event-management", Behaviour(start_seconds=0, latency_ms=900))
    with ThreadPoolExecutor(1) as visitor:
        answer = visitor.submit(stage.get, task, "/api/events")
        assert until(lambda: (known := stage.runtime.task(task)) is not None and known.requests == 1)
        stage.runtime.stop(task)
        assert answer.result().status_code == 200
    assert stage.reaches(task, TaskPhase.EXITED)
    assert stage.runtime.condition(task).exit_code == 143


def test_a_task_that_was_never_started_has_exited(stage: Stage) -> None:
    assert stage.runtime.condition("unknown").phase is TaskPhase.EXITED
    stage.runtime.stop("unknown")


def test_the_gateway_follows_the_routing_to_a_failing_revision(stage: Stage) -> None:
    good = stage.start("event-management")
    bad = stage.start("event-management", Behaviour(start_seconds=0, error_rate=1.0))
    gateway = stage.start("gateway")
    stage.routing["event-management"] = (FakeRoute("good", 100, (stage.address(good),)),)
    assert stage.get(gateway, "/api/events").status_code == 200
    stage.routing["event-management"] = (FakeRoute("bad", 100, (stage.address(bad),)),)
    assert until(lambda: stage.get(gateway, "/api/events").status_code == 500)


def test_the_gateway_shows_the_health_of_the_services_behind_it(stage: Stage) -> None:
    down = stage.start("event-management", Behaviour(start_seconds=0, unhealthy=True))
    gateway = stage.start("gateway")
    stage.routing["event-management"] = (FakeRoute("down", 100, (stage.address(down),)),)
    assert stage.get(gateway, "/services/event-management/health").json() == {"status": "DOWN"}
    assert stage.get(gateway, "/services/gateway/health").json()["status"] == "UP"
    assert stage.get(gateway, "/actuator/health").json()["status"] == "UP"


def test_a_service_without_tasks_is_unavailable_behind_the_gateway(stage: Stage) -> None:
    gateway = stage.start("gateway")
    assert stage.get(gateway, "/api/events").status_code == 503
    assert stage.get(gateway, "/api/unknown").status_code == 404


@pytest.mark.parametrize(
    ("image", "repository"),
    [
        ("111111111111.dkr.ecr.eu-central-1.amazonaws.com/batbern/gateway:3f2a1bc-develop.1", "batbern/gateway"),
        ("111111111111.dkr.ecr.eu-central-1.amazonaws.com/batbern/gateway@sha256:00", "batbern/gateway"),
        ("localhost:5000/batbern/gateway:1@sha256:00", "batbern/gateway"),
        ("batbern/gateway", "batbern/gateway"),
    ],
)
def test_the_repository_of_an_image(image: str, repository: str) -> None:
    assert repository_of(image) == repository


def test_a_release_that_is_bad_elsewhere_is_well_where_it_is_first_deployed() -> None:
    behaviours = behaviours_by_environment("bad", "dev")
    assert behaviours["*"].error_rate == 0.2
    assert behaviours["dev"].error_rate == 0.0


def test_an_unknown_behaviour_is_named_with_those_that_are_known() -> None:
    with pytest.raises(ValueError, match="allowed is one of good, bad, slow"):
        behaviours_by_environment("evil", "dev")
