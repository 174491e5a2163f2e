"""How a case stands, by what the ledger says: who approved, who is awaited, whether it can be approved at all.

    records of the ledger ──approvals that count──▶ stages filled in order ──▶ Standing

An approval counts only while whoever gave it could still give it, and only on this very plan of this very run. One
that was void once stays so, even if the plan becomes again what it was.
"""

from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from rules.approval_people import is_among, listed
from rules.approval_words import Case, Decision, Standing
from rules.production_policies import ApprovalStage, Person
from rules.records import Event, EventKind, Record
from rules.vocabulary import Finding, Verdict

GATE = "approvers"
ANSWERS = (EventKind.APPROVAL_GIVEN, EventKind.APPROVAL_NOT_ADMITTED)
"""An answer is recorded as one of these."""


@dataclass(slots=True)
class Seat:
    """One stage, and whose approvals count in it."""

    stage: ApprovalStage
    taken: list[Person] = field(default_factory=list)

    @property
    def missing(self) -> int:
        return max(0, self.stage.count - len(self.taken))

    def is_for(self, person: Person) -> bool:
        return not self.stage.group or self.stage.group in person.groups


def standing(case: Case, records: Iterable[Record]) -> Standing:
    """How the case stands. `records`: of the whole application, or at least of the run."""
    everything = [record.event for record in records]
    mine = [event for event in everything if event.run_id == case.run_id]
    seats, given = _seated(case, _counting(case, mine, _first_uses(everything)))
    rejected_by = _rejecter(case, mine)
    now = next((seat for seat in seats if seat.missing), None)
    awaited = tuple(_eligible(case, now, given)) if now and rejected_by is None else ()
    return Standing(
        approved=bool(given) and now is None and rejected_by is None,
        rejected_by=rejected_by,
        given=tuple(given),
        stage=now.stage.name if now and rejected_by is None else "",
        missing=sum(seat.missing for seat in seats),
        awaited=awaited,
        sentence=_sentence(rejected_by, given, now, awaited),
    )


def check_approvers(case: Case, enrolled: frozenset[str] | None = None) -> Finding:
    """Whether there are people enough to approve, so that nobody waits in vain. `enrolled`: ids of who has a secret."""
    if not case.requester.strip():
        why = "Nobody said who asks, so whoever asks could approve it."
        return Finding(GATE, Verdict.FAILED, why, could_be_met="say who asks (requested_by)")
    if sum(stage.count for stage in case.policy.stages) < 1:
        why = "The policy asks for no approval at all."
        return Finding(GATE, Verdict.FAILED, why, could_be_met="give the policy a stage with a count of 1 or more")
    able = [person for person in case.people.values() if not _hindrance(case, person, enrolled)]
    short = unfilled([Seat(stage) for stage in case.policy.stages], able)
    return _too_few(case, short, enrolled) if short else _enough(case, able)


def may_approve(case: Case, person: Person) -> bool:
    """Whether this person may approve this case at all, at some stage."""
    return not _hindrance(case, person, None)


def answers_in(records: Iterable[Record]) -> Iterator[Event]:
    """What was answered, and what became of it."""
    return (record.event for record in records if record.event.kind in ANSWERS)


def _counting(case: Case, mine: Sequence[Event], first_uses: Container[int]) -> Iterator[tuple[Person, str]]:
    """Who approved this plan in which stage, without what was void once or is not entitled any more."""
    since = max((at for at, event in enumerate(mine) if _voids(event, case.plan_hash)), default=-1)
    for event in mine[since + 1 :]:
        person = case.people.get(str(event.details.get("person")))
        if person and _approves(event, case.plan_hash) and id(event) in first_uses and may_approve(case, person):
            yield person, str(event.details.get("stage", ""))


def _approves(event: Event, plan_hash: str) -> bool:
    given = event.kind is EventKind.APPROVAL_GIVEN and event.plan_hash == plan_hash
    return given and event.details.get("decision") == Decision.APPROVE


def _first_uses(events: Iterable[Event]) -> frozenset[int]:
    """The answers (by identity) whose code had not been used before.

    Two runs may judge the same code at the same moment, neither seeing what the other records. The ledger has an
    order, and there the second one does not count.
    """
    first: dict[tuple[str, int], int] = {}
    for event in events:
        step = event.details.get("step")
        if event.kind in ANSWERS and isinstance(step, int):
            first.setdefault((str(event.details.get("person")), step), id(event))
    return frozenset(first.values())


def _voids(event: Event, plan_hash: str) -> bool:
    return event.kind is EventKind.APPROVALS_VOID and event.details.get("was") == plan_hash


