"""Answering a waiting run from the command line, on a real Prefect server and with a flow that asks as ours does."""

import contextvars
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast
from uuid import UUID, uuid4

import httpx
import pytest
from prefect import flow, suspend_flow_run
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import State
from prefect.exceptions import Pause
from prefect.flow_engine import run_flow
from prefect.input import RunInput, filter_flow_run_input
from prefect.runtime import flow_run
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.states import Completed, Suspended

from blocks.ledger import LocalLedger
from deployments.approve import (
    CALLED_WRONGLY,
    COUNTED,
    NOT_COUNTED,
    Clock,
    Form,
    Unanswerable,
    look,
    main,
    send,
    wait_for_question,
)
from rules.approvals import Decision
from rules.records import Event, EventKind

pytestmark = pytest.mark.usefixtures("prefect_server")

APPLICATION = "shop"
PLAN, OTHER_PLAN = "0123456789abcdef", "fedcba9876543210"
WRONG_CODE = "000000"
PAGE = "# The plan\n\n| what | to |\n|---|---|\n| gateway | 1.4 |"
Captured = pytest.CaptureFixture[str]


class Asked(RunInput):
    approver: str
    decision: Literal["reject", "approve", "show the plan again"] = "reject"
    code: str = ""
    plan: str = ""
    comment: str = ""


@flow(persist_result=False)
def asks(application: str, needed: int) -> str:
    """Judges what was answered, and asks anew until enough have approved."""
    ledger = cast("LocalLedger", LocalLedger.load(application))
    count = judge_all(ledger)
    if sum(it.event.kind is EventKind.APPROVAL_GIVEN for it in ledger.records(flow_run.id)) >= needed:
        return "approved"
    form = Asked.with_initial_data(description=PAGE, plan=PLAN)
    suspend_flow_run(wait_for_input=form, key=f"approval-{count + 1}")
    return "answered without an answer"


def judge_all(ledger: LocalLedger) -> int:
    """How many answers there are; each is recorded once."""
    number = 0
    recorded = [it.event.details["key"] for it in ledger.records(flow_run.id)]
    while True:
        key = f"approval-{number + 1}"
        found: Any = filter_flow_run_input(f"suspended-{key}-response", limit=1, flow_run_id=flow_run.id)
        if not found:
            return number
        number += 1
        answer = Asked.model_validate(found[0].decoded_value)
        if key not in recorded and answer.decision != "show the plan again":
            ledger.append(outcome(key, answer))


def outcome(key: str, answer: Asked) -> Event:
    wrong = answer.code == WRONG_CODE
    kind = EventKind.APPROVAL_NOT_ADMITTED if wrong else EventKind.APPROVAL_GIVEN
    sentence = f"{answer.approver}: {'That is not the code.' if wrong else answer.decision}"
    return Event(flow_run.id, PLAN, "production", kind, sentence, {"key": key})


@dataclass(frozen=True)
class Runs:
    """Starts runs, and works on them as a worker does, in a thread."""

    client: SyncPrefectClient
    deployment: UUID

    def start(self, needed: int = 1) -> UUID:
        """A run that is suspended and asks."""
        parameters = {"application": APPLICATION, "needed": needed}
        run = self.client.create_flow_run_from_deployment(self.deployment, parameters=parameters, name=f"run-{uuid4()}")
        self.work(run.id)
        return run.id

    def work(self, run_id: UUID) -> None:
        run = self.client.read_flow_run(run_id)
        try:
            run_flow(asks, flow_run=run, parameters=run.parameters)
        except Pause:
            return

    def work_until(self, run_id: UUID, enough: threading.Event) -> None:
        while not enough.wait(0.1):
            state = self.client.read_flow_run(run_id).state
            if state is not None and state.is_scheduled():
                self.work(run_id)


@pytest.fixture(scope="module")
def runs(prefect_server: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    folder = tmp_path_factory.mktemp("ledger")
    LocalLedger(directory=str(folder)).save(APPLICATION, overwrite=True)
    # Without heartbeats: to end their thread takes each pass a second.
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}), get_client(sync_client=True) as client:
        flow_id = client.create_flow(asks)
        deployment = client.create_deployment(flow_id=flow_id, name="asks", enforce_parameter_schema=False)
        yield Runs(client, deployment)


