"""People say whether production may change. Until they do the run is suspended: no process waits, no lock is held.

Whoever answers resumes it, in the Prefect UI or by `python -m deployments.approve`, and the run begins again from its
top. So nothing here lives in memory: each answer is judged once, its outcome stands in the ledger under its key, and
whether the plan is approved is read from there.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, cast
from uuid import UUID

from prefect import get_run_logger, suspend_flow_run
from prefect.client.schemas.objects import FlowRunInput
from prefect.input import RunInput, filter_flow_run_input
from pydantic import Field

from rules.approval_pages import approval_page
from rules.approvals import (
    Admission,
    Answer,
    Case,
    CodeCheck,
    CodeKind,
    Decision,
    Standing,
    admit,
    person_of,
    standing,
)
from rules.errors import Rejected
from rules.plans import Plan
from rules.production_policies import ApprovalPolicy
from rules.records import EventKind, Record
from rules.vocabulary import Finding
from rules.waiting import since
from tasks.announcing import run_link
from tasks.artifacts import artifact_key, publish_markdown
from tasks.kinds import acting
from tasks.promotions import Promotion
from tasks.records import write
from tasks.superseding import take_place
from tasks.telling_approvals import tell_news, zone_of

ASKED = EventKind.APPROVAL_ASKED
ANSWERS = "suspended-{key}-response"
"""Under this name Prefect keeps what was filled in."""
MOST_ANSWERS = 60
"""More answers than this to one run are no approvals but an attack; then it ends."""


class ApprovalForm(RunInput):
    """The form. Its fields are also what an answer by API consists of."""

    approver: str = Field(description="Who you are: your id, name or account in the catalogue.")
    decision: Literal["reject", "approve", "show the plan again"] = Field(
        default="reject", description="To reject ends this promotion. To see the plan as it is now needs no code."
    )
    code: str = Field(default="", description="The six digits that your authenticator shows now. They work once.")
    plan: str = Field(default="", description="The plan that you have read above. Leave it as it is.")
    comment: str = Field(default="", description="Why. It stands in the ledger.")


def wait_for_approvals(promotion: Promotion, plan: Plan, findings: Sequence[Finding], authors: frozenset[str]) -> None:
    """Returns when this very plan is approved; until then the run is suspended, again and again.

    Raises:
        Rejected: somebody said no, or the deadline is over.
        Superseded: a newer plan took this one's place.

    """
    take_place(promotion)
    while True:
        case = open_case(promotion, plan.hash, authors)
        for answer, code in answers(promotion):
            settle(promotion, case, answer, code)
        now = standing(case, records_of(promotion))
        if now.approved:
            record_approved(promotion, plan, now)
            tell_news(promotion)
            return
        refuse_if_over(promotion, case, now)
        ask(promotion, plan, case, now, findings)


def open_case(promotion: Promotion, plan_hash: str, authors: frozenset[str]) -> Case:
    """What answers are judged by: policy, people, who may not approve, the plan, until when."""
    policy = approval_policy(promotion)
    asked = next((it for it in promotion.application.ledger.records(promotion.run_id) if it.event.kind is ASKED), None)
    asked_at = asked.at if asked else datetime.now(UTC)
    told = datetime.fromisoformat(asked.event.details["deadline"]) if asked else None
    return Case(
        run_id=promotion.run_id,
        policy=policy,
        people=promotion.catalogue.people,
        requester=promotion.terms.requested_by if promotion.terms else "",
        authors=authors,
        plan_hash=plan_hash,
        deadline=told or asked_at + timedelta(hours=policy.deadline_hours),
        asked_at=asked_at,
    )


def approval_policy(promotion: Promotion) -> ApprovalPolicy:
    """An emergency has a policy of its own."""
    return promotion.catalogue.emergency.approvals if promotion.emergency else promotion.catalogue.approvals


def records_of(promotion: Promotion) -> list[Record]:
    """All of the application's: a code that was used in another run is used."""
    return list(promotion.application.ledger.records())


# ------------------------------------------------------------------------------------------------ the answers


def answers(promotion: Promotion) -> Iterator[tuple[Answer, str]]:
    """What was answered so far, the oldest first, each with its code. The time is the Prefect server's."""
    run_id = UUID(promotion.run_id)
    for key in keys_asked(promotion):
        # typed as "or a coroutine", which it is not in synchronous code
        found = cast("list[FlowRunInput]", filter_flow_run_input(ANSWERS.format(key=key), 1, None, run_id))
        if found:  # a question may have been lost with its process, or the run resumed without an answer
            form = ApprovalForm.model_validate(found[0].decoded_value)
            at = found[0].created or datetime.now(UTC)
            yield Answer(key, form.approver, Decision(form.decision), form.plan, form.comment, at), form.code


def keys_asked(promotion: Promotion) -> list[str]:
    return [
        str(it.event.details["key"])
        for it in promotion.application.ledger.records(promotion.run_id)
        if it.event.kind is ASKED
    ]


def settle(promotion: Promotion, case: Case, answer: Answer, code: str) -> None:
    """Judges an answer, unless that was done already: before a wait everything happens again."""
    records = records_of(promotion)
    if answer.decision is Decision.AGAIN or judged(records, promotion.run_id, answer.key):
        return
    person = person_of(answer.approver, case.people)
    check = CodeCheck(CodeKind.NOT_ENROLLED, None)
    if person is not None:
        check = promotion.application.approvers.check(person.id, code, answer.at)
    record_answer(promotion, case, answer, check, admit(answer, check, case, records))


def judged(records: Sequence[Record], run_id: str, key: str) -> bool:
    kinds = {EventKind.APPROVAL_GIVEN, EventKind.APPROVAL_NOT_ADMITTED}
    mine = (record.event for record in records if record.event.run_id == run_id and record.event.kind in kinds)
    return any(event.details.get("key") == key for event in mine)


