"""How a promotion stands, for a CI: exit codes, the last line, and a server that is not always there."""

import base64
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from blocks.wire import Wiring
from deployments.outcome import Exit, Seen, api_url, judge, main, one_line
from rules.errors import InvalidInput

RUN, OTHER = "3fa85f64-5717-4562-b3fc-2c963f66afa6", "0e984725-c51c-4bf4-9960-e1c80e27aba0"
NOON = datetime(2026, 12, 1, 12, tzinfo=UTC)
API = "https://prefect.test/api"
PASSWORD = "ci:very-secret-pass"
Captured = pytest.CaptureFixture[str]


def run(kind: str, name: str, message: str = "", *, key: str = "", begins: str = "", dry_run: bool = False) -> Any:
    details = {"pause_key": key or None, "scheduled_time": begins or None}
    state = {"type": kind, "name": name, "message": message or None, "state_details": details}
    return {"id": RUN, "name": "batbern-to-production", "state": state, "parameters": {"dry_run": dry_run}}


RUNNING, COMPLETED = run("RUNNING", "Running"), run("COMPLETED", "Completed", "3f2a1bc serves in production.")
SUSPENDED = run("PAUSED", "Suspended", key="approval-1")


@dataclass
class Scene:
    """A server that answers from a list, the last answer for ever, and a clock that moves only when somebody sleeps."""

    answers: list[Any]
    asked: list[httpx.Request] = field(default_factory=list)
    pauses: list[float] = field(default_factory=list)
    environ: dict[str, str] = field(default_factory=lambda: {"PREFECT_API_URL": API})

    def answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, httpx.Response) else httpx.Response(200, json=answer)

    @property
    def elapsed(self) -> float:
        return sum(self.pauses)

    def asks(self, *arguments: str) -> int:
        wiring = Wiring(
            httpx.MockTransport(self.answer),
            lambda: self.elapsed,
            lambda: NOON + timedelta(seconds=self.elapsed),
            self.pauses.append,
            lambda: 0.5,
        )
        return main(arguments, self.environ, wiring)


def last_line(captured: Captured) -> str:
    return captured.readouterr().out.splitlines()[-1]


# ------------------------------------------------------------------------------------------------------------ the ends


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("FAILED", "Refused"),
        ("FAILED", "Rejected"),
        ("FAILED", "Superseded"),
        ("FAILED", "PutBack"),
        ("FAILED", "PutBackFailed"),
        ("FAILED", "Failed"),
        ("CRASHED", "Crashed"),
        ("CANCELLED", "Cancelled"),
    ],
)
def test_every_other_end_is_one_and_named(kind: str, name: str, capsys: Captured) -> None:
    assert Scene([run(kind, name, "gateway is not stable.")]).asks(RUN, "--wait", "60") == 1
    assert last_line(capsys) == f"{name}: gateway is not stable."


def test_only_a_completed_promotion_is_zero(capsys: Captured) -> None:
    assert Scene([COMPLETED]).asks(RUN) == 0
    assert last_line(capsys) == "Completed: 3f2a1bc serves in production."


def test_a_completed_dry_run_is_not_a_promotion(capsys: Captured) -> None:
    assert Scene([run("COMPLETED", "Completed", "Dry run: every gate is met.", dry_run=True)]).asks(RUN) == 5
    assert last_line(capsys) == "Completed (dry run): Dry run: every gate is met."


@given(
    kind=st.sampled_from(["COMPLETED", "SCHEDULED", "PENDING", "RUNNING", "PAUSED", "CANCELLING", "FAILED", "CRASHED"])
    | st.text(),
    name=st.sampled_from(["Completed", "Suspended", "Scheduled", ""]) | st.text(),
    dry_run=st.booleans(),
)
def test_no_state_that_is_not_completed_is_zero(kind: str, name: str, dry_run: bool) -> None:
    told, line = judge(Seen(RUN, kind, name, dry_run=dry_run), NOON)
    assert (told is Exit.COMPLETED) == (kind == "COMPLETED" and not dry_run)
    assert line


