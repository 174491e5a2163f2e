"""What the catalogue's words about production must satisfy: people, stages, windows, freezes, tickets.

Who must be there is asked only where the chain has a production environment. That what is there is right is always.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from rules.approval_people import is_among, listed
from rules.approval_standing import Seat, unfilled
from rules.catalogue import Catalogue
from rules.catalogue_problems import Problem
from rules.errors import InvalidInput
from rules.production_policies import ApprovalPolicy, Freeze, Person, Window, WindowPolicy
from rules.vocabulary import Role
from rules.wall_clocks import A_DATE, A_TIME, A_ZONE, first_moment, last_moment, time_of_day, zone_of

PERSON = re.compile(r"[a-z][a-z0-9._-]{0,62}")
PROJECT = re.compile(r"[A-Z][A-Z0-9_]+")
REPOSITORY = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]*/(?!\.{1,2}$)[A-Za-z0-9._-]+(?<!\.git)")
SOMETHING = "not empty"
MOST = 10_000
"""Hours, minutes or attempts. Far more could not even be added to a time."""

Path = tuple[str | int, ...]


def production_problems(catalogue: Catalogue) -> Iterator[Problem]:
    """Everything that is wrong with people, approvals, windows, tickets, evidence, emergencies and history."""
    yield from _people(catalogue.people)
    yield from _policy(("approvals",), catalogue.approvals)
    yield from _policy(("emergency", "approvals"), catalogue.emergency.approvals)
    yield from _windows(catalogue.windows)
    yield from _freezes(catalogue.windows)
    yield from _tickets(catalogue)
    yield from _others(catalogue)
    if has_production(catalogue):
        yield from _enough_people(catalogue)
        yield from _some_window(catalogue)


def has_production(catalogue: Catalogue) -> bool:
    chain = (catalogue.environments.get(name) for name in catalogue.chain)
    return any(it is not None and it.role is Role.PRODUCTION for it in chain)


# ------------------------------------------------------------------------------------------------- people


def _people(people: Mapping[str, Person]) -> Iterator[Problem]:
    for key, person in people.items():
        if person.id != key:
            yield Problem(("people", key, "id"), person.id, f"the name of its table, {key!r}")
        if not PERSON.fullmatch(key):
            allowed = "an id of lower-case letters, digits, dots and dashes that begins with a letter"
            yield Problem(("people", key, "id"), key, allowed)
        yield from _filled(("people", key), person, "name")
        others = [it for it in people.values() if it is not person]
        yield from _shared(("people", key, "name"), person.name, others)
        for account in person.accounts:
            yield from _account(("people", key, "accounts"), account, others)


def _account(path: Path, account: str, others: Sequence[Person]) -> Iterator[Problem]:
    if not account.strip():
        yield Problem(path, account, SOMETHING)
    yield from _shared(path, account, others)


def _shared(path: Path, text: str, others: Sequence[Person]) -> Iterator[Problem]:
    """Whoever goes by what another one goes by would be counted, or excluded as an author, in that one's stead.

    Namesakes, too: the page that asks for approvals and the audit trail tell people by their names.
    """
    if sharing := [it.id for it in others if is_among(it, [text])]:
        allowed = f"what only one person goes by; {', '.join(sharing)} does, too: add what tells them apart"
        yield Problem(path, text, allowed)


def _policy(path: Path, policy: ApprovalPolicy) -> Iterator[Problem]:
    yield from _numbers(path, policy, "deadline_hours", "reminder_hours", "attempts", "attempts_minutes")
    if not policy.stages:
        yield Problem((*path, "stages"), [], "at least one stage")
    names = Counter(stage.name for stage in policy.stages)
    for position, stage in enumerate(policy.stages):
        here = (*path, "stages", position)
        yield from _filled(here, stage, "name")
        if names[stage.name] > 1:
            yield Problem((*here, "name"), stage.name, "a name of its own; approvals are counted by it")
        if stage.count < 1:
            yield Problem((*here, "count"), stage.count, "1 or more")
    if policy.deadline_hours <= policy.reminder_hours:
        allowed = f"more than reminder_hours ({policy.reminder_hours:g}), or nobody is ever reminded"
        yield Problem((*path, "deadline_hours"), policy.deadline_hours, allowed)


def _enough_people(catalogue: Catalogue) -> Iterator[Problem]:
    active = [person for person in catalogue.people.values() if person.active]
    policies = {("approvals",): catalogue.approvals, ("emergency", "approvals"): catalogue.emergency.approvals}
    for path, policy in policies.items():
        for seat in unfilled([Seat(stage) for stage in policy.stages], active):
            able = [person for person in active if seat.is_for(person)]
            needed = sum(stage.count for stage in policy.stages)
            group = f" of the group {seat.stage.group!r}" if seat.stage.group else ""
            allowed = (
                f"what the active people suffice for: stage {seat.stage.name!r} needs {seat.stage.count}{group} (they "
                f"are {listed(able, 'and')}), and all stages together {needed} different ones"
            )
            yield Problem(
                (*path, "stages"), [f"{it.count} of {it.group or 'anybody'}" for it in policy.stages], allowed
            )


# ------------------------------------------------------------------------------------------------- windows


def _windows(policy: WindowPolicy) -> Iterator[Problem]:
    yield from _numbers(("windows",), policy, "promise_minutes")
    for position, window in enumerate(policy.open):
        yield from _window(("windows", "open", position), window)


def _window(path: Path, window: Window) -> Iterator[Problem]:
    if not window.days or len(set(window.days)) < len(window.days):
        yield Problem((*path, "days"), [*map(str, window.days)], "one weekday or more, each once")
    wrong = [
        *_reads((*path, "opens"), time_of_day, window.opens, A_TIME),
        *_reads((*path, "closes"), time_of_day, window.closes, A_TIME),
    ]
    yield from wrong
    yield from _reads((*path, "timezone"), zone_of, window.timezone, A_ZONE)
    if not wrong and time_of_day(window.opens) == timedelta(days=1):
        yield Problem((*path, "opens"), window.opens, "a time before the day's end; 00:00 of the day after is meant")
    if not wrong and time_of_day(window.opens) == time_of_day(window.closes):
        allowed = f"another time than opens ({window.opens}); a whole day is 00:00 to 24:00"
        yield Problem((*path, "closes"), window.closes, allowed)


def _freezes(policy: WindowPolicy) -> Iterator[Problem]:
    for position, freeze in enumerate(policy.freezes):
        yield from _freeze(("windows", "freezes", position), freeze)


def _freeze(path: Path, freeze: Freeze) -> Iterator[Problem]:
    yield from _filled(path, freeze, "reason", "owner")
    utc = zone_of("UTC")
    wrong = [
        *_reads((*path, "begins"), lambda it: first_moment(it, utc), freeze.begins, A_DATE),
        *_reads((*path, "ends"), lambda it: last_moment(it, utc), freeze.ends, A_DATE),
        *_reads((*path, "timezone"), zone_of, freeze.timezone, A_ZONE),
    ]
    yield from wrong
    if not wrong:
        zone = zone_of(freeze.timezone)
        if first_moment(freeze.begins, zone) >= last_moment(freeze.ends, zone):
            yield Problem((*path, "ends"), freeze.ends, f"later than begins ({freeze.begins})")


def _some_window(catalogue: Catalogue) -> Iterator[Problem]:
    """That it is long enough is no question of the catalogue's: how long a roll-out takes is an estimate."""
    if not catalogue.windows.open:
        yield Problem(("windows", "open"), [], "at least one window, or production is always closed")


