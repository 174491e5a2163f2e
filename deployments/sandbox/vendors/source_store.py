"""The commits of the sandbox's repository, made up from the versions that are asked for: the same at every start."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from deployments.sandbox.clock import Clock
from deployments.sandbox.vendors.desk import Json, RequestError

SHA = re.compile(r"[0-9a-f]{7,40}")
HIDDEN = re.compile(r"(?:\d+\+)?([^@+]+)@users\.noreply\.github\.com")
USUAL_AUTHOR = "lea.baumann@batbern.example"
USUAL_COMMITS = 3
WEB = {"name": "GitHub", "email": "noreply@github.com", "login": "web-flow"}
"""Who commits what is merged in the browser."""


@dataclass(frozen=True, slots=True)
class Work:
    """What one version brought: its commits are shared out among its authors in turn."""

    emails: tuple[str, ...] = (USUAL_AUTHOR,)
    commits: int = USUAL_COMMITS


@dataclass(slots=True)
class SourceStore:
    """Versions by their first seven digits. One that nobody spoke of is a usual one, on top of any other."""

    clock: Clock
    repository: str = ""
    logins: dict[str, str] = field(default_factory=dict)
    """Accounts by address; of other addresses it knows no account."""
    works: dict[str, Work] = field(default_factory=dict)
    """The versions that were spoken of, the oldest first."""
    lacking: dict[str, int] = field(default_factory=dict)
    """Versions from a branch of their own, with the number of commits that it does not have."""
    gone: set[str] = field(default_factory=set)
    """Versions that were never pushed."""

    def wrote(self, version: str, emails: Sequence[str], commits: int = 0) -> None:
        """These people wrote the version, which follows on those that were spoken of before."""
        self.works[_key(version)] = Work(tuple(emails), commits or len(emails))

    def compare(self, base: str, head: str) -> Json:
        """The comparison without its pages. Raises RequestError 404 for what is not in the repository."""
        old, new = self._known(base), self._known(head)
        if old == new:
            return self._comparison("identical", base, head, [], 0)
        between = self._between(old, new)
        if between is None:
            behind = sum(self._work(version).commits for version in self._between(new, old) or ())
            return self._comparison("behind", base, head, [], behind)
        commits = [commit for version in between[:-1] for commit in self.commits(version)] + self.commits(head)
        lacking = self.lacking.get(new, 0)
        return self._comparison("diverged" if lacking else "ahead", base, head, commits, lacking)

    def newest(self, head: str) -> list[Json]:
        """Every commit up to this one, the newest first."""
        known = list(self.works)
        earlier = known[: known.index(self._known(head))] if self._known(head) in known else known
        older = [commit for version in earlier for commit in self.commits(version)]
        return [*older, *self.commits(head)][::-1]

    def commits(self, version: str) -> list[Json]:
        """Those of one version, the oldest first; the last one bears its SHA."""
        work, key = self._work(version), _key(version)
        shas = [_digest(f"{key} {number}") for number in range(1, work.commits)] + [_whole(version)]
        return [self._commit(sha, work.emails[at % len(work.emails)], key) for at, sha in enumerate(shas)]

    def _between(self, old: str, new: str) -> list[str] | None:
        """The versions after the one up to the other; None when the other is the older one."""
        known = list(self.works)
        if old not in known or new not in known:
            return [new]
        at, to = known.index(old), known.index(new)
        return known[at + 1 : to + 1] if at < to else None

    def _known(self, version: str) -> str:
        if not SHA.fullmatch(version) or _key(version) in self.gone:
            raise RequestError(404, "", "Not Found")
        return _key(version)

    def _work(self, version: str) -> Work:
        return self.works.get(_key(version), Work())

    def _comparison(self, status: str, base: str, head: str, commits: list[Json], behind: int) -> Json:
        merge_base = head if status in {"identical", "behind"} else base
        return {
            "status": status,
            "ahead_by": len(commits),
            "behind_by": behind,
            "total_commits": len(commits),
            "base_commit": self.commits(base)[-1],
            "merge_base_commit": self.commits(merge_base)[-1],
            "commits": commits,
        }

    def _commit(self, sha: str, email: str, key: str) -> Json:
        at = self.clock.now().isoformat()
        hidden = HIDDEN.fullmatch(email)
        login = self.logins.get(email) or (hidden[1] if hidden else None)
        name = (login or email.partition("@")[0]).replace(".", " ").title()
        return {
            "sha": sha,
            "commit": {
                "author": {"name": name, "email": email, "date": at},
                "committer": {"name": WEB["name"], "email": WEB["email"], "date": at},
                "message": f"Work on {key}",
            },
            "author": {"login": login, "type": "User"} if login else None,
            "committer": {"login": WEB["login"], "type": "User"},
            "parents": [],
        }


def _key(version: str) -> str:
    return version[:7]


def _whole(version: str) -> str:
    """Forty digits that begin with what is known of them."""
    return (version + _digest(_key(version)))[:40]


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:40]
