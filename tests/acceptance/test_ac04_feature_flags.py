"""AC4, Feature Flags: "LaunchDarkly integration for feature control".

The story's tests, and where they are shown here:
    4.1 should_syncFeatureFlags_when_promotingEnvironment           Synchronised, Refused, Approved
    4.2 should_verifyFeatureFlagState_when_deploymentCompletes      Verified, PutBack

Everything runs over HTTP against a stand-in that keeps state and refuses as LaunchDarkly does.
"""

import copy
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import uvicorn
from prefect.logging import disable_run_logger
from pydantic import SecretStr

from blocks.chat import Chat
from blocks.feature_flags import ApprovalRequest, FeatureFlags
from blocks.ledger import LocalLedger
from blocks.wire import Wiring
from deployments.sandbox.clock import ManualClock
from deployments.sandbox.faults import Fault, FaultKind, Faults
from deployments.sandbox.vendors.application import create_app
from deployments.sandbox.vendors.state import Limits, VendorState
from rules.catalogue import FlagPolicy
from rules.errors import ApplyFailed, Conflict, Refused
from rules.feature_flags import FlagPlan, plan_flags
from rules.plans import Plan
from rules.records import EventKind
from rules.vocabulary import Verdict
from tasks.feature_flags import (
    apply_flags,
    await_flag_approvals,
    put_back_flags,
    request_flag_approvals,
    tell_waiting,
    verify_flags,
)
from tasks.promotions import Promotion

POLICY = FlagPolicy(project="batbern", tags=("promote",))
VERSION, PLAN_HASH = "3f2a1bc", "0123456789abcdef"


class World:
    """The flag service, a door to it, a ledger, and what a promotion's tasks need of a promotion."""

    def __init__(self, url: str, state: VendorState, faults: Faults, folder: Path) -> None:
        self.state, self.faults, self.clock = state, faults, ManualClock()
        token = SecretStr(state.credentials.flag_token)
        quick = Wiring(sleep=lambda _: None)
        self.door = FeatureFlags(url=f"{url}/launchdarkly", token=token).wired(quick)
        chat_token = SecretStr(state.credentials.chat_token)
        self.chat = Chat(url=f"{url}/slack/api", token=chat_token, channel="#releases").wired(quick)
        self.ledger = LocalLedger(directory=str(folder))
        self.target = "staging"

    def plan(self, policy: FlagPolicy = POLICY) -> FlagPlan:
        source = {"staging": "dev", "production": "staging"}[self.target]
        return plan_flags(self.door.read("batbern", source), self.door.read("batbern", self.target), policy)

    def state_of(self, key: str, environment: str = "") -> dict[str, Any]:
        config: dict[str, Any] = self.state.flags.flags[key]["environments"][environment or self.target]
        return config

    def meaning_of(self, key: str, environment: str = "") -> dict[str, Any]:
        """A flag's state without what belongs to the environment: ids, version, time."""
        aspects = ("on", "fallthrough", "offVariation", "rules", "targets", "prerequisites")
        return {aspect: _bare(self.state_of(key, environment)[aspect]) for aspect in aspects}

    def everything(self) -> dict[str, Any]:
        return copy.deepcopy({key: flag["environments"] for key, flag in self.state.flags.flags.items()})

    def promotion(self) -> Promotion:
        environment = SimpleNamespace(name=self.target, flag_environment=self.target)
        application = SimpleNamespace(flags=self.door, ledger=self.ledger, chat=self.chat)
        fake = SimpleNamespace(application=application, target=SimpleNamespace(environment=environment), run_id="")
        return cast("Promotion", fake)

    def whole(self, flags: FlagPlan) -> Plan:
        release = SimpleNamespace(version=VERSION)
        names = {"application": "batbern", "source": flags.source, "target": self.target}
        return cast("Plan", SimpleNamespace(flags=flags, hash=PLAN_HASH, release=release, **names))

    def apply(self, flags: FlagPlan) -> None:
        with disable_run_logger():
            apply_flags.fn(self.promotion(), self.whole(flags))

    def verdict(self, flags: FlagPlan) -> Verdict:
        return verify_flags.fn(self.promotion(), self.whole(flags)).verdict

    def put_back(self) -> None:
        intents = [r.event for r in self.ledger.records() if r.event.kind is EventKind.FLAGS_INTENT]
        put_back_flags.fn(self.promotion(), PLAN_HASH, intents)

    def kinds(self) -> list[EventKind]:
        return [record.event.kind for record in self.ledger.records()]

    def ask(self, flags: FlagPlan) -> tuple[ApprovalRequest, ...]:
        changes = [change for change in flags.changes if change.needs_approval]
        return request_flag_approvals(self.door, changes, VERSION, "a promotion")

    def wait(
        self, requests: tuple[ApprovalRequest, ...], minutes: float, meanwhile: Callable[[], object] = lambda: None
    ) -> list[Verdict]:
        def pause(seconds: float) -> None:
            meanwhile()
            self.clock.advance(seconds)

        findings = await_flag_approvals(
            self.door, requests, minutes, lambda _percent, _words: None, clock=self.clock.monotonic, pause=pause
        )
        return [finding.verdict for finding in findings]


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _bare(inner) for key, inner in value.items() if key != "_id"}
    return [_bare(inner) for inner in value] if isinstance(value, list) else value


