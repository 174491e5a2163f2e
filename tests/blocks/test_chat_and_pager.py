"""The doors to chat and on-call against the stand-ins: what arrives, what is refused, what is sent twice or never."""

import httpx
import pytest
from pydantic import SecretStr, ValidationError

from blocks.chat import Chat, Posted
from blocks.pager import Pager
from blocks.wire import Wiring
from deployments.sandbox.clock import ManualClock
from deployments.sandbox.faults import Fault, FaultKind, Faults
from deployments.sandbox.vendors.application import create_app
from deployments.sandbox.vendors.in_process import InProcess
from deployments.sandbox.vendors.state import VendorState
from rules.errors import Declined, Outage
from rules.messages import ChatMessage, Ending, RunSummary, change_note, chat_message, page
from rules.vocabulary import Finding, Verdict

FINDINGS = tuple(Finding(f"gate {n}", Verdict.FAILED, "x < y & z " * 90) for n in range(30))
SUMMARY = RunSummary(
    flow="promote-to-staging",
    application="batbern",
    source="dev",
    target="staging",
    version="3f2a1bc",
    outcome=Ending.PUT_BACK_FAILED,
    sentence="gateway is stuck & serves nothing. " * 80,
    findings=FINDINGS,
    run_url="https://prefect.test/runs/flow-run/1234",
    duration_s=200,
    serving={f"service-{n}": f"version-{n}" for n in range(60)},
)
MESSAGE = chat_message(SUMMARY)


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
    return Wiring(InProcess(create_app(state, faults)), clock.monotonic, clock.now, clock.advance, lambda: 0.5)


@pytest.fixture
def chat(state: VendorState, wiring: Wiring) -> Chat:
    token = SecretStr(state.credentials.chat_token)
    return Chat(url="http://sandbox/slack/api", token=token, channel="#releases").wired(wiring)


@pytest.fixture
def pager(state: VendorState, wiring: Wiring) -> Pager:
    key = SecretStr(state.credentials.pager_key)
    return Pager(url="http://sandbox/pagerduty", routing_key=key).wired(wiring)


# --- chat --------------------------------------------------------------------------------------------------


def test_the_largest_message_is_accepted(chat: Chat, state: VendorState) -> None:
    posted = chat.post(MESSAGE)
    assert posted.ts
    assert state.chat.messages[-1]["text"] == MESSAGE.text


def test_a_thread_and_a_change_find_their_message(chat: Chat, state: VendorState) -> None:
    posted = chat.post(MESSAGE)
    chat.post(ChatMessage("an answer", ()), thread=posted)
    chat.update(posted, ChatMessage("changed", ()))
    first, answer = state.chat.messages[-2:]
    assert first["text"] == "changed"
    assert answer["thread_ts"] == posted.ts


def test_a_webhook_takes_messages_without_a_token(state: VendorState, wiring: Wiring) -> None:
    address = f"http://sandbox/slack{state.credentials.chat_webhook}"
    chat = Chat(webhook=SecretStr(address)).wired(wiring)
    assert chat.post(MESSAGE) == Posted()
    assert chat.update(Posted(), MESSAGE) == Posted()
    assert len(state.chat.messages) == 2


def test_a_webhooks_address_is_in_no_error(state: VendorState, wiring: Wiring) -> None:
    address = "http://sandbox/slack/services/TSANDBOX/BRELEASES/very-wrong-hook"
    chat = Chat(webhook=SecretStr(address)).wired(wiring)
    with pytest.raises(Declined) as caught:
        chat.post(MESSAGE)
    assert "very-wrong-hook" not in str(caught.value) + repr(chat)


def test_an_answer_of_200_that_says_no_is_a_refusal(state: VendorState, wiring: Wiring) -> None:
    token = SecretStr(state.credentials.chat_token)
    lost = Chat(url="http://sandbox/slack/api", token=token, channel="#nowhere").wired(wiring)
    with pytest.raises(Declined, match="channel_not_found"):
        lost.post(MESSAGE)
    stranger = Chat(url="http://sandbox/slack/api", token=SecretStr("wrong-token"), channel="#releases").wired(wiring)
    with pytest.raises(Declined, match="invalid_auth"):
        stranger.post(MESSAGE)


