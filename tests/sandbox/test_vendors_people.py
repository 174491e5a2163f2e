"""Tickets, chat and pager refuse, remember and answer as Jira, Slack and PagerDuty do."""

from typing import Any

import pytest
from httpx import Client

from deployments.sandbox.clock import ManualClock
from deployments.sandbox.faults import Fault, FaultKind, Faults
from deployments.sandbox.vendors.application import create_app
from deployments.sandbox.vendors.in_process import client_of
from deployments.sandbox.vendors.state import VendorState
from deployments.sandbox.vendors.ticket_store import paragraph

ISSUE = "/jira/rest/api/3/issue/CHG-103"


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
def anybody(state: VendorState, faults: Faults) -> Client:
    return client_of(create_app(state, faults))


@pytest.fixture
def jira(state: VendorState, faults: Faults) -> Client:
    client = client_of(create_app(state, faults))
    client.auth = (state.credentials.ticket_user, state.credentials.ticket_token)
    return client


@pytest.fixture
def slack(state: VendorState, faults: Faults) -> Client:
    headers = {"Authorization": f"Bearer {state.credentials.chat_token}"}
    return client_of(create_app(state, faults), headers=headers)


def say(client: Client, **message: Any) -> Any:
    return client.post("/slack/api/chat.postMessage", json={"channel": "#releases", **message})


# Tickets


def test_a_ticket_moves_only_along_its_workflow(jira: Client) -> None:
    moves = jira.get(f"{ISSUE}/transitions").json()["transitions"]
    assert [move["name"] for move in moves] == ["Approve", "Decline"]
    assert jira.post(f"{ISSUE}/transitions", json={"transition": {"id": "41"}}).status_code == 400
    assert jira.post(f"{ISSUE}/transitions", json={"transition": {"id": "21"}}).status_code == 204
    assert jira.get(f"{ISSUE}?fields=status").json()["fields"]["status"]["name"] == "Approved"


def test_a_comment_is_a_document_and_never_plain_text(jira: Client, state: VendorState) -> None:
    assert jira.post(f"{ISSUE}/comment", json={"body": "promoted"}).status_code == 400
    answer = jira.post(f"{ISSUE}/comment", json={"body": paragraph("promoted")})
    assert answer.status_code == 201
    shown = next(ticket for ticket in state.snapshot()["tickets"] if ticket["key"] == "CHG-103")
    assert [comment["text"] for comment in shown["comments"]] == ["promoted"]


def test_a_remote_link_is_kept_once_per_global_id_and_what_is_left_out_is_lost(jira: Client) -> None:
    link: dict[str, Any] = {"globalId": "promotion=1", "object": {"url": "http://127.0.0.1/1", "title": "Run 1"}}
    first = jira.post(f"{ISSUE}/remotelink", json=link | {"relationship": "released by"})
    second = jira.post(f"{ISSUE}/remotelink", json=link | {"object": {"url": "http://127.0.0.1/2", "title": "Run 2"}})
    assert (first.status_code, second.status_code) == (201, 200)
    (kept,) = jira.get(f"{ISSUE}/remotelink").json()
    assert kept["object"]["title"] == "Run 2"
    assert kept["relationship"] is None


def test_a_property_is_a_marker_of_limited_size(jira: Client) -> None:
    path = f"{ISSUE}/properties/promotion"
    assert jira.get(path).status_code == 404
    assert jira.put(path, json={"run": 1}).status_code == 201
    assert jira.put(path, json={"run": 2}).status_code == 200
    assert jira.get(path).json()["value"] == {"run": 2}
    assert jira.get(f"{ISSUE}?properties=promotion&fields=summary").json()["properties"] == {"promotion": {"run": 2}}
    assert jira.put(path, json="x" * 40_000).status_code == 413


def test_what_may_not_be_seen_does_not_exist(jira: Client) -> None:
    assert jira.get("/jira/rest/api/3/issue/SEC-1").status_code == 404
    assert jira.post("/jira/rest/api/3/search/jql", json={"jql": "project = SEC"}).json()["issues"] == []


