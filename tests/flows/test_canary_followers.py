"""A canary between its follower, the ledger and the people who are told: who waits for whom, and what is never lost."""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest
from prefect.logging import disable_run_logger
from prefect.settings import PREFECT_API_URL, temporary_settings

from blocks.shifts import Canary as Shift
from blocks.shifts import Look
from rules.canary_memory import Answer, Happening
from rules.catalogue import CanaryPolicy, JudgePolicy, RolloutPolicy
from rules.errors import Outage, RolloutFailed
from rules.records import Event, Record, chain
from rules.rollouts import Arm, Deployment, DeploymentStatus, Move, Pause, Step
from rules.telemetry import Source, no_counts
from rules.vocabulary import Service
from tasks.canaries import Canary
from tasks.canary_records import said
from tasks.following import Follower, Order
from tasks.waves import Wave

PATIENCE = 30.0
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SERVICE = Service("gateway", "gateway", "gateway", "app", "/health")
POLICY = RolloutPolicy(poll_seconds=5)
CANARY = CanaryPolicy(window_minutes=1, extensions=0, hold_minutes=60, sample_seconds=10)
ORDER = Order("gateway", "gateway", "app", "gateway:2", "sha256:new")
OLD, NEW = Arm("gateway:1"), Arm("gateway:2")


