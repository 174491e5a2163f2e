"""The source repository's stand-in refuses, remembers and answers as GitHub does."""

from typing import Any

import pytest
from httpx import Client

from deployments.sandbox.clock import ManualClock
from deployments.sandbox.faults import Fault, FaultKind, Faults
from deployments.sandbox.vendors.application import create_app
from deployments.sandbox.vendors.in_process import client_of
from deployments.sandbox.vendors.state import Limits, VendorState

REPOSITORY = "/github/repos/batbern/platform"
OLD, NEW = "1111111", "2222222"


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
def github(state: VendorState, faults: Faults) -> Client:
    headers = {"Authorization": f"Bearer {state.credentials.source_token}"}
    return client_of(create_app(state, faults), headers=headers)


def compare(client: Client, base: str, head: str, **query: Any) -> Any:
    return client.get(f"{REPOSITORY}/compare/{base}...{head}", params=query)


def logins(answer: Any) -> list[str]:
    return [(commit["author"] or {}).get("login", "nobody") for commit in answer.json()["commits"]]


def test_two_versions_that_nobody_spoke_of_are_a_release_by_somebody_who_approves_nothing(github: Client) -> None:
    answer = compare(github, OLD, NEW)
    body = answer.json()
    assert (body["status"], body["total_commits"], body["behind_by"]) == ("ahead", 3, 0)
    assert set(logins(answer)) == {"leab"}
    assert body["commits"][-1]["sha"].startswith(NEW)
    assert body["base_commit"]["sha"].startswith(OLD)
    assert compare(github, OLD, NEW).json() == body


def test_the_same_version_is_identical_however_long_it_is_written(github: Client) -> None:
    whole = compare(github, OLD, NEW).json()["commits"][-1]["sha"]
    body = compare(github, NEW, whole).json()
    assert (body["status"], body["commits"]) == ("identical", [])


def test_who_wrote_a_version_can_be_said(github: Client, state: VendorState) -> None:
    state.wrote(NEW, ["anna.meier@batbern.example", "7+rkeller@users.noreply.github.com", "someone@private.example"])
    assert logins(compare(github, OLD, NEW)) == ["annam", "rkeller", "nobody"]


def test_what_was_spoken_of_has_an_order(github: Client, state: VendorState) -> None:
    for version, email in ((OLD, "a@x.example"), ("3333333", "b@x.example"), (NEW, "c@x.example")):
        state.wrote(version, [email])
    forth, back = compare(github, OLD, NEW).json(), compare(github, NEW, OLD).json()
    assert [it["commit"]["author"]["email"] for it in forth["commits"]] == ["b@x.example", "c@x.example"]
    assert (back["status"], back["behind_by"], back["commits"]) == ("behind", 2, [])
    assert back["merge_base_commit"]["sha"].startswith(OLD)


def test_a_branch_of_its_own_has_diverged(github: Client, state: VendorState) -> None:
    state.source.lacking[NEW] = 2
    body = compare(github, OLD, NEW).json()
    assert (body["status"], body["behind_by"], body["total_commits"]) == ("diverged", 2, 3)


def test_commits_come_in_pages_and_the_total_on_each(github: Client, state: VendorState) -> None:
    state.source.wrote(NEW, ["a@x.example"], commits=130)
    pages = [compare(github, OLD, NEW, per_page=100, page=page).json() for page in (1, 2, 3)]
    assert [len(page["commits"]) for page in pages] == [100, 30, 0]
    assert {page["total_commits"] for page in pages} == {130}
    assert len(compare(github, OLD, NEW, per_page=1000).json()["commits"]) == 100


def test_the_newest_commits_come_newest_first(github: Client, state: VendorState) -> None:
    state.wrote(OLD, ["a@x.example"])
    state.wrote(NEW, ["b@x.example"])
    listed = github.get(f"{REPOSITORY}/commits", params={"sha": NEW, "per_page": 100}).json()
    assert [it["commit"]["author"]["email"] for it in listed] == ["b@x.example", "a@x.example"]
    assert listed[0]["sha"].startswith(NEW)
    older = github.get(f"{REPOSITORY}/commits", params={"sha": OLD}).json()
    assert [it["commit"]["author"]["email"] for it in older] == ["a@x.example"]


def test_what_is_not_there_or_may_not_be_seen_is_not_found(github: Client, state: VendorState) -> None:
    state.source.gone.add(NEW)
    paths = (
        f"{REPOSITORY}/compare/{OLD}...{NEW}",
        f"{REPOSITORY}/compare/{OLD}..{NEW}",
        f"{REPOSITORY}/compare/main...x",
    )
    other = "/github/repos/batbern/other/compare/1111111...3333333"
    assert {github.get(path).status_code for path in (*paths, other, "/github/user")} == {404}


def test_without_the_token_nothing_is_told(state: VendorState, faults: Faults) -> None:
    answer = compare(client_of(create_app(state, faults)), OLD, NEW)
    assert (answer.status_code, answer.json()["message"]) == (401, "Bad credentials")


def test_every_answer_tells_what_remains_and_then_there_is_none(clock: ManualClock) -> None:
    state = VendorState(clock, limits=Limits(source_requests_per_hour=1))
    state.seed()
    headers = {"Authorization": f"Bearer {state.credentials.source_token}"}
    github = client_of(create_app(state, Faults()), headers=headers)
    first, second = compare(github, OLD, NEW), compare(github, OLD, NEW)
    assert (first.status_code, first.headers["x-ratelimit-remaining"]) == (200, "0")
    assert (second.status_code, second.headers["x-ratelimit-remaining"]) == (403, "0")
    assert "rate limit" in second.json()["message"]
    clock.advance(3600)
    assert compare(github, OLD, NEW).status_code == 200


def test_faults_strike_it_by_its_name(github: Client, faults: Faults) -> None:
    faults.add(Fault("github", kind=FaultKind.ERROR, operation="compare", times=1))
    assert [compare(github, OLD, NEW).status_code for _ in range(2)] == [503, 200]