def test_search_lags_behind_and_gives_only_the_fields_asked_for(jira: Client, clock: ManualClock) -> None:
    fields = {"project": {"key": "CHG"}, "issuetype": {"name": "Change"}, "summary": "New", "labels": ["release"]}
    made = jira.post("/jira/rest/api/3/issue", json={"fields": fields})
    assert made.status_code == 201
    query = {"jql": "project = CHG AND summary ~ new ORDER BY created DESC", "fields": ["summary"]}
    search = "/jira/rest/api/3/search/jql"
    assert jira.post(search, json=query).json() == {"issues": [], "isLast": True}
    clock.advance(2)
    (found,) = jira.post(search, json=query).json()["issues"]
    assert found["fields"] == {"summary": "New"}
    bare = jira.post(search, json={"jql": 'status in ("To Do")'}).json()["issues"]
    assert all(set(issue) == {"id"} for issue in bare)


def test_search_comes_in_pages_without_a_total(jira: Client) -> None:
    query: dict[str, Any] = {"jql": "labels = release", "fields": ["status"], "maxResults": 2}
    first = jira.post("/jira/rest/api/3/search/jql", json=query).json()
    second = jira.post("/jira/rest/api/3/search/jql", json=query | {"nextPageToken": first["nextPageToken"]}).json()
    assert (len(first["issues"]), first["isLast"]) == (2, False)
    assert (len(second["issues"]), second["isLast"]) == (1, True)
    assert "total" not in first


@pytest.mark.parametrize("query", ["order by created", "colour = red", "status > 3"])
def test_a_query_that_jira_does_not_understand_is_refused(jira: Client, query: str) -> None:
    assert jira.post("/jira/rest/api/3/search/jql", json={"jql": query}).status_code == 400


def test_the_old_search_is_gone_and_strangers_stay_outside(jira: Client, anybody: Client) -> None:
    assert jira.get("/jira/rest/api/3/search?jql=x").status_code == 410
    assert anybody.get(ISSUE).status_code == 401
    assert anybody.get(ISSUE, headers={"Authorization": "Basic %%%"}).status_code == 401


def test_too_many_writes_to_one_ticket_are_slowed_down(jira: Client) -> None:
    answers = [jira.put(f"{ISSUE}/properties/p", json=number) for number in range(21)]
    assert answers[-1].status_code == 429
    assert answers[-1].headers["RateLimit-Reason"] == "jira-per-issue-on-write"
    assert int(answers[-1].headers["Retry-After"]) >= 1
    assert jira.get(ISSUE).status_code == 200


# Chat


def test_a_message_is_named_by_its_ts_and_can_be_changed(slack: Client, state: VendorState) -> None:
    posted = say(slack, text="waiting").json()
    reply = say(slack, text="in the thread", thread_ts=posted["ts"]).json()
    changed = slack.post(
        "/slack/api/chat.update", json={"channel": posted["channel"], "ts": posted["ts"], "text": "done"}
    )
    assert posted["ok"] is reply["ok"] is changed.json()["ok"] is True
    assert posted["ts"] != reply["ts"]
    assert [m["text"] for m in state.chat.messages] == ["done", "in the thread"]
    assert state.chat.messages[1]["thread_ts"] == posted["ts"]


@pytest.mark.parametrize(
    ("message", "error"),
    [
        pytest.param({"channel": "#nowhere", "text": "x"}, "channel_not_found", id="no such channel"),
        pytest.param({"channel": "#random", "text": "x"}, "not_in_channel", id="not invited"),
        pytest.param({}, "no_text", id="nothing to say"),
        pytest.param({"text": "x" * 40_001}, "msg_too_long", id="too long"),
        pytest.param({"text": "x", "blocks": [{"type": "divider"}] * 51}, "invalid_blocks", id="too many blocks"),
        pytest.param({"text": "x", "blocks": [{"type": "section"}]}, "invalid_blocks", id="empty section"),
        pytest.param(
            {"text": "x", "blocks": [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}]},
            "invalid_blocks",
            id="long header",
        ),
        pytest.param(
            {"text": "x", "blocks": [{"type": "section", "text": {"type": "mrkdwn", "text": "x" * 3_000}}] * 5},
            "msg_blocks_too_long",
            id="too much altogether",
        ),
    ],
)
def test_a_refusal_is_a_200_that_is_not_ok(slack: Client, message: dict[str, Any], error: str) -> None:
    answer = say(slack, **message)
    assert answer.status_code == 200
    assert answer.json()["ok"] is False
    assert answer.json()["error"] == error


