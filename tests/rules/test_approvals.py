"""Who may approve: facts, a table of attacks of which none is admitted, and what holds for all sequences of answers."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rules.approvals import (
    Admission,
    Answer,
    Case,
    CodeCheck,
    CodeKind,
    Decision,
    Reason,
    admit,
    check_approvers,
    judged,
    locked_until,
    person_of,
    standing,
)
from rules.production_policies import ApprovalPolicy, ApprovalStage, Person
from rules.records import Event, EventKind, Record, chain
from rules.vocabulary import Verdict

NOW = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)
PLAN, OLD_PLAN = "plan-b", "plan-a"
RUN, OTHER_RUN = "run-2", "run-1"

ANNA = Person("anna-meier", "Anna Meier", ("team-leads",), ("anna.meier@batbern.example", "annam"))
RETO = Person("reto-keller", "Reto Keller", ("team-leads",), ("reto.keller@batbern.example", "rkeller"))
SOFIA = Person("sofia-rossi", "Sofia Rossi", ("operations",), ("sofia.rossi@batbern.example", "srossi"))
URS = Person("urs-frei", "Urs Frei", ("operations", "team-leads"), ("urs.frei@batbern.example",))
GONE = Person("old-hand", "Otto Alt", ("operations", "team-leads"), ("otto@batbern.example",), active=False)
GUEST = Person("guest", "Gabi Gast", ("design",))
NAMESAKES = {name: Person(name, "Jan Muster", ("team-leads",)) for name in ("jan-1", "jan-2")}
EVERYBODY = {person.id: person for person in (ANNA, RETO, SOFIA, URS, GONE, GUEST)}

LEAD_THEN_OPS = ApprovalPolicy(
    (ApprovalStage("team lead", "team-leads", 1), ApprovalStage("operations", "operations", 1)),
    attempts=3,
    attempts_minutes=60,
)
ANY_TWO = replace(LEAD_THEN_OPS, stages=(ApprovalStage(),))

CASE = Case(
    policy=LEAD_THEN_OPS,
    people=EVERYBODY,
    requester="somebody else",
    authors=frozenset(),
    plan_hash=PLAN,
    deadline=NOW + timedelta(hours=72),
    asked_at=NOW - timedelta(minutes=5),
    run_id=RUN,
)


def step_at(at: datetime) -> int:
    return int(at.timestamp()) // 30


def answer(approver: str, **how: object) -> Answer:
    usual: dict[str, object] = {"key": "approval-9", "decision": Decision.APPROVE, "plan_hash": PLAN, "comment": ""}
    return Answer(approver=approver, **(usual | {"at": NOW} | how))  # type: ignore[arg-type]  # fields by name


def valid(at: datetime = NOW) -> CodeCheck:
    return CodeCheck(CodeKind.VALID, step_at(at))


WRONG = CodeCheck(CodeKind.WRONG)


class Chronicle:
    """A ledger in memory, which records answers as the flow does."""

    def __init__(self) -> None:
        self.records: list[Record] = []
        self.codes = 0

    def write(self, kind: EventKind, run: str, plan: str, details: dict[str, object]) -> "Chronicle":
        event = Event(run, plan, "production", kind, str(details.get("sentence", kind)), details)
        self.records.append(chain(self.records[-1] if self.records else None, event, NOW))
        return self

    def judge(self, told: Answer, check: CodeCheck, case: Case = CASE) -> Admission:
        admission = admit(told, check, case, self.records)
        if told.decision is not Decision.AGAIN and not judged(told.key, case, self.records):
            self.note(told, check, admission, case)
        return admission

    def note(self, told: Answer, check: CodeCheck, admission: Admission, case: Case = CASE) -> None:
        person = admission.person.id if admission.person else ""
        about: dict[str, object] = {"sentence": admission.sentence, "key": told.key, "person": person}
        about |= {"decision": told.decision, "step": check.step, "at": told.at, "stage": admission.stage}
        if admission.reason is not None:
            about |= {"claimed": told.approver, "reason": admission.reason}
        kind = EventKind.APPROVAL_NOT_ADMITTED if admission.reason else EventKind.APPROVAL_GIVEN
        self.write(kind, case.run_id, case.plan_hash, about)

    def given(self, *people: Person, case: Case = CASE, at: datetime = NOW - timedelta(minutes=5)) -> "Chronicle":
        for person in people:
            self.codes += 1
            moment = at + timedelta(seconds=30 * self.codes)
            told = answer(person.id, key=f"given-{self.codes}", at=moment, plan_hash=case.plan_hash)
            assert self.judge(told, valid(moment), case).reason is None
        return self

    def failed(self, person: Person, times: int, at: datetime = NOW, **how: object) -> "Chronicle":
        for number in range(times):
            details: dict[str, object] = {"key": f"failed-{number}", "person": person.id, "step": None}
            details |= {"reason": Reason.WRONG_CODE, "at": at, **how}
            self.write(EventKind.APPROVAL_NOT_ADMITTED, OTHER_RUN, OLD_PLAN, details)
        return self


def empty() -> Chronicle:
    return Chronicle()


# ---------------------------------------------------------------------------------------------- how it should go


def test_a_team_lead_and_then_operations_approve() -> None:
    ledger = empty().given(ANNA)
    half = standing(CASE, ledger.records)
    assert (half.approved, half.given, half.stage, half.missing) == (False, (ANNA,), "operations", 1)
    assert half.awaited == (SOFIA, URS)
    done = standing(CASE, ledger.given(SOFIA).records)
    assert (done.approved, done.given, done.stage, done.missing, done.awaited) == (True, (ANNA, SOFIA), "", 0, ())


def test_what_is_said_names_who_approved_and_who_is_awaited() -> None:
    ledger = empty()
    assert standing(CASE, []).sentence == (
        "Nobody has approved yet; awaited is 1 of team-leads (team lead): Anna Meier, Reto Keller or Urs Frei."
    )
    assert standing(CASE, ledger.given(ANNA).records).sentence == (
        "Anna Meier approved; awaited is 1 of operations (operations): Sofia Rossi or Urs Frei."
    )
    assert standing(CASE, ledger.given(SOFIA).records).sentence == (
        "Anna Meier and Sofia Rossi approved; that is everybody who is needed."
    )


def test_who_asks_and_who_wrote_the_change_are_not_awaited() -> None:
    case = replace(CASE, requester="ANNAM", authors=frozenset({"reto.keller@batbern.example"}))
    assert standing(case, []).awaited == (URS,)


def test_an_admission_says_what_was_approved_as_what_and_why() -> None:
    admission = admit(answer("annam", comment="Looks good."), valid(), CASE, [])
    assert admission == Admission(ANNA, "team lead", None, "Anna Meier approved (team lead): Looks good.")


@pytest.mark.parametrize("person", [ANNA, SOFIA, GUEST], ids=lambda it: it.id)
def test_one_reject_ends_it_whoever_s_turn_it_is(person: Person) -> None:
    ledger = empty()
    assert ledger.judge(answer(person.id, decision=Decision.REJECT), valid()).reason is None
    now = standing(CASE, ledger.records)
    assert (now.approved, now.rejected_by, now.awaited, now.stage) == (False, person, (), "")
    assert now.sentence == f"{person.name} rejected it."


def test_a_reject_without_a_code_ends_nothing() -> None:
    ledger = empty()
    assert ledger.judge(answer("anna-meier", decision=Decision.REJECT), WRONG).reason is Reason.WRONG_CODE
    assert standing(CASE, ledger.records).rejected_by is None


@pytest.mark.parametrize("case", [replace(CASE, requester="annam"), replace(CASE, authors=frozenset({"annam"}))])
def test_whoever_asked_or_wrote_it_may_withdraw_it(case: Case) -> None:
    assert admit(answer("annam", decision=Decision.REJECT), valid(), case, []).reason is None


def test_what_is_approved_may_be_rejected_while_it_waits_for_its_time() -> None:
    ledger = empty().given(ANNA, SOFIA)
    late = CASE.deadline + timedelta(hours=1)
    assert ledger.judge(answer("reto-keller", decision=Decision.REJECT, at=late), valid(late)).reason is None
    assert not standing(CASE, ledger.records).approved


def test_a_rejection_stands_although_the_plan_has_changed_since() -> None:
    ledger = empty()
    ledger.judge(answer("anna-meier", decision=Decision.REJECT), valid())
    assert standing(replace(CASE, plan_hash="plan-c"), ledger.records).rejected_by == ANNA


def test_to_see_the_plan_again_needs_nothing_and_changes_nothing() -> None:
    ledger = empty()
    admission = ledger.judge(answer("promotion-flows", decision=Decision.AGAIN, plan_hash=""), WRONG)
    assert (admission.reason, admission.person, ledger.records) == (None, None, [])


def test_a_key_is_judged_once() -> None:
    ledger = empty()
    first = ledger.judge(answer("anna-meier"), valid())
    assert ledger.judge(answer("anna-meier"), valid()) == first
    assert ledger.judge(answer("sofia-rossi"), valid()) == first
    assert len(ledger.records) == 1


def test_the_same_key_of_another_run_is_another_answer() -> None:
    ledger = empty()
    ledger.judge(answer("anna-meier"), valid(), replace(CASE, run_id=OTHER_RUN))
    later = NOW + timedelta(minutes=1)
    assert ledger.judge(answer("anna-meier", at=later), valid(later)).reason is None


def test_two_approvals_at_the_same_moment_both_count_once_each() -> None:
    case, ledger = replace(CASE, policy=ANY_TWO), empty()
    assert ledger.judge(answer("anna-meier", key="approval-1"), valid(), case).reason is None
    assert ledger.judge(answer("sofia-rossi", key="approval-2"), valid(), case).reason is None
    assert standing(case, ledger.records).given == (ANNA, SOFIA)


def test_who_is_in_two_groups_counts_in_the_stage_whose_turn_it_was() -> None:
    ledger = empty().given(URS)
    now = standing(CASE, ledger.records)
    assert (now.stage, now.awaited) == ("operations", (SOFIA,))


# -------------------------------------------------------------------------------------------- who does not count


def test_approvals_of_another_plan_never_count() -> None:
    ledger = empty().given(ANNA, SOFIA, case=replace(CASE, plan_hash=OLD_PLAN))
    assert standing(CASE, ledger.records).given == ()


def test_approvals_of_another_run_never_count_even_with_the_same_plan() -> None:
    ledger = empty().given(ANNA, SOFIA, case=replace(CASE, run_id=OTHER_RUN))
    assert standing(CASE, ledger.records).given == ()


def test_what_was_void_once_stays_so_when_the_plan_becomes_again_what_it_was() -> None:
    ledger = empty().given(ANNA)
    ledger.write(EventKind.APPROVALS_VOID, RUN, "plan-c", {"was": PLAN, "now": "plan-c", "people": [ANNA.id]})
    ledger.write(EventKind.APPROVALS_VOID, RUN, PLAN, {"was": "plan-c", "now": PLAN, "people": []})
    assert standing(CASE, ledger.records).given == ()
    assert standing(CASE, ledger.given(ANNA, SOFIA, at=NOW).records).approved


@pytest.mark.parametrize(
    "anna", [None, replace(ANNA, active=False), replace(ANNA, groups=())], ids=["left", "inactive", "other group"]
)
def test_an_approval_counts_only_while_its_giver_could_give_it(anna: Person | None) -> None:
    ledger = empty().given(ANNA, SOFIA)
    people = {**EVERYBODY, ANNA.id: anna} if anna else {it: EVERYBODY[it] for it in EVERYBODY if it != ANNA.id}
    now = standing(replace(CASE, people=people), ledger.records)
    assert (now.approved, now.given, now.stage) == (False, (SOFIA,), "team lead")


def test_an_approval_of_who_turns_out_to_be_an_author_does_not_count() -> None:
    ledger = empty().given(ANNA, SOFIA)
    assert standing(replace(CASE, authors=frozenset({"SROSSI"})), ledger.records).given == (ANNA,)


def test_of_a_code_that_two_runs_judged_at_the_same_moment_the_first_use_counts() -> None:
    other, ledger = replace(CASE, run_id=OTHER_RUN), empty()
    here, there = (admit(answer("anna-meier"), valid(), case, []) for case in (CASE, other))
    ledger.note(answer("anna-meier"), valid(), there, other)
    ledger.note(answer("anna-meier"), valid(), here, CASE)
    assert standing(other, ledger.records).given == (ANNA,)
    assert standing(CASE, ledger.records).given == ()


def test_an_approval_that_nobody_proved_does_not_count() -> None:
    told, forged = answer("anna-meier"), Admission(ANNA, "team lead", None, "Forged.")
    ledger = empty()
    ledger.note(told, CodeCheck(CodeKind.VALID, None), forged)
    assert standing(CASE, ledger.records).given == ()


def test_one_person_counts_once_in_all_stages_together() -> None:
    ledger = empty().given(URS)
    forged = Admission(URS, "operations", None, "Forged.")
    ledger.note(answer("urs-frei"), valid(), forged)
    assert standing(CASE, ledger.records).given == (URS,)


@pytest.mark.parametrize("stages", [(), (ApprovalStage(count=0),)])
def test_a_policy_that_asks_for_nobody_is_never_fulfilled(stages: tuple[ApprovalStage, ...]) -> None:
    case = replace(CASE, policy=replace(LEAD_THEN_OPS, stages=stages))
    assert not standing(case, []).approved
    assert check_approvers(case).verdict is Verdict.FAILED


# --------------------------------------------------------------------------------------------------- the attacks


@dataclass(frozen=True)
class Attack:
    name: str
    reason: Reason
    told: Answer
    check: CodeCheck = valid()  # noqa: RUF009 - a frozen value
    case: Case = CASE
    before: Chronicle = empty()  # noqa: RUF009 - never written to
    says: str = ""


def reused(**how: object) -> Chronicle:
    """Anna's code of this moment was shown before."""
    details: dict[str, object] = {"key": "approval-1", "person": ANNA.id, "step": step_at(NOW), "at": NOW} | how
    kind = EventKind.APPROVAL_NOT_ADMITTED if "reason" in how else EventKind.APPROVAL_GIVEN
    return empty().write(kind, OTHER_RUN, OLD_PLAN, details)


