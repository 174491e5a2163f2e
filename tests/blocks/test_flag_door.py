"""The door to the flag service against the stateful stand-in: what it reads, changes, asks for, and never hides."""

import copy
import json
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from blocks.feature_flags import Applied, ApprovalRequired, Decision, FeatureFlags
from blocks.flag_answers import read_flag
from blocks.wire import Wiring
from deployments.sandbox.clock import ManualClock
from deployments.sandbox.faults import Fault, FaultKind, Faults
from deployments.sandbox.vendors.application import create_app
from deployments.sandbox.vendors.in_process import InProcess
from deployments.sandbox.vendors.state import Limits, VendorState
from rules.catalogue import FlagPolicy
from rules.errors import Conflict, Declined, Outage
from rules.feature_flags import FlagChange, FlagPlan, plan_flags
from rules.flag_targeting import Clause, Prerequisite, Serving, Target

POLICY = FlagPolicy(project="batbern", tags=("promote",))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def state(clock: ManualClock) -> VendorState:
    state = VendorState(clock)
    state.seed()
    return state


@pytest.fixture
def faults() -> Faults:
    return Faults()


@pytest.fixture
def door(state: VendorState, faults: Faults, clock: ManualClock) -> FeatureFlags:
    wiring = Wiring(
        transport=InProcess(create_app(state, faults)),
        monotonic=clock.monotonic,
        now=clock.now,
        sleep=clock.advance,
        chance=lambda: 0.5,
    )
    token = SecretStr(state.credentials.flag_token)
    return FeatureFlags(url="http://sandbox/launchdarkly", token=token).wired(wiring)


def plan(door: FeatureFlags, target: str = "staging") -> FlagPlan:
    source = "dev" if target == "staging" else "staging"
    return plan_flags(door.read("batbern", source), door.read("batbern", target), POLICY)


def change_of(planned: FlagPlan, key: str) -> FlagChange:
    return next(change for change in planned.changes if change.key == key)


def stored(state: VendorState, key: str, environment: str = "staging") -> dict[str, Any]:
    config: dict[str, Any] = state.flags.flags[key]["environments"][environment]
    return config


# --- reading -----------------------------------------------------------------------------------------------


def test_flags_are_read_with_variations_by_id(door: FeatureFlags) -> None:
    flags = door.read("batbern", "dev")
    voting = flags.flags["partner-voting"]
    ids = {json.loads(variation.value): variation.id for variation in voting.variations}
    assert voting.targeting.on
    assert voting.targeting.fallthrough == Serving(ids["classic"])
    assert voting.targeting.off_variation == ids["off"]
    assert voting.targeting.targets == (Target(ids["ranked"], ("anna.meier", "reto.keller")),)
    (rule,) = voting.targeting.rules
    assert rule.clauses == (Clause("email", "endsWith", ('"@partner.batbern.example"',)),)
    portal = flags.flags["partner-portal"].variations[0].id
    assert voting.targeting.prerequisites == (Prerequisite("partner-portal", portal),)


def test_a_rollout_is_read_with_its_weights(door: FeatureFlags) -> None:
    search = door.read("batbern", "staging").flags["event-archive-search"]
    values = {variation.id: variation.value for variation in search.variations}
    weights = {values[variation]: weight for variation, weight in search.targeting.fallthrough.weights}
    assert weights == {"true": 25_000, "false": 75_000}


def test_segments_and_the_rule_on_approvals_are_read(door: FeatureFlags) -> None:
    assert door.read("batbern", "dev").segments == {"beta-partners", "developers"}
    assert not door.read("batbern", "staging").approval.required
    assert door.read("batbern", "production").approval.required


def test_more_flags_than_one_page_are_all_read(door: FeatureFlags, state: VendorState) -> None:
    pattern = state.flags.flags["log-level"]
    for number in range(120):
        state.flags.flags[f"many-{number}"] = copy.deepcopy(pattern) | {"key": f"many-{number}"}
    assert len(door.read("batbern", "dev").flags) == 127


def test_an_archived_flag_is_not_read(door: FeatureFlags, state: VendorState) -> None:
    state.flags.flags["log-level"]["archived"] = True
    assert "log-level" not in door.read("batbern", "dev").flags


@pytest.mark.parametrize(("project", "environment"), [("nobody", "dev"), ("batbern", "nowhere")])
def test_an_unknown_place_is_declined_by_name(door: FeatureFlags, project: str, environment: str) -> None:
    with pytest.raises(Declined, match="404"):
        door.read(project, environment)


def test_a_wrong_token_is_declined_and_not_shown(door: FeatureFlags) -> None:
    wrong = FeatureFlags(url=door.url, token=SecretStr("api-wrong-token")).wired(door._wiring)
    with pytest.raises(Declined, match="401") as caught:
        wrong.read("batbern", "dev")
    assert "api-wrong-token" not in str(caught.value) + repr(wrong)


# --- changing ----------------------------------------------------------------------------------------------


