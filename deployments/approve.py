"""Approve, reject or look at a waiting promotion without a browser.

    python -m deployments.approve RUN                                           shows the plan that is asked about
    python -m deployments.approve RUN --as PERSON --decision approve --plan HASH --code CODE [--comment WHY]
    python -m deployments.approve RUN --as PERSON --decision reject --code CODE [--comment WHY]
    python -m deployments.approve RUN --decision "show the plan again"          has gates and plan looked at anew

RUN is a flow run's id, or its name where only one of that name is not over. PERSON is your id, name or account in
the catalogue; without --code you are asked for it. To approve say which plan you have read: HASH is at the end of
what is shown.

Exit code 0: it counts (or the plan was shown); 1: not admitted, or it cannot be answered now; 2: called wrongly.
"""

import argparse
import getpass
import json
import re
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import UUID

import httpx
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterName
from prefect.client.schemas.objects import FlowRun, FlowRunInput
from prefect.client.schemas.responses import SetStateStatus
from prefect.exceptions import ObjectNotFound, PrefectHTTPStatusError

from blocks.ledger import Ledger, open_ledger
from rules.approvals import Decision
from rules.errors import InvalidInput, PromotionError
from rules.records import Event, EventKind

COUNTED, NOT_COUNTED, CALLED_WRONGLY = 0, 1, 2
TRY_SECONDS = 60.0
"""So long an answer is tried again. Not longer, because its code would be old and count as a failed one."""
WAIT_SECONDS = 300.0
"""So long we wait to hear whether it counts: a worker begins the run again and looks at everything first."""
PAUSE_SECONDS = 1.0
ANY_PLAN = ""
MOST_INPUTS = 200
ANSWER_KEY = re.compile(r"(?:suspended|paused)-(.+)-response")
OUTCOMES = {EventKind.APPROVAL_GIVEN: "Counted", EventKind.APPROVAL_NOT_ADMITTED: "Not admitted"}


class Unanswerable(PromotionError):
    """The run does not take this answer now. Nothing was sent."""


@dataclass(frozen=True, slots=True)
class Form:
    """The fields of the form, as `tasks/approving.py` has them."""

    approver: str
    decision: Decision
    code: str
    plan: str
    comment: str


@dataclass(frozen=True, slots=True)
class Question:
    """What a waiting run asks."""

    plan: str
    page: str


@dataclass(frozen=True, slots=True)
class Clock:
    now: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep

    def ticks(self, seconds: float) -> Iterator[None]:
        """At once, and then every second for so long."""
        end = self.now() + seconds
        yield
        while self.now() < end:
            self.pause(PAUSE_SECONDS)
            yield


def main(arguments: Sequence[str] | None = None, clock: Clock | None = None) -> int:
    options = _options(arguments)
    try:
        with get_client(sync_client=True) as client:
            return _main(client, options, clock or Clock())
    except InvalidInput as error:
        return _complain(error, CALLED_WRONGLY)
    except (PromotionError, PrefectHTTPStatusError, httpx.TransportError) as error:
        return _complain(error, NOT_COUNTED)


def _main(client: SyncPrefectClient, options: argparse.Namespace, clock: Clock) -> int:
    run = find_run(client, options.run)
    question = wait_for_question(client, run.id, clock)
    if options.decision is None or (options.decision is Decision.APPROVE and not options.plan):
        return _show(question, options)
    ledger = open_ledger(options.application or str(run.parameters.get("application", "")))
    key = send(client, run.id, _form(options, question), clock)
    print(f"Run {run.id} has your answer ({key}).")
    if options.decision is Decision.AGAIN:
        return COUNTED  # what decides nothing is not judged
    return report(client, ledger, run.id, key, clock.ticks(options.wait))


# ---------------------------------------------------------------------------------------------- what is asked