@pytest.fixture(scope="module")
def state() -> VendorState:
    return VendorState(limits=Limits(flag_requests=100_000))


@pytest.fixture(scope="module")
def faults() -> Faults:
    return Faults()


@pytest.fixture(scope="module")
def url(state: VendorState, faults: Faults) -> Iterator[str]:
    # Named as TCP, because asyncio switches Nagle's delay (40 ms an answer) off only for sockets that say so.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    server = uvicorn.Server(uvicorn.Config(create_app(state, faults), log_level="critical", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


@pytest.fixture
def world(url: str, state: VendorState, faults: Faults, tmp_path: Path) -> World:
    state.reset()
    state.seed()
    faults.clear()
    return World(url, state, faults, tmp_path)


class TestSynchronised:
    def test_switch_rollout_rules_targets_and_prerequisites_arrive_in_the_target(self, world: World) -> None:
        plan = world.plan()
        plan.raise_if_unsafe()
        world.apply(plan)
        for key in plan.desired:
            assert world.meaning_of(key, "staging") == world.meaning_of(key, "dev")
        voting = world.state_of("partner-voting")
        assert voting["on"]
        assert voting["prerequisites"] == [{"key": "partner-portal", "variation": 0}]
        assert voting["targets"][0]["values"] == ["anna.meier", "reto.keller"]
        assert voting["rules"][0]["clauses"][0]["op"] == "endsWith"
        assert world.state_of("company-autocomplete")["rules"][0]["clauses"][0]["op"] == "segmentMatch"

    def test_a_percentage_rollout_arrives_with_its_weights(self, world: World) -> None:
        world.state_of("speaker-self-service", "dev")["fallthrough"] = {
            "rollout": {
                "variations": [{"variation": 0, "weight": 12_500}, {"variation": 1, "weight": 87_500}],
                "contextKind": "organization",
            }
        }
        world.apply(world.plan())
        rollout = world.state_of("speaker-self-service")["fallthrough"]["rollout"]
        assert [each["weight"] for each in rollout["variations"]] == [12_500, 87_500]
        assert rollout["contextKind"] == "organization"

    def test_flags_that_no_policy_covers_and_other_environments_stay_untouched(self, world: World) -> None:
        before, plan = world.everything(), world.plan()
        world.apply(plan)
        changed = {change.key for change in plan.changes}
        for key, environments in world.everything().items():
            assert environments["dev"] == before[key]["dev"]
            assert environments["production"] == before[key]["production"]
            if key not in changed:
                assert environments["staging"] == before[key]["staging"]
        assert world.state_of("maintenance-banner")["on"]
        assert not world.state_of("log-level")["on"]

    def test_promoting_again_changes_nothing(self, world: World) -> None:
        world.apply(world.plan())
        before, again = world.everything(), world.plan()
        assert again.changes == ()
        world.apply(again)
        assert world.everything() == before

    def test_a_promotion_that_died_half_way_is_completed_under_the_same_fingerprint(self, world: World) -> None:
        plan = world.plan()
        for change in plan.changes[:2]:
            world.door.apply(change, "then the machine died")
        rest = world.plan()
        assert len(rest.changes) == len(plan.changes) - 2
        assert rest.fingerprint() == plan.fingerprint()
        world.apply(rest)
        assert world.plan().changes == ()

    def test_the_intent_is_recorded_before_the_first_change(self, world: World) -> None:
        world.faults.add(Fault("launchdarkly", kind=FaultKind.GARBAGE, operation="get_flag"))
        with pytest.raises(Exception, match="LaunchDarkly did not answer"):
            world.apply(world.plan())
        assert world.kinds() == [EventKind.FLAGS_INTENT]

    @pytest.mark.parametrize("kind", [FaultKind.ERROR, FaultKind.RESET, FaultKind.GARBAGE, FaultKind.THROTTLE])
    def test_a_passing_trouble_of_the_flag_service_does_not_matter(self, world: World, kind: FaultKind) -> None:
        plan = world.plan()
        world.faults.add(Fault("launchdarkly", kind=kind, operation="patch_flag", times=2))
        world.apply(plan)
        assert world.verdict(plan) is Verdict.PASSED