@acting("record an answer")
def record_answer(promotion: Promotion, case: Case, answer: Answer, check: CodeCheck, admission: Admission) -> None:
    """What became of an answer, in the ledger first; then the people hear of it."""
    ledger, environment = promotion.application.ledger, promotion.target.environment.name
    if judged(list(ledger.records(promotion.run_id)), promotion.run_id, answer.key):
        return  # a try before this one had written it
    person = admission.person.id if admission.person else ""
    common = {"key": answer.key, "person": person, "decision": answer.decision, "step": check.step, "at": answer.at}
    if admission.reason is None:
        kind, more = EventKind.APPROVAL_GIVEN, {"stage": admission.stage, "comment": answer.comment}
    else:
        kind, more = EventKind.APPROVAL_NOT_ADMITTED, {"claimed": answer.approver[:100], "reason": admission.reason}
    write(ledger, kind, environment, admission.sentence, case.plan_hash, **common, **more)
    get_run_logger().info(admission.sentence)


@acting("record the approval")
def record_approved(promotion: Promotion, plan: Plan, now: Standing) -> None:
    """Once since people were asked last, however often the run begins again."""
    ledger = promotion.application.ledger
    story = since(list(ledger.records(promotion.run_id)), ASKED)
    if not any(it.event.kind is EventKind.APPROVED for it in story):
        by = [one.id for one in now.given]
        write(ledger, EventKind.APPROVED, plan.target, now.sentence, plan.hash, by=by)


def refuse_if_over(promotion: Promotion, case: Case, now: Standing) -> None:
    """Raises Rejected when people said no, when nobody said yes in time, or when it is answered without end."""
    if now.rejected_by is not None:
        raise Rejected(last_word(promotion) or now.sentence)
    if datetime.now(UTC) > case.deadline:
        raise Rejected(f"Nobody approved in time, which was until {case.deadline:%Y-%m-%d %H:%M} UTC. {now.sentence}")
    tried = sum(1 for _ in answers(promotion))
    if tried >= MOST_ANSWERS:
        raise Rejected(f"After {tried} answers it is still not approved; that is no way to approve. {now.sentence}")


def last_word(promotion: Promotion) -> str:
    """Who rejected it, and why."""
    mine = (it.event for it in promotion.application.ledger.records(promotion.run_id))
    said = [
        it.sentence for it in mine if it.kind is EventKind.APPROVAL_GIVEN and it.details["decision"] == Decision.REJECT
    ]
    return said[0] if said else ""


# ------------------------------------------------------------------------------------------------ the question


def ask(promotion: Promotion, plan: Plan, case: Case, now: Standing, findings: Sequence[Finding]) -> None:
    """Suspends the run with the plan above its form. Comes back only where the answer was there already."""
    key = f"approval-{len(keys_asked(promotion)) + 1}"  # one that Prefect has seen before would not suspend the run
    void_other_plans(promotion, case)
    record_asked(promotion, case, now, key)
    tell_news(promotion)
    page = approval_page(
        plan=plan,
        findings=findings,
        standing=now,
        requester=case.requester,
        authors=case.authors,
        deadline=case.deadline.astimezone(zone_of(promotion.catalogue)),
        run_url=run_link(promotion.run_id),
        news=news(promotion),
        database=promotion.target.environment.database,
    )
    title = f"What approvers are asked: plan {plan.hash} of {plan.release.version}"
    publish_markdown(artifact_key(plan.application, plan.target, "approval"), page, title)
    get_run_logger().info("%s Resume this run, or python -m deployments.approve %s", now.sentence, promotion.run_id)
    suspend_flow_run(wait_for_input=ApprovalForm.with_initial_data(description=page, plan=case.plan_hash), key=key)


@acting("void the approvals of another plan")
def void_other_plans(promotion: Promotion, case: Case) -> None:
    """Once for each change: whoever approved another plan hears that it does not count any more."""
    ledger = promotion.application.ledger
    mine = [record.event for record in ledger.records(promotion.run_id)]
    asked = [event.plan_hash for event in mine if event.kind in {EventKind.APPROVAL_ASKED, EventKind.APPROVALS_VOID}]
    if not asked or asked[-1] == case.plan_hash:
        return
    given = [it for it in mine if it.kind is EventKind.APPROVAL_GIVEN and it.plan_hash == asked[-1]]
    people = [str(event.details["person"]) for event in given]
    whose = f" What {', '.join(people)} approved is void." if people else ""
    sentence = f"The plan has changed from {asked[-1]} to {case.plan_hash}.{whose}"
    more = {"was": asked[-1], "now": case.plan_hash, "people": people}
    write(ledger, EventKind.APPROVALS_VOID, promotion.target.environment.name, sentence, case.plan_hash, **more)


@acting("record the question")
def record_asked(promotion: Promotion, case: Case, now: Standing, key: str) -> None:
    ledger, environment = promotion.application.ledger, promotion.target.environment.name
    if key in keys_asked(promotion):
        return  # a try before this one had written it
    more = {"key": key, "stage": now.stage, "deadline": case.deadline, "awaited": [one.id for one in now.awaited]}
    write(ledger, EventKind.APPROVAL_ASKED, environment, now.sentence, case.plan_hash, **more)


def news(promotion: Promotion) -> tuple[str, ...]:
    """What has happened to this run since people were first asked, the latest last."""
    kinds = {EventKind.APPROVAL_GIVEN, EventKind.APPROVAL_NOT_ADMITTED, EventKind.APPROVALS_VOID}
    return tuple(
        it.event.sentence for it in promotion.application.ledger.records(promotion.run_id) if it.event.kind in kinds
    )