def rejected() -> Chronicle:
    ledger = empty()
    ledger.judge(answer(RETO.id, key="approval-1", decision=Decision.REJECT), valid())
    return ledger


ATTACKS = (
    Attack("a stranger", Reason.UNKNOWN, answer("mallory"), says="'mallory' is nobody who may approve"),
    Attack("nobody", Reason.UNKNOWN, answer(" ")),
    Attack("a stranger says no", Reason.UNKNOWN, answer("mallory", decision=Decision.REJECT)),
    Attack("a namesake", Reason.UNKNOWN, answer("Jan Muster"), case=replace(CASE, people=NAMESAKES)),
    Attack("somebody put inactive", Reason.REMOVED, answer("old-hand"), says="Otto Alt may not approve any more"),
    Attack("somebody who left", Reason.UNKNOWN, answer("anna-meier"), case=replace(CASE, people={"urs-frei": URS})),
    Attack("who asked, by id", Reason.REQUESTER, answer("anna-meier"), case=replace(CASE, requester="anna-meier")),
    Attack("who asked, by login", Reason.REQUESTER, answer("anna-meier"), case=replace(CASE, requester=" ANNAM ")),
    Attack("who asked, by name", Reason.REQUESTER, answer("annam"), case=replace(CASE, requester="anna  MEIER")),
    Attack("who asked, by name and address", Reason.REQUESTER, answer("annam"),
           case=replace(CASE, requester="A. M. <Anna.Meier@batbern.example>"), says="somebody else must approve it"),
    Attack("who asked, with an invisible character", Reason.REQUESTER, answer("annam"),
           case=replace(CASE, requester="anna\N{ZERO WIDTH SPACE}-meier")),
    Attack("an author, by address", Reason.AUTHOR, answer("anna-meier"),
           case=replace(CASE, authors=frozenset({"Anna.Meier@BatBern.example"}))),
    Attack("an author, by login", Reason.AUTHOR, answer("anna-meier"),
           case=replace(CASE, authors=frozenset({"annam"}))),
    Attack("an author who hides the address", Reason.AUTHOR, answer("anna-meier"),
           case=replace(CASE, authors=frozenset({"4711+AnnaM@users.noreply.github.com"}))),
    Attack("the same person twice", Reason.TWICE, answer("anna-meier"), before=empty().given(ANNA)),
    Attack("the same person under another name", Reason.TWICE, answer("ANNAM"), before=empty().given(ANNA)),
    Attack("the same person in two groups", Reason.TWICE, answer("urs-frei"), before=empty().given(URS)),
    Attack("the same person twice, where anybody may", Reason.TWICE, answer("guest"),
           case=replace(CASE, policy=ANY_TWO), before=empty().given(GUEST, case=replace(CASE, policy=ANY_TWO))),
    Attack("operations before the team lead", Reason.NOT_AWAITED, answer("sofia-rossi"),
           says="awaited is 1 of team-leads (team lead): Anna Meier, Reto Keller or Urs Frei. Then comes operations"),
    Attack("a second team lead instead of operations", Reason.NOT_AWAITED, answer("reto-keller"),
           before=empty().given(ANNA), says="awaited is 1 of operations"),
    Attack("somebody of no group that approves", Reason.NOT_AWAITED, answer("guest")),
    Attack("without a secret", Reason.NOT_ENROLLED, answer("anna-meier"), CodeCheck(CodeKind.NOT_ENROLLED),
           says="python -m deployments.enrol anna-meier"),
    Attack("a wrong code", Reason.WRONG_CODE, answer("anna-meier"), WRONG),
    Attack("a wrong code to say no", Reason.WRONG_CODE, answer("anna-meier", decision=Decision.REJECT), WRONG),
    Attack("a code of no known time", Reason.WRONG_CODE, answer("anna-meier"), CodeCheck(CodeKind.VALID)),
    Attack("an old code", Reason.OLD_CODE, answer("anna-meier"), CodeCheck(CodeKind.OLD), says="next code"),
    Attack("a code used in another run", Reason.REUSED_CODE, answer("anna-meier"), before=reused()),
    Attack("a code before one that was used", Reason.REUSED_CODE, answer("anna-meier"),
           valid(NOW - timedelta(seconds=30)), before=reused()),
    Attack("a code used by an answer that was not admitted", Reason.REUSED_CODE, answer("anna-meier"),
           before=reused(reason=Reason.OTHER_PLAN)),
    Attack("a code used to say no", Reason.REUSED_CODE, answer("anna-meier"), before=reused(decision="reject")),
    Attack("guessing", Reason.LOCKED_OUT, answer("anna-meier"), WRONG, before=empty().failed(ANNA, 3)),
    Attack("the right code after too many wrong ones", Reason.LOCKED_OUT, answer("anna-meier"),
           before=empty().failed(ANNA, 3), says="no answer counts until 2026-11-23 10:00 UTC"),
    Attack("saying no after too many wrong codes", Reason.LOCKED_OUT, answer("anna-meier", decision=Decision.REJECT),
           before=empty().failed(ANNA, 3)),
    Attack("another plan", Reason.OTHER_PLAN, answer("anna-meier", plan_hash=OLD_PLAN), says="another plan"),
    Attack("no plan", Reason.OTHER_PLAN, answer("anna-meier", plan_hash="")),
    Attack("the beginning of the plan's hash", Reason.OTHER_PLAN, answer("anna-meier", plan_hash=PLAN[:-1])),
    Attack("no to another plan", Reason.OTHER_PLAN,
           answer("anna-meier", plan_hash=OLD_PLAN, decision=Decision.REJECT)),
    Attack("after the deadline", Reason.TOO_LATE, answer("anna-meier", at=CASE.deadline + timedelta(seconds=1)),
           says="The deadline was 2026-11-26 09:00 UTC"),
    Attack("after somebody said no", Reason.DECIDED, answer("anna-meier"), before=rejected(), says="by Reto Keller"),
    Attack("after it was approved", Reason.DECIDED, answer("reto-keller"), before=empty().given(ANNA, SOFIA)),
)  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_no_attack_is_admitted(attack: Attack) -> None:
    before = standing(attack.case, attack.before.records)
    admission = admit(attack.told, attack.check, attack.case, attack.before.records)
    assert admission.reason is attack.reason
    assert admission.stage == ""
    assert attack.says in admission.sentence
    after = empty()
    after.records = list(attack.before.records)
    after.note(attack.told, attack.check, admission, attack.case)
    assert standing(attack.case, after.records) == before


