"""The flag service refuses, remembers and answers as LaunchDarkly does."""

import copy
from typing import Any

import pytest
from httpx import Client
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deployments.sandbox.clock import ManualClock
from deployments.sandbox.faults import Fault, FaultKind, Faults
from deployments.sandbox.vendors.application import create_app
from deployments.sandbox.vendors.flag_instructions import apply
from deployments.sandbox.vendors.in_process import client_of
from deployments.sandbox.vendors.state import Limits, VendorState

SEMANTIC = "application/json; domain-model=launchdarkly.semanticpatch"
FLAG = "/launchdarkly/api/v2/flags/batbern/partner-voting"
REQUESTS = "/launchdarkly/api/v2/projects/batbern/flags/partner-voting/environments/production/approval-requests"


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
def client(state: VendorState, faults: Faults) -> Client:
    token = state.credentials.flag_token
    return client_of(create_app(state, faults), headers={"Authorization": token})


def patch(client: Client, *instructions: dict[str, Any], environment: str = "staging", path: str = FLAG) -> Any:
    body = {"environmentKey": environment, "instructions": list(instructions)}
    return client.patch(path, json=body, headers={"Content-Type": SEMANTIC})


def variation(state: VendorState, name: str, flag: str = "partner-voting") -> str:
    return next(v["_id"] for v in state.flags.flags[flag]["variations"] if v["name"] == name)


def staging(state: VendorState) -> Any:
    return state.flags.flags["partner-voting"]["environments"]["staging"]


def test_flags_are_listed_by_tag_with_their_details_only_when_asked(client: Client) -> None:
    path = "/launchdarkly/api/v2/flags/batbern?env=staging&filter=tags:promote"
    brief, full = client.get(path).json(), client.get(f"{path}&summary=0").json()
    assert {item["key"] for item in brief["items"]} >= {"partner-voting", "partner-portal"}
    assert all("promote" in item["tags"] for item in brief["items"])
    assert "rules" not in brief["items"][0]["environments"]["staging"]
    assert "rules" in full["items"][0]["environments"]["staging"]
    assert list(full["items"][0]["environments"]) == ["staging"]


def test_a_list_comes_in_pages(client: Client) -> None:
    first = client.get("/launchdarkly/api/v2/flags/batbern?limit=4").json()
    second = client.get("/launchdarkly" + first["_links"]["next"]["href"]).json()
    keys = [item["key"] for page in (first, second) for item in page["items"]]
    assert len(set(keys)) == first["totalCount"] == 7
    assert "next" not in second["_links"]


def test_a_rule_of_an_environment_arrives_in_another_by_variation_id(client: Client, state: VendorState) -> None:
    ranked = variation(state, "ranked")
    clause = {"attribute": "email", "op": "endsWith", "values": ["@partner.batbern.example"]}
    rule = {"variationId": ranked, "clauses": [clause], "description": "Partners vote ranked"}
    answer = patch(client, {"kind": "replaceRules", "rules": [rule]})
    assert answer.status_code == 200
    assert staging(state)["rules"][0]["variation"] == 2
    assert staging(state)["version"] == 2


def test_asking_for_what_already_is_changes_no_version(client: Client, state: VendorState) -> None:
    ranked = variation(state, "ranked")
    rules = {"kind": "replaceRules", "rules": [{"variationId": ranked, "clauses": []}]}
    targets = {"kind": "replaceTargets", "targets": [{"variationId": ranked, "values": ["anna"]}]}
    first = patch(client, rules, targets, {"kind": "turnFlagOn"}).json()
    second = patch(client, rules, targets, {"kind": "turnFlagOn"}).json()
    assert first == second
    assert staging(state)["version"] == 2


def test_one_bad_instruction_leaves_nothing_behind(client: Client, state: VendorState) -> None:
    before = copy.deepcopy(staging(state))
    answer = patch(client, {"kind": "turnFlagOff"}, {"kind": "updateOffVariation", "variationId": "unknown"})
    assert answer.status_code == 400
    assert staging(state) == before


def test_without_the_semantic_content_type_a_patch_is_refused(client: Client) -> None:
    answer = client.patch(FLAG, json={"environmentKey": "staging", "instructions": [{"kind": "turnFlagOn"}]})
    assert answer.status_code == 400
    assert set(answer.json()) == {"code", "message", "id"}