# ---------------------------------------------------------------------------------------------------------- the waiting


@pytest.mark.parametrize(
    ("waiting", "begins"),
    [
        (SUSPENDED, "Waiting for approvals: "),
        (run("PAUSED", "Suspended", key="time-3"), "Waiting for its time: "),
        (run("PAUSED", "Paused", key="gateway-10"), "Waiting for a decision: "),
        (run("SCHEDULED", "Scheduled", begins="2026-12-01T20:30:00Z"), "Waiting for its time: the run begins at 2026-"),
    ],
)
def test_a_run_that_waits_is_left_at_once(waiting: Any, begins: str, capsys: Captured) -> None:
    scene = Scene([waiting])
    assert scene.asks(RUN, "--wait", "60") == 3
    assert scene.pauses == []
    line = last_line(capsys)
    assert line.startswith(begins)
    assert f"https://prefect.test/runs/flow-run/{RUN}" in line
    assert f"python -m deployments.outcome {RUN}" in line


@pytest.mark.parametrize("name", ["Late", "Resuming", "AwaitingRetry", "AwaitingConcurrencySlot"])
def test_a_run_that_is_about_to_go_on_does_not_wait_for_people(name: str) -> None:
    begins = "2026-12-01T20:30:00Z" if name != "Late" else "2026-12-01T11:00:00Z"
    assert Scene([run("SCHEDULED", name, begins=begins)]).asks(RUN) == 4


def test_a_run_that_begins_within_the_minute_is_followed() -> None:
    scene = Scene([run("SCHEDULED", "Scheduled", begins="2026-12-01T12:00:20Z"), RUNNING, COMPLETED])
    assert scene.asks(RUN, "--wait", "5") == 0


def test_a_run_is_followed_until_people_are_asked(capsys: Captured) -> None:
    scene = Scene([run("PENDING", "Pending"), RUNNING, RUNNING, SUSPENDED])
    assert scene.asks(RUN, "--wait", "60", "--interval", "10") == 3
    assert scene.pauses == [10, 10, 10]
    told = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in told[1:-1]] == ["Pending", "Running", "Suspended"], "each once"


def test_following_ends_when_the_time_to_wait_is_over(capsys: Captured) -> None:
    scene = Scene([RUNNING])
    assert scene.asks(RUN, "--wait", "1", "--interval", "25") == 4
    assert scene.pauses == [25, 25, 10]
    assert last_line(capsys).startswith("Running: the promotion is still going on.")


def test_without_a_time_to_wait_it_looks_once() -> None:
    scene = Scene([RUNNING])
    assert scene.asks(RUN) == 4
    assert len(scene.asked) == 1


def test_a_state_that_nobody_knows_yet_is_no_end() -> None:
    assert Scene([run("HIBERNATING", "Hibernating")]).asks(RUN) == 4


def test_a_run_without_a_state_is_no_end() -> None:
    assert Scene([run("", "") | {"state": None}]).asks(RUN) == 4


# ------------------------------------------------------------------------------------------------------------- outages


OUTAGES = [
    httpx.ConnectError("refused"),
    httpx.ReadTimeout("slow"),
    httpx.Response(503, text="down"),
    httpx.Response(502, text="<html>bad gateway</html>"),
    httpx.Response(429, headers={"Retry-After": "3"}),
    httpx.Response(200, text="<html>please log in</html>"),
]


@pytest.mark.parametrize("outage", OUTAGES, ids=str)
def test_an_outage_in_between_is_no_end(outage: Any) -> None:
    assert Scene([RUNNING, outage, outage, RUNNING, outage, COMPLETED]).asks(RUN, "--wait", "10") == 0


@pytest.mark.parametrize("outage", OUTAGES, ids=str)
def test_a_server_out_of_reach_is_asked_for_a_while_and_then_unknown(outage: Any, capsys: Captured) -> None:
    scene = Scene([RUNNING, outage])
    assert scene.asks(RUN, "--wait", "60") == 2
    assert 3 < len(scene.asked) < 20
    assert scene.elapsed < 400
    assert last_line(capsys).startswith("Unknown: The Prefect server did not answer while looking at run")