def test_blocks_that_slack_does_not_take_are_refused(chat: Chat) -> None:
    with pytest.raises(Declined, match="invalid_blocks"):
        chat.post(ChatMessage("x", ({"type": "header", "text": {"type": "plain_text", "text": "x" * 200}},)))


def test_more_messages_than_slack_takes_are_spread_over_time(
    chat: Chat, state: VendorState, clock: ManualClock
) -> None:
    began = clock.monotonic()
    for _ in range(9):
        chat.post(MESSAGE)
    assert len(state.chat.messages) == 9
    assert clock.monotonic() - began >= 2


def test_after_a_lost_answer_an_ordinary_message_is_not_sent_again(
    chat: Chat, state: VendorState, faults: Faults
) -> None:
    faults.add(Fault("slack", kind=FaultKind.GARBAGE, operation="post_message", times=1))
    with pytest.raises(Outage):
        chat.post(MESSAGE)
    assert len(state.chat.messages) == 1


def test_after_a_lost_answer_an_urgent_message_is_sent_again(chat: Chat, state: VendorState, faults: Faults) -> None:
    faults.add(Fault("slack", kind=FaultKind.GARBAGE, operation="post_message", times=1))
    chat.post(MESSAGE, urgent=True)
    assert len(state.chat.messages) == 2


def test_a_passing_error_in_slacks_own_words_is_an_outage() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"ok": False, "error": "internal_error"}))
    chat = Chat(token=SecretStr("xoxb-token"), channel="#releases").wired(Wiring(transport=transport))
    with pytest.raises(Outage, match="internal_error"):
        chat.post(MESSAGE)


def test_chat_needs_exactly_one_way_in() -> None:
    hook, token = SecretStr("https://hooks.test/x"), SecretStr("xoxb-token")
    for wrong in ({}, {"token": token}, {"token": token, "channel": "#r", "webhook": hook}):
        with pytest.raises(ValidationError, match="either a webhook, or a token and a channel"):
            Chat(**wrong)


# --- pager -------------------------------------------------------------------------------------------------


def test_a_page_opens_one_incident_however_often_it_is_sent(pager: Pager, state: VendorState) -> None:
    alert = page(SUMMARY)
    assert alert is not None
    key = pager.trigger(alert)
    assert pager.trigger(alert) == key
    (incident,) = state.pager.incidents
    assert incident["status"] == "triggered"
    pager.resolve(key)
    assert state.pager.incidents[0]["status"] == "resolved"


def test_a_page_whose_answer_was_lost_is_sent_again_and_is_one(
    pager: Pager, state: VendorState, faults: Faults
) -> None:
    alert = page(SUMMARY)
    assert alert is not None
    faults.add(Fault("pagerduty", kind=FaultKind.GARBAGE, times=2))
    pager.trigger(alert)
    assert len(state.pager.incidents) == 1


def test_a_change_is_noted_once_and_not_again_after_a_lost_answer(
    pager: Pager, state: VendorState, faults: Faults
) -> None:
    note = change_note(SUMMARY)
    assert note is not None
    pager.note_change(note)
    faults.add(Fault("pagerduty", kind=FaultKind.GARBAGE, times=1))
    with pytest.raises(Outage):
        pager.note_change(note)
    assert len(state.pager.changes) == 2


def test_a_wrong_routing_key_is_refused_and_not_shown(wiring: Wiring) -> None:
    key = "ffffffffffffffffffffffffffffffff"
    pager = Pager(url="http://sandbox/pagerduty", routing_key=SecretStr(key)).wired(wiring)
    with pytest.raises(Declined) as caught:
        pager.resolve("some-key")
    assert key not in str(caught.value) + repr(pager)
