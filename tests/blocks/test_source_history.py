"""The door to the source's history: pages, refusals, rate limits, answers that do not fit, and no secret gets out."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from blocks.source_history import MOST_COMMITS, SourceHistory
from blocks.wire import Wiring
from deployments.sandbox.clock import ManualClock
from deployments.sandbox.faults import Fault, FaultKind, Faults
from deployments.sandbox.vendors.application import create_app
from deployments.sandbox.vendors.in_process import InProcess
from deployments.sandbox.vendors.state import Limits, VendorState
from rules.authorship import Relation
from rules.errors import Declined, InvalidInput, Outage

REPOSITORY, OLD, NEW = "batbern/platform", "1111111", "2222222"


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


def door(state: VendorState, faults: Faults, clock: ManualClock, token: str = "") -> SourceHistory:
    wiring = Wiring(InProcess(create_app(state, faults)), clock.monotonic, clock.now, clock.advance, lambda: 0.5)
    secret = SecretStr(token or state.credentials.source_token)
    return SourceHistory(url="http://sandbox/github", token=secret).wired(wiring)


@pytest.fixture
def history(state: VendorState, faults: Faults, clock: ManualClock) -> SourceHistory:
    return door(state, faults, clock)


def test_authors_are_known_by_address_and_login(history: SourceHistory) -> None:
    found = history.authors(REPOSITORY, OLD, NEW)
    assert (found.since, found.relation, len(found.commits)) == (OLD, Relation.AHEAD, 3)
    assert {"lea.baumann@batbern.example", "leab"} <= found.names
    assert not {"web-flow", "noreply@github.com", "github"} & found.names


def test_all_pages_are_read(history: SourceHistory, state: VendorState) -> None:
    emails = [f"p{at}@x.example" for at in range(250)]
    state.wrote(NEW, emails)
    found = history.authors(REPOSITORY, OLD, NEW)
    assert len(found.commits) == 250
    assert set(emails) <= found.names


def test_older_identical_and_diverged_versions_are_told_apart(history: SourceHistory, state: VendorState) -> None:
    state.wrote(OLD, ["a@x.example"])
    state.wrote(NEW, ["b@x.example", "c@x.example"])
    assert history.authors(REPOSITORY, NEW, NEW).relation is Relation.IDENTICAL
    back = history.authors(REPOSITORY, NEW, OLD)
    assert (back.relation, back.commits, back.lacking) == (Relation.BEHIND, (), 2)
    state.source.lacking[NEW] = 7
    aside = history.authors(REPOSITORY, OLD, NEW)
    assert (aside.relation, len(aside.commits), aside.lacking) == (Relation.DIVERGED, 2, 7)


def test_the_newest_commits_are_those_up_to_the_version(history: SourceHistory, state: VendorState) -> None:
    state.wrote(OLD, ["a@x.example"])
    state.source.wrote(NEW, ["b@x.example"], commits=99)
    state.wrote("3333333", ["c@x.example"])
    found = history.newest(REPOSITORY, NEW)
    assert (found.relation, len(found.commits)) == (Relation.NEWEST, 100)
    assert {"a@x.example", "b@x.example"} <= found.names
    assert "c@x.example" not in found.names


def test_an_unknown_commit_is_declined_and_says_what_to_look_at(history: SourceHistory, state: VendorState) -> None:
    state.source.gone.add(NEW)
    asks: list[Callable[[], object]] = [
        lambda: history.authors(REPOSITORY, OLD, NEW),
        lambda: history.newest(REPOSITORY, NEW),
    ]
    for ask in asks:
        with pytest.raises(Declined, match="Was the version pushed"):
            ask()


def test_a_wrong_token_is_declined_and_stays_secret(state: VendorState, faults: Faults, clock: ManualClock) -> None:
    wrong = door(state, faults, clock, "ghp_wrong-and-secret")
    with pytest.raises(Declined, match="401") as told:
        wrong.authors(REPOSITORY, OLD, NEW)
    assert "ghp_wrong" not in str(told.value) + repr(wrong)


@pytest.mark.parametrize("kind", [FaultKind.THROTTLE, FaultKind.ERROR, FaultKind.GARBAGE])
def test_a_trouble_that_passes_is_waited_for(history: SourceHistory, faults: Faults, kind: FaultKind) -> None:
    faults.add(Fault("github", kind=kind, times=2))
    assert history.authors(REPOSITORY, OLD, NEW).commits


@pytest.mark.parametrize("kind", [FaultKind.THROTTLE, FaultKind.ERROR, FaultKind.GARBAGE])
def test_a_trouble_that_stays_is_an_outage(history: SourceHistory, faults: Faults, kind: FaultKind) -> None:
    faults.add(Fault("github", kind=kind))
    with pytest.raises(Outage, match="GitHub"):
        history.authors(REPOSITORY, OLD, NEW)


def test_a_used_up_rate_limit_is_an_outage_until_its_reset(clock: ManualClock) -> None:
    state = VendorState(clock, limits=Limits(source_requests_per_hour=1))
    state.seed()
    history = door(state, Faults(), clock)
    history.authors(REPOSITORY, OLD, NEW)
    with pytest.raises(Outage, match="rate limit") as told:
        history.authors(REPOSITORY, OLD, NEW)
    assert told.value.retry_after == pytest.approx(3600, abs=1)


@pytest.mark.parametrize(
    "name", ["", "batbern", "batbern/..", "batbern/a/b", "../x", "-a/b", "a/b?x=1", "a/b#", "a /b"]
)
def test_what_is_no_repository_never_gets_into_an_address(history: SourceHistory, name: str) -> None:
    asks: list[Callable[[], object]] = [lambda: history.authors(name, OLD, NEW), lambda: history.newest(name, NEW)]
    for ask in asks:
        with pytest.raises(InvalidInput, match="Mend the catalogue"):
            ask()


@pytest.mark.parametrize("sha", ["", "main", "111111", "1111111~1", "1111111/../x", "AAAAAAA", "1" * 41, "1111111\n"])
def test_what_is_no_sha_never_gets_into_an_address(history: SourceHistory, sha: str) -> None:
    asks: list[Callable[[], object]] = [
        lambda: history.authors(REPOSITORY, sha, NEW),
        lambda: history.authors(REPOSITORY, OLD, sha),
        lambda: history.newest(REPOSITORY, sha),
    ]
    for ask in asks:
        with pytest.raises(InvalidInput, match="version"):
            ask()


# --- answers that are none -------------------------------------------------------------------------------------------


def answering(*bodies: Any, status: int = 200, headers: dict[str, str] | None = None) -> SourceHistory:
    """A door behind which each request is answered by the next body, and then by the last one."""
    left, asked = list(bodies), list[httpx.Request]()

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(status, json=left.pop(0) if len(left) > 1 else left[0], headers=headers)

    clock = ManualClock()
    wiring = Wiring(httpx.MockTransport(answer), clock.monotonic, clock.now, clock.advance, lambda: 0.5)
    history = SourceHistory().wired(wiring)
    history.__dict__["asked"] = asked
    return history


def commit(sha: str, **changes: Any) -> dict[str, Any]:
    git = {"name": "Lea", "email": "lea@x.example"}
    return {
        "sha": sha.ljust(40, "0"),
        "commit": {"author": git, "committer": git, "message": "Work"},
        "author": None,
        "committer": None,
    } | changes


def comparison(**changes: Any) -> dict[str, Any]:
    return {
        "status": "ahead",
        "behind_by": 0,
        "total_commits": 1,
        "base_commit": commit(OLD),
        "merge_base_commit": commit(OLD),
        "commits": [commit(NEW)],
    } | changes


def test_the_request_is_what_github_documents() -> None:
    history = answering(comparison())
    history.authors(REPOSITORY, OLD, NEW)
    [request] = history.__dict__["asked"]
    assert str(request.url) == (
        f"https://api.github.com/repos/batbern/platform/compare/{OLD}...{NEW}?per_page=100&page=1"
    )
    assert request.headers["accept"] == "application/vnd.github+json"
    assert request.headers["x-github-api-version"]
    assert "authorization" not in request.headers


def test_committers_and_co_authors_count_too() -> None:
    told = {
        "author": {"name": "Anna Meier", "email": "12+AnnaM@users.noreply.github.com"},
        "committer": {"name": "Reto", "email": "reto@x.example"},
        "message": "Pairing\n\nCo-authored-by: Urs <urs@x.example>",
    }
    history = answering(comparison(commits=[commit(NEW, commit=told, committer={"login": "rkeller"})]))
    names = history.authors(REPOSITORY, OLD, NEW).names
    assert {"annam", "anna meier", "rkeller", "reto@x.example", "urs@x.example"} <= names


@pytest.mark.parametrize("nobody", [None, {}])
def test_an_author_without_an_account_or_without_anything_is_read(nobody: Any) -> None:
    told = {"author": nobody, "committer": nobody, "message": ""}
    history = answering(comparison(commits=[commit(NEW, commit=told, author=nobody, committer=nobody)]))
    [found] = history.authors(REPOSITORY, OLD, NEW).commits
    assert found.nameless


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        comparison(status="sideways"),
        comparison(total_commits="1"),
        comparison(total_commits=-1),
        comparison(total_commits=True),
        comparison(total_commits=0, commits=[]),
        comparison(status="identical"),
        comparison(commits=[]),
        comparison(commits=None),
        comparison(commits=[{"sha": NEW}]),
        comparison(commits=[commit(NEW), commit(NEW)]),
        comparison(base_commit=None),
    ],
)
def test_an_answer_that_does_not_fit_together_is_an_outage(body: Any) -> None:
    with pytest.raises(Outage):
        answering(body).authors(REPOSITORY, OLD, NEW)


def test_pages_that_end_too_early_are_an_outage() -> None:
    with pytest.raises(Outage, match="told of 5 commits and gave 1"):
        answering(comparison(total_commits=5), comparison(total_commits=5, commits=[])).authors(REPOSITORY, OLD, NEW)


def test_a_page_that_comes_twice_hides_nobody() -> None:
    with pytest.raises(Outage, match="with 2 commits, and gave 1"):
        answering(comparison(total_commits=2)).authors(REPOSITORY, OLD, NEW)


@pytest.mark.parametrize("listed", [{}, None, ["x"], [{"sha": NEW}]])
def test_a_list_that_is_none_is_an_outage(listed: Any) -> None:
    with pytest.raises((Outage, Declined)):
        answering(listed).newest(REPOSITORY, NEW)


def test_a_branch_that_is_named_like_a_commit_does_not_pass_for_it() -> None:
    """Who may push a branch named `2222222` could otherwise show us commits of somebody else."""
    asks: list[Callable[[], object]] = [
        lambda: answering(comparison(commits=[commit("3333333")])).authors(REPOSITORY, OLD, NEW),
        lambda: answering(comparison(base_commit=commit("3333333"))).authors(REPOSITORY, OLD, NEW),
        lambda: answering(comparison(status="behind", total_commits=0, commits=[])).authors(REPOSITORY, OLD, NEW),
        lambda: answering([commit("3333333"), commit(NEW)]).newest(REPOSITORY, NEW),
        lambda: answering([]).newest(REPOSITORY, NEW),
    ]
    for ask in asks:
        with pytest.raises(Declined, match="a branch or a tag"):
            ask()


def test_too_many_commits_are_for_a_person() -> None:
    with pytest.raises(Declined, match="smaller steps"):
        answering(comparison(total_commits=MOST_COMMITS + 1)).authors(REPOSITORY, OLD, NEW)


@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"retry-after": "60"}, "slow down"),
        ({"x-ratelimit-remaining": "0", "x-ratelimit-reset": "60"}, "slow down"),
        ({}, "You have exceeded a secondary rate limit."),
    ],
)
def test_a_rate_limit_that_comes_as_403_is_an_outage(headers: dict[str, str], message: str) -> None:
    with pytest.raises(Outage, match="rate limit") as told:
        answering({"message": message}, status=403, headers=headers).authors(REPOSITORY, OLD, NEW)
    assert told.value.retry_after == (60 if headers else None)


@pytest.mark.parametrize("status", [301, 403, 409, 422])
def test_other_refusals_are_told_in_github_s_words(status: int) -> None:
    said = {"message": "Resource not accessible by personal access token"}
    with pytest.raises(Declined, match="not accessible"):
        answering(said, status=status).authors(REPOSITORY, OLD, NEW)