@pytest.mark.parametrize(
    "nonsense",
    [
        [],
        {},
        {"id": OTHER, "state": COMPLETED["state"]},
        {"id": RUN, "state": "COMPLETED"},
        {"id": RUN, "state": {"type": "RUNNING", "state_details": {"scheduled_time": "soon"}}},
    ],
)
def test_nonsense_is_no_end(nonsense: Any, capsys: Captured) -> None:
    assert Scene([nonsense]).asks(RUN) == 2
    assert last_line(capsys).startswith("Unknown: ")


def test_an_unknown_run_is_said_to_be_one(capsys: Captured) -> None:
    assert Scene([httpx.Response(404, json={"detail": "Flow run not found"})]).asks(RUN, "--wait", "60") == 2
    assert last_line(capsys).startswith(f"Unknown: the run is '{RUN}'; allowed is the id of a run")


@pytest.mark.parametrize("status", [401, 403])
def test_a_wrong_credential_is_not_tried_again(status: int, capsys: Captured) -> None:
    scene = Scene([httpx.Response(status, text="Unauthorized")])
    assert scene.asks(RUN, "--wait", "60") == 2
    assert len(scene.asked) == 1
    assert "PREFECT_API_AUTH_STRING" in last_line(capsys)


# ------------------------------------------------------------------------------------------------- addresses, secrets


def test_the_credential_is_sent_as_prefect_sends_it() -> None:
    basic, bearer = Scene([COMPLETED]), Scene([COMPLETED])
    basic.environ |= {"PREFECT_API_AUTH_STRING": PASSWORD, "PREFECT_API_KEY": "key"}
    bearer.environ |= {"PREFECT_API_KEY": "key"}
    assert (basic.asks(RUN), bearer.asks(RUN)) == (0, 0)
    assert basic.asked[0].headers["Authorization"] == f"Basic {base64.b64encode(PASSWORD.encode()).decode()}"
    assert bearer.asked[0].headers["Authorization"] == "Bearer key"


def test_no_credential_gets_into_what_is_said(capsys: Captured) -> None:
    scene = Scene([httpx.Response(400, text=f"bad request with {PASSWORD}")])
    scene.environ["PREFECT_API_AUTH_STRING"] = PASSWORD
    assert scene.asks(RUN) == 2
    assert "very-secret-pass" not in "".join(capsys.readouterr())


@pytest.mark.parametrize(
    "url", ["", "  ", "prefect.test/api", "file:///etc/passwd", "https://ci:very-secret@prefect.test/api"]
)
def test_an_address_that_is_none_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        api_url({"PREFECT_API_URL": url})
    assert "PREFECT_API_URL is" in str(refused.value)
    assert "very-secret" not in str(refused.value)


def test_without_an_address_nothing_is_asked(capsys: Captured) -> None:
    scene = Scene([COMPLETED], environ={})
    assert scene.asks(RUN) == 2
    assert scene.asked == []
    assert last_line(capsys).startswith("Unknown: PREFECT_API_URL is ''")


@given(st.text())
def test_a_message_is_one_line_that_no_ci_obeys(message: str) -> None:
    line = one_line(f"{message}\n::set-output name=x::y\n##[add-path]z")
    assert "\n" not in line
    assert "##[" not in line
    assert not judge(Seen(RUN, "FAILED", "Refused", line), NOON)[1].startswith("::")


def test_a_state_cannot_forge_a_last_line(capsys: Captured) -> None:
    assert Scene([run("FAILED", "Refused", "no\nCompleted: 3f2a1bc serves")]).asks(RUN) == 1
    assert last_line(capsys) == "Refused: no Completed: 3f2a1bc serves"


