"""What the outside systems hold when the sandbox starts: believable, and different between environments."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

from deployments.sandbox.vendors.chat_store import ChatStore
from deployments.sandbox.vendors.desk import Json
from deployments.sandbox.vendors.flag_store import FlagStore
from deployments.sandbox.vendors.source_store import SourceStore
from deployments.sandbox.vendors.ticket_store import TicketStore, paragraph

PROJECT, MANAGER = "CHG", "Release manager"
"""Where change tickets are, and who makes them."""
BOOLEAN: tuple[object, ...] = (True, False)


@dataclass(frozen=True, slots=True)
class FlagSeed:
    """A flag; its settings by environment are what differs from off with nothing else."""

    key: str
    name: str
    description: str
    tags: tuple[str, ...]
    values: tuple[object, ...] = BOOLEAN
    settings: dict[str, Json] = field(default_factory=dict)
    temporary: bool = True


def _percent(true_share: int) -> Json:
    weights = ((0, true_share * 1000), (1, 100_000 - true_share * 1000))
    variations = [{"variation": index, "weight": weight} for index, weight in weights]
    return {"rollout": {"variations": variations, "contextKind": "user"}}


def _rule(name: str, attribute: str, op: str, values: list[object], variation: int) -> Json:
    clause = {"_id": _identity(f"{name} clause"), "attribute": attribute, "op": op, "values": values}
    return {
        "_id": _identity(name),
        "variation": variation,
        "clauses": [clause | {"contextKind": "user", "negate": False}],
        "trackEvents": False,
        "description": name,
    }


def _target(variation: int, *values: str) -> Json:
    return {"values": list(values), "variation": variation, "contextKind": "user"}


def flag_seeds(first: str, second: str) -> list[FlagSeed]:
    """The flags; `first` and `second` are the first two environments of the chain."""
    on, off = {"on": True, "fallthrough": {"variation": 0}}, {"on": False}
    voting: Json = {
        "on": True,
        "fallthrough": {"variation": 1},
        "rules": [_rule("Partners vote ranked", "email", "endsWith", ["@partner.batbern.example"], 2)],
        "targets": [_target(2, "anna.meier", "reto.keller")],
        "prerequisites": [{"key": "partner-portal", "variation": 0}],
    }
    beta = _rule("Beta partners", "segment", "segmentMatch", ["beta-partners"], 0)
    return [
        FlagSeed(
            "event-archive-search",
            "Search in the event archive",
            "Full text search over past events and their talks.",
            ("promote", "events"),
            settings={first: on, second: on | {"fallthrough": _percent(25)}},
        ),
        FlagSeed(
            "speaker-self-service",
            "Speakers edit their own profile",
            "Replaces the form that the organisers fill in.",
            ("promote", "speakers"),
            settings={first: on},
        ),
        FlagSeed(
            "partner-portal",
            "Partner portal",
            "The partners' own pages.",
            ("promote", "partners"),
            settings={first: on, second: on},
        ),
        FlagSeed(
            "partner-voting",
            "Partners vote on topics",
            "How partners choose the topics of the next event.",
            ("promote", "partners"),
            values=("off", "classic", "ranked"),
            settings={first: voting, second: {"on": True, "fallthrough": {"variation": 1}}},
        ),
        FlagSeed(
            "company-autocomplete",
            "Suggest companies while typing",
            "Asks company-user-management for names.",
            ("promote",),
            settings={first: on | {"rules": [beta]}, second: off},
        ),
        FlagSeed(
            "maintenance-banner",
            "Maintenance banner",
            "Shown by operations; never travels with a release.",
            ("ops",),
            temporary=False,
            settings={second: on},
        ),
        FlagSeed(
            "log-level",
            "Log level",
            "Each environment has its own.",
            ("ops",),
            values=("info", "debug", "trace"),
            temporary=False,
            settings={first: {"on": True, "fallthrough": {"variation": 1}}},
        ),
    ]


def fill_flags(store: FlagStore, application: str, environments: Sequence[str]) -> None:
    store.project = application
    last = len(environments) - 1
    for place, key in enumerate(environments):
        store.add_environment(key, approval_required=place == last and place > 0)
        store.segments[key] = {"beta-partners"}
    first, second = (*environments, *environments)[:2]
    store.segments[first] = {"beta-partners", "developers"}
    for seed in flag_seeds(first, second):
        store.flags[seed.key] = _flag(seed, environments, store.milliseconds())


def _flag(seed: FlagSeed, environments: Sequence[str], created: int) -> Json:
    variations = [
        {"_id": _identity(f"{seed.key} {value}"), "value": value, "name": _spelled(value)} for value in seed.values
    ]
    return {
        "key": seed.key,
        "name": seed.name,
        "description": seed.description,
        "kind": "boolean" if seed.values == BOOLEAN else "multivariate",
        "_version": 1,
        "creationDate": created,
        "tags": list(seed.tags),
        "archived": False,
        "temporary": seed.temporary,
        "variations": variations,
        "defaults": {"onVariation": 0, "offVariation": _off(seed)},
        "environments": {key: _configuration(seed, key, created) for key in environments},
    }


def _spelled(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _off(seed: FlagSeed) -> int:
    return 1 if seed.values == BOOLEAN else 0


def _configuration(seed: FlagSeed, environment: str, created: int) -> Json:
    plain: Json = {
        "on": False,
        "archived": False,
        "lastModified": created,
        "version": 1,
        "targets": [],
        "contextTargets": [],
        "rules": [],
        "fallthrough": {"variation": 0},
        "offVariation": _off(seed),
        "prerequisites": [],
        "trackEvents": False,
        "trackEventsFallthrough": False,
        "_environmentName": environment.capitalize(),
    }
    return plain | seed.settings.get(environment, {})


def _identity(text: str) -> str:
    """The same id in every sandbox, so that screenshots and records can be compared."""
    return hashlib.sha256(text.encode()).hexdigest()[:24]


def fill_tickets(store: TicketStore) -> None:
    store.counters = {PROJECT: 100, "SEC": 0}
    for summary, status in (
        ("Release of the autumn event pages to production", "10004"),
        ("Release of speaker self-service to production", "10002"),
        ("Release of the partner portal to production", "10001"),
    ):
        wish = {"project": {"key": PROJECT}, "issuetype": {"name": "Change"}, "summary": summary}
        text = paragraph("Risk: low. Way back: one click on roll-back.")
        wish |= {"description": text, "labels": ["release"]}
        store.create(wish, MANAGER, status=status)
    hidden = {"project": {"key": "SEC"}, "issuetype": {"name": "Task"}, "summary": "Not for the promotion account"}
    store.create(hidden, "Security", visible=False)
    for ticket in store.tickets.values():
        ticket.created_at = float("-inf")


def fill_chat(store: ChatStore) -> None:
    store.add_channel("C0RELEASES", "releases")
    store.add_channel("C0APPROVAL", "release-approvals")
    store.add_channel("C0ONCALL", "on-call")
    store.add_channel("C0RANDOM", "random", is_member=False)


def fill_source(store: SourceStore, application: str) -> None:
    store.repository = f"{application}/platform"
    store.logins = {
        "lea.baumann@batbern.example": "leab",
        "anna.meier@batbern.example": "annam",
        "reto.keller@batbern.example": "rkeller",
        "sofia.rossi@batbern.example": "srossi",
        "urs.frei@batbern.example": "ufrei",
    }