def test_every_reason_is_in_the_table_of_attacks() -> None:
    assert {attack.reason for attack in ATTACKS} == set(Reason)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)
def test_a_refusal_is_one_to_three_plain_sentences(attack: Attack) -> None:
    sentence = admit(attack.told, attack.check, attack.case, attack.before.records).sentence
    assert sentence.endswith(".")
    assert 20 < len(sentence) < 250
    assert "  " not in sentence


# ------------------------------------------------------------------------------------------ what a guesser learns


@pytest.mark.parametrize(
    "case",
    [
        CASE,
        replace(CASE, requester="anna-meier"),
        replace(CASE, authors=frozenset({"annam"})),
        replace(CASE, plan_hash="plan-c"),
        replace(CASE, people=EVERYBODY | {ANNA.id: replace(ANNA, groups=())}),
    ],
)
def test_who_proves_nothing_hears_the_same_whatever_else_would_be_said(case: Case) -> None:
    refused = admit(answer("anna-meier"), WRONG, case, [])
    assert (refused.reason, refused.sentence) == (Reason.WRONG_CODE, "That is not the code of Anna Meier.")


def test_while_locked_out_right_and_wrong_codes_sound_the_same() -> None:
    locked = empty().failed(ANNA, 3).records
    checks = (valid(), WRONG, CodeCheck(CodeKind.OLD), CodeCheck(CodeKind.NOT_ENROLLED))
    assert len({admit(answer("annam"), check, CASE, locked) for check in checks}) == 1