@pytest.mark.parametrize(
    "instruction",
    [
        pytest.param({"kind": "updateTargets"}, id="no such kind"),
        pytest.param({"kind": "turnFlagOn", "extra": 1}, id="unknown field"),
        pytest.param({"kind": "updateFallthroughVariationOrRollout"}, id="neither variation nor rollout"),
        pytest.param({"kind": "updateFallthroughVariationOrRollout", "rolloutWeights": {"x": 1}}, id="bad weights"),
        pytest.param({"kind": "addPrerequisite", "key": "missing", "variationId": "x"}, id="unknown prerequisite"),
        pytest.param({"kind": "removeRule", "ruleId": "missing"}, id="unknown rule"),
        pytest.param(
            {
                "kind": "addRule",
                "variationId": "x",
                "clauses": [{"attribute": "segment", "op": "segmentMatch", "values": ["developers"]}],
            },
            id="segment of another environment",
        ),
    ],
)
def test_what_launchdarkly_refuses_is_refused(client: Client, instruction: dict[str, Any]) -> None:
    assert patch(client, instruction).status_code == 400


def test_rollout_weights_add_up_to_a_hundred_percent(client: Client, state: VendorState) -> None:
    first, second = variation(state, "classic"), variation(state, "ranked")
    kind = "updateFallthroughVariationOrRollout"
    assert patch(client, {"kind": kind, "rolloutWeights": {first: 60_000, second: 30_000}}).status_code == 400
    assert patch(client, {"kind": kind, "rolloutWeights": {first: 60_000, second: 40_000}}).status_code == 200
    shares = [part["weight"] for part in staging(state)["fallthrough"]["rollout"]["variations"]]
    assert shares == [60_000, 40_000]


def test_a_prerequisite_may_not_make_a_circle(client: Client, state: VendorState) -> None:
    on = state.flags.flags["partner-portal"]["variations"][0]["_id"]
    assert patch(client, {"kind": "addPrerequisite", "key": "partner-portal", "variationId": on}).status_code == 200
    portal, voting = FLAG.replace("voting", "portal"), variation(state, "classic")
    back = {"kind": "addPrerequisite", "key": "partner-voting", "variationId": voting}
    assert patch(client, back, path=portal).status_code == 400


def test_an_environment_with_approvals_answers_405_and_takes_a_request_instead(
    client: Client, state: VendorState
) -> None:
    instructions = [{"kind": "turnFlagOn"}]
    assert patch(client, *instructions, environment="production").status_code == 405
    asked = client.post(REQUESTS, json={"description": "release", "instructions": instructions})
    assert asked.status_code == 201
    request = f"{REQUESTS}/{asked.json()['_id']}"
    assert client.post(f"{request}/apply", json={}).status_code == 400
    assert client.post(f"{request}/reviews", json={"kind": "approve"}).status_code == 403
    reviewer = {"Authorization": state.credentials.flag_reviewer_token}
    assert client.post(f"{request}/reviews", json={"kind": "approve"}, headers=reviewer).status_code == 200
    assert client.get(request).json()["reviewStatus"] == "approved"
    assert client.post(f"{request}/apply", json={"comment": "go"}).json()["status"] == "completed"
    assert state.flags.flags["partner-voting"]["environments"]["production"]["on"] is True
    assert client.post(f"{request}/apply", json={}).status_code == 400


def test_a_declined_request_cannot_be_applied(client: Client, state: VendorState) -> None:
    asked = client.post(REQUESTS, json={"description": "release", "instructions": [{"kind": "turnFlagOn"}]}).json()
    state.flags.review(asked["_id"], "release-manager", "decline")
    assert client.get(REQUESTS).json()["items"][0]["reviewStatus"] == "declined"
    assert client.post(f"{REQUESTS}/{asked['_id']}/apply", json={}).status_code == 400


def test_a_change_that_would_break_a_waiting_request_is_refused(client: Client, state: VendorState) -> None:
    client.patch(
        "/launchdarkly/api/v2/projects/batbern/environments/dev",
        json=[{"op": "replace", "path": "/approvalSettings/minNumApprovals", "value": 2}],
    )
    rule = state.flags.flags["partner-voting"]["environments"]["dev"]["rules"][0]["_id"]
    waiting = {"description": "wording", "instructions": [{"kind": "removeRule", "ruleId": rule}]}
    client.post(REQUESTS.replace("production", "dev"), json=waiting)
    wipe = {"kind": "replaceRules", "rules": []}
    assert patch(client, wipe, environment="dev").status_code == 400
    body = {"environmentKey": "dev", "instructions": [wipe]}
    ignoring = client.patch(f"{FLAG}?ignoreConflicts=true", json=body, headers={"Content-Type": SEMANTIC})
    assert ignoring.status_code == 200


