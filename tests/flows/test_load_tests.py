"""The load gate runs a script, or reads what another run left; what is not there, not ours or not whole is no pass."""

import json
import os
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prefect.logging import disable_run_logger

from blocks.files import Files
from rules.records import Event, EventKind, Record, chain
from rules.validation_policies import LoadPolicy, ValidationPolicy
from rules.vocabulary import Finding, Release, Role, Verdict
from tasks.load_tests import check_load

RELEASE = Release("3f2a1bc", {"events": "sha256:" + "1" * 64})
K6 = """\
#!{python}
import json, os, sys
told = dict(zip(sys.argv, sys.argv[1:]))
out, (tag, release) = told["--out"].removeprefix("json="), told["--tag"].split("=")
variables = dict(it.split("=", 1) for option, it in zip(sys.argv, sys.argv[1:]) if option == "--env")
script = open(sys.argv[-1]).read()
wanted = json.loads(script)
assert sorted(os.environ) == ["HOME", "K6_NO_USAGE_REPORT", "LC_CTYPE", "NO_COLOR", "PATH"] or "LANG" in os.environ
assert "AWS_SECRET_ACCESS_KEY" not in os.environ
with open(out, "w") as samples:
    for n in range(wanted["requests"]):
        at = f"2026-11-22T19:09:{{n % 60:02d}}.1Z"
        for metric, value in (("http_reqs", 1), ("http_req_duration", wanted["ms"]), ("http_req_failed", 0)):
            tags = {{tag: release, "scenario": "browse", "name": variables["BASE_URL"]}}
            point = {{"metric": metric, "type": "Point", "data": {{"time": at, "value": value, "tags": tags}}}}
            print(json.dumps(point), file=samples)
sys.exit(wanted["code"])
"""
"""Stands for k6: leaves samples as the script, a JSON object, says."""


@dataclass
class Ledger:
    kept: list[Record] = field(default_factory=list)

    def append(self, event: Event) -> Record:
        self.kept.append(chain(self.kept[-1] if self.kept else None, event, datetime.now(UTC)))
        return self.kept[-1]

    def records(self, _run_id: str | None = None) -> Iterator[Record]:
        return iter(self.kept)


@dataclass
class Place:
    """A folder of files, a program that stands for k6, and a ledger."""

    folder: Path
    ledger: Ledger = field(default_factory=Ledger)
    role: Role = Role.STAGING

    def script(self, name: str = "journeys.js", requests: int = 200, ms: float = 50.0, code: int = 0) -> str:
        (self.folder / "load").mkdir(exist_ok=True)
        (self.folder / "load" / name).write_text(json.dumps({"requests": requests, "ms": ms, "code": code}))
        return f"load/{name}"

    def k6(self) -> str:
        program = self.folder / "k6"
        program.write_text(textwrap.dedent(K6).format(python=sys.executable))
        program.chmod(0o700)
        return str(program)

    def ask(self, policy: LoadPolicy) -> Finding:
        promotion: Any = SimpleNamespace(
            application=SimpleNamespace(ledger=self.ledger, files=Files(self.folder)),
            catalogue=SimpleNamespace(validation=ValidationPolicy(load=policy)),
        )
        doors: Any = SimpleNamespace(
            environment=SimpleNamespace(name="staging", role=self.role),
            probes=SimpleNamespace(api_url="http://127.0.0.1:9"),
        )
        with disable_run_logger():
            [finding] = check_load.fn(promotion, doors, RELEASE)
        return finding


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_the_script_is_run_and_judged_and_remembered(place: Place) -> None:
    found = place.ask(LoadPolicy(place.script(), program=place.k6()))
    assert found.verdict is Verdict.PASSED, found.sentence
    assert "p95 50" in found.sentence
    [record] = place.ledger.kept
    assert record.event.kind is EventKind.LOAD_TESTED
    assert (record.event.details["version"], record.event.details["total"]["requests"]) == ("3f2a1bc", 200)


def test_it_is_compared_with_the_last_that_passed_of_the_same_script(place: Place) -> None:
    """The stand-in's script is its own numbers, so a grown p95 is another script; k6's would be the same file."""
    program = place.k6()
    policy = LoadPolicy(place.script(), program=program)
    assert place.ask(policy).verdict is Verdict.PASSED
    [first] = place.ledger.kept
    quick = dict(first.event.details) | {"total": {**first.event.details["total"], "p95_ms": 10.0}}
    place.ledger.append(Event("run", "", "staging", EventKind.LOAD_TESTED, "Before.", quick))
    again = place.ask(policy)
    assert again.verdict is Verdict.FAILED
    assert "in the last run that passed" in again.sentence


