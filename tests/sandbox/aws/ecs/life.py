"""A deployment over pretended tasks, and whatever may happen to both, for the properties of the state machine."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from deployments.sandbox.aws.ecs_machine import advance, decide_hook, request_rollback, supersede, wanted
from deployments.sandbox.aws.ecs_stages import FINAL, DeploymentPlan, HookStatus, Observed, Progress

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
EVENTS = ("nothing", "target ready", "target dies", "source dies", "source ready", "alarm", "calm", "stop", "supersede")


@dataclass
class Life:
    """Tasks as two lists of booleans (healthy or not), and the deployment over them."""

    plan: DeploymentPlan
    desired: int = 2
    now: datetime = START
    progress: Progress = field(default_factory=lambda: Progress(START))
    target: list[bool] = field(default_factory=list)
    source: list[bool] = field(default_factory=list)
    alarming: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        self.source = [True] * self.desired if self.plan.has_source else []

    def seen(self) -> Observed:
        return Observed(
            self.now,
            self.desired,
            sum(self.target),
            len(self.target),
            sum(self.source),
            len(self.source),
            alarming=self.alarming,
        )

    def suffer(self, event: str) -> None:
        match event.split():
            case ["target" | "source" as side, what] if self.progress.status not in FINAL:
                tasks = self.target if side == "target" else self.source
                tasks[:] = [True] * len(tasks) if what == "ready" else tasks[1:]
            case ["alarm"]:
                self.alarming = frozenset({"errors"})
            case ["calm"]:
                self.alarming = frozenset()
            case ["stop"]:
                self.progress = request_rollback(self.progress, self.now, "stopped")
            case ["answer", word]:
                self.answer(HookStatus.SUCCEEDED if word == "continue" else HookStatus.FAILED)
            case ["supersede"]:
                self.progress = supersede(self.progress, self.now)

    @property
    def waiting(self) -> list[str]:
        """Hooks that wait for an answer."""
        return [hook.id for hook in self.progress.hooks if hook.status is HookStatus.AWAITING_ACTION]

    def answer(self, status: HookStatus) -> None:
        for hook in self.waiting:
            self.progress = decide_hook(self.progress, hook, status)

    def tick(self) -> tuple[Progress, Observed]:
        self.now += SECOND
        before, seen = self.progress, self.seen()
        self.progress = advance(self.plan, before, seen)
        want = wanted(self.plan, self.progress, seen)
        if self.progress.status not in FINAL:
            self.target = resized(self.target, want.target)
            self.source = resized(self.source, want.source)
        return before, seen


def resized(tasks: list[bool], number: int) -> list[bool]:
    return sorted(tasks, reverse=True)[:number] + [False] * (number - len(tasks))
