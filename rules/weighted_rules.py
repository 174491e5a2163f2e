"""Exact weights by a listener rule: a service that is two ordinary ECS services, between which one rule divides.

Nobody but us moves these weights, so nothing happens here by itself: not the next step, not the end of the bake, and
not the way back. What is done is decided afresh from what is seen, as a short list of writes, each of which may be the
last one of a process that dies. What cannot be seen is written on the rule itself (`Intent`), before the act.

    forward, no traffic → weights, step by step → 100 %: bake → the old side to 0, ARRIVED
    stopped, its time over, or a weight that nobody wrote down → all weight back at once, the new side to 0, RETURNED
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from rules.rollouts import Deployment, DeploymentStatus, Pause
from rules.vocabulary import Finding, Verdict
from rules.weighted_pairs import ALL, Because, Intent, Motion, Pair, Stage, Wish

SENTENCES = {
    Because.NOTHING: "",
    Because.STOPPED: "it was stopped",
    Because.EXPIRED: "nobody said in time that it may go on",
    Because.ASTRAY: "the rule's weights are not those that were written down: a run died, or somebody turned them",
}


@dataclass(frozen=True, slots=True)
class Note:
    """Written on the rule."""

    intent: Intent


@dataclass(frozen=True, slots=True)
class Divide:
    """The rule's weights, in the order of the sides."""

    weights: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Deploy:
    """A side without traffic gets a task definition, and tasks."""

    name: str
    task_definition: str
    desired: int


@dataclass(frozen=True, slots=True)
class Scale:
    name: str
    desired: int


Write = Note | Divide | Deploy | Scale


def to_start(pair: Pair, definition: str, wish: Wish, now: datetime) -> tuple[Write, ...]:
    """Of a pair at rest and without faults. Tasks first: an intent that names another version would be a stranger's."""
    idle, lead = pair.beside, pair.lead
    begun = (idle.task_definition, idle.desired) == (definition, lead.desired)  # by a run that died before its note
    deploy = () if begun else (Deploy(idle.name, definition, lead.desired),)
    return (*deploy, Note(Intent(now, idle.id, wish, now)))


def to_go_on(motion: Motion, now: datetime, word: str = "") -> tuple[Write, ...]:
    """What its follower does next; nothing while it waits for tasks, for the bake, or for the word at a weight.

    `word`: the hook of the pause that was answered. Nothing but the answer to this very weight moves a canary on.
    """
    if not motion.intent.stage.open:
        return ()
    if because := why_back(motion, now):
        return to_stop(motion, because, now)
    if motion.share >= ALL:
        return _finish(motion) if motion.complete and now >= motion.baked_at else ()
    if motion.new.desired < motion.wanted:
        return (Scale(motion.new.name, motion.wanted),)
    if motion.intent.wish.steps and word != _hook(motion):
        return ()
    return _advance(motion, now) if motion.complete else ()


def _advance(motion: Motion, now: datetime) -> tuple[Write, ...]:
    share = motion.next_share
    intent = replace(motion.intent, before=round(motion.share), told=share, since=now)
    return Note(intent), Divide(_weights(motion, share))


def _finish(motion: Motion) -> tuple[Write, ...]:
    down = (Scale(motion.old.name, 0),) if motion.old.desired else ()
    return (*down, Note(replace(motion.intent, stage=Stage.ARRIVED)))


def to_stop(motion: Motion, because: Because, now: datetime) -> tuple[Write, ...]:
    """Visitors first, in one call; then that it goes back; then the new side to nothing.

    Only where the old side has no healthy target left, and the new one has, the visitors wait until it has.
    """
    old, new, intent = motion.old, motion.new, motion.intent
    if not intent.stage.open:
        return ()
    ready = old.desired > 0 and (old.healthy > 0 or new.healthy == 0)
    back = replace(intent, stage=Stage.BACK, because=because, since=now)
    writes: list[Write] = [Divide(_weights(motion, 0))] if motion.share > 0 and ready else []
    if intent.stage is not Stage.BACK:
        # Once weights were told, none at all says by itself that it goes back; before that only the note does.
        writes.insert(len(writes) if intent.told else 0, Note(back))
    if old.desired == 0:
        writes.append(Scale(old.name, max(new.desired, 1)))
    if motion.share == 0 or ready:
        writes += [Scale(new.name, 0)] if new.desired else []
        writes.append(Note(replace(back, stage=Stage.RETURNED)))
    return tuple(writes)


