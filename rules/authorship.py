"""Who wrote the change: whoever did must not approve it.

    what serves, by its images' tags or the ledger ──baseline──▶ the versions since which commits count
    commits since then ──Authors──▶ names (excluded from approving) ──check_authors──▶ the finding "authors"

Git believes the name and address that somebody configures. So this keeps honest people from approving their own work;
against somebody who commits under a false name only signed commits and a protected branch help.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from rules.records import EventKind, Record
from rules.releases import is_sha
from rules.vocabulary import Finding, Service, Verdict

GATE = "authors"
ALLOWED = "everybody who wrote a part of it is known"
NEWEST = 100
"""Where nothing says since when commits count, those who wrote one of so many do."""
ESTIMATED = f"what runs cannot be compared with; whoever wrote one of the newest {NEWEST} commits is excluded instead"
MENDED = "a pushed version, and a token and address in the source-history block that can read it"
SIGNED = "commits whose author has an address or an account"
MOST_VERSIONS = 25
SHOWN, SHOWN_LENGTH = 10, 60
NOBODY = frozenset({"web-flow", "noreply@github.com"})
"""The committer of what was committed or merged in GitHub's own pages."""
HIDDEN = re.compile(r"(?:\d+\+)?(?P<login>[^@+\s]+)@users\.noreply\.github\.com")
CO_AUTHOR = "co-authored-by"
ADDRESS = re.compile(r"[^\s<>@]+@[^\s<>@]+")


@dataclass(frozen=True, slots=True)
class Signature:
    """Somebody's part in a commit. In lower case; empty where it is not known."""

    name: str = ""
    email: str = ""
    login: str = ""

    @property
    def names(self) -> frozenset[str]:
        return frozenset({self.name, self.email, self.login} - {""})


@dataclass(frozen=True, slots=True)
class Commit:
    sha: str
    signatures: tuple[Signature, ...]
    """Author, committer, co-authors."""

    @property
    def nameless(self) -> bool:
        """Whether nothing says who wrote it: a name alone is no account by which people are known."""
        return not any(one.email or one.login for one in self.signatures)


class Relation(StrEnum):
    """How the new version stands to the one before, as GitHub calls it."""

    AHEAD = "ahead"
    IDENTICAL = "identical"
    BEHIND = "behind"
    DIVERGED = "diverged"
    NEWEST = "newest"
    """Nothing to compare with: the newest commits, whatever they changed."""


@dataclass(frozen=True, slots=True)
class Authors:
    """The commits that a version has and an earlier one has not, and who wrote them."""

    since: str
    """The version before; empty for NEWEST."""
    relation: Relation
    commits: tuple[Commit, ...] = ()
    lacking: int = 0
    """So many commits of the version before are not in the new one."""

    @property
    def names(self) -> frozenset[str]:
        """Lower-case addresses, logins and names of authors, co-authors and committers."""
        return frozenset(name for commit in self.commits for one in commit.signatures for name in one.names)


@dataclass(frozen=True, slots=True)
class Baseline:
    """What runs in the target, as far as its versions are known."""

    versions: tuple[str, ...]
    """One where all is well; several where services differ, or one image carries several."""
    unnamed: tuple[str, ...] = ()
    """Services that run an image of which nothing says the version."""
    absent: tuple[str, ...] = ()
    """Services of which nothing runs."""
    served: bool = False
    """Whether the ledger says of some that are absent what they ran before."""

    @property
    def is_whole(self) -> bool:
        """Whether every commit since then can be found by comparing."""
        return bool(self.versions) and not self.unnamed


# --- what a commit says ----------------------------------------------------------------------------------------------


def signature(name: str, email: str, login: str = "") -> Signature | None:
    """Somebody, or None where it is GitHub itself. An address that hides the real one tells the login."""
    name, email, login = (" ".join(text.lower().split()) for text in (name, email, login))
    if email in NOBODY or login in NOBODY:
        return None
    hidden = HIDDEN.fullmatch(email)
    return Signature(name, email, login or (hidden["login"] if hidden else ""))


def co_authors(message: str) -> tuple[Signature, ...]:
    """Those whom the message names by `Co-authored-by: Name <address>`, wherever in it."""
    lines = (line.partition(":") for line in message.splitlines())
    found = [_co_author(said) for key, _, said in lines if key.strip().lower() == CO_AUTHOR]
    return tuple(one for one in found if one)


def _co_author(said: str) -> Signature | None:
    address = ADDRESS.search(said)
    return signature(said[: address.start()].rstrip(" <"), address[0]) if address else None


# --- what runs -------------------------------------------------------------------------------------------------------


def baseline(
    services: Iterable[Service],
    carried: Mapping[str, Mapping[str, frozenset[str]]],
    served: Mapping[str, str] = MappingProxyType({}),
) -> Baseline:
    """`carried`: by service id, the versions by digest that runs. `served`: what services that are down ran before.

    Where all services have a version in common, that is it. A mixture counts as all of its versions: a commit is
    new as soon as one service has not run it.
    """
    running = {service.id: carried.get(service.id, {}) for service in services}
    absent = tuple(sorted(id_ for id_, digests in running.items() if not digests))
    unnamed = tuple(sorted(id_ for id_, digests in running.items() if not all(digests.values())))
    before = [frozenset({served[id_]}) for id_ in absent if id_ in served]
    named = [versions for digests in running.values() for versions in digests.values() if versions] + before
    common = frozenset.intersection(*named) if named else frozenset()
    versions = common or frozenset(version for versions in named for version in versions)
    return Baseline(tuple(sorted(versions)), unnamed, absent, bool(before))