@pytest.mark.parametrize("reason", [Reason.WRONG_CODE, Reason.OLD_CODE, Reason.REUSED_CODE])
def test_wrong_old_and_used_codes_all_count_towards_being_locked_out(reason: Reason) -> None:
    ledger = empty().failed(ANNA, 3, reason=reason)
    assert locked_until(ANNA, LEAD_THEN_OPS, NOW, ledger.records) == NOW + timedelta(minutes=60)


@pytest.mark.parametrize("reason", sorted(set(Reason) - {Reason.WRONG_CODE, Reason.OLD_CODE, Reason.REUSED_CODE}))
def test_other_refusals_lock_nobody_out(reason: Reason) -> None:
    assert locked_until(ANNA, LEAD_THEN_OPS, NOW, empty().failed(ANNA, 9, reason=reason).records) is None


def test_others_are_not_locked_out_with_the_one_whose_code_is_guessed() -> None:
    assert admit(answer("reto-keller"), valid(), CASE, empty().failed(ANNA, 9).records).reason is None


def test_a_lock_lasts_from_the_last_wrong_code_and_then_is_over() -> None:
    ledger = empty().failed(ANNA, 1, NOW - timedelta(minutes=59)).failed(ANNA, 2, NOW)
    last = NOW + timedelta(minutes=60) - timedelta(seconds=1)
    assert locked_until(ANNA, LEAD_THEN_OPS, last, ledger.records) == NOW + timedelta(minutes=60)
    assert locked_until(ANNA, LEAD_THEN_OPS, NOW + timedelta(minutes=60), ledger.records) is None