@dataclass
class World:
    """Amazon ECS, the clock, the ledger, the numbers and the people of one canary. Everything in order of time."""

    now: datetime = NOON
    weight: float = 0.0
    hook: int = 1
    status: DeploymentStatus | None = None
    bad: int = 0
    """Failed requests of the new version in each 100."""
    silent: bool = False
    ledger_answers: bool = True
    late: list[datetime] = field(default_factory=list)
    """When shares that were answered for become visible, where they lag."""
    done: list[str] = field(default_factory=list)
    records_: list[Record] = field(default_factory=list)
    source = Source("a fake", 5, 0)
    seen: list[tuple[datetime, float]] = field(default_factory=list)

    # the clock
    def pause(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def clock(self) -> float:
        return self.now.timestamp()

    # Amazon ECS
    def look(self, _name: str, _container: str) -> Look:
        ongoing = self.deployment("arn") if self.status and self.status.ongoing else None
        if self.weight > 0:
            self.seen.append((self.now, self.weight))
        return Look(ongoing, frozenset({"sha256:old"}), steady=ongoing is None)

    def deployment(self, _arn: str) -> Deployment:
        assert self.status
        waits = self.status is DeploymentStatus.IN_PROGRESS and self.weight < 100
        return Deployment(
            "arn", self.status, "", "revision", "gateway:2", self.weight, NOON, old=OLD, new=NEW, complete=True,
            pause=Pause(f"hook-{self.hook}", self.now + timedelta(minutes=60)) if waits else None,
        )  # fmt: skip

    def start(self, _name: str, _definition: str, _how: object) -> str:
        self.done.append("start")
        self.status = DeploymentStatus.IN_PROGRESS
        return "arn"

    def go_on(self, deployment: Deployment) -> None:
        self.done.append(f"on from {deployment.weight:g}")
        self.weight, self.hook = self.weight + 10, self.hook + 1

    def stop(self, _deployment: str) -> None:
        self.done.append("stop")
        self.status, self.weight = DeploymentStatus.ROLLBACK_SUCCESSFUL, 0.0

    # the numbers
    def counts(self, *asked: Any) -> pd.DataFrame:
        started, until = asked[3], asked[5]
        ticks = range(0, max(int((until - started).total_seconds()), 0), 5)
        arms = ["old"] if self.silent else ["old", "new"]
        rows = [
            {"service": "gateway", "arm": arm, "t": float(t), "n": 100, "errors": self.bad if arm == "new" else 0,
             "slow": 0, "slow_ref": 0}
            for t in ticks for arm in arms
        ]  # fmt: skip
        return pd.DataFrame(rows) if rows else no_counts()

    def reference_ms(self, *_asked: Any) -> float:
        return 300.0

    # the ledger
    def append(self, event: Event) -> Record:
        if not self.ledger_answers:
            raise Outage("The ledger", "appending", "no route")
        record = chain(self.records_[-1] if self.records_ else None, event, self.now)
        self.records_.append(record)
        return record

    def records(self, _run_id: str | None = None) -> list[Record]:
        if not self.ledger_answers:
            raise Outage("The ledger", "reading", "no route")
        return list(self.records_)

    def happened(self) -> list[str]:
        return [record.event.details["happened"] for record in self.records_]

    # people
    def post(self, message: Any, **_how: Any) -> None:
        self.done.append(f"told: {message.text.split('.')[0]}")

    def trigger(self, page: Any) -> str:
        self.done.append("paged")
        return str(page.dedup_key)

    def resolve(self, _key: str) -> None:
        self.done.append("page resolved")


def promotion(world: World) -> Any:
    application = SimpleNamespace(name="batbern", ledger=world, chat=world, pager=world)
    doors = SimpleNamespace(environment=SimpleNamespace(name="staging"), metrics=world)
    policies = SimpleNamespace(canary=CANARY, judge=replace(JudgePolicy(), silence_seconds=30))
    return SimpleNamespace(application=application, target=doors, catalogue=policies, run_id="run")


def canary(world: World, wave: Wave) -> Canary:
    plan: Any = SimpleNamespace(hash="plan", release=SimpleNamespace(version="3f2a1bc"))
    return Canary(promotion(world), plan, SERVICE, wave, now=lambda: world.now)


def follow(world: World, wave: Wave | None = None, report: Callable[[Step], None] = lambda _step: None) -> Step:
    wave = wave or Wave()
    follower = Follower(world, POLICY, report, wave, world.clock, world.pause)
    with canary(world, wave) as judge:  # which waits until everything is told
        return follower.follow(ORDER, Shift((10, 50), 60, 1), judge)


@pytest.fixture(autouse=True)
def without_a_server() -> Iterator[None]:
    with disable_run_logger(), temporary_settings({PREFECT_API_URL: "http://127.0.0.1:9/api"}):
        yield


def test_a_bad_canary_goes_back_even_if_nobody_can_be_told() -> None:
    class Hanging(World):
        """Its chat does not answer before the traffic is back."""

        def __init__(self) -> None:
            super().__init__(bad=50)
            self.back = threading.Event()

        def stop(self, deployment: str) -> None:
            super().stop(deployment)
            self.back.set()

        def post(self, message: Any, **how: Any) -> None:
            assert self.back.wait(PATIENCE), "the way back waits for the chat"
            super().post(message, **how)

    world = Hanging()
    with pytest.raises(RolloutFailed):
        follow(world)
    assert any(what.startswith("told: gateway 3f2a1bc goes back") for what in world.done)


def test_a_ledger_out_of_reach_does_not_keep_a_bad_canary_alive() -> None:
    """What goes forward is written down first; the way back waits for nobody."""

    class Deaf(World):
        def go_on(self, deployment: Deployment) -> None:
            super().go_on(deployment)
            self.ledger_answers = False

    world = Deaf(bad=50)
    with pytest.raises((RolloutFailed, Outage)):
        follow(world)
    assert "stop" in world.done
    assert "on from 10" not in world.done


def test_a_person_who_says_abort_is_told_that_it_goes_back_and_the_page_is_resolved() -> None:
    world, wave = World(silent=True), Wave()

    def person(step: Step) -> None:
        if step.move is Move.ASK and (question := wave.open_question()):
            said(promotion(world), "plan", question, Answer.ABORT, "enough")
            wave.answered(question)

    with pytest.raises(RolloutFailed, match="enough"):
        follow(world, wave, person)
    assert "paged" in world.done
    assert "page resolved" in world.done
    assert any(what.startswith("told: gateway 3f2a1bc goes back") for what in world.done)


def test_a_canary_that_its_neighbour_takes_back_is_written_down_as_aborted() -> None:
    world, wave = World(), Wave()

    def neighbour(_step: Step) -> None:
        if world.weight >= 10:
            wave.fail("events", "5 % errors")

    with pytest.raises(RolloutFailed, match="events goes back"):
        follow(world, wave, neighbour)
    assert Happening.ABORTED in world.happened()
    assert any(what.startswith("told: gateway 3f2a1bc goes back") for what in world.done)


@pytest.mark.parametrize("seconds", [20, 25, 30, 35])
def test_nobody_is_asked_about_a_canary_that_goes_back_with_its_neighbour(seconds: int) -> None:
    world, wave = World(silent=True), Wave()
    asked_before = False

    def neighbour(step: Step) -> None:
        nonlocal asked_before
        if world.now - NOON >= timedelta(seconds=seconds) and not wave.failed_beside("gateway"):
            asked_before = step.move is Move.ASK
            wave.fail("events", "5 % errors")

    with pytest.raises(RolloutFailed):
        follow(world, wave, neighbour)
    assert asked_before or Happening.ASKED not in world.happened()


def test_a_fresh_pause_at_the_share_that_was_answered_is_not_answered_at_once() -> None:
    """The share of one look may lag behind its pause: the next step's pause with the last step's share."""

    class Lagging(World):
        def go_on(self, deployment: Deployment) -> None:
            self.done.append(f"on from {deployment.weight:g}")
            self.hook += 1
            self.late.append(self.now + timedelta(seconds=12))

        def look(self, name: str, container: str) -> Look:
            arrived = [at for at in self.late if at <= self.now]
            self.late = [at for at in self.late if at > self.now]
            self.weight += 10 * len(arrived)
            return super().look(name, container)

    world = Lagging(bad=50)
    with pytest.raises(RolloutFailed):
        follow(world)
    assert world.done.count("on from 0") == 1


def test_two_questions_of_one_run_never_have_the_same_name() -> None:
    """Prefect gives the answer that it has to a pause of the same name, without asking anybody."""
    world, wave, keys = World(silent=True), Wave(), set[str]()
    answers = 0

    def person(step: Step) -> None:
        nonlocal answers
        world.ledger_answers = step.move is not Move.WAIT or answers > 0
        question = wave.open_question()
        if question is None:
            return
        world.ledger_answers = True
        assert question.key not in keys, "asked twice under one name"
        keys.add(question.key)
        answers += 1
        said(promotion(world), "plan", question, Answer.EXTEND if answers < 3 else Answer.ABORT, "")
        wave.answered(question)

    with pytest.raises((RolloutFailed, Outage)):
        follow(world, wave, person)
    assert len(keys) > 1


def test_what_is_only_due_allows_no_step_to_be_left() -> None:
    """Where we ourselves move the weights, more tasks may be due at the very weight at which it is held."""

    class Growing(World):
        def deployment(self, arn: str) -> Deployment:
            found = super().deployment(arn)
            short = self.weight == 10 and "grown" not in self.done
            return replace(found, pause=None, complete=False, due="more tasks") if short else found

        def go_on(self, deployment: Deployment) -> None:
            if deployment.due:
                self.done.append("grown")
                self.bad = 50
            else:
                super().go_on(deployment)

    world = Growing()
    with pytest.raises(RolloutFailed):
        follow(world)
    assert world.done.count("grown") == 1
    assert Happening.CLEARED not in world.happened()
