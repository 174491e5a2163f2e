"""What only a real server shows: connections that are cut and answers that are lost after the work was done."""

import socket
import threading
from collections.abc import Iterator

import httpx
import pytest
import uvicorn

from deployments.sandbox.faults import Fault, FaultKind, Faults
from deployments.sandbox.vendors.application import create_app
from deployments.sandbox.vendors.state import VendorState


@pytest.fixture(scope="module")
def state() -> VendorState:
    state = VendorState()
    state.seed()
    return state


@pytest.fixture(scope="module")
def faults() -> Faults:
    return Faults()


@pytest.fixture(scope="module")
def slack(state: VendorState, faults: Faults) -> Iterator[httpx.Client]:
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(create_app(state, faults), log_level="critical", ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
    thread.start()
    headers = {"Authorization": f"Bearer {state.credentials.chat_token}"}
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/slack"
    try:
        with httpx.Client(base_url=url, headers=headers, timeout=5) as client:
            yield client
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


@pytest.mark.parametrize("kind", [FaultKind.RESET, FaultKind.TIMEOUT])
def test_an_answer_can_be_lost_after_the_work_was_done(
    slack: httpx.Client, state: VendorState, faults: Faults, kind: FaultKind
) -> None:
    before = len(state.chat.messages)
    faults.add(Fault("slack", kind=kind, operation="post_message", times=1, seconds=0.1))
    with pytest.raises(httpx.TransportError):
        slack.post("/api/chat.postMessage", json={"channel": "#releases", "text": "lost"})
    assert len(state.chat.messages) == before + 1


def test_a_client_that_does_not_wait_sees_a_timeout(slack: httpx.Client, faults: Faults) -> None:
    faults.add(Fault("slack", kind=FaultKind.TIMEOUT, operation="post_message", times=1, seconds=0.6))
    with pytest.raises(httpx.ReadTimeout):
        slack.post("/api/chat.postMessage", json={"channel": "#releases", "text": "x"}, timeout=0.2)


def test_a_slow_answer_is_the_right_answer(slack: httpx.Client, faults: Faults) -> None:
    faults.add(Fault("slack", kind=FaultKind.SLOW, operation="auth_test", times=1, seconds=0.2))
    answer = slack.post("/api/auth.test")
    assert answer.json()["ok"] is True
    assert answer.elapsed.total_seconds() >= 0.2