def test_every_aspect_arrives_and_a_second_plan_is_empty(door: FeatureFlags, state: VendorState) -> None:
    first = plan(door)
    assert [change.key for change in first.changes] == [
        "company-autocomplete",
        "event-archive-search",
        "partner-voting",
        "speaker-self-service",
    ]
    for change in first.changes:
        assert isinstance(door.apply(change, "test"), Applied)
    assert plan(door).changes == ()
    voting = stored(state, "partner-voting")
    assert voting["prerequisites"] == [{"key": "partner-portal", "variation": 0}]
    assert voting["rules"][0]["clauses"][0]["values"] == ["@partner.batbern.example"]


def test_applying_twice_changes_once(door: FeatureFlags, state: VendorState) -> None:
    change = change_of(plan(door), "speaker-self-service")
    assert door.apply(change, "test") == Applied("speaker-self-service", 2)
    assert door.apply(change, "test") == Applied("speaker-self-service", 2, changed=False)
    assert stored(state, "speaker-self-service")["version"] == 2


def test_what_somebody_else_changed_is_not_overwritten(door: FeatureFlags, state: VendorState) -> None:
    change = change_of(plan(door), "speaker-self-service")
    theirs = stored(state, "speaker-self-service") | {"fallthrough": {"variation": 1}, "version": 2}
    state.flags.flags["speaker-self-service"]["environments"]["staging"] = theirs
    with pytest.raises(Conflict, match="planned against 'version 1"):
        door.apply(change, "test")
    assert not stored(state, "speaker-self-service")["on"]


def test_one_race_is_won_after_looking_again(door: FeatureFlags, state: VendorState) -> None:
    change = change_of(plan(door), "speaker-self-service")
    state.flags.collisions["speaker-self-service"] = 1
    assert isinstance(door.apply(change, "test"), Applied)


def test_a_lasting_race_is_a_conflict(door: FeatureFlags, state: VendorState) -> None:
    change = change_of(plan(door), "speaker-self-service")
    state.flags.collisions["speaker-self-service"] = 9
    with pytest.raises(Conflict):
        door.apply(change, "test")


def test_a_change_that_is_refused_leaves_nothing_behind(door: FeatureFlags, state: VendorState) -> None:
    change = change_of(plan(door), "company-autocomplete")
    state.flags.segments["staging"].clear()
    with pytest.raises(Declined, match="no segment beta-partners"):
        door.apply(change, "test")
    assert stored(state, "company-autocomplete")["version"] == 1


@pytest.mark.parametrize("kind", [FaultKind.THROTTLE, FaultKind.ERROR, FaultKind.GARBAGE])
def test_a_passing_fault_is_waited_out(door: FeatureFlags, faults: Faults, kind: FaultKind, state: VendorState) -> None:
    change = change_of(plan(door), "speaker-self-service")
    faults.add(Fault("launchdarkly", kind=kind, operation="patch_flag", times=2))
    assert isinstance(door.apply(change, "test"), Applied)
    assert stored(state, "speaker-self-service")["on"]


def test_a_lasting_fault_is_an_outage(door: FeatureFlags, faults: Faults) -> None:
    faults.add(Fault("launchdarkly", kind=FaultKind.ERROR))
    with pytest.raises(Outage, match="LaunchDarkly did not answer while reading the settings of environment dev"):
        door.read("batbern", "dev")


def test_a_rate_limit_is_kept_by_waiting(state: VendorState, faults: Faults, clock: ManualClock) -> None:
    state.limits = Limits(flag_requests=2)
    wiring = Wiring(InProcess(create_app(state, faults)), clock.monotonic, clock.now, clock.advance, lambda: 0.5)
    token = SecretStr(state.credentials.flag_token)
    slow = FeatureFlags(url="http://sandbox/launchdarkly", token=token).wired(wiring)
    began = clock.monotonic()
    for _ in range(4):
        slow.read("batbern", "dev")
    assert clock.monotonic() > began


# --- approvals ---------------------------------------------------------------------------------------------


@pytest.fixture
def guarded(door: FeatureFlags) -> FlagChange:
    """A change in production, where the flag service asks for approval."""
    return change_of(plan(door, "production"), "partner-portal")


def test_a_guarded_environment_answers_approval_required(
    door: FeatureFlags, guarded: FlagChange, state: VendorState
) -> None:
    assert guarded.needs_approval
    assert door.apply(guarded, "test") == ApprovalRequired("partner-portal", "production")
    assert not stored(state, "partner-portal", "production")["on"]


def test_an_approval_is_asked_for_once(door: FeatureFlags, guarded: FlagChange, state: VendorState) -> None:
    marker = guarded.marker("3f2a1bc")
    first = door.request_approval(guarded, marker, "Promotion of 3f2a1bc")
    assert first.decision is Decision.PENDING
    assert door.request_approval(guarded, marker, "again") == first
    assert len(state.flags.approvals) == 1


def test_another_release_asks_anew(door: FeatureFlags, guarded: FlagChange, state: VendorState) -> None:
    door.request_approval(guarded, guarded.marker("3f2a1bc"), "Promotion")
    door.request_approval(guarded, guarded.marker("9999999"), "Promotion")
    assert len(state.flags.approvals) == 2