def test_wrong_codes_far_apart_lock_nobody_out() -> None:
    ledger = empty().failed(ANNA, 1, NOW - timedelta(minutes=61)).failed(ANNA, 2, NOW)
    assert locked_until(ANNA, LEAD_THEN_OPS, NOW, ledger.records) is None


# -------------------------------------------------------------------------------------- are there people enough?


def test_there_are_people_enough() -> None:
    finding = check_approvers(CASE)
    assert (finding.gate, finding.verdict) == ("approvers", Verdict.PASSED)
    assert finding.sentence == "Anna Meier, Reto Keller, Sofia Rossi or Urs Frei may approve; 2 of them must."


def test_too_few_are_named_with_the_reasons_of_the_others() -> None:
    case = replace(CASE, requester="urs-frei", authors=frozenset({"srossi"}))
    finding = check_approvers(case)
    assert finding.verdict is Verdict.FAILED
    assert finding.sentence == (
        "Too few may approve. operations needs 1 of operations, free for it is nobody (Sofia Rossi wrote a part of "
        "the change; Urs Frei asks for it; Otto Alt is removed)."
    )
    assert finding.could_be_met


def test_one_person_cannot_fill_two_stages() -> None:
    case = replace(CASE, people={"urs-frei": URS})
    assert check_approvers(case).verdict is Verdict.FAILED
    assert check_approvers(replace(case, people={"urs-frei": URS, "guest": GUEST})).verdict is Verdict.FAILED