def recorded_versions(records: Iterable[Record], service: str, digest: str) -> frozenset[str]:
    """What the ledger says of an image that the registry has forgotten: registries keep the last few."""
    plans = (record.event.details for record in records if record.event.kind is EventKind.PLAN)
    return frozenset(
        str(details["version"])
        for details in plans
        if isinstance(details.get("digests"), Mapping) and details["digests"].get(service) == digest
    )


def last_served(records: Iterable[Record], environment: str) -> dict[str, str]:
    """By service, the version that a promotion last brought there: in an outage, nothing runs to be looked at."""
    ends = (it.event for it in records if it.event.kind is EventKind.COMPLETED and it.event.environment == environment)
    brought = (event.details["serving"] for event in ends if isinstance(event.details.get("serving"), Mapping))
    return {service: str(version) for one in brought for service, version in one.items() if is_sha(str(version))}


# --- the finding -----------------------------------------------------------------------------------------------------


def no_repository() -> Finding:
    """Of a catalogue without `history.repository`."""
    sentence = "The catalogue names no source repository, so nobody can be excluded as an author of the change."
    return Finding(GATE, Verdict.INCONCLUSIVE, sentence, "nothing", ALLOWED, waived="history.repository is empty")


def cannot_know(why: str) -> Finding:
    """Of a history that does not tell."""
    sentence = f"Who wrote the change could not be found out. {why}"
    return Finding(GATE, Verdict.INCONCLUSIVE, sentence, "nothing", ALLOWED, could_be_met=MENDED)


def check_versions(before: Baseline, environment: str) -> Finding | None:
    """Whether there are too many versions to compare with; None for no."""
    count = len(before.versions)
    if count <= MOST_VERSIONS:
        return None
    sentence = f"What runs in {environment} carries {count} versions; at most {MOST_VERSIONS} are compared with."
    allowed, remedy = f"at most {MOST_VERSIONS}", "fewer version tags on the images that run, or one version in all"
    return Finding(GATE, Verdict.INCONCLUSIVE, sentence, f"{count} versions", allowed, could_be_met=remedy)


def check_authors(
    found: Sequence[Authors], before: Baseline, version: str, environment: str, repository: str
) -> Finding:
    """Whether everybody who wrote the change is known. Who they are is told; `rules.approvals` excludes them."""
    if not found:
        return cannot_know("Nothing was compared.")
    commits = {commit.sha: commit for authors in found for commit in authors.commits}
    people = who(commits.values())
    notes = " ".join([*_about_baseline(before, environment), *_about_relations(found, version, environment)])
    evidence = f"{repository}: " + ", ".join(f"{it.since or 'the newest commits'}...{version}" for it in found)
    measured = f"{_counted(len(commits), 'commit')}, {_people(len(people))}"
    if nameless := sorted(commit.sha[:12] for commit in commits.values() if commit.nameless):
        sentence = f"{_counted(len(nameless), 'commit')} without a known author: {_listed(nameless)}. {notes}".strip()
        return Finding(GATE, Verdict.INCONCLUSIVE, sentence, measured, ALLOWED, evidence, could_be_met=SIGNED)
    sentence = f"{_told(len(commits), people, version, environment)} {notes}".strip()
    if not before.is_whole:  # a first deployment must be possible, and it must be seen that this is an estimate
        return Finding(GATE, Verdict.INCONCLUSIVE, sentence, measured, ALLOWED, evidence, waived=ESTIMATED)
    return Finding(GATE, Verdict.PASSED, sentence, measured, ALLOWED, evidence)


def who(commits: Iterable[Commit]) -> tuple[str, ...]:
    """The people behind the commits, once each, as they are told: those who share a name, address or login are one."""
    people: list[set[str]] = []
    for one in (one for commit in commits for one in commit.signatures if one.names):
        same = [person for person in people if person & one.names]
        people = [person for person in people if person not in same]
        people.append(set(one.names).union(*same))
    return tuple(sorted(_shown(min(person, key=_plainness)) for person in people))


def _plainness(name: str) -> tuple[bool, bool, str]:
    """A name first, then a login, then an address; every time the same."""
    return "@" in name, " " not in name, name


def _told(commits: int, people: Sequence[str], version: str, environment: str) -> str:
    if not commits:
        return f"{version} brings no commit that {environment} has not, so nobody is excluded as an author."
    return f"{_counted(commits, 'commit')} by {_people(len(people))}, who cannot approve: {_listed(people)}."


def _about_baseline(before: Baseline, environment: str) -> Iterable[str]:
    count = f"everybody counts who wrote one of the newest {NEWEST} commits"
    if not before.versions and not before.unnamed:
        yield f"Nothing runs in {environment} yet, so {count}."
    elif before.unnamed:
        yield f"Nothing says which version {_listed(before.unnamed)} runs in {environment}, so {count}."
    elif before.absent and before.served:
        yield f"Of {_listed(before.absent)} nothing runs in {environment}: judged by what was promoted there last."
    elif before.absent:
        yield f"Of {_listed(before.absent)} nothing runs in {environment} yet: judged by the other services."
    if len(before.versions) > 1:
        yield f"{environment} runs several versions ({_listed(before.versions)}); commits since any of them count."


def _about_relations(found: Iterable[Authors], version: str, environment: str) -> Iterable[str]:
    for it in found:
        lacking = _counted(it.lacking, "commit")
        if it.relation is Relation.BEHIND:
            yield f"{version} is older than {it.since}, which runs in {environment}: it goes back by {lacking}."
        elif it.relation is Relation.DIVERGED:
            yield f"{version} lacks {lacking} of {it.since}, which runs in {environment}."


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _counted(count: int, word: str) -> str:
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count} people"


def _shown(name: str) -> str:
    """Whoever commits chooses this text, and it is shown in pages and messages."""
    return re.sub(r"[^\w .@+'\[\]-]", "?", name)[:SHOWN_LENGTH]