def why_back(motion: Motion, now: datetime) -> Because | None:
    """Why it goes back, whoever looks. None: it goes forward, or has ended."""
    intent = motion.intent
    if not intent.stage.open:
        return None
    if intent.stage is Stage.BACK:
        return intent.because
    # Told 10 and found 0 is a first move that was not done, or one that was taken back: nobody can tell, so it is back.
    if motion.share not in {float(intent.told), float(intent.before) if intent.before else float(intent.told)}:
        return Because.ASTRAY
    if 0 < motion.share < ALL and now >= motion.expires_at:
        return Because.EXPIRED
    return None


def _weights(motion: Motion, share: int) -> tuple[int, int]:
    first_is_new = motion.pair.sides[0] is motion.new
    return (share, ALL - share) if first_is_new else (ALL - share, share)


# --- what everybody else sees -----------------------------------------------------------------------------------


def deployment_of(motion: Motion, now: datetime, deaths: tuple[int, str] = (0, "")) -> Deployment:
    """A deployment like any other. `deaths`: how many tasks of the new version died, and what the last one said."""
    intent, because = motion.intent, why_back(motion, now)
    status, writes = _status(motion, because), to_go_on(motion, now)
    waits = status is DeploymentStatus.IN_PROGRESS and _waits_for_word(motion)
    return Deployment(
        arn=motion.arn,
        status=status,
        stage=_stage(motion, status),
        target_revision=motion.arn,
        target_task_definition=motion.new.task_definition,
        weight=motion.share,
        created_at=intent.begun,
        reason=SENTENCES[because or intent.because],
        failed_tasks=deaths[0],
        failure=deaths[1],
        carrying=frozenset(side.task_definition for side in motion.pair.carrying),
        old=motion.old.arm,
        new=motion.new.arm,
        pause=Pause(_hook(motion), _until(motion, now)) if waits else None,
        complete=motion.complete,
        due=_due(motion, status) if writes else "",
    )


def _status(motion: Motion, because: Because | None) -> DeploymentStatus:
    match motion.intent.stage:
        case Stage.ARRIVED:
            return DeploymentStatus.SUCCESSFUL
        case Stage.RETURNED:
            return DeploymentStatus.ROLLBACK_SUCCESSFUL
        case _:
            return DeploymentStatus.ROLLBACK_IN_PROGRESS if because else DeploymentStatus.IN_PROGRESS


def _waits_for_word(motion: Motion) -> bool:
    """A canary's next weight is somebody's decision. Everything else is only to be done."""
    return bool(motion.intent.wish.steps) and motion.share < ALL and motion.complete


def _hook(motion: Motion) -> str:
    return f"{motion.share:g}"


def _until(motion: Motion, now: datetime) -> datetime:
    waits = now + timedelta(minutes=motion.intent.wish.hold_minutes)
    return motion.expires_at if motion.share > 0 else waits


def _stage(motion: Motion, status: DeploymentStatus) -> str:
    if not motion.intent.stage.open:
        return ""
    if status.going_back:
        return "ROLLBACK"
    if motion.share >= ALL:
        return "BAKE_TIME"
    return "PRODUCTION_TRAFFIC_SHIFT" if motion.complete else "SCALE_UP"


def _due(motion: Motion, status: DeploymentStatus) -> str:
    if status.going_back:
        return f"{motion.new.name} gives its traffic back and is scaled to 0"
    if motion.share >= ALL:
        return f"{motion.new.name} has served all traffic long enough; {motion.old.name} is scaled to 0"
    if not motion.complete:
        return f"{motion.new.name} is scaled to {motion.wanted} tasks, as many as {motion.old.name} has"
    return f"all {motion.wanted} targets of {motion.new.name} are healthy; it gets all traffic"


# --- what a pair must be ----------------------------------------------------------------------------------------


GATE = "weighted rule"
ALLOWED = "two ordinary ECS services, one target group each, one rule between them that gives all weight to one"


def check_pair(service: str, pair: Pair | str) -> Finding:
    """One finding with everything that stands in the way. `pair`: or why there is none."""
    found = [pair] if isinstance(pair, str) else list(faults(pair))
    if found:
        sentence = f"The weights of {service} cannot be moved: {'; '.join(found)}."
        return Finding(f"{GATE}/{service}", Verdict.FAILED, sentence, "", ALLOWED)
    return Finding(f"{GATE}/{service}", Verdict.PASSED, f"The weights of {service} can be moved.", "", ALLOWED)


def faults(pair: Pair) -> Iterator[str]:
    """Everything that stands in the way of a start."""
    if pair.sticky:
        yield "its rule keeps visitors with the group that they met first, whatever the weights: switch stickiness off"
    if pair.moving:
        return
    if len(pair.carrying) != 1:
        yield f"its rule gives weight to {len(pair.carrying)} of its two groups: give all to one"
    elif pair.lead.desired == 0:
        yield f"{pair.lead.name} has all traffic and is scaled to 0"