def test_approvals_are_switched_on_as_in_the_real_api(client: Client) -> None:
    path = "/launchdarkly/api/v2/projects/batbern/environments/staging"
    client.patch(path, json=[{"op": "replace", "path": "/approvalSettings/required", "value": True}])
    assert client.get(path).json()["approvalSettings"]["required"] is True
    assert patch(client, {"kind": "turnFlagOff"}).status_code == 405


def test_a_concurrent_change_is_a_409(client: Client, state: VendorState) -> None:
    state.flags.collisions["partner-voting"] = 1
    assert patch(client, {"kind": "turnFlagOff"}).status_code == 409
    assert patch(client, {"kind": "turnFlagOff"}).status_code == 200


def test_unknown_things_are_404_and_copying_needs_another_plan(client: Client) -> None:
    assert client.get("/launchdarkly/api/v2/flags/batbern/nothing").status_code == 404
    assert client.get("/launchdarkly/api/v2/flags/other/partner-voting").status_code == 404
    assert client.get("/launchdarkly/api/v2/nothing").json()["code"] == "not_found"
    assert patch(client, {"kind": "turnFlagOn"}, environment="qa").status_code == 404
    assert client.post(f"{FLAG}/copy", json={}).status_code == 403


def test_a_token_is_sent_without_bearer(client: Client, state: VendorState) -> None:
    answer = client.get(FLAG, headers={"Authorization": f"Bearer {state.credentials.flag_token}"})
    assert answer.status_code == 401
    assert "without Bearer" in answer.json()["message"]
    assert state.credentials.flag_token not in answer.text


def test_too_many_requests_are_told_when_to_come_back(clock: ManualClock, faults: Faults) -> None:
    state = VendorState(clock, limits=Limits(flag_requests=2))
    state.seed()
    client = client_of(create_app(state, faults), headers={"Authorization": state.credentials.flag_token})
    answers = [client.get(FLAG) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[0].headers["X-Ratelimit-Route-Remaining"] == "1"
    wait = int(answers[2].headers["X-Ratelimit-Reset"]) / 1000 - clock.now().timestamp()
    assert 0 < wait <= 10
    clock.advance(wait + 0.01)
    assert client.get(FLAG).status_code == 200


@pytest.mark.parametrize(
    ("kind", "status"), [(FaultKind.THROTTLE, 429), (FaultKind.ERROR, 503), (FaultKind.GARBAGE, 200)]
)
def test_a_fault_strikes_as_often_as_asked(client: Client, faults: Faults, kind: FaultKind, status: int) -> None:
    faults.add(Fault("launchdarkly", kind=kind, operation="patch_flag", times=1))
    assert client.get(FLAG).json()["key"] == "partner-voting"
    struck = patch(client, {"kind": "turnFlagOff"})
    assert struck.status_code == status
    assert (kind is FaultKind.GARBAGE) == struck.headers["content-type"].startswith("text/html")
    assert patch(client, {"kind": "turnFlagOff"}).status_code == 200


def _wishes(ids: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    chosen, names = st.sampled_from(ids), st.lists(st.sampled_from(["anna", "reto", "uta"]), max_size=3, unique=True)
    values = {"variationId": chosen, "values": names}
    kinds = st.sampled_from(["addTargets", "removeTargets", "addUserTargets", "removeUserTargets"])
    return st.one_of(
        st.fixed_dictionaries({"kind": kinds, **values}),
        st.fixed_dictionaries({"kind": st.sampled_from(["turnFlagOn", "turnFlagOff", "clearTargets"])}),
        st.fixed_dictionaries({"kind": st.just("updateOffVariation"), "variationId": chosen}),
        st.fixed_dictionaries(
            {"kind": st.just("replaceTargets"), "targets": st.lists(st.fixed_dictionaries(values), max_size=3)}
        ),
    )


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_a_person_is_never_a_target_of_two_variations(state: VendorState, data: st.DataObject) -> None:
    flag = state.flags.flags["partner-voting"]
    ids = [item["_id"] for item in flag["variations"]]
    config = apply(state.flags.scene(flag, "staging"), data.draw(st.lists(_wishes(ids), max_size=8)))
    people = [person for target in config["targets"] for person in target["values"]]
    assert len(people) == len(set(people))