def test_people_are_spread_over_the_stages_so_that_it_works() -> None:
    people = {"urs-frei": URS, "anna-meier": ANNA}  # Urs must leave the first stage to Anna
    assert check_approvers(replace(CASE, people=people)).verdict is Verdict.PASSED


def test_who_has_no_codes_cannot_approve() -> None:
    assert check_approvers(CASE, frozenset({"anna-meier", "sofia-rossi"})).verdict is Verdict.PASSED
    finding = check_approvers(CASE, frozenset({"anna-meier"}))
    assert finding.verdict is Verdict.FAILED
    assert "Sofia Rossi has no codes yet" in finding.sentence


def test_somebody_must_say_who_asks() -> None:
    finding = check_approvers(replace(CASE, requester=" "))
    assert (finding.verdict, finding.could_be_met) == (Verdict.FAILED, "say who asks (requested_by)")


def test_nobody_left_for_a_stage_is_said_while_it_waits() -> None:
    people = {it.id: it for it in (ANNA, URS)}
    ledger = empty().given(URS, case=replace(CASE, people=people))
    assert "it cannot be approved" in standing(replace(CASE, people=people), ledger.records).sentence


# ------------------------------------------------------------------------------------------------ who is meant


@pytest.mark.parametrize(
    "typed", ["anna-meier", " ANNA-MEIER ", "Anna  Meier", "annam", "@annam", "Anna.Meier@batbern.example"]
)
def test_a_person_is_known_by_id_name_and_accounts(typed: str) -> None:
    assert person_of(typed, EVERYBODY) == ANNA