@pytest.fixture(scope="module")
def waiting(runs: Runs) -> UUID:
    """A run that asks, and that no test answers."""
    return runs.start()


@dataclass(frozen=True)
class Worked:
    """A run with a worker, and people who call the program."""

    run_id: UUID
    people: ThreadPoolExecutor

    def calls(self, *arguments: str) -> "Future[int]":
        return self.people.submit(contextvars.copy_context().run, main, [str(self.run_id), *arguments])

    def answers(self, *arguments: str) -> int:
        return self.calls(*arguments).result(60)


@pytest.fixture
def worked(runs: Runs) -> Iterator[Callable[[int], Worked]]:
    enough = threading.Event()
    with ThreadPoolExecutor() as threads:

        def start(needed: int) -> Worked:
            run_id = runs.start(needed)
            threads.submit(contextvars.copy_context().run, runs.work_until, run_id, enough)
            return Worked(run_id, threads)

        yield start
        enough.set()


def approving(person: str, code: str = "123456") -> Sequence[str]:
    return ("--as", person, "--decision", "approve", "--plan", PLAN, "--code", code)


class Hasty(Clock):
    """Time passes only when somebody waits."""

    def __init__(self) -> None:
        at = [0.0]
        super().__init__(lambda: at[0], lambda seconds: at.__setitem__(0, at[0] + seconds))


def form(**how: Any) -> Form:
    return replace(Form("anna-meier", Decision.APPROVE, "123456", PLAN, ""), **how)


def answers_of(client: SyncPrefectClient, run_id: UUID) -> list[str]:
    saved = client.filter_flow_run_input(run_id, "suspended-", 100, set())
    return [it.key for it in saved if it.key.endswith("-response")]


# ----------------------------------------------------------------------------------------------------- reading


def test_the_plan_is_shown_as_approvers_read_it(waiting: UUID, capsys: Captured) -> None:
    assert main([str(waiting)]) == COUNTED
    assert capsys.readouterr().out == f"{PAGE}\n\nPlan: {PLAN}\n"


def test_nobody_approves_without_naming_the_plan(runs: Runs, waiting: UUID, capsys: Captured) -> None:
    assert main([str(waiting), "--as", "anna-meier", "--decision", "approve", "--code", "123456"]) == CALLED_WRONGLY
    shown = capsys.readouterr()
    assert PAGE in shown.out
    assert f"repeat with --plan {PLAN}" in shown.err
    assert answers_of(runs.client, waiting) == []


def test_another_plan_than_the_one_asked_about_is_not_sent(runs: Runs, waiting: UUID, capsys: Captured) -> None:
    arguments = [str(waiting), "--as", "anna-meier", "--decision", "approve", "--code", "123456", "--plan", OTHER_PLAN]
    assert main(arguments) == NOT_COUNTED
    assert f"asks about plan {PLAN} now, and you answered {OTHER_PLAN}" in capsys.readouterr().err
    assert answers_of(runs.client, waiting) == []


def test_who_answers_says_who_it_is(waiting: UUID, capsys: Captured) -> None:
    assert main([str(waiting), "--decision", "reject", "--code", "123456"]) == CALLED_WRONGLY
    assert "--as" in capsys.readouterr().err


def test_a_run_is_found_by_its_name(runs: Runs, waiting: UUID, capsys: Captured) -> None:
    assert main([runs.client.read_flow_run(waiting).name]) == COUNTED
    assert PLAN in capsys.readouterr().out


@pytest.mark.parametrize("run", [str(uuid4()), "no-such-run"])
def test_a_run_that_is_not_there_is_said(run: str, capsys: Captured) -> None:
    assert main([run]) == CALLED_WRONGLY
    assert run in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--decision", "perhaps"], ["--wait", "long"]])
