"""Whether somebody's answer is admitted, and why not.

    Answer, CodeCheck ──admit(Case, records)──▶ Admission, recorded ──standing──▶ approved, rejected, or who is awaited

The order of the questions matters. First what anybody may know: is it decided, is it too late, is there such a
person. Then the code, of which everybody hears no more than right, old, used or wrong, and every failure counts
towards being locked out, whatever else would be said. What is personal is said only to who has proved to be that
person. A code that was right is used up, whatever became of the answer.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from rules.approval_people import is_among, listed, person_of
from rules.approval_standing import answers_in, check_approvers, standing
from rules.approval_words import (
    FAILED_CODES,
    Admission,
    Answer,
    Case,
    CodeCheck,
    CodeKind,
    Decision,
    Reason,
    Standing,
)
from rules.production_policies import ApprovalPolicy, Person
from rules.records import Event, Record

__all__ = [
    "FAILED_CODES",
    "Admission",
    "Answer",
    "Case",
    "CodeCheck",
    "CodeKind",
    "Decision",
    "Reason",
    "Standing",
    "admit",
    "check_approvers",
    "judged",
    "locked_until",
    "person_of",
    "standing",
]

MOST_OF_A_COMMENT = 300
NEXT_CODE = "wait until your authenticator shows the next code"


def admit(answer: Answer, check: CodeCheck, case: Case, records: Iterable[Record]) -> Admission:
    """What becomes of an answer.

    `check` is of the code that came with it, for the person whom it names. `records` are all of the application, the
    oldest first: a code that was used in another run is used, and wrong codes count wherever they were tried. An
    answer under a key that this run has judged already gets the outcome that is recorded.
    """
    known = tuple(records)
    if before := judged(answer.key, case, known):
        return before
    if answer.decision is Decision.AGAIN:
        return Admission(None, "", None, "The plan is looked at and shown again.")
    person = person_of(answer.approver, case.people)
    now = standing(case, known)
    for refused in (_over(answer, case, now), _unproved(answer, person, check, case, known)):
        if refused:
            return Admission(person, "", *refused)
    assert person is not None  # noqa: S101 - an unknown one is not proved
    return _decided(answer, person, case, now)


def judged(key: str, case: Case, records: Iterable[Record]) -> Admission | None:
    """The recorded outcome of the answer under this key, if there is one. An answer is judged once."""
    for event in answers_in(records):
        if event.run_id == case.run_id and event.details.get("key") == key:
            person = case.people.get(str(event.details.get("person")))
            reason = event.details.get("reason")
            return Admission(
                person, str(event.details.get("stage", "")), Reason(reason) if reason else None, event.sentence
            )
    return None


def locked_until(person: Person, policy: ApprovalPolicy, at: datetime, records: Iterable[Record]) -> datetime | None:
    """Until when too many wrong codes keep this person out; None: they do not."""
    span = timedelta(minutes=policy.attempts_minutes)
    failed = sorted(_failures(person, records))
    bursts = zip(failed, failed[max(policy.attempts, 1) - 1 :], strict=False)
    ends = [last + span for first, last in bursts if last - first <= span]
    return next((end for end in reversed(ends) if at < end), None)


Refusal = tuple[Reason, str]


def _over(answer: Answer, case: Case, now: Standing) -> Refusal | None:
    """What anybody may know. What is approved may still be rejected, while it waits for its time."""
    if now.rejected_by is not None:
        return Reason.DECIDED, f"It is rejected already, by {now.rejected_by.name}."
    if now.approved:
        over = answer.decision is Decision.APPROVE
        return (Reason.DECIDED, f"It is approved already. {now.sentence}") if over else None
    if answer.at > case.deadline:
        return Reason.TOO_LATE, f"The deadline was {case.deadline:%Y-%m-%d %H:%M %Z}; ask for the promotion again."
    return None


def _unproved(
    answer: Answer, person: Person | None, check: CodeCheck, case: Case, records: Sequence[Record]
) -> Refusal | None:
    """Who does not prove to be a person of the catalogue."""
    if person is None:
        return Reason.UNKNOWN, (
            f"{answer.approver.strip()[:60]!r} is nobody who may approve. "
            "Write your id as the catalogue has it; to withdraw what you asked for, cancel the run."
        )
    if not person.active:
        return Reason.REMOVED, f"{person.name} may not approve any more; the catalogue says so."
    if until := locked_until(person, case.policy, answer.at, records):
        return Reason.LOCKED_OUT, (
            f"Too many wrong codes for {person.name}: no answer counts until {until:%Y-%m-%d %H:%M %Z}. "
            "If that was somebody else, tell those who run this."
        )
    return _bad_code(person, check, records)


def _bad_code(person: Person, check: CodeCheck, records: Sequence[Record]) -> Refusal | None:
    if check.kind is CodeKind.NOT_ENROLLED:
        return Reason.NOT_ENROLLED, f"{person.name} has no codes yet: `python -m deployments.enrol {person.id}`."
    if check.kind is CodeKind.OLD:
        return Reason.OLD_CODE, f"The code of {person.name} is over; {NEXT_CODE}, or set the telephone's clock."
    if check.kind is not CodeKind.VALID or check.step is None:
        return Reason.WRONG_CODE, f"That is not the code of {person.name}."
    if check.step <= max(_steps(person, records), default=-1):
        return Reason.REUSED_CODE, f"This code of {person.name} was used before, and a code works once; {NEXT_CODE}."
    return None


def _decided(answer: Answer, person: Person, case: Case, now: Standing) -> Admission:
    """Of somebody who has proved to be that person."""
    if answer.plan_hash.strip() != case.plan_hash:
        why = f"{person.name} decided on another plan than the one that is asked about; read it, then {NEXT_CODE}."
        return Admission(person, "", Reason.OTHER_PLAN, why)
    if answer.decision is Decision.REJECT:  # whoever's turn it is, and to withdraw is not to approve
        return Admission(person, "", None, f"{person.name} rejected it{_because(answer)}")
    if refused := _not_entitled(person, case, now):
        return Admission(person, "", *refused)
    return Admission(person, now.stage, None, f"{person.name} approved ({now.stage}){_because(answer)}")


def _not_entitled(person: Person, case: Case, now: Standing) -> Refusal | None:
    if is_among(person, [case.requester]):
        return Reason.REQUESTER, f"{person.name} asked for this promotion, so somebody else must approve it."
    if is_among(person, case.authors):
        return Reason.AUTHOR, f"{person.name} wrote a part of this change, so somebody else must approve it."
    if person in now.given:
        return Reason.TWICE, f"{person.name} has approved this plan already; each person counts once."
    if person not in now.awaited:
        return Reason.NOT_AWAITED, f"It is not the turn of {person.name}. {now.sentence}{_later(person, case, now)}"
    return None


def _later(person: Person, case: Case, now: Standing) -> str:
    names = [stage.name for stage in case.policy.stages]
    after = case.policy.stages[names.index(now.stage) + 1 :] if now.stage in names else ()
    turn = next((stage.name for stage in after if not stage.group or stage.group in person.groups), "")
    return f" Then comes {turn}, with {listed([person])}." if turn else ""


def _because(answer: Answer) -> str:
    comment = " ".join(answer.comment.split())[:MOST_OF_A_COMMENT]
    return f": {comment}{'' if comment[-1] in '.!?' else '.'}" if comment else "."


def _steps(person: Person, records: Iterable[Record]) -> Iterator[int]:
    """Every time step whose code this person has shown, in whichever run and with whatever success."""
    for event in _answers_of(person, records):
        step = event.details.get("step")
        if isinstance(step, int):
            yield step


def _failures(person: Person, records: Iterable[Record]) -> Iterator[datetime]:
    for event in _answers_of(person, records):
        if event.details.get("reason") in FAILED_CODES:
            yield datetime.fromisoformat(event.details["at"])


def _answers_of(person: Person, records: Iterable[Record]) -> Iterator[Event]:
    return (event for event in answers_in(records) if event.details.get("person") == person.id)