@pytest.mark.parametrize("typed", ["", " ", "anna", "meier", "anna-meier, reto-keller", "team-leads", "@"])
def test_nobody_is_guessed(typed: str) -> None:
    assert person_of(typed, EVERYBODY) is None


def test_an_id_goes_before_a_name() -> None:
    people = {"urs": Person("urs", "Urs Frei"), "frei": Person("frei", "Urs")}
    assert person_of("urs", people) == people["urs"]


@given(st.text())
def test_whatever_is_typed_means_one_person_or_nobody(typed: str) -> None:
    assert person_of(typed, EVERYBODY) in {None, *EVERYBODY.values()}


# --------------------------------------------------------------------------------------- whatever is answered


@dataclass(frozen=True)
class Try:
    """Somebody's try: who, when, with which code, on which plan."""

    approver: str
    decision: Decision
    plan: str
    code: CodeKind
    minutes: int
    drift: int
    run: str


TRIES = st.builds(
    Try,
    st.sampled_from(["anna-meier", "annam", "Reto Keller", "sofia-rossi", "urs-frei", "old-hand", "guest", "mallory"]),
    st.sampled_from([Decision.APPROVE] * 8 + [Decision.REJECT, Decision.AGAIN]),
    st.sampled_from([PLAN, PLAN, PLAN, OLD_PLAN]),
    st.sampled_from([CodeKind.VALID] * 5 + list(CodeKind)),
    st.integers(min_value=0, max_value=6),
    st.integers(min_value=-1, max_value=1),
    st.sampled_from([RUN, RUN, RUN, OTHER_RUN]),
)
CASES = st.builds(
    lambda policy, requester, authors: replace(CASE, policy=policy, requester=requester, authors=authors),
    st.sampled_from([LEAD_THEN_OPS, ANY_TWO, replace(ANY_TWO, stages=(ApprovalStage("leads", "team-leads", 2),))]),
    st.sampled_from(["somebody else", "annam", "urs-frei"]),
    st.sampled_from([frozenset(), frozenset({"srossi"}), frozenset({"reto.keller@batbern.example"})]),
)