def find_run(client: SyncPrefectClient, text: str) -> FlowRun:
    """The run of that id, or the only one of that name that is not over. Raises InvalidInput."""
    try:
        return client.read_flow_run(UUID(text))
    except ObjectNotFound:
        raise InvalidInput("the run", text, "the id of a flow run on this Prefect server") from None
    except ValueError:
        found = client.read_flow_runs(flow_run_filter=FlowRunFilter(name=FlowRunFilterName(any_=[text])))
    alive = [run for run in found if run.state is None or not run.state.is_final()]
    if len(alive) == 1:
        return alive[0]
    which = f"{len(alive)} runs: {', '.join(str(run.id) for run in alive)}" if alive else "no run that is not over"
    raise InvalidInput("the run", text, "an id, or the name of one run that is not over", f"It is {which}.")


def wait_for_question(client: SyncPrefectClient, run_id: UUID, clock: Clock) -> Question:
    """What the run asks, as soon as it asks something. Raises Unanswerable."""
    for _ in clock.ticks(TRY_SECONDS):
        if question := look(client, run_id):
            return question
    raise Unanswerable(f"Run {run_id} is at work and has asked nothing for {TRY_SECONDS:g} seconds. Try again later.")


def look(client: SyncPrefectClient, run_id: UUID) -> Question | None:
    """What the run asks now; None while it is at work. Raises Unanswerable when it will not ask, as it stands."""
    state = client.read_flow_run(run_id).state
    if state is not None and state.is_final():
        raise Unanswerable(f"Run {run_id} is over: {state.name}. {state.message or ''}")
    if state is None or not state.is_paused():
        return None
    keyset = state.state_details.run_input_keyset
    if not keyset:
        raise Unanswerable(f"Run {run_id} does not ask for approvals now: it waits for its time, or for somebody else.")
    fields = _saved(client, run_id, keyset["schema"])
    if fields is None:
        return None  # it has just been suspended, and its form is not there yet
    if "plan" not in fields["properties"]:
        raise Unanswerable(f"Run {run_id} does not ask for approvals: answer it in the Prefect UI.")
    page = _saved(client, run_id, keyset["description"])
    return Question(str(fields["properties"]["plan"].get("default", "")), str(page or ""))


def _saved(client: SyncPrefectClient, run_id: UUID, key: str) -> Any:
    try:
        return json.loads(client.read_flow_run_input(run_id, key))
    except PrefectHTTPStatusError as error:
        if error.response.status_code == httpx.codes.NOT_FOUND:
            return None
        raise


# -------------------------------------------------------------------------------------------------- the answer


def send(client: SyncPrefectClient, run_id: UUID, form: Form, clock: Clock) -> str:
    """Give the answer, and return the key under which the run has it.

    When somebody else has just answered, the run is at work for a while: then it is tried again, on the same plan
    only. After a lost reply we look whether the answer is there before it is given again.

    Raises:
        Unanswerable: the plan has changed, or the run takes no answer.

    """
    before = set(_answers(client, run_id))
    for _ in clock.ticks(TRY_SECONDS):
        if key := _mine(client, run_id, form, before):
            return key
        question = look(client, run_id)
        if question is not None:
            _same_plan(form.plan, question)
            _offer(client, run_id, form)
    if key := _mine(client, run_id, form, before):
        return key
    raise Unanswerable(
        f"Run {run_id} took no answer for {TRY_SECONDS:g} seconds: it is at work, or others are answering. "
        "Yours was not taken; try again with the next code."
    )


def _offer(client: SyncPrefectClient, run_id: UUID, form: Form) -> None:
    """One try. Whether it was taken is seen in what the run has, not in the reply, which may be lost."""
    try:
        reply = client.resume_flow_run(run_id, run_input=asdict(form))
    except PrefectHTTPStatusError as error:
        # 409: somebody answered at this very moment. 5xx: it may be taken or not.
        if error.response.status_code != httpx.codes.CONFLICT and not error.response.is_server_error:
            raise
    except httpx.TransportError:
        return
    else:
        reason = str(getattr(reply.details, "reason", "") or "")
        if reply.status is SetStateStatus.REJECT and reason.startswith("Reason:"):
            raise InvalidInput("the answer", reason, "what the form asks for")


def _same_plan(plan: str, question: Question) -> None:
    if plan not in {question.plan, ANY_PLAN}:
        raise Unanswerable(
            f"The run asks about plan {question.plan} now, and you answered {plan}. Nothing was sent; look at it again."
        )


