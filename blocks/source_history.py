"""The door to the history of the source: who wrote the commits between two versions (GitHub's REST API).

    GET /repos/{owner}/{name}/compare/{base}...{head}    a page at a time, until all its commits are read
    GET /repos/{owner}/{name}/commits?sha={head}         the newest, where there is nothing to compare with

A short SHA could also be the name of a branch or tag that somebody made, so an answer counts only when it is about
commits of these SHAs. The token needs to read contents, nothing else.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Self

from httpx import codes
from prefect.blocks.core import Block
from pydantic import Field, PrivateAttr, SecretStr

from blocks.rate_limits import allowance_used_up, asked_pause
from blocks.wire import Answer, Patience, Wire, Wiring, parsed
from rules.authorship import NEWEST, Authors, Commit, Relation, Signature, co_authors, signature
from rules.errors import Declined, InvalidInput, Outage
from rules.releases import is_sha

SYSTEM = "GitHub"
PAGE = 100
"""As many commits GitHub gives at once."""
MOST_COMMITS = 5_000
REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,38}/(?!\.{1,2}$)[A-Za-z0-9._-]{1,100}")
PATIENCE = Patience(timeout_seconds=20, total_seconds=90)
"""A comparison of many commits takes GitHub some seconds."""
HEADERS = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}


class SourceHistory(Block):
    """Who wrote what, by the repository that the releases are built from (GitHub)."""

    _block_type_name = "Source history"
    _block_type_slug = "source-history"

    url: str = Field(default="https://api.github.com", description="Address of the REST API.")
    token: SecretStr | None = Field(
        default=None, description="Token that may read the repository's contents. Empty: a public repository."
    )
    _wiring: Wiring = PrivateAttr(default_factory=Wiring)

    def wired(self, wiring: Wiring) -> Self:
        """Return this door, on another network and clock."""
        self._wiring = wiring
        return self

    def authors(self, repository: str, base: str, head: str) -> Authors:
        """The commits that `head` has and `base` has not. Both are SHAs of 7 to 40 digits.

        Raises:
            Declined: no such commit or repository, no permission, or too many commits between them.
            Outage: no answer, a used-up rate limit, or an answer that does not fit together.

        """
        path = f"/repos/{_repository(repository)}/compare/{_sha(base)}...{_sha(head)}"
        doing = f"comparing {base} with {head} in {repository}"
        with self._open() as wire, _readable(doing):
            first = _page(wire, path, 1, doing)
            commits = tuple(_all_commits(wire, path, first, doing))
            return _authors(first, commits, base, head, doing)

    def newest(self, repository: str, head: str) -> Authors:
        """The newest commits up to `head`, at most `NEWEST`. Raises as `authors` does."""
        path = f"/repos/{_repository(repository)}/commits"
        query: dict[str, str | int] = {"sha": _sha(head), "per_page": NEWEST}
        doing = f"reading the newest commits of {head} in {repository}"
        with self._open() as wire, _readable(doing):
            commits = tuple(_commit(one) for one in parsed(_answer(wire, path, query, doing).text))
            _same(commits[:1], head, doing)
            return Authors("", Relation.NEWEST, commits)

    def _open(self) -> Wire:
        headers = HEADERS | ({"Authorization": f"Bearer {self.token.get_secret_value()}"} if self.token else {})
        return Wire(SYSTEM, self.url, headers=headers, secrets=[self.token], patience=PATIENCE, wiring=self._wiring)


# --- asking ----------------------------------------------------------------------------------------------------------


def _page(wire: Wire, path: str, page: int, doing: str) -> dict[str, Any]:
    return _answer(wire, path, {"per_page": PAGE, "page": page}, doing).mapping()


def _answer(wire: Wire, path: str, query: Mapping[str, str | int], doing: str) -> Answer:
    answer = wire.ask("GET", path, query=query, doing=doing)
    if answer.status == codes.FORBIDDEN and _is_rate_limit(answer):
        pause = asked_pause(answer.headers, wire.wiring.now())
        raise Outage(SYSTEM, doing, f"its rate limit is used up: {answer.excerpt}", retry_after=pause)
    if answer.status == codes.NOT_FOUND:
        said = "it knows no such repository or commit, or the token may not read it. Was the version pushed?"
        raise Declined(SYSTEM, doing, answer.status, said)
    return answer.require(codes.OK)


def _is_rate_limit(answer: Answer) -> bool:
    """GitHub says so by 429, or by 403: then only headers and words tell it from a missing permission."""
    said = "rate limit" in answer.text.lower()
    return said or "retry-after" in answer.headers or allowance_used_up(answer.headers)


def _repository(name: str) -> str:
    if not REPOSITORY.fullmatch(name):
        raise InvalidInput("history.repository", name, "owner/name as GitHub writes it", "Mend the catalogue.")
    return name


def _sha(version: str) -> str:
    if not is_sha(version):
        raise InvalidInput("version", version, "a Git SHA of 7 to 40 lower-case hexadecimal digits")
    return version


# --- reading ---------------------------------------------------------------------------------------------------------


@contextmanager
def _readable(doing: str) -> Iterator[None]:
    """What does not have the form that GitHub documents is no answer."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Outage(SYSTEM, doing, f"its answer lacks something: {type(error).__name__} {error}") from error