def play(case: Case, tries: Iterable[Try]) -> Chronicle:
    """The answers one after the other, each recorded. The deadline comes during the last minute."""
    ledger = empty()
    for number, one in enumerate(sorted(tries, key=lambda it: it.minutes), start=1):
        at = NOW + timedelta(minutes=one.minutes)
        step = step_at(at) + one.drift if one.code is CodeKind.VALID else None
        told = answer(one.approver, key=f"approval-{number}", decision=one.decision, plan_hash=one.plan, at=at)
        ledger.judge(told, CodeCheck(one.code, step), replace(case, run_id=one.run))
    return ledger


@settings(max_examples=200)
@given(CASES, st.lists(TRIES, max_size=14))
def test_approved_means_proved_by_different_people_who_may_on_this_plan_in_time(case: Case, tries: list[Try]) -> None:
    case = replace(case, deadline=NOW + timedelta(minutes=5))
    ledger = play(case, tries)
    now = standing(case, ledger.records)
    given_here = [it.event for it in ledger.records if it.event.kind is EventKind.APPROVAL_GIVEN]
    counted = [it for it in given_here if it.run_id == RUN and it.details["decision"] == "approve"]
    assert now.approved == (not now.missing and now.rejected_by is None)
    if now.approved:
        assert len({person.id for person in now.given}) == len(now.given) == sum(it.count for it in case.policy.stages)
        assert [it.details["person"] for it in counted] == [person.id for person in now.given]
        assert all(it.plan_hash == PLAN and it.details["step"] is not None for it in counted)
        assert all(datetime.fromisoformat(it.details["at"]) <= case.deadline for it in counted)
        assert all(may(case, now.given[: at + 1]) for at in range(len(now.given)))
    shown = [(it.details["person"], it.details["step"]) for it in given_here]
    assert len(set(shown)) == len(shown)


def may(case: Case, given_so_far: Sequence[Person]) -> bool:
    """An oracle of its own: the last of these sits in the stage whose turn it is, and neither asked nor wrote it."""
    person = given_so_far[-1]
    seats = [stage.group for stage in case.policy.stages for _ in range(stage.count)]
    group = seats[len(given_so_far) - 1]
    barred = {case.requester, *case.authors} & {person.id, *person.accounts}
    return person.active and not barred and (not group or group in person.groups)


@settings(max_examples=100)
@given(CASES, st.lists(TRIES, max_size=10), st.integers(min_value=0, max_value=10))
def test_an_answer_that_is_not_admitted_changes_nothing_of_how_it_stands(
    case: Case, tries: list[Try], cut: int
) -> None:
    ledger = play(case, tries)
    ledger.records = ledger.records[:cut]
    before = standing(case, ledger.records)
    admission = ledger.judge(answer("mallory", key="approval-99"), valid(), case)
    assert admission.reason is not None
    assert standing(case, ledger.records) == before


def test_within_a_stage_the_order_does_not_matter() -> None:
    case = replace(CASE, policy=replace(LEAD_THEN_OPS, stages=(ApprovalStage("any", "", 3),)))
    ends = {
        frozenset(it.id for it in standing(case, empty().given(*people, case=case).records).given)
        for people in permutations((ANNA, RETO, SOFIA))
    }
    assert ends == {frozenset({"anna-meier", "reto-keller", "sofia-rossi"})}
    assert standing(case, empty().given(SOFIA, ANNA, RETO, case=case).records).approved