def _mine(client: SyncPrefectClient, run_id: UUID, form: Form, before: set[str]) -> str:
    """The key under which this answer stands; empty when it is not there."""
    found = _answers(client, run_id)
    keys = [key for key, said in found.items() if key not in before and said == asdict(form)]
    return keys[0] if keys else ""


def _answers(client: SyncPrefectClient, run_id: UUID) -> dict[str, Any]:
    """All answers that the run has, by key."""
    saved: list[FlowRunInput] = client.filter_flow_run_input(run_id, "", MOST_INPUTS, set())
    keys = ((ANSWER_KEY.fullmatch(it.key), it) for it in saved)
    return {match[1]: json.loads(it.value) for match, it in keys if match}


# ---------------------------------------------------------------------------------------- what became of it


def report(client: SyncPrefectClient, ledger: Ledger, run_id: UUID, key: str, ticks: Iterable[None]) -> int:
    """Say whether the answer under this key counts, as soon as the run has judged it."""
    for _ in ticks:
        over = _is_over(client, run_id)  # asked first: what a run records, it records before it ends
        if outcome := _outcome(ledger, run_id, key):
            print(f"{OUTCOMES[outcome.kind]}: {outcome.sentence}")
            return COUNTED if outcome.kind is EventKind.APPROVAL_GIVEN else NOT_COUNTED
        if over:
            print(f"The run ended before it looked at your answer: {over}")
            return NOT_COUNTED
    print(
        "The run has not looked at your answer yet. Is a worker there? "
        f"See later with `python -m deployments.audit show {run_id}`; it is judged by the time at which you gave it."
    )
    return NOT_COUNTED


def _outcome(ledger: Ledger, run_id: UUID, key: str) -> Event | None:
    mine = (record.event for record in ledger.records(str(run_id)) if record.event.kind in OUTCOMES)
    return next((event for event in mine if event.details.get("key") == key), None)


def _is_over(client: SyncPrefectClient, run_id: UUID) -> str:
    state = client.read_flow_run(run_id).state
    return f"{state.name}. {state.message or ''}" if state is not None and state.is_final() else ""


# ------------------------------------------------------------------------------------------------ command line


def _show(question: Question, options: argparse.Namespace) -> int:
    print(question.page)
    print(f"\nPlan: {question.plan}")
    if options.decision is None:
        return COUNTED
    print(f"To approve it, read it and repeat with --plan {question.plan}", file=sys.stderr)
    return CALLED_WRONGLY


def _form(options: argparse.Namespace, question: Question) -> Form:
    if options.decision is Decision.AGAIN:
        return Form(options.person or "", Decision.AGAIN, "", ANY_PLAN, options.comment)
    if not options.person:
        raise InvalidInput("--as", "", "your id, name or account in the catalogue")
    # Who rejects need not have read the plan; who approves has named it.
    plan = options.plan or question.plan
    _same_plan(plan, question)
    return Form(options.person, options.decision, options.code or _ask_for_code(), plan, options.comment)


def _ask_for_code() -> str:
    return getpass.getpass("Code: ") if sys.stdin.isatty() else sys.stdin.readline().strip()


def _complain(error: Exception, code: int) -> int:
    print(error, file=sys.stderr)
    return code


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deployments.approve", description=__doc__.split("\n", 1)[0])
    parser.add_argument("run", metavar="RUN", help="a flow run's id, or its name")
    parser.add_argument("--as", dest="person", metavar="PERSON", help="who you are, as the catalogue has it")
    parser.add_argument("--decision", type=Decision, help=f"one of: {', '.join(Decision)}")
    parser.add_argument("--code", default="", help="what your authenticator shows; asked for when it is left out")
    parser.add_argument("--plan", metavar="HASH", default="", help="the plan that you have read")
    parser.add_argument("--comment", default="", help="why; it stands in the ledger")
    parser.add_argument("--application", default="", help="whose ledger; by default the run says it")
    parser.add_argument("--wait", type=float, default=WAIT_SECONDS, help="seconds to wait for the outcome")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