# ------------------------------------------------------------------------------------------------- and the rest


def _tickets(catalogue: Catalogue) -> Iterator[Problem]:
    tickets = catalogue.tickets
    if not tickets.project:
        return
    if not PROJECT.fullmatch(tickets.project):
        allowed = "a project's key: capital letters and digits, a letter first, such as CHG"
        yield Problem(("tickets", "project"), tickets.project, allowed)
    if not any(status.strip() for status in tickets.approved):
        yield Problem(("tickets", "approved"), [*tickets.approved], "the status in which a change may be made")
    yield from _filled(("tickets",), tickets, "issue_type")


def _others(catalogue: Catalogue) -> Iterator[Problem]:
    yield from _numbers(("evidence",), catalogue.evidence, "hours")
    waivable = catalogue.emergency.waivable
    if len(set(waivable)) < len(waivable):
        yield Problem(("emergency", "waivable"), [*map(str, waivable)], "each gate once")
    repository = catalogue.history.repository
    if repository and not REPOSITORY.fullmatch(repository):
        yield Problem(("history", "repository"), repository, "owner/name, without .git")


def _filled(path: Path, policy: object, *keys: str) -> Iterator[Problem]:
    for key in keys:
        if not getattr(policy, key).strip():
            yield Problem((*path, key), getattr(policy, key), SOMETHING)


def _numbers(path: Path, policy: object, *keys: str) -> Iterator[Problem]:
    for key in keys:
        value = getattr(policy, key)
        if not 0 < value <= MOST:  # which NaN is not either
            yield Problem((*path, key), value, f"a number above 0, at most {MOST}")


def _reads(path: Path, read: Callable[[str], Any], text: str, allowed: str) -> Iterator[Problem]:
    try:
        read(text)
    except InvalidInput:
        yield Problem(path, text, allowed)
