"""The workflows that we ship: what linters say, and what their steps do, with inputs that mean harm."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
import pytest
import yaml

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent
FOLDER = ROOT / "deployments" / "ci"
FILES = sorted(FOLDER.glob("*.yml"))
GUIDE = ROOT / "docs" / "ci.md"
STAGING, PRODUCTION, RESULT = (
    FOLDER / f"{name}.yml" for name in ("promote-to-staging", "promote-to-production", "promotion-result")
)
EXPRESSION = re.compile(r"\$\{\{\s*(.*?)\s*\}\}")
BASH = str(shutil.which("bash"))
RUN_ID = "3fa85f64-5717-4562-b3fc-2c963f66afa6"
SHA = "1e10000"
"""A Git SHA that some take for a number."""
SECRET = "ci:very-secret-pass"
every_file = pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)


def workflow(file: Path) -> dict[Any, Any]:
    found = yaml.safe_load(file.read_text())
    found["on"] = found.pop(True)  # YAML 1.1 reads the key `on` as true
    return dict(found)


def jobs(file: Path) -> Iterator[dict[str, Any]]:
    yield from workflow(file)["jobs"].values()


def steps(file: Path) -> Iterator[dict[str, Any]]:
    for job in jobs(file):
        yield from job["steps"]


def inputs(file: Path) -> dict[str, dict[str, Any]]:
    return dict(workflow(file)["on"]["workflow_dispatch"]["inputs"])


# --------------------------------------------------------------------------------------------------------- the linters


def zizmor(*options: str) -> Any:
    command = [f"{BIN}/zizmor", "--offline", "--persona", "pedantic", "--format", "json-v1", *options, *map(str, FILES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in {0, *range(11, 15)}, done.stderr
    return json.loads(done.stdout)


def test_zizmor_finds_nothing() -> None:
    assert zizmor() == []


def test_what_zizmor_is_told_to_ignore_is_one_trigger() -> None:
    """The file says above it why: nothing of the run that triggers is checked out or executed."""
    found = zizmor("--no-ignores")
    assert [it["ident"] for it in found] == ["dangerous-triggers"]
    assert "promote-to-staging.yml" in json.dumps(found[0]["locations"])


@pytest.mark.skipif(not shutil.which("actionlint", path=f"{BIN}:{os.environ['PATH']}"), reason="no actionlint here")
def test_actionlint_finds_nothing() -> None:
    command = [str(shutil.which("actionlint", path=f"{BIN}:{os.environ['PATH']}")), *map(str, FILES)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "")


# ------------------------------------------------------------------------------------------------------------ the rules


def test_the_workflows_are_there() -> None:
    assert sorted([STAGING, PRODUCTION, RESULT]) == FILES


@every_file
def test_rights_are_least_and_given_to_the_job(file: Path) -> None:
    assert workflow(file)["permissions"] == {}
    assert [job["permissions"] for job in jobs(file)] == [{"contents": "read", "id-token": "write"}]


@every_file
def test_no_secret_is_kept_in_github(file: Path) -> None:
    assert "secrets." not in file.read_text()
    assert "GITHUB_ENV" not in file.read_text()


@every_file
def test_actions_are_pinned_and_keep_no_credential(file: Path) -> None:
    used = re.findall(r"uses: (.+)", file.read_text())
    assert used
    assert [it for it in used if not re.fullmatch(r"[\w-]+/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", it)] == []
    checkouts = [step for step in steps(file) if step.get("uses", "").startswith("actions/checkout@")]
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)
    assert not any("workflow_run" in json.dumps(step) for step in checkouts), "of the triggering run nothing is run"


@every_file
def test_nothing_is_written_into_a_script_by_an_expression(file: Path) -> None:
    scripts = [step["run"] for step in steps(file) if "run" in step]
    assert scripts
    assert [script for script in scripts if "${{" in script] == []


@every_file
def test_every_expression_asks_for_something_that_is_there(file: Path) -> None:
    variables = set(re.findall(r"^ *\| `([A-Z_]+)` \|", GUIDE.read_text(), re.MULTILINE))
    names = set(re.findall(r"\b(?:github|inputs|vars|toJSON)\b[.\w-]*", " ".join(EXPRESSION.findall(file.read_text()))))
    known = {f"inputs.{name}" for name in inputs(file)} | {f"vars.{name}" for name in variables}
    of_github = {"github.run_id", "github.actor", "github.repository", "github.event.workflow_run.head_sha"}
    assert names - known - of_github - {"toJSON", "inputs"} == set()


@every_file
def test_scripts_are_shell(file: Path) -> None:
    for step in steps(file):
        subprocess.run([BASH, "-n"], input=step.get("run", ""), text=True, check=True, timeout=10)


@every_file
def test_jobs_end_and_nothing_that_runs_is_cancelled_by_another_run(file: Path) -> None:
    waits = [int(minutes) for minutes in re.findall(r"(?:\"\$TAG\"|--wait) (\d+)", file.read_text())]
    assert [job["timeout-minutes"] - max(waits) for job in jobs(file)] == [30], "to install, and for outages"
    group = workflow(file)["concurrency"]
    assert group["cancel-in-progress"] is False
    assert group["group"].endswith("${{ github.run_id }}")


def test_staging_follows_green_builds_of_develop_only() -> None:
    trigger, (job,) = workflow(STAGING)["on"]["workflow_run"], jobs(STAGING)
    assert (trigger["branches"], trigger["types"]) == (["develop"], ["completed"])
    for condition in (
        "workflow_run.conclusion == 'success'",
        "workflow_run.event == 'push'",
        "workflow_run.head_branch == 'develop'",
        "workflow_run.head_repository.full_name == github.repository",
    ):
        assert condition in job["if"]
    assert job["environment"] == "staging"


def runbook(name: str) -> dict[str, ast.arg]:
    """The parameters of a flow, from its source: importing it takes long."""
    tree = ast.parse((ROOT / "flows" / f"{name}.py").read_text())
    function = next(it for it in tree.body if isinstance(it, ast.FunctionDef) and it.name == name)
    return {argument.arg: argument for argument in function.args.args}


def test_the_inputs_of_production_are_parameters_of_its_flow() -> None:
    parameters = runbook("promote_to_production")
    assert set(inputs(PRODUCTION)) | {"requested_by", "application", "emergency"} == set(parameters)
    assert set(inputs(STAGING)) <= set(runbook("promote_to_staging"))
    types = {"string": "str", "boolean": "bool", "choice": "Literal"}
    for name, one in inputs(PRODUCTION).items():
        annotation = ast.unparse(parameters[name].annotation)  # type: ignore[arg-type]  # ours have one
        assert types[one["type"]] in annotation or (name, annotation) == ("start_at", "datetime | None")


def test_the_strategies_of_production_are_those_of_its_flow() -> None:
    annotation = ast.unparse(runbook("promote_to_production")["strategy"].annotation)  # type: ignore[arg-type]  # ours have one
    allowed = re.findall(r"'([^']+)'", annotation)
    assert inputs(PRODUCTION)["strategy"]["options"] == allowed
    assert inputs(PRODUCTION)["strategy"]["default"] == allowed[0]


# ------------------------------------------------------------------------------------------------------ the steps, run


FAKE_PREFECT = """\
import json, os, sys
from pathlib import Path
folder = Path(os.environ["FAKES"])
seen = {name: os.environ.get(name) for name in ("PREFECT_API_AUTH_STRING", "AWS_SESSION_TOKEN")}
with (folder / "prefect.jsonl").open("a") as file:
    print(json.dumps({"arguments": sys.argv[1:], "input": sys.stdin.read(), "seen": seen}), file=file)
