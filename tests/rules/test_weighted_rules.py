"""Weights by a listener rule: what is next, what is never done, whoever dies when and whatever tasks do meanwhile."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.errors import InvalidInput
from rules.rollouts import DeploymentStatus
from rules.vocabulary import Verdict
from rules.weighted_pairs import Because, Intent, Motion, Pair, Side, Stage, Wish, parse
from rules.weighted_rules import (
    Deploy,
    Divide,
    Note,
    Scale,
    Write,
    check_pair,
    deployment_of,
    faults,
    to_go_on,
    to_start,
    to_stop,
    why_back,
)

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
BLUE = Side("blue", "gateway:1", "arn:group/blue/b1", 2, 2, 2, NOON)
GREEN = Side("green", "gateway:0", "arn:group/green/c2", 0, 0, 0, NOON)
REST = Pair("arn:rule", (BLUE, GREEN), (1, 0))
CANARY = Wish((10, 50), hold_minutes=60, bake_minutes=5)
AT_ONCE = Wish((), 0, 5)


def after(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def applied(pair: Pair, writes: tuple[Write, ...]) -> Pair:
    """The pair after these writes, while no task has moved yet."""
    for write in writes:
        match write:
            case Note(intent):
                pair = replace(pair, intent=intent)
            case Divide(weights):
                pair = replace(pair, weights=weights)
            case Deploy(name, definition, desired):
                pair = with_side(pair, name, task_definition=definition, desired=desired, settled=False)
            case Scale(name, desired):
                pair = with_side(pair, name, desired=desired)
    return pair


def onward(pair: Pair, now: datetime = NOON) -> Pair:
    """The pair after everything that its follower may do when the judge is content."""
    seen = deployment_of(moving(pair), now)
    return applied(pair, to_go_on(moving(pair), now, seen.pause.hook if seen.pause else ""))


def with_side(pair: Pair, name: str, **changes: object) -> Pair:
    first, second = (replace(it, **changes) if it.name == name else it for it in pair.sides)  # type: ignore[arg-type]
    return replace(pair, sides=(first, second))


def healthy(pair: Pair) -> Pair:
    """Every side has what it wants."""
    for side in pair.sides:
        pair = with_side(pair, side.name, running=side.desired, healthy=side.desired, settled=True)
    return pair


def moving(pair: Pair) -> Motion:
    assert pair.motion
    return pair.motion


def started(wish: Wish = CANARY) -> Pair:
    return applied(REST, to_start(REST, "gateway:2", wish, NOON))


def at(share: int, wish: Wish = CANARY) -> Pair:
    """A healthy canary that was just given this share."""
    pair = healthy(started(wish))
    while moving(pair).share < share:
        pair = onward(pair)
    return pair


def test_the_side_without_traffic_gets_as_many_tasks_as_the_other() -> None:
    [deploy, note] = to_start(REST, "gateway:2", CANARY, NOON)
    assert deploy == Deploy("green", "gateway:2", 2)
    assert isinstance(note, Note)
    assert (note.intent.to, note.intent.told) == ("c2", 0)


def test_a_start_whose_note_was_lost_is_only_noted() -> None:
    died = applied(REST, to_start(REST, "gateway:2", CANARY, NOON)[:1])
    assert died.motion is None
    assert [type(write) for write in to_start(died, "gateway:2", CANARY, NOON)] == [Note]


def test_nothing_has_traffic_before_all_its_targets_are_healthy() -> None:
    ill = with_side(healthy(started()), "green", healthy=1)
    assert to_go_on(moving(ill), NOON) == ()
    assert deployment_of(moving(ill), NOON).pause is None
    assert not deployment_of(moving(ill), NOON).complete


def test_a_canary_waits_for_a_word_at_each_weight_and_goes_exactly_there() -> None:
    pair, shares = healthy(started()), []
    while (seen := deployment_of(moving(pair), NOON)).weight < 100:
        assert seen.pause
        assert seen.due == ""
        pair = onward(pair)
        shares.append(pair.weights)
    assert shares == [(90, 10), (50, 50), (0, 100)]


def test_blue_green_is_due_at_once() -> None:
    pair = healthy(started(AT_ONCE))
    seen = deployment_of(moving(pair), NOON)
    assert seen.pause is None
    assert "all traffic" in seen.due
    assert applied(pair, to_go_on(moving(pair), NOON)).weights == (0, 100)


def test_the_old_side_lives_until_the_bake_is_over() -> None:
    pair = at(100)
    assert to_go_on(moving(pair), after(4.9)) == ()
    assert deployment_of(moving(pair), after(4.9)).stage == "BAKE_TIME"
    assert "scaled to 0" in deployment_of(moving(pair), after(5)).due
    down, note = to_go_on(moving(pair), after(5))
    assert down == Scale("blue", 0)
    ended = applied(pair, (down, note))
    assert deployment_of(moving(ended), after(5)).status is DeploymentStatus.SUCCESSFUL
    assert healthy(ended).steady


def test_the_old_side_lives_on_while_the_new_one_is_ill() -> None:
    ill = with_side(at(100), "green", healthy=0)
    assert to_go_on(moving(ill), after(60)) == ()


def test_an_end_whose_note_was_lost_is_only_noted() -> None:
    pair = at(100)
    died = healthy(applied(pair, to_go_on(moving(pair), after(5))[:1]))
    assert [type(write) for write in to_go_on(moving(died), after(6))] == [Note]


@pytest.mark.parametrize("share", [10, 50, 100])
def test_a_stop_returns_everything_in_its_first_write(share: int) -> None:
    pair = at(share)
    writes = to_stop(moving(pair), Because.STOPPED, NOON)
    assert writes[0] == Divide((100, 0))
    assert Scale("green", 0) in writes
    ended = applied(pair, writes)
    told = deployment_of(moving(ended), NOON)
    assert (told.status, told.reason) == (DeploymentStatus.ROLLBACK_SUCCESSFUL, "it was stopped")


def test_a_stop_waits_for_the_old_side_only_where_nobody_could_answer() -> None:
    """It comes in the moment in which the old side was scaled down."""
    late = applied(at(100), (Scale("blue", 0),))
    late = with_side(late, "blue", running=0, healthy=0)
    stopped = applied(late, to_stop(moving(late), Because.STOPPED, NOON))
    assert stopped.weights == (0, 100)
    assert moving(stopped).old.desired == 2
    assert to_go_on(moving(stopped), NOON) == ()
    back = applied(healthy(stopped), to_go_on(moving(healthy(stopped)), NOON))
    assert back.weights == (100, 0)
    assert moving(back).intent.stage is Stage.RETURNED


def test_a_stop_whose_note_was_lost_stays_a_stop() -> None:
    pair = at(10)
    died = applied(pair, to_stop(moving(pair), Because.STOPPED, NOON)[:1])
    assert why_back(moving(died), NOON) is Because.ASTRAY
    seen = deployment_of(moving(died), NOON)
    assert seen.status is DeploymentStatus.ROLLBACK_IN_PROGRESS
    assert seen.due


def test_a_move_that_was_told_and_not_done_is_done_again() -> None:
    pair = at(10)
    died = applied(pair, to_go_on(moving(pair), NOON, "10")[:1])
    assert moving(died).intent.told == 50
    assert why_back(moving(died), NOON) is None
    assert onward(died).weights == (50, 50)


@pytest.mark.parametrize("word", ["", "0", "50"])
def test_only_the_word_for_this_very_weight_moves_a_canary_on(word: str) -> None:
    assert to_go_on(moving(at(10)), NOON, word) == ()
    assert to_go_on(moving(at(10)), NOON, "10")[-1] == Divide((50, 50))


def test_weights_that_somebody_turned_go_back() -> None:
    assert why_back(moving(replace(at(10), weights=(70, 30))), NOON) is Because.ASTRAY


def test_what_waits_for_too_long_goes_back() -> None:
    pair = at(10)
    assert why_back(moving(pair), after(59.9)) is None
    assert why_back(moving(pair), after(60)) is Because.EXPIRED
    assert to_go_on(moving(pair), after(60))[0] == Divide((100, 0))
    assert why_back(moving(at(100)), after(6000)) is None


def test_the_new_side_grows_with_the_old_one() -> None:
    grown = with_side(at(10), "blue", desired=4, running=4, healthy=4)
    seen = deployment_of(moving(grown), NOON)
    assert seen.pause is None
    assert "4 tasks" in seen.due
    assert to_go_on(moving(grown), NOON) == (Scale("green", 4),)


def test_both_versions_are_told_apart_and_carry_while_they_have_weight() -> None:
    seen = deployment_of(moving(at(10)), NOON)
    assert seen.carrying == {"gateway:1", "gateway:2"}
    assert seen.old == BLUE.arm
    assert seen.new
    assert (seen.new.task_definition, seen.new.target_group) == ("gateway:2", GREEN.target_group)


@pytest.mark.parametrize(
    ("weights", "to", "lead"), [((90, 10), "c2", "blue"), ((50, 50), "c2", "blue"), ((50, 50), "b1", "green")]
)
def test_most_visitors_tell_which_version_it_is(weights: tuple[int, int], to: str, lead: str) -> None:
    intent = Intent(NOON, to, CANARY, NOON, told=50)
    assert replace(REST, weights=weights, intent=intent).lead.name == lead


def test_a_pair_at_rest_is_a_start_without_faults() -> None:
    assert check_pair("gateway", REST).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    ("pair", "said"),
    [
        (replace(REST, sticky=True), "stickiness"),
        (replace(REST, weights=(1, 1)), "2 of its two groups"),
        (replace(REST, weights=(0, 0)), "0 of its two groups"),
        (with_side(REST, "blue", desired=0), "scaled to 0"),
    ],
)
def test_a_pair_that_cannot_be_started_says_why(pair: Pair, said: str) -> None:
    assert said in "; ".join(faults(pair))
    assert check_pair("gateway", pair).verdict is Verdict.FAILED


def test_a_pair_that_is_none_does_not_pass() -> None:
    assert check_pair("gateway", "no rule").verdict is Verdict.FAILED


def test_a_tag_for_another_group_is_nobodys_to_guess() -> None:
    with pytest.raises(InvalidInput, match="c2"):
        _ = replace(started(), sides=(BLUE, replace(GREEN, target_group="arn:group/green/d3"))).motion


@pytest.mark.parametrize("text", ["", "anything", "stage=forward", started().intent.text.replace("Z", "")])  # type: ignore[union-attr]
def test_a_tag_that_is_not_ours_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        parse(text)


percents = st.integers(0, 100)
wishes = st.builds(
    Wish,
    st.sampled_from([(), (10,), (10, 50), (5, 25, 50, 75)]),
    st.integers(1, 20_160).map(float),
    st.integers(0, 1440).map(float),
)
times = st.integers(0, 10**9).map(lambda ms: NOON + timedelta(milliseconds=ms))
intents = st.builds(
    Intent,
    times,
    st.just("73e2d6bc24d8a067"),
    wishes,
    times,
    st.sampled_from(Stage),
    percents,
    percents,
    st.sampled_from(Because),
)


@given(intents)
def test_a_tag_says_what_was_written_and_fits(intent: Intent) -> None:
    assert parse(intent.text) == intent
    assert len(intent.text) <= 256
    assert all(it.isalnum() or it in " +-=._:/@" for it in intent.text)


def test_the_longest_tag_fits() -> None:
    wish = Wish(tuple(range(3, 100, 3)), 20_160, 1440)
    intent = Intent(NOON, "73e2d6bc24d8a067", wish, NOON, Stage.RETURNED, 99, 100, Because.EXPIRED)
    assert len(intent.text) <= 256


# --- whoever dies when, whatever tasks do ------------------------------------------------------------------------


@dataclass
class World:
    """A pair of services with a life of their own, a follower that may die at any write, and a person at the rule."""

    pair: Pair = REST
    now: datetime = NOON
    stopped: bool = False

    def write(self, writes: tuple[Write, ...], alive: int) -> None:
        for write in writes[:alive]:
            self._holds(write)
            self.pair = applied(self.pair, (write,))

    def _holds(self, write: Write) -> None:
        """What is true of every single write."""
        motion = self.pair.motion
        if isinstance(write, Divide):
            assert sum(write.weights) == 100
            assert motion
            more = write.weights[self.pair.sides.index(motion.new)]
            if more > motion.share:
                assert motion.new.healthy >= motion.new.desired >= motion.old.desired > -1, "a weight without health"
                assert motion.new.healthy > 0
                assert not self.stopped, "traffic moved after the stop"
                assert more in {*motion.intent.wish.steps, 100}
            else:
                assert more == 0, "a way back in several steps"
        if isinstance(write, Scale) and write.desired == 0 and motion:
            carries = {side.name for side in self.pair.carrying}
            assert write.name not in carries, "what carries was scaled down"
            if write.name == motion.old.name:
                assert motion.share == 100
                assert self.now >= motion.baked_at, "the old side lost its tasks before the bake was over"
        if isinstance(write, Deploy):
            assert write.name not in {side.name for side in self.pair.carrying}, "a version was deployed over visitors"


events = st.one_of(
    st.tuples(st.just("start"), st.sampled_from([CANARY, AT_ONCE]), st.integers(0, 5)),
    st.tuples(st.just("go on"), st.just(None), st.integers(0, 5)),
    st.tuples(st.just("go on"), st.just(None), st.just(5)),
    st.tuples(st.just("stop"), st.just(None), st.integers(0, 5)),
    st.tuples(st.just("minutes"), st.sampled_from([1, 6, 70]), st.just(0)),
    st.tuples(st.just("all healthy"), st.just(None), st.just(0)),
    st.tuples(st.just("ill"), st.sampled_from(["blue", "green"]), st.integers(0, 2)),
    st.tuples(st.just("autoscaled"), st.sampled_from(["blue", "green"]), st.integers(1, 4)),
    st.tuples(st.just("turned"), st.sampled_from([(70, 30), (100, 0), (0, 100), (90, 10)]), st.just(0)),
)


worlds = st.builds(
    World, st.one_of(st.just(REST), st.builds(at, st.sampled_from([0, 10, 50, 100])), st.just(at(100, AT_ONCE)))
)


def happen(world: World, event: tuple[str, Any, int]) -> None:
    what, about, number = event
    motion = world.pair.motion
    match what:
        case "start" if not list(faults(world.pair)) and not world.pair.moving:
            world.stopped = False
            world.write(to_start(world.pair, f"gateway:{world.now.timestamp():.0f}", about, world.now), number)
        case "go on" if motion:
            seen = deployment_of(motion, world.now)
            world.write(to_go_on(motion, world.now, seen.pause.hook if seen.pause else ""), number)
        case "stop" if motion and motion.intent.stage.open:
            writes = to_stop(motion, Because.STOPPED, world.now)
            world.stopped = world.stopped or bool(writes[:number])
            world.write(writes, number)
        case "minutes":
            world.now += timedelta(minutes=about)
        case "all healthy":
            world.pair = healthy(world.pair)
        case "ill":
            side = next(it for it in world.pair.sides if it.name == about)
            world.pair = with_side(world.pair, about, healthy=min(side.healthy, number))
        case "autoscaled" if next(it for it in world.pair.sides if it.name == about).desired:
            world.pair = with_side(world.pair, about, desired=number)
        case "turned":
            world.pair = replace(world.pair, weights=about)


@given(worlds, st.lists(events, max_size=20))
def test_no_sequence_of_looks_deaths_and_strangers_breaks_a_promise(
    world: World, story: list[tuple[str, Any, int]]
) -> None:
    for event in story:
        happen(world, event)


@given(worlds, st.lists(events, max_size=20))
def test_every_deployment_comes_to_an_end_when_somebody_follows_it(
    world: World, story: list[tuple[str, Any, int]]
) -> None:
    for event in story:
        happen(world, event)
    for _ in range(30):
        world.pair = healthy(world.pair)
        world.now += timedelta(minutes=6)
        happen(world, ("go on", None, 5))
    assert not world.pair.moving
    if "turned" not in {what for what, _, _ in story}:
        assert world.pair.lead.desired > 0


@given(worlds, st.lists(events, max_size=20), st.integers(0, 1440))
def test_every_look_has_an_answer(world: World, story: list[tuple[str, Any, int]], minutes: int) -> None:
    for event in story:
        happen(world, event)
    if world.pair.motion:
        seen = deployment_of(world.pair.motion, world.now + timedelta(minutes=minutes))
        assert not (seen.pause and seen.due)
        assert not (seen.pause and not seen.complete)
        assert seen.status.ongoing or not seen.due