def test_a_fast_talker_is_told_to_wait(slack: Client, clock: ManualClock) -> None:
    answers = [say(slack, text=str(number)) for number in range(7)]
    assert [answer.status_code for answer in answers] == [200] * 6 + [429]
    assert answers[-1].headers["Retry-After"] == "1"
    clock.advance(1)
    assert say(slack, text="again").json()["ok"] is True


def test_a_webhook_answers_in_one_word(anybody: Client, state: VendorState) -> None:
    hook = f"/slack{state.credentials.chat_webhook}"
    assert anybody.post(hook, json={"text": "hello"}).text == "ok"
    bad = anybody.post(hook, json={"text": "x", "blocks": [{"type": "nothing"}]})
    assert (bad.status_code, bad.text) == (400, "invalid_blocks")
    lost = anybody.post("/slack/services/T/B/X", json={"text": "x"})
    assert (lost.status_code, lost.text) == (404, "no_service")
    assert state.chat.messages[0]["channel"] == "C0RELEASES"


def test_a_stranger_is_not_heard(anybody: Client, slack: Client) -> None:
    assert say(anybody, text="x").json()["error"] == "not_authed"
    slack.headers["Authorization"] = "Bearer wrong"
    assert say(slack, text="x").json()["error"] == "invalid_auth"


def test_a_lost_answer_does_not_undo_the_message(slack: Client, state: VendorState, faults: Faults) -> None:
    faults.add(Fault("slack", kind=FaultKind.GARBAGE, times=1))
    assert not say(slack, text="written").headers["content-type"].startswith("application/json")
    assert [m["text"] for m in state.chat.messages] == ["written"]


# Pager


def alarm(state: VendorState, **event: Any) -> dict[str, Any]:
    payload = {"summary": "Put-back failed", "source": "promotion", "severity": "critical"}
    base = {"routing_key": state.credentials.pager_key, "event_action": "trigger", "dedup_key": "run-1"}
    return base | {"payload": payload} | event


def test_a_repeated_event_is_one_incident_until_it_is_resolved(anybody: Client, state: VendorState) -> None:
    def send(action: str) -> int:
        return int(anybody.post("/pagerduty/v2/enqueue", json=alarm(state, event_action=action)).status_code)

    assert [send(action) for action in ("trigger", "trigger", "acknowledge", "resolve", "trigger")] == [202] * 5
    incidents = state.snapshot()["pager"]["incidents"]
    assert [(i["status"], i["alerts"]) for i in incidents] == [("resolved", 2), ("triggered", 1)]


def test_an_event_without_a_key_is_given_one(anybody: Client, state: VendorState) -> None:
    event = alarm(state)
    del event["dedup_key"]
    assert len(anybody.post("/pagerduty/v2/enqueue", json=event).json()["dedup_key"]) == 32


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"routing_key": "x" * 32}, id="unknown key"),
        pytest.param({"event_action": "shout"}, id="unknown action"),
        pytest.param({"dedup_key": "x" * 256}, id="long dedup key"),
        pytest.param({"payload": {"summary": "x"}}, id="no severity"),
        pytest.param({"payload": {"summary": "x" * 1025, "source": "s", "severity": "info"}}, id="long summary"),
    ],
)
def test_an_invalid_event_is_a_400(anybody: Client, state: VendorState, change: dict[str, Any]) -> None:
    answer = anybody.post("/pagerduty/v2/enqueue", json=alarm(state, **change))
    assert answer.status_code == 400
    assert answer.json()["status"] == "invalid event"
    assert state.pager.incidents == []


def test_too_many_events_are_throttled(anybody: Client, state: VendorState) -> None:
    answers = [anybody.post("/pagerduty/v2/enqueue", json=alarm(state)) for _ in range(121)]
    assert answers[-2].status_code == 202
    assert answers[-1].status_code == 429


def test_a_change_event_has_no_memory_of_itself(anybody: Client, state: VendorState) -> None:
    change = {"routing_key": state.credentials.pager_key, "payload": {"summary": "Release 3f2a1bc in staging"}}
    for _ in range(2):
        assert anybody.post("/pagerduty/v2/change/enqueue", json=change).status_code == 202
    assert len(state.pager.changes) == 2


def test_a_large_event_is_refused(anybody: Client, state: VendorState) -> None:
    event = alarm(state)
    event["payload"]["custom_details"] = {"log": "x" * 600_000}
    assert anybody.post("/pagerduty/v2/enqueue", json=event).status_code == 413