@pytest.mark.parametrize("kind", [FaultKind.GARBAGE, FaultKind.RESET])
def test_a_request_whose_answer_was_lost_is_found(
    door: FeatureFlags, guarded: FlagChange, state: VendorState, faults: Faults, kind: FaultKind
) -> None:
    faults.add(Fault("launchdarkly", kind=kind, operation="ask_approval", times=1))
    door.request_approval(guarded, guarded.marker("3f2a1bc"), "Promotion")
    assert len(state.flags.approvals) == 1


def test_an_approved_request_is_applied(door: FeatureFlags, guarded: FlagChange, state: VendorState) -> None:
    request = door.request_approval(guarded, guarded.marker("3f2a1bc"), "Promotion")
    state.approve_flag_request(request.id)
    approved = door.decision(request)
    assert approved.decision is Decision.APPROVED
    assert door.apply_approved(approved, guarded, "test") == Applied("partner-portal", 2)
    assert stored(state, "partner-portal", "production")["on"]
    assert door.decision(request).decision is Decision.APPLIED
    assert door.apply_approved(approved, guarded, "test").changed is False


def test_what_nobody_approved_is_not_applied(door: FeatureFlags, guarded: FlagChange, state: VendorState) -> None:
    request = door.request_approval(guarded, guarded.marker("3f2a1bc"), "Promotion")
    with pytest.raises(Declined, match="not approved"):
        door.apply_approved(request, guarded, "test")
    assert not stored(state, "partner-portal", "production")["on"]


def test_a_declined_request_is_seen_as_such(door: FeatureFlags, guarded: FlagChange, state: VendorState) -> None:
    request = door.request_approval(guarded, guarded.marker("3f2a1bc"), "Promotion")
    state.flags.review(request.id, "release-manager", "decline", "not today")
    assert door.decision(request).decision is Decision.DECLINED
    assert door.request_approval(guarded, guarded.marker("3f2a1bc"), "again").decision is Decision.DECLINED


def test_an_approved_change_of_a_flag_that_moved_on_is_a_conflict(
    door: FeatureFlags, guarded: FlagChange, state: VendorState
) -> None:
    request = door.request_approval(guarded, guarded.marker("3f2a1bc"), "Promotion")
    state.approve_flag_request(request.id)
    theirs = stored(state, "partner-portal", "production") | {"fallthrough": {"variation": 1}}
    state.flags.flags["partner-portal"]["environments"]["production"] = theirs
    with pytest.raises(Conflict):
        door.apply_approved(request, guarded, "test")


# --- answers that are none ---------------------------------------------------------------------------------


def answering(**body: object) -> FeatureFlags:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=body))
    wiring = Wiring(transport=transport, sleep=lambda _: None)
    return FeatureFlags(url="http://flags.test", token=SecretStr("api-token")).wired(wiring)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({}, id="no list"),
        pytest.param({"items": []}, id="no count"),
        pytest.param({"items": [], "totalCount": 3}, id="ends early"),
        pytest.param({"items": [{"key": "x"}], "totalCount": 1}, id="a flag without anything"),
    ],
)
def test_an_answer_that_is_no_list_of_flags_is_an_outage_and_not_an_empty_list(body: dict[str, object]) -> None:
    with pytest.raises(Outage):
        answering(**body).read("batbern", "dev")


def raw_flag(**state: object) -> dict[str, Any]:
    plain = {
        "on": True,
        "version": 1,
        "fallthrough": {"variation": 0},
        "offVariation": 1,
        "rules": [],
        "targets": [],
        "prerequisites": [],
    }
    variations = [{"_id": "yes-id", "value": True}, {"_id": "no-id", "value": False}]
    return {"key": "menu", "variations": variations, "environments": {"dev": plain | state}}


IDS = {"menu": ["yes-id", "no-id"]}


def test_an_experiment_is_seen_as_an_obstacle() -> None:
    rollout = {"kind": "experiment", "variations": [{"variation": 0, "weight": 100_000}]}
    flag = read_flag(raw_flag(fallthrough={"rollout": rollout}), "dev", IDS)
    assert "its fallthrough runs an experiment" in flag.obstacles[0]


def test_targets_of_users_in_both_lists_are_one() -> None:
    flag = read_flag(
        raw_flag(
            targets=[{"values": ["ben", "anna"], "variation": 0}],
            contextTargets=[
                {"values": [], "variation": 0, "contextKind": "user"},
                {"values": ["acme"], "variation": 1, "contextKind": "organization"},
            ],
        ),
        "dev",
        IDS,
    )
    assert flag.targeting.targets == (
        Target("no-id", ("acme",), "organization"),
        Target("yes-id", ("anna", "ben")),
    )


def test_a_variation_that_does_not_exist_is_an_outage() -> None:
    with pytest.raises(Outage, match="reading flag menu in dev"):
        read_flag(raw_flag(fallthrough={"variation": 7}), "dev", IDS)


def test_a_flag_without_an_off_variation_is_read() -> None:
    assert read_flag(raw_flag(offVariation=None), "dev", IDS).targeting.off_variation == ""