class TestRefused:
    """Nothing is ever switched off, or half done, in silence."""

    def test_a_segment_that_the_target_lacks(self, world: World) -> None:
        world.state.flags.segments["staging"].clear()
        with pytest.raises(Refused, match="'beta-partners', which staging does not have"):
            world.plan().raise_if_unsafe()

    def test_a_prerequisite_that_stays_off_in_the_target(self, world: World) -> None:
        world.state_of("partner-portal")["on"] = False
        with pytest.raises(Refused, match="partner-portal, which is off in staging"):
            world.plan(FlagPolicy(project="batbern", keys=("partner-voting",))).raise_if_unsafe()

    def test_switching_off_what_a_flag_that_stays_depends_on(self, world: World) -> None:
        world.apply(world.plan())
        world.state_of("partner-portal", "dev")["on"] = False
        with pytest.raises(Refused, match="would switch off partner-voting too"):
            world.plan(FlagPolicy(project="batbern", keys=("partner-portal",))).raise_if_unsafe()

    def test_a_flag_that_the_catalogue_names_and_nobody_has(self, world: World) -> None:
        with pytest.raises(Refused, match="no live flag of that name"):
            world.plan(FlagPolicy(project="batbern", keys=("partner-votingg",))).raise_if_unsafe()

    def test_a_flag_that_somebody_changed_since_the_plan(self, world: World) -> None:
        plan = world.plan()
        world.state_of("speaker-self-service")["fallthrough"] = {"variation": 1}
        with pytest.raises(Conflict, match="changed by somebody else"):
            world.apply(plan)
        assert not world.state_of("speaker-self-service")["on"]


class TestApproved:
    """Where the flag service asks for approval (405), a promotion waits for it; it neither fails nor goes around it."""

    @pytest.fixture
    def guarded(self, world: World) -> World:
        world.apply(world.plan())
        world.target = "production"
        return world

    def test_approved_changes_arrive(self, guarded: World) -> None:
        plan = guarded.plan()
        assert plan.needs_approval
        requests = guarded.ask(plan)
        assert not any(guarded.state_of(key)["on"] for key in plan.desired)

        def approve() -> None:
            for request in guarded.state.flags.pending():
                guarded.state.approve_flag_request(request["_id"])

        assert set(guarded.wait(requests, 60, meanwhile=approve)) == {Verdict.PASSED}
        guarded.apply(plan)
        assert guarded.verdict(plan) is Verdict.PASSED
        assert all(guarded.meaning_of(key) == guarded.meaning_of(key, "staging") for key in plan.desired)

    def test_a_run_that_starts_again_asks_nobody_twice(self, guarded: World) -> None:
        first = guarded.ask(guarded.plan())
        assert guarded.ask(guarded.plan()) == first
        assert len(guarded.state.flags.approvals) == len(first)

    def test_approvers_are_told_once_which_flags_wait(self, guarded: World) -> None:
        plan = guarded.plan()
        requests = guarded.ask(plan)
        with disable_run_logger():
            for _ in range(2):
                tell_waiting(guarded.promotion(), guarded.whole(plan), requests)
        (message,) = guarded.state.chat.messages
        assert "is waiting for people" in message["text"]
        assert "partner-voting" in message["text"]

    def test_a_chat_that_is_down_does_not_stop_a_promotion(self, guarded: World) -> None:
        plan = guarded.plan()
        guarded.faults.add(Fault("slack", kind=FaultKind.ERROR))
        with disable_run_logger():
            tell_waiting(guarded.promotion(), guarded.whole(plan), guarded.ask(plan))
        assert EventKind.NOTIFIED not in guarded.kinds()

    def test_a_change_that_an_approver_applied_by_hand_is_taken_as_done(self, guarded: World) -> None:
        plan = guarded.plan()
        requests = guarded.ask(plan)
        for request in requests:
            guarded.state.approve_flag_request(request.id)
            guarded.state.flags.apply_approval(request.id, "release-manager")
        assert set(guarded.wait(requests, 60)) == {Verdict.PASSED}
        guarded.apply(plan)
        assert guarded.verdict(plan) is Verdict.PASSED

    def test_a_declined_change_ends_the_waiting_with_a_refusal(self, guarded: World) -> None:
        requests = guarded.ask(guarded.plan())
        guarded.state.flags.review(requests[0].id, "release-manager", "decline")
        verdicts = guarded.wait(requests, 60)
        assert verdicts[0] is Verdict.FAILED
        assert guarded.clock.monotonic() < 60

    def test_waiting_ends_with_its_time_and_is_no_pass(self, guarded: World) -> None:
        began = guarded.clock.monotonic()
        verdicts = guarded.wait(guarded.ask(guarded.plan()), minutes=2)
        assert set(verdicts) == {Verdict.INCONCLUSIVE}
        assert 120 <= guarded.clock.monotonic() - began < 130

    def test_what_nobody_approved_is_not_changed(self, guarded: World) -> None:
        plan, before = guarded.plan(), guarded.everything()
        with pytest.raises(ApplyFailed, match="needs an approval that is pending"):
            guarded.apply(plan)
        assert guarded.everything() == before


