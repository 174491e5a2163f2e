"""Two ordinary ECS services that are one, and the rule between them, as they are seen at one moment.

What a look cannot tell (since when it bakes, how it was meant to move, that it was stopped) stands on the rule itself,
in one tag, as text: so it is there for the next run, wherever that runs, and goes when the rule goes.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from rules.errors import InvalidInput
from rules.rollouts import Arm

ALL = 100


class Stage(StrEnum):
    """What was last written on the rule."""

    FORWARD = "forward"
    BACK = "back"
    ARRIVED = "arrived"
    RETURNED = "returned"

    @property
    def open(self) -> bool:
        return self in {Stage.FORWARD, Stage.BACK}


class Because(StrEnum):
    """Why it goes back."""

    NOTHING = "nothing"
    STOPPED = "stopped"
    EXPIRED = "expired"
    ASTRAY = "astray"


@dataclass(frozen=True, slots=True)
class Wish:
    """How the weights are to move. No steps: all at once."""

    steps: tuple[int, ...] = ()
    hold_minutes: float = 0
    bake_minutes: float = 0


@dataclass(frozen=True, slots=True)
class Intent:
    """What a look cannot tell, as it stands in a tag of the rule."""

    begun: datetime
    to: str
    """Id of the new side's target group."""
    wish: Wish
    since: datetime
    """When `told` was written: the bake's beginning, at 100."""
    stage: Stage = Stage.FORWARD
    before: int = 0
    told: int = 0
    """The new side's share, percent: written before the rule is, so `before` may still be what it has."""
    because: Because = Because.NOTHING

    @property
    def text(self) -> str:
        """The tag's value: letters, digits and `=.:+-` in at most 256 characters, as AWS allows."""
        wish = self.wish
        said = {
            "begun": _zulu(self.begun),
            "to": self.to,
            "steps": ".".join(map(str, wish.steps)),
            "hold": f"{wish.hold_minutes:g}",
            "bake": f"{wish.bake_minutes:g}",
            "since": _zulu(self.since),
            "stage": self.stage,
            "before": self.before,
            "told": self.told,
            "because": self.because,
        }
        return " ".join(f"{key}={value}" for key, value in said.items())


def parse(text: str) -> Intent:
    """The intent that a tag's value says. Raises InvalidInput for anything else: it is nobody's to guess."""
    said = dict(part.split("=", 1) for part in text.split(" ") if "=" in part)
    try:
        wish = Wish(_steps(said["steps"]), float(said["hold"]), float(said["bake"]))
        begun, since = _time(said["begun"]), _time(said["since"])
        stage, because = Stage(said["stage"]), Because(said["because"])
        return Intent(begun, said["to"], wish, since, stage, int(said["before"]), int(said["told"]), because)
    except (KeyError, ValueError) as error:
        remedy = "Look at the rule's weights, put them right, delete the tag and run again."
        raise InvalidInput("the tag of a listener rule", text, "what this product writes there", remedy) from error


def _zulu(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _time(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError(f"{text} has no time zone")
    return found


def _steps(text: str) -> tuple[int, ...]:
    return tuple(int(step) for step in text.split(".") if step)


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two ECS services."""

    name: str
    task_definition: str
    target_group: str
    desired: int
    running: int
    healthy: int
    """Targets of its group that the load balancer finds healthy."""
    deployed_at: datetime
    settled: bool = True
    """Whether ECS has nothing left to replace in it."""

    @property
    def id(self) -> str:
        """What ends the target group's ARN."""
        return self.target_group.rsplit("/", 1)[-1]

    @property
    def arm(self) -> Arm:
        return Arm(self.task_definition, self.target_group)


@dataclass(frozen=True, slots=True)
class Pair:
    """Both services and the rule between them, at one moment."""

    rule: str
    """ARN."""
    sides: tuple[Side, Side]
    weights: tuple[int, int]
    """As the rule says; only their ratio counts."""
    sticky: bool = False
    """Whether visitors stay with the group that they met first, whatever the weights say."""
    intent: Intent | None = None

    @property
    def carrying(self) -> tuple[Side, ...]:
        return tuple(side for side, weight in zip(self.sides, self.weights, strict=True) if weight > 0)

    @property
    def lead(self) -> Side:
        """The side with the most traffic; at half and half the old one."""
        first, second = self.sides
        if self.weights[0] == self.weights[1] and self.intent is not None:
            return second if self.intent.to == first.id else first
        return first if self.weights[0] >= self.weights[1] else second

    @property
    def beside(self) -> Side:
        """The other side."""
        return self.sides[1] if self.lead is self.sides[0] else self.sides[0]

    @property
    def motion(self) -> "Motion | None":
        """What is, or was last, under way."""
        if self.intent is None:
            return None
        ids = [side.id for side in self.sides]
        if self.intent.to not in ids:
            raise InvalidInput(f"the tag of {self.rule}", self.intent.to, f"one of its groups {ids}", "Delete the tag.")
        new = ids.index(self.intent.to)
        return Motion(self, self.sides[1 - new], self.sides[new], _share(self.weights, new), self.intent)

    @property
    def moving(self) -> bool:
        return self.intent is not None and self.intent.stage.open

    @property
    def steady(self) -> bool:
        """Nothing is under way, and as many tasks as are wanted run."""
        lead = self.lead
        return not self.moving and len(self.carrying) == 1 and lead.settled and 0 < lead.desired == lead.running


@dataclass(frozen=True, slots=True)
class Motion:
    """A pair on its way from one side to the other."""

    pair: Pair
    old: Side
    new: Side
    share: float
    """Percent of the traffic that the new side has, as the rule says."""
    intent: Intent

    @property
    def arn(self) -> str:
        return f"{self.pair.rule}@{_zulu(self.intent.begun)}"

    @property
    def wanted(self) -> int:
        """As large as the old side, so that it can carry everything; once it does, as large as it is."""
        if self.share >= ALL:
            return max(self.new.desired, 1)
        return max(self.old.desired, self.new.desired, 1)

    @property
    def complete(self) -> bool:
        return self.new.settled and self.new.desired >= self.wanted <= self.new.healthy

    @property
    def next_share(self) -> int:
        return next((step for step in self.intent.wish.steps if step > self.share), ALL)

    @property
    def expires_at(self) -> datetime:
        return self.intent.since + timedelta(minutes=self.intent.wish.hold_minutes)

    @property
    def baked_at(self) -> datetime:
        return self.intent.since + timedelta(minutes=self.intent.wish.bake_minutes)


def _share(weights: tuple[int, int], new: int) -> float:
    return ALL * weights[new] / sum(weights) if sum(weights) else 0.0