if not (folder / "refuses").exists():
    (folder / "started").touch()
sys.exit((folder / "fails").exists())
"""
FAKE_AWS = """\
import os, sys
from pathlib import Path
Path(os.environ["FAKES"], "aws").write_text(" ".join(sys.argv[1:]))
sys.stdin.read()
print(os.environ["FAKE_SECRET"])
sys.exit(not os.environ["FAKE_SECRET"])
"""


@dataclass
class Runner:
    """A machine like GitHub's: a checkout of ours, `prefect` and `aws` that are fakes, and a server that is one too."""

    folder: Path
    url: str
    state: dict[str, Any] = field(default_factory=dict)
    attempts: list["subprocess.CompletedProcess[str]"] = field(default_factory=list)
    secret: str = SECRET

    def execute(self, file: Path, contexts: dict[str, str]) -> "subprocess.CompletedProcess[str]":
        """The last step of a workflow, as GitHub runs it: expressions replaced in `env`, then `bash -e FILE`."""
        *_, step = steps(file)
        environment = {name: EXPRESSION.sub(lambda it: contexts[it[1]], text) for name, text in step["env"].items()}
        script = self.folder / "step.sh"
        script.write_text(step["run"])
        done = subprocess.run(
            [BASH, "-e", script],
            env={**self.variables(), **environment},
            cwd=self.folder / "checkout",
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        self.attempts.append(done)
        return done

    def variables(self) -> dict[str, str]:
        return {
            "PATH": f"{self.folder / 'bin'}:/usr/bin:/bin",
            "FAKES": str(self.folder),
            "FAKE_SECRET": self.secret,
            "AWS_SESSION_TOKEN": "fifteen-minutes",
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary.md"),
        }

    def promote(self, **asked: Any) -> "subprocess.CompletedProcess[str]":
        given = {name: one.get("default", "") for name, one in inputs(PRODUCTION).items()}
        return self.execute(PRODUCTION, self.contexts() | {"toJSON(inputs)": json.dumps(given | asked, indent=2)})

    def command(self, *arguments: str, given: dict[str, Any]) -> "subprocess.CompletedProcess[str]":
        """What the step calls in the end, without its long wait."""
        return subprocess.run(
            [self.folder / "checkout/deployments/ci/promote", *arguments],
            input=json.dumps(given),
            env={**self.variables(), "PREFECT_API_URL": self.url},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def contexts(self) -> dict[str, str]:
        return {
            "github.actor": "annam",
            "github.run_id": "4711",
            "vars.PREFECT_API_URL": self.url,
            "vars.PREFECT_SECRET": "promotion-flows/prefect",
        }

    def started(self) -> list[dict[str, Any]]:
        """What the fake `prefect` was asked for."""
        file = self.folder / "prefect.jsonl"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def parameters(self) -> Any:
        (one,) = self.started()
        return json.loads(one["input"])


@contextmanager
def served(answer: Callable[[str, str, bytes], tuple[int, bytes]]) -> Iterator[str]:
    """An HTTP server on the loopback interface; `answer` gets method, path and body."""

    class Handler(BaseHTTPRequestHandler):
        def respond(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, content = answer(self.command, self.path, body)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = respond  # noqa: N815 - the names are http.server's

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def checkout(folder: Path, prefect: str) -> None:
    """A checkout with what the steps use of it, and with this `prefect`."""
    (folder / "checkout/.venv/bin").mkdir(parents=True)
    (folder / "bin").mkdir()
    for name in ("deployments", "blocks", "rules"):
        (folder / "checkout" / name).symlink_to(ROOT / name)
    program(folder / "checkout/.venv/bin/python", f'exec {sys.executable} "$@"')
    program(folder / "checkout/.venv/bin/prefect", prefect)
    (folder / "aws.py").write_text(FAKE_AWS)
    program(folder / "bin/aws", f'exec {sys.executable} {folder}/aws.py "$@"')
    program(folder / "bin/python3", f'exec {sys.executable} "$@"')


def program(file: Path, line: str) -> None:
    file.write_text(f"#!/bin/sh\n{line}\n")
    file.chmod(0o755)


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    (tmp_path / "prefect.py").write_text(FAKE_PREFECT)
    checkout(tmp_path, f'exec {sys.executable} {tmp_path}/prefect.py "$@"')
    state: dict[str, Any] = {"type": "COMPLETED", "name": "Completed", "message": "It serves."}

    def answer(method: str, path: str, body: bytes) -> tuple[int, bytes]:
        if (method, path) == ("POST", "/api/flow_runs/paginate"):
            found = [{"id": RUN_ID}] if (tmp_path / "started").exists() and b'"ci-4711"' in body else []
            return 200, json.dumps({"results": found}).encode()
        if (method, path) == ("GET", f"/api/flow_runs/{RUN_ID}"):
            return 200, json.dumps({"id": RUN_ID, "state": state}).encode()
        return 404, b"{}"

    with served(answer) as url:
        yield Runner(tmp_path, f"{url}/api", state)


def test_a_promotion_to_production_is_started_and_followed(runner: Runner) -> None:
    done = runner.promote(version=SHA, change_ticket="CHG-7", strategy="canary", start_at="2026-12-01T20:30+01:00")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "Completed: It serves."), done.stderr
    (one,) = runner.started()
    deployment = "promote-to-production/batbern"
    assert one["arguments"] == ["--no-prompt", "deployment", "run", deployment, "--params", "-", "--tag", "ci-4711"]
    assert runner.parameters() == {
        "version": SHA,
        "change_ticket": "CHG-7",
        "strategy": "canary",
        "start_at": "2026-12-01T20:30+01:00",
        "next_window": False,
        "dry_run": False,
        "requested_by": "annam",
    }
    assert (runner.folder / "summary.md").read_text() == "Completed: It serves.\n"


def test_what_is_left_empty_is_not_asked_for(runner: Runner) -> None:
    assert runner.promote(version=SHA, change_ticket="CHG-7").returncode == 0
    assert "start_at" not in runner.parameters()


def test_a_promotion_to_staging_is_started_and_followed(runner: Runner) -> None:
    version = {"github.event.workflow_run.head_sha || inputs.version": SHA}
    assert runner.execute(STAGING, runner.contexts() | version).returncode == 0
    assert runner.parameters() == {"version": SHA}
    assert "promote-to-staging/batbern" in runner.started()[0]["arguments"]


ENDS = [
    ("FAILED", "Refused", 1, "Refused: "),
    ("FAILED", "PutBack", 1, "PutBack: "),
    ("CANCELLED", "Cancelled", 1, "Cancelled: "),
    ("PAUSED", "Suspended", 3, "Waiting for approvals: "),
]


@pytest.mark.parametrize(("kind", "name", "code", "begins"), ENDS)
def test_the_step_ends_as_the_promotion_stands(runner: Runner, kind: str, name: str, code: int, begins: str) -> None:
    runner.state |= {"type": kind, "name": name}
    done = runner.promote(version=SHA, change_ticket="CHG-7")
    assert done.returncode == code
    assert done.stdout.splitlines()[-1].startswith(begins)


def test_another_attempt_looks_at_the_promotion_that_there_is(runner: Runner) -> None:
    runner.state |= {"type": "PAUSED", "name": "Suspended"}
    assert runner.promote(version=SHA, change_ticket="CHG-7").returncode == 3
    runner.state |= {"type": "COMPLETED", "name": "Completed"}
    again = runner.promote(version=SHA, change_ticket="CHG-7")
    assert again.returncode == 0
    assert "Nothing is started" in again.stdout
    assert len(runner.started()) == 1


def test_a_promotion_that_began_is_followed_whatever_the_command_said(runner: Runner) -> None:
    (runner.folder / "fails").touch()
    assert runner.promote(version=SHA, change_ticket="CHG-7").returncode == 0


def test_a_promotion_that_did_not_begin_is_unknown(runner: Runner) -> None:
    for name in ("fails", "refuses"):
        (runner.folder / name).touch()
    done = runner.promote(version="no SHA", change_ticket="CHG-7")
    assert done.returncode == 2
    assert "borne by no run: none began" in done.stdout.splitlines()[-1]


def test_a_server_that_does_not_know_what_it_has_is_asked_for_nothing(runner: Runner) -> None:
    runner.url = runner.url.removesuffix("/api")
    done = runner.promote(version=SHA, change_ticket="CHG-7")
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith("Unknown: ")
    assert runner.started() == []


HOSTILE = [
    ("$(touch x)", "`touch x`", '"; touch x; "'),
    ("'; touch x; '", "'''; import os; os.system('touch x'); '''", "a\ntouch x\n"),
    ("&& touch x ||", '", "dry_run": true, "x": "', "-p dry_run=true"),
    ("{version} {{ version }} %s \\ $HOME ${IFS}", "::add-mask::it", "[/x]"),
    ("1e10000", "0001234", "null"),
]


@pytest.mark.parametrize("hostile", HOSTILE, ids=range(len(HOSTILE)))
def test_inputs_arrive_as_the_text_that_they_are(runner: Runner, hostile: tuple[str, str, str]) -> None:
    names = ("version", "change_ticket", "start_at")
    done = runner.promote(**dict(zip(names, hostile, strict=True)))
    assert done.returncode == 0, done.stderr
    found = runner.parameters()
    assert tuple(found[name] for name in names) == hostile
    assert (found["dry_run"], found["requested_by"]) == (False, "annam")
    assert list(runner.folder.rglob("x")) == []
    assert not any(text in " ".join(runner.started()[0]["arguments"]) for text in hostile)


def test_a_commit_cannot_say_anything_but_its_version(runner: Runner) -> None:
    hostile = "$(touch x)`touch x`\"'; touch x; #"
    version = {"github.event.workflow_run.head_sha || inputs.version": hostile}
    assert runner.execute(STAGING, runner.contexts() | version).returncode == 0
    assert runner.parameters() == {"version": hostile}
    assert list(runner.folder.rglob("x")) == []


@pytest.mark.parametrize("hostile", ["$(touch x)", "--tag=ci-4711", "--help", f"{RUN_ID}/../x", "a\ntouch x", ""])
def test_only_a_run_id_is_looked_at(runner: Runner, hostile: str) -> None:
    assert runner.execute(RESULT, runner.contexts() | {"inputs.run": hostile}).returncode == 2
    assert list(runner.folder.rglob("x")) == []


def test_a_result_can_be_looked_at_later(runner: Runner) -> None:
    runner.state |= {"type": "FAILED", "name": "PutBack", "message": "It is as it was."}
    done = runner.execute(RESULT, runner.contexts() | {"inputs.run": RUN_ID})
    assert (done.returncode, done.stdout.splitlines()[-1]) == (1, "PutBack: It is as it was.")
    assert runner.started() == []


def test_the_credential_is_masked_and_stands_nowhere(runner: Runner) -> None:
    done = runner.promote(version=SHA, change_ticket="CHG-7")
    assert done.stdout.splitlines()[0] == f"::add-mask::{SECRET}", "before anything that could show it"
    assert SECRET not in done.stdout.replace(f"::add-mask::{SECRET}", "") + done.stderr
    (one,) = runner.started()
    assert one["seen"] == {"PREFECT_API_AUTH_STRING": SECRET, "AWS_SESSION_TOKEN": None}
    assert SECRET not in " ".join(one["arguments"])
    assert SECRET not in (runner.folder / "summary.md").read_text()
    asked = "secretsmanager get-secret-value --secret-id promotion-flows/prefect --query SecretString --output text"
    assert (runner.folder / "aws").read_text() == asked


def test_without_a_credential_nothing_is_started(runner: Runner) -> None:
    runner.secret = ""
    done = runner.promote(version=SHA, change_ticket="CHG-7")
    assert done.returncode == 2
    assert done.stdout.startswith("Unknown: the secret promotion-flows/prefect could not be read.")
    assert runner.started() == []


# -------------------------------------------------------------------------------------- Prefect's own command, for real


FLOW = {"name": "promote-to-production"}
SCHEMA = {
    "type": "object",
    "title": "Parameters",
    "properties": {
        **{
            name: {"type": "string"} for name in ("application", "version", "change_ticket", "requested_by", "strategy")
        },
        "start_at": {"type": "string", "format": "date-time"},
        **{name: {"type": "boolean"} for name in ("next_window", "dry_run")},
    },
}


def allowed_routes() -> list[tuple[str, re.Pattern[str]]]:
    """The requests that the guide says CI needs, as a proxy would let them through."""
    found = re.findall(r"^\| `(GET|POST) (/api/\S+)` \|", GUIDE.read_text(), re.MULTILINE)
    return [(method, re.compile(re.sub(r"[A-Z]+(?:_[A-Z]+)*", "[^/]+", path))) for method, path in found]


@pytest.mark.usefixtures("prefect_server")
def test_the_real_command_starts_one_run_and_needs_no_more_than_the_guide_says(tmp_path: Path) -> None:
    from prefect.settings import PREFECT_API_URL

    api, routes, turned_away = str(PREFECT_API_URL.value()), allowed_routes(), []

    def passed_on(method: str, path: str, body: bytes) -> tuple[int, bytes]:
        known = any(method == one and pattern.fullmatch(path.partition("?")[0]) for one, pattern in routes)
        if not known or (body and json.loads(body).get("job_variables")):
            turned_away.append(f"{method} {path}")
            return 403, b'{"detail": "not for CI"}'
        answer = httpx.request(method, f"{api.removesuffix('/api')}{path}", content=body, timeout=30)
        return answer.status_code, answer.content

    def said(kind: str, name: str) -> None:
        state = {"type": kind, "name": name, "message": f"It is {name}."}
        body = {"state": state, "force": True}
        httpx.post(f"{api}/flow_runs/{runs()[0]['id']}/set_state", json=body).raise_for_status()

    def runs() -> Any:
        return httpx.post(f"{api}/flow_runs/filter", json={"flow_runs": {"tags": {"all_": ["ci-4711"]}}}).json()

    flow = httpx.post(f"{api}/flows/", json=FLOW).raise_for_status().json()["id"]
    deployment = {"name": "batbern", "flow_id": flow, "parameters": {"application": "batbern"}, "tags": ["promotion"]}
    httpx.post(f"{api}/deployments/", json=deployment | {"parameter_openapi_schema": SCHEMA}).raise_for_status()
    checkout(tmp_path, f'PREFECT_HOME={tmp_path}/home exec {BIN}/prefect "$@"')
    with served(passed_on) as url:
        runner = Runner(tmp_path, f"{url}/api")
        asked = {"version": SHA, "change_ticket": "[/x]", "start_at": "2026-12-01T20:30+01:00"}
        began = runner.command("promote-to-production/batbern", "ci-4711", "0", given=asked)
        assert (began.returncode, turned_away) == (4, []), f"{turned_away} {began.stdout} {began.stderr}"
        (run,) = runs()
        assert run["parameters"]["version"] == SHA, "and not 1e10000 = Infinity"
        assert set(run["tags"]) == {"promotion", "ci-4711"}
        codes = []
        for state in (("PAUSED", "Suspended"), ("FAILED", "Refused"), ("COMPLETED", "Completed")):
            said(*state)
            codes.append(runner.promote(**asked).returncode)
        assert codes == [3, 1, 0]
        assert len(runs()) == 1
    assert turned_away == []