class TestVerified:
    def test_after_the_deployment_the_flags_are_read_back(self, world: World) -> None:
        plan = world.plan()
        assert world.verdict(plan) is Verdict.FAILED
        world.apply(plan)
        assert world.verdict(plan) is Verdict.PASSED
        assert world.kinds() == [EventKind.FLAGS_INTENT, EventKind.FLAGS_APPLIED]

    @pytest.mark.parametrize("key", ["partner-voting", "partner-portal"], ids=["a changed flag", "an unchanged flag"])
    def test_a_flag_that_somebody_switched_off_meanwhile_is_found(self, world: World, key: str) -> None:
        plan = world.plan()
        world.apply(plan)
        world.state_of(key)["on"] = False
        finding = verify_flags.fn(world.promotion(), world.whole(plan))
        assert finding.verdict is Verdict.FAILED
        assert f"Flag {key} in staging: switch is off instead of on" in finding.sentence

    def test_a_flag_service_that_is_down_is_no_pass(self, world: World) -> None:
        plan = world.plan()
        world.faults.add(Fault("launchdarkly", kind=FaultKind.ERROR))
        with pytest.raises(Exception, match="LaunchDarkly did not answer"):
            world.verdict(plan)

    def test_a_release_without_flags_says_so(self, world: World) -> None:
        finding = verify_flags.fn(world.promotion(), world.whole(world.plan(FlagPolicy())))
        assert finding.sentence == "The catalogue names no feature flags to promote."


class TestPutBack:
    def test_every_flag_is_again_what_it_was(self, world: World) -> None:
        keys = list(world.plan().desired)
        before = {key: world.meaning_of(key) for key in keys}
        world.apply(world.plan())
        world.put_back()
        assert {key: world.meaning_of(key) for key in keys} == before
        assert world.kinds()[-1] is EventKind.FLAGS_PUT_BACK

    def test_half_a_change_is_put_back_and_putting_back_twice_is_once(self, world: World) -> None:
        plan, before = world.plan(), world.meaning_of("company-autocomplete")
        world.door.apply(plan.changes[0], "the first one")
        world.faults.add(Fault("launchdarkly", kind=FaultKind.ERROR, operation="patch_flag"))
        with pytest.raises(Exception, match="LaunchDarkly did not answer"):
            world.apply(plan)
        world.faults.clear()
        world.put_back()
        assert world.meaning_of("company-autocomplete") == before
        after = world.everything()
        world.put_back()
        assert world.everything() == after

    def test_what_somebody_else_changed_since_stays_and_the_others_go_back(self, world: World) -> None:
        world.apply(world.plan())
        world.state_of("speaker-self-service")["fallthrough"] = {"variation": 1}
        with pytest.raises(ApplyFailed, match="speaker-self-service in staging was changed by somebody else"):
            world.put_back()
        assert world.state_of("speaker-self-service")["on"]
        assert world.state_of("partner-voting")["targets"] == []
        assert EventKind.FLAGS_PUT_BACK not in world.kinds()

    def test_where_going_back_needs_approval_it_is_asked_for_and_told(self, world: World) -> None:
        world.apply(world.plan())
        world.state.require_flag_approvals("staging", required=True)
        with pytest.raises(ApplyFailed, match="needs an approval that is pending"):
            world.put_back()
        for request in world.state.flags.pending():
            world.state.approve_flag_request(request["_id"])
        world.put_back()
        assert world.state_of("partner-voting")["targets"] == []
