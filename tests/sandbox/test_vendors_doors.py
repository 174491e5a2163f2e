"""The product's own doors, through the vendors' stand-ins: what one says the other understands."""

import pytest

from blocks.chat import Chat
from blocks.feature_flags import Applied, ApprovalRequired, Decision, FeatureFlags
from blocks.pager import Pager
from blocks.wire import Wiring
from deployments.sandbox.clock import ManualClock
from deployments.sandbox.faults import Fault, FaultKind, Faults
from deployments.sandbox.vendors.application import create_app
from deployments.sandbox.vendors.in_process import InProcess
from deployments.sandbox.vendors.state import VendorState
from rules.catalogue import FlagPolicy
from rules.feature_flags import FlagPlan, judge_flags, plan_flags
from rules.messages import ChatMessage, Page
from rules.vocabulary import Verdict

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
def wiring(state: VendorState, faults: Faults, clock: ManualClock) -> Wiring:
    transport = InProcess(create_app(state, faults))
    return Wiring(transport, clock.monotonic, clock.now, clock.advance, lambda: 0.5)


@pytest.fixture
def flags(state: VendorState, wiring: Wiring) -> FeatureFlags:
    token = state.credentials.flag_token
    return FeatureFlags(url="http://sandbox/launchdarkly", token=token).wired(wiring)


def planned(flags: FeatureFlags, source: str, target: str) -> FlagPlan:
    return plan_flags(flags.read("batbern", source), flags.read("batbern", target), POLICY)


def test_flags_arrive_in_staging_and_a_second_plan_is_empty(flags: FeatureFlags) -> None:
    plan = planned(flags, "dev", "staging")
    assert {change.key for change in plan.changes} == {
        "event-archive-search",
        "speaker-self-service",
        "partner-voting",
        "company-autocomplete",
    }
    assert all(isinstance(flags.apply(change, "release"), Applied) for change in plan.changes)
    assert planned(flags, "dev", "staging").changes == ()
    assert judge_flags(plan, flags.read("batbern", "staging")).verdict is Verdict.PASSED


def test_production_waits_for_an_approver_in_the_flag_service(flags: FeatureFlags, state: VendorState) -> None:
    plan = planned(flags, "dev", "production")
    change = next(change for change in plan.changes if change.key == "partner-portal")
    assert isinstance(flags.apply(change, "release"), ApprovalRequired)
    request = flags.request_approval(change, "run-1", "release")
    assert flags.request_approval(change, "run-1", "release").id == request.id
    assert request.decision is Decision.PENDING
    state.approve_flag_request(request.id)
    assert flags.decision(request).decision is Decision.APPROVED
    assert isinstance(flags.apply_approved(request, change, "release"), Applied)
    assert state.flags.flags["partner-portal"]["environments"]["production"]["on"] is True


@pytest.mark.parametrize("kind", [FaultKind.THROTTLE, FaultKind.ERROR])
def test_a_fault_that_passes_is_waited_for(flags: FeatureFlags, faults: Faults, kind: FaultKind) -> None:
    change = planned(flags, "dev", "staging").changes[0]
    faults.add(Fault("launchdarkly", kind=kind, operation="patch_flag", times=1))
    assert isinstance(flags.apply(change, "release"), Applied)


def test_a_message_and_a_page_arrive(wiring: Wiring, state: VendorState) -> None:
    chat = Chat(url="http://sandbox/slack/api", token=state.credentials.chat_token, channel="#releases")
    pager = Pager(url="http://sandbox/pagerduty", routing_key=state.credentials.pager_key)
    posted = chat.wired(wiring).post(ChatMessage("started", ({"type": "divider"},)))
    chat.wired(wiring).update(posted, ChatMessage("done", ({"type": "divider"},)))
    pager.wired(wiring).trigger(Page("Put-back failed", "promotion", "critical", "run-1", {"run": "1"}))
    assert [message["text"] for message in state.chat.messages] == ["done"]
    assert [incident["dedup_key"] for incident in state.pager.incidents] == ["run-1"]
