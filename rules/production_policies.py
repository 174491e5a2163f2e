"""What production asks for beyond the gates: people, windows, tickets, evidence. Part of the catalogue's types.

The field names are the TOML keys. `rules/catalogue.py` puts them together; `rules/production_checks.py` says what else
they must satisfy.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may approve. Whoever left is removed from the catalogue, or put `active = false`."""

    id: str
    name: str
    groups: tuple[str, ...] = ()
    accounts: tuple[str, ...] = ()
    """E-mail addresses and logins by which commits, CI and the chat know this person."""
    active: bool = True


@dataclass(frozen=True, slots=True)
class ApprovalStage:
    """So many different people of a group, before the next stage may begin."""

    name: str = "approval"
    group: str = ""
    """Empty: of any group."""
    count: int = 2


@dataclass(frozen=True, slots=True)
class ApprovalPolicy:
    stages: tuple[ApprovalStage, ...] = (ApprovalStage(),)
    """In order. One person counts once in all of them together."""
    deadline_hours: float = 72
    """Nobody has approved by then: that is a rejection."""
    reminder_hours: float = 8
    """Who is awaited is reminded this often."""
    attempts: int = 5
    """So many wrong codes of a person within `attempts_minutes` lock that person out for as long."""
    attempts_minutes: float = 60


class Weekday(StrEnum):
    MONDAY = "monday"
    TUESDAY = "tuesday"
    WEDNESDAY = "wednesday"
    THURSDAY = "thursday"
    FRIDAY = "friday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


@dataclass(frozen=True, slots=True)
class Window:
    """When traffic may move, by the wall clock of a time zone."""

    days: tuple[Weekday, ...]
    opens: str
    """`09:00` or `09:00:30`. On these days."""
    closes: str
    """As `opens`; `24:00` is the day's end. Earlier than `opens`: on the day after."""
    timezone: str
    """IANA name, such as Europe/Zurich."""


@dataclass(frozen=True, slots=True)
class Freeze:
    """No change from one time until another."""

    begins: str
    """`2026-12-20` (its first moment) or `2026-12-20T17:00`, in `timezone`."""
    ends: str
    """As `begins`; a date alone is its last moment."""
    reason: str
    owner: str
    """Whom to ask."""
    timezone: str = "UTC"


@dataclass(frozen=True, slots=True)
class WindowPolicy:
    """No window at all is always closed: no data is never a pass."""

    open: tuple[Window, ...] = ()
    freezes: tuple[Freeze, ...] = ()
    promise_minutes: float = 15
    """A promotion that was promised for a time begins at most so much before or after it."""


@dataclass(frozen=True, slots=True)
class TicketPolicy:
    """The change ticket of a promotion. Statuses are those of your workflow, by name."""

    project: str = ""
    """Key of the project in which tickets are. Empty: there are no tickets, and the gate says so."""
    issue_type: str = "Change"
    approved: tuple[str, ...] = ("Approved",)
    """In one of these the change may be made."""
    under_way: str = ""
    """Moved to when the first write is near; empty: not moved."""
    deployed: str = "Done"
    rolled_back: str = ""
    failed: str = ""


@dataclass(frozen=True, slots=True)
class EvidencePolicy:
    hours: float = 24
    """What was found in staging, of the same digests, counts for so long; what is older is looked at again."""


class Waivable(StrEnum):
    """The gates that an emergency may excuse, by name. What is not here never can be."""

    WINDOW = "window"
    FREEZE = "freeze"
    CHANGE_TICKET = "change ticket"
    EVIDENCE = "evidence"
    STABILITY = "stability"


URGENT = ApprovalPolicy((ApprovalStage("emergency"),), deadline_hours=4, reminder_hours=0.5)


@dataclass(frozen=True, slots=True)
class EmergencyPolicy:
    waivable: tuple[Waivable, ...] = (Waivable.WINDOW, Waivable.FREEZE, Waivable.CHANGE_TICKET, Waivable.STABILITY)
    approvals: ApprovalPolicy = URGENT


@dataclass(frozen=True, slots=True)
class HistoryPolicy:
    repository: str = ""
    """`owner/name` of the source, to know who wrote the change. Empty: nobody can be excluded as its author."""


@dataclass(frozen=True, slots=True)
class Emergency:
    """A hotfix that cannot wait: why, for which incident, and which gates it leaves out."""

    reason: str = field(metadata={"description": "Why it cannot wait. It stands in the channel and in the ledger."})
    incident: str = field(metadata={"description": "Key or address under which the incident is known."})
    waives: tuple[Waivable, ...] = field(
        default=(), metadata={"description": "The gates that it leaves out. All others are to be met all the same."}
    )
    # the descriptions are what the Run form says below each field


@dataclass(frozen=True, slots=True)
class Terms:
    """What a promotion to production was asked for with. Part of the plan, so that approvals bind to it."""

    requested_by: str
    """Who asks: an approver's id or account, or any other name. The server knows nobody, so this is a claim."""
    ticket: str = ""
    start_at: str = ""
    """ISO time with zone, to the second; empty: as soon as it is approved."""
    next_window: bool = False
    """Whether an approved promotion waits for the next window."""
    emergency: Emergency | None = None

    def fingerprint(self) -> Mapping[str, object]:
        """What the plan's hash covers. Who asked is not part of what is done."""
        waives = sorted(self.emergency.waives) if self.emergency else []
        incident = self.emergency.incident if self.emergency else ""
        return {
            "ticket": self.ticket,
            "start_at": self.start_at,
            "next_window": self.next_window,
            "incident": incident,
            "waives": waives,
        }