def test_the_last_line_stands_on_the_summary_too(tmp_path: Path) -> None:
    scene = Scene([run("FAILED", "PutBack", "put back.")])
    scene.environ["GITHUB_STEP_SUMMARY"] = str(tmp_path / "summary.md")
    assert scene.asks(RUN) == 1
    assert (tmp_path / "summary.md").read_text() == "PutBack: put back.\n"


def test_a_summary_that_cannot_be_written_does_not_change_the_outcome(tmp_path: Path) -> None:
    scene = Scene([COMPLETED])
    scene.environ["GITHUB_STEP_SUMMARY"] = str(tmp_path / "nowhere" / "summary.md")
    assert scene.asks(RUN) == 0


# ---------------------------------------------------------------------------------------------------------------- tags


def tagged(*ids: str) -> Mapping[str, Any]:
    return {"results": [{"id": it} for it in ids], "count": len(ids)}


def test_a_run_is_found_by_its_tag() -> None:
    scene = Scene([tagged(RUN), COMPLETED])
    assert scene.asks("--tag", "ci-4711") == 0
    sent = json.loads(scene.asked[0].content)["flow_runs"]
    assert sent == {"tags": {"all_": ["ci-4711"]}, "parent_task_run_id": {"is_null_": True}}
    assert scene.asked[1].url.path == f"/api/flow_runs/{RUN}"


@pytest.mark.parametrize(("found", "said"), [([], "no run"), ([RUN, OTHER], f"2 runs ({RUN}, {OTHER})")])
def test_no_run_and_several_runs_are_not_followed(found: list[str], said: str, capsys: Captured) -> None:
    assert Scene([tagged(*found)]).asks("--tag", "ci-4711") == 2
    line = last_line(capsys)
    assert line.startswith("Unknown: ")
    assert said in line


@pytest.mark.parametrize(("found", "printed"), [([], ""), ([RUN], f"{RUN}\n")])
def test_finding_prints_the_id_or_nothing(found: list[str], printed: str, capsys: Captured) -> None:
    assert Scene([tagged(*found)]).asks("--tag", "ci-4711", "--find") == 0
    assert capsys.readouterr().out == printed


@pytest.mark.parametrize(
    "answer", [httpx.Response(503), tagged(RUN, OTHER), tagged("$(touch x)"), {"results": None}, {"detail": "?"}]
)
def test_finding_says_nothing_on_standard_output_when_it_cannot_tell(answer: Any, capsys: Captured) -> None:
    assert Scene([answer]).asks("--tag", "ci-4711", "--find") == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("Unknown: ")


# ------------------------------------------------------------------------------------------------------- called wrongly


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        [RUN, "--tag", "ci-4711"],
        [RUN, "--find"],
        [RUN[:-1]],
        [f"{{{RUN}}}"],
        [f"{RUN}/../{OTHER}"],
        [f"{RUN}\n"],
        ["--tag", ""],
        ["--tag", "a b"],
        ["--tag", "$(touch x)"],
        [RUN, "--wait", "-1"],
        [RUN, "--wait", "nan"],
        [RUN, "--wait", "inf"],
        [RUN, "--wait", "1441"],
        [RUN, "--interval", "0"],
        [RUN, "--interval", "soon"],
    ],
)
def test_who_calls_it_wrongly_is_told_so(arguments: list[str]) -> None:
    scene = Scene([COMPLETED])
    with pytest.raises(SystemExit) as ended:
        scene.asks(*arguments)
    assert ended.value.code == 2
    assert scene.asked == []


@given(st.text())
def test_only_ids_reach_the_server(text: str) -> None:
    scene = Scene([COMPLETED])
    with pytest.raises(SystemExit):
        scene.asks("--", text)
    assert scene.asked == []


def test_an_id_in_capitals_is_the_same_id() -> None:
    assert Scene([COMPLETED]).asks(RUN.upper()) == 0


def test_as_a_command_it_ends_with_the_code() -> None:
    command = [sys.executable, "-m", "deployments.outcome", RUN]
    done = subprocess.run(command, env={}, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert done.stdout.startswith("Unknown: PREFECT_API_URL is ''")