def _seated(case: Case, approvals: Iterable[tuple[Person, str]]) -> tuple[list[Seat], list[Person]]:
    """Each in the stage that the ledger names, once in all of them."""
    seats = [Seat(stage) for stage in case.policy.stages]
    given: list[Person] = []
    for person, stage in approvals:
        free = (seat for seat in seats if seat.stage.name == stage and seat.missing and seat.is_for(person))
        if person not in given and (seat := next(free, None)):
            seat.taken.append(person)
            given.append(person)
    return seats, given


def _rejecter(case: Case, mine: Iterable[Event]) -> Person | None:
    """A rejection ends the run, also when the plan has changed since or who said it has left."""
    said = (event for event in mine if event.kind is EventKind.APPROVAL_GIVEN)
    name = next((str(it.details.get("person")) for it in said if it.details.get("decision") == Decision.REJECT), None)
    return None if name is None else case.people.get(name, Person(name, name))


def _eligible(case: Case, seat: Seat, given: Sequence[Person]) -> Iterator[Person]:
    """Who could be admitted to this stage."""
    for person in case.people.values():
        if seat.is_for(person) and person not in given and may_approve(case, person):
            yield person


def _hindrance(case: Case, person: Person, enrolled: frozenset[str] | None) -> str:
    if not person.active:
        return "is removed"
    if is_among(person, [case.requester]):
        return "asks for it"
    if is_among(person, case.authors):
        return "wrote a part of the change"
    return "has no codes yet" if enrolled is not None and person.id not in enrolled else ""


def _sentence(rejected_by: Person | None, given: Sequence[Person], now: Seat | None, awaited: Sequence[Person]) -> str:
    if rejected_by is not None:
        return f"{rejected_by.name} rejected it."
    so_far = f"{listed(given, 'and')} approved" if given else "Nobody has approved yet"
    if now is None:
        return f"{so_far}; that is everybody who is needed." if given else f"{so_far}, and the policy asks for nobody."
    if len(awaited) < now.missing:
        return f"{so_far}; {_wanted(now)}, and only {listed(awaited, 'and')} could: it cannot be approved."
    return f"{so_far}; {_wanted(now)}: {listed(awaited)}."


def _wanted(seat: Seat) -> str:
    group = f" of {seat.stage.group}" if seat.stage.group else ""
    return f"awaited {'is' if seat.missing == 1 else 'are'} {seat.missing}{group} ({seat.stage.name})"


# ------------------------------------------------------------------------------------- are there people enough?


def unfilled(seats: Sequence[Seat], able: Iterable[Person]) -> list[Seat]:
    """The stages that stay short however the people are spread over them. Nobody sits in two."""
    for person in able:
        _place(person, seats, set())
    return [seat for seat in seats if seat.missing]


def _place(person: Person, seats: Sequence[Seat], tried: set[int]) -> bool:
    """Find a seat for a person, moving others where that makes room (augmenting paths)."""
    for at, seat in enumerate(seats):
        if at in tried or not seat.is_for(person):
            continue
        tried.add(at)
        if seat.missing:
            seat.taken.append(person)
            return True
        for other in seat.taken:
            if _place(other, seats, tried):
                seat.taken[seat.taken.index(other)] = person
                return True
    return False


def _enough(case: Case, able: Sequence[Person]) -> Finding:
    useful = [person for person in able if any(Seat(stage).is_for(person) for stage in case.policy.stages)]
    needed = sum(stage.count for stage in case.policy.stages)
    return Finding(
        GATE, Verdict.PASSED, f"{listed(useful)} may approve; {needed} of them must.", str(len(useful)), str(needed)
    )


def _too_few(case: Case, short: Sequence[Seat], enrolled: frozenset[str] | None) -> Finding:
    lacks = " ".join(_lack(case, seat, enrolled) for seat in short)
    remedy = "another person in the group, in the catalogue; or somebody else asks"
    return Finding(GATE, Verdict.FAILED, f"Too few may approve. {lacks}", could_be_met=remedy)


def _lack(case: Case, seat: Seat, enrolled: frozenset[str] | None) -> str:
    group = f" of {seat.stage.group}" if seat.stage.group else ""
    members = [person for person in case.people.values() if seat.is_for(person)]
    free = [person for person in members if not _hindrance(case, person, enrolled)]
    barred = [f"{person.name} {why}" for person in members if (why := _hindrance(case, person, enrolled))]
    reasons = f" ({'; '.join(barred)})" if barred else ""
    return f"{seat.stage.name} needs {seat.stage.count}{group}, free for it is {listed(free, 'and')}{reasons}."