def _all_commits(wire: Wire, path: str, first: Mapping[str, Any], doing: str) -> Iterator[Commit]:
    """The first page's commits and those of all further pages, as many as it says that there are."""
    total = _number(first, "total_commits", doing)
    if total > MOST_COMMITS:
        said = f"{total} commits lie between them, and at most {MOST_COMMITS} are read; go in smaller steps."
        raise Declined(SYSTEM, doing, codes.OK, said)
    listed, page = list(first["commits"]), 1
    while len(listed) < total:
        page += 1
        more = _page(wire, path, page, doing)["commits"]
        if not more:
            raise Outage(SYSTEM, doing, f"it told of {total} commits and gave {len(listed)}")
        listed += more
    return (_commit(one) for one in listed)


def _authors(first: Mapping[str, Any], commits: tuple[Commit, ...], base: str, head: str, doing: str) -> Authors:
    relation, total = Relation(first["status"]), _number(first, "total_commits", doing)
    brings = relation in {Relation.AHEAD, Relation.DIVERGED}
    different = len({one.sha for one in commits})  # a page that came twice would hide the authors of another
    if brings != bool(total) or len(commits) != total or different != total:
        raise Outage(SYSTEM, doing, f"it calls this {relation}, with {total} commits, and gave {different}")
    _same([_commit(first["base_commit"])], base, doing)
    _same(commits if brings else [_commit(first["merge_base_commit"])], head, doing)
    return Authors(base, relation, commits, _number(first, "behind_by", doing))


def _same(found: Sequence[Commit], wanted: str, doing: str) -> None:
    """Whether it is about that commit: the head of what was compared is among the commits that it brings."""
    if not any(one.sha.startswith(wanted) for one in found):
        said = f"it answered about something else than {wanted}; is that also the name of a branch or a tag?"
        raise Declined(SYSTEM, doing, codes.OK, said)


def _number(answer: Mapping[str, Any], key: str, doing: str) -> int:
    value = answer.get(key)
    if type(value) is not int or value < 0:
        raise Outage(SYSTEM, doing, f"its answer says nothing of {key}")
    return value


def _commit(told: Mapping[str, Any]) -> Commit:
    commit = told["commit"]
    people = [_person(commit[role], told[role]) for role in ("author", "committer")]
    named = (*people, *co_authors(commit["message"]))
    return Commit(str(told["sha"]), tuple(dict.fromkeys(one for one in named if one)))


def _person(git: Mapping[str, Any] | None, account: Mapping[str, Any] | None) -> Signature | None:
    """`git`: name and address as committed. `account`: GitHub's, null where it knows nobody of that address."""
    name, email = ((git or {}).get(key) or "" for key in ("name", "email"))
    return signature(name, email, (account or {}).get("login") or "")