@pytest.mark.parametrize(
    ("told", "verdict", "words"),
    [
        ({"ms": 900.0}, Verdict.FAILED, "below 500 ms"),
        ({"requests": 20}, Verdict.INCONCLUSIVE, "100 or more are needed"),
        ({"requests": 0, "code": 107}, Verdict.INCONCLUSIVE, "ended with 107"),
        ({"code": 107}, Verdict.INCONCLUSIVE, "the script threw an exception"),
        ({"code": 99}, Verdict.FAILED, "Thresholds of the script did not hold"),
    ],
)
def test_what_k6_measured_or_said_stands_against_it(
    place: Place, told: dict[str, Any], verdict: Verdict, words: str
) -> None:
    found = place.ask(LoadPolicy(place.script(**told), program=place.k6()))
    assert found.verdict is verdict, found.sentence
    assert words in found.sentence


def test_without_k6_nothing_passes(place: Place) -> None:
    found = place.ask(LoadPolicy(place.script(), program="no-such-k6"))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "no-such-k6 is not on this machine" in found.sentence
    assert "validation.load.program" in found.sentence
    assert place.ledger.kept == []


def test_without_the_script_nothing_passes(place: Place) -> None:
    found = place.ask(LoadPolicy("load/gone.js", program=place.k6()))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "load" in found.sentence


def test_no_load_is_put_on_production_unless_it_is_named(place: Place) -> None:
    place.role = Role.PRODUCTION
    found = place.ask(LoadPolicy(place.script(), program=place.k6()))
    assert (found.verdict, found.blocks) == (Verdict.INCONCLUSIVE, False)
    named = place.ask(LoadPolicy(place.script(), program=place.k6(), environments=("staging",)))
    assert named.verdict is Verdict.PASSED


def left(place: Place, name: str, hours_ago: float = 0.0, release: str = "3f2a1bc") -> None:
    """The samples of a run elsewhere."""
    file = place.folder / name
    with file.open("w") as samples:
        for n in range(200):
            for metric, value in (("http_reqs", 1), ("http_req_duration", 40.0), ("http_req_failed", 0)):
                at, tags = f"2026-11-22T19:09:{n % 60:02d}.1Z", {"release": release} if release else {}
                point = {"metric": metric, "type": "Point", "data": {"time": at, "value": value, "tags": tags}}
                samples.write(json.dumps(point) + "\n")
    then = (datetime.now(UTC) - timedelta(hours=hours_ago)).timestamp()
    os.utime(file, (then, then))


@pytest.mark.parametrize(
    ("address", "name", "told", "verdict"),
    [
        ("k6-{version}.json", "k6-3f2a1bc.json", {"release": ""}, Verdict.PASSED),
        ("k6-{version}.json", "k6-0000000.json", {}, Verdict.INCONCLUSIVE),
        ("k6.json", "k6.json", {}, Verdict.PASSED),
        ("k6.json", "k6.json", {"release": "0000000"}, Verdict.INCONCLUSIVE),
        ("k6.json", "k6.json", {"release": ""}, Verdict.INCONCLUSIVE),
        ("k6.json", "k6.json", {"hours_ago": 25.0}, Verdict.INCONCLUSIVE),
        ("k6.json", "k6.json", {"hours_ago": -1.0}, Verdict.INCONCLUSIVE),
    ],
)
def test_a_result_that_was_left_counts_when_it_is_this_releases_and_fresh(
    place: Place, address: str, name: str, told: dict[str, Any], verdict: Verdict
) -> None:
    left(place, name, **told)
    found = place.ask(LoadPolicy(result=address))
    assert found.verdict is verdict, found.sentence


def test_a_result_that_cannot_be_read_is_no_pass(place: Place) -> None:
    (place.folder / "k6.json").write_text("<html>")
    found = place.ask(LoadPolicy(result="k6.json"))
    assert found.verdict is Verdict.INCONCLUSIVE
    assert "cannot be read" in found.sentence
