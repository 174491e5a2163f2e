"""What is said and asked when people approve: answers, codes, reasons, and how a case stands."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from rules.production_policies import ApprovalPolicy, Person


class Decision(StrEnum):
    REJECT = "reject"
    APPROVE = "approve"
    AGAIN = "show the plan again"
    """Decides nothing: gates and plan are looked at anew, and the question is asked again."""


class CodeKind(StrEnum):
    VALID = "valid"
    OLD = "old"
    """Was right some minutes ago."""
    WRONG = "wrong"
    NOT_ENROLLED = "not enrolled"
    """This person has no secret, so no code can be right."""


@dataclass(frozen=True, slots=True)
class CodeCheck:
    """What the door says of a one-time code. The code itself never leaves that door."""

    kind: CodeKind
    step: int | None = None
    """Which 30 seconds since 1970 the code belongs to, when it is valid. Recorded, so that it works once."""


class Reason(StrEnum):
    """Why an answer is not admitted."""

    UNKNOWN = "unknown person"
    REMOVED = "removed person"
    NOT_ENROLLED = "not enrolled"
    LOCKED_OUT = "locked out"
    WRONG_CODE = "wrong code"
    OLD_CODE = "old code"
    REUSED_CODE = "reused code"
    TOO_LATE = "after the deadline"
    DECIDED = "already decided"
    OTHER_PLAN = "another plan"
    REQUESTER = "requester"
    AUTHOR = "author of the change"
    TWICE = "same person twice"
    NOT_AWAITED = "not awaited now"


FAILED_CODES = frozenset({Reason.WRONG_CODE, Reason.OLD_CODE, Reason.REUSED_CODE})
"""So many of these lock a person out."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What somebody entered, without the code."""

    key: str
    """Under which the run asked: `approval-1`, `approval-2`, … Each is judged once."""
    approver: str
    """As typed."""
    decision: Decision
    plan_hash: str
    """Of the plan that was looked at."""
    comment: str
    at: datetime
    """When it was given."""


@dataclass(frozen=True, slots=True)
class Case:
    """What is to be approved, by whom, until when."""

    policy: ApprovalPolicy
    people: Mapping[str, Person]
    requester: str
    """Id, name or account. A claim: the server knows nobody."""
    authors: frozenset[str]
    """Addresses and logins of who wrote the change."""
    plan_hash: str
    deadline: datetime
    asked_at: datetime
    run_id: str
    """Approvals belong to a run: another one with the same plan asks for its own."""


@dataclass(frozen=True, slots=True)
class Admission:
    """What becomes of an answer. Admitted: reason is None."""

    person: Person | None
    """Who is meant; proved only when admitted, or when the reason is none of a code's."""
    stage: str
    """The stage that the approval counts in; empty for anything else."""
    reason: Reason | None
    sentence: str


@dataclass(frozen=True, slots=True)
class Standing:
    """How a case stands."""

    approved: bool
    rejected_by: Person | None
    given: tuple[Person, ...]
    """Whose approvals count, the oldest first."""
    stage: str
    """Whose turn it is; empty when nobody is awaited any more."""
    missing: int
    """How many approvals are missing, in all stages together."""
    awaited: tuple[Person, ...]
    """Who could be admitted now."""
    sentence: str