def test_what_is_called_wrongly_ends_with_2(waiting: UUID, arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main([str(waiting), *arguments])


# --------------------------------------------------------------------------------------------------- answering


def test_a_wrong_code_is_not_admitted_and_the_right_one_counts(
    worked: Callable[[int], Worked], capsys: Captured
) -> None:
    run = worked(1)
    assert run.answers(*approving("anna-meier", WRONG_CODE)) == NOT_COUNTED
    assert "Not admitted: anna-meier: That is not the code." in capsys.readouterr().out
    assert run.answers("--decision", "show the plan again") == COUNTED
    assert run.answers(*approving("anna-meier")) == COUNTED
    said = capsys.readouterr().out
    assert "(approval-3)" in said
    assert "Counted: anna-meier: approve" in said


def test_two_answers_at_the_same_moment_are_both_counted_one_after_the_other(
    runs: Runs, worked: Callable[[int], Worked]
) -> None:
    run = worked(2)
    together = [run.calls(*approving(person)) for person in ("anna-meier", "sofia-rossi")]
    assert [one.result(60) for one in together] == [COUNTED, COUNTED]
    assert sorted(answers_of(runs.client, run.run_id)) == [
        "suspended-approval-1-response",
        "suspended-approval-2-response",
    ]


def test_without_a_worker_it_is_said_that_nobody_has_looked(runs: Runs, capsys: Captured) -> None:
    run_id = runs.start()
    rejecting = ["--as", "anna-meier", "--decision", "reject", "--code", "123456", "--wait", "0"]
    assert main([str(run_id), *rejecting]) == NOT_COUNTED
    assert "has not looked at your answer yet" in capsys.readouterr().out
    assert answers_of(runs.client, run_id) == ["suspended-approval-1-response"]


class LosingReplies:
    """A network that loses the reply, after the server has taken the answer."""

    def __init__(self, client: SyncPrefectClient) -> None:
        self._client = client
        self.sent = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    def resume_flow_run(self, run_id: UUID, run_input: dict[str, Any]) -> None:
        self.sent += 1
        self._client.resume_flow_run(run_id, run_input)
        raise httpx.ReadError("the reply was lost")


def test_after_a_lost_reply_the_answer_is_looked_for_and_not_given_twice(runs: Runs) -> None:
    run_id, losing = runs.start(), LosingReplies(runs.client)
    assert send(cast("Any", losing), run_id, form(), Hasty()) == "approval-1"
    assert losing.sent == 1


def test_while_the_run_is_at_work_an_answer_is_tried_for_a_minute_and_not_left_behind(runs: Runs) -> None:
    run_id = runs.start()
    send(runs.client, run_id, form(), Hasty())
    with pytest.raises(Unanswerable, match="took no answer for 60 seconds"):
        send(runs.client, run_id, form(approver="sofia-rossi"), Hasty())
    assert answers_of(runs.client, run_id) == ["suspended-approval-1-response"]


def test_a_run_that_is_suspended_and_has_no_form_yet_is_asked_again(runs: Runs) -> None:
    run = runs.client.create_flow_run_from_deployment(runs.deployment)
    keyset = {name: f"suspended-approval-1-{name}" for name in ("schema", "response", "description")}
    state: State[None] = Suspended(pause_key="approval-1")
    state.state_details.run_input_keyset = keyset
    runs.client.set_flow_run_state(run.id, state, force=True)
    assert look(runs.client, run.id) is None
    with pytest.raises(Unanswerable, match="has asked nothing for 60 seconds"):
        wait_for_question(runs.client, run.id, Hasty())


def test_a_run_that_waits_for_its_time_is_not_answered(runs: Runs) -> None:
    run = runs.client.create_flow_run_from_deployment(runs.deployment)
    runs.client.set_flow_run_state(run.id, Suspended(), force=True)
    with pytest.raises(Unanswerable, match="does not ask for approvals now"):
        look(runs.client, run.id)


def test_a_run_that_is_over_is_not_answered(runs: Runs, capsys: Captured) -> None:
    run = runs.client.create_flow_run_from_deployment(runs.deployment)
    runs.client.set_flow_run_state(run.id, Completed(message="It serves."), force=True)
    assert main([str(run.id), *approving("anna-meier")]) == NOT_COUNTED
    assert "is over: Completed. It serves." in capsys.readouterr().err


def test_an_answer_after_which_the_run_died_is_told_as_not_counted(
    runs: Runs, tmp_path: Path, capsys: Captured
) -> None:
    from deployments.approve import report

    run = runs.client.create_flow_run_from_deployment(runs.deployment)
    runs.client.set_flow_run_state(run.id, Completed(message="Gone."), force=True)
    ledger = LocalLedger(directory=str(tmp_path))
    assert report(runs.client, ledger, run.id, "approval-1", Hasty().ticks(60)) == NOT_COUNTED
    assert "ended before it looked at your answer: Completed. Gone." in capsys.readouterr().out
