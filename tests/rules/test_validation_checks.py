"""Mistakes in what validates a release are found when the catalogue is read."""

import pytest

from rules.catalogue import Catalogue
from rules.suite_checks import Check, Scenario
from rules.validation_checks import validation_problems
from rules.validation_policies import (
    LoadPolicy,
    MigrationPolicy,
    RegressionPolicy,
    ScanSource,
    SecurityPolicy,
    SuiteResults,
    ValidationPolicy,
)

CASES = {
    "unknown gate": ValidationPolicy(left_out={"smoke": "why"}),
    "no reason": ValidationPolicy(left_out={"load": " "}),
    "both": ValidationPolicy(load=LoadPolicy(script="a.js"), left_out={"load": "why"}),
    "script and result": ValidationPolicy(load=LoadPolicy(script="a.js", result="a.json")),
    "half fail": ValidationPolicy(load=LoadPolicy(script="a.js", error_rate=0.6)),
    "no time": ValidationPolicy(load=LoadPolicy(script="a.js", p95_ms=float("nan"))),
    "elsewhere": ValidationPolicy(load=LoadPolicy(script="a.js", environments=("mars",))),
    "unsound": ValidationPolicy(regression=RegressionPolicy((Scenario("s", (Check("c", "SEND", "/"),)),))),
    "place": ValidationPolicy(regression=RegressionPolicy(suites=(SuiteResults("s", "{service}.xml"),))),
    "no source": ValidationPolicy(security=SecurityPolicy((ScanSource("s"),))),
    "shell": ValidationPolicy(security=SecurityPolicy((ScanSource("s", command=("a;b", "{result}")),))),
    "no file": ValidationPolicy(security=SecurityPolicy((ScanSource("s", command=("trivy",)),))),
    "table": ValidationPolicy(migrations=MigrationPolicy(table='a"b')),
}


def found(policy: ValidationPolicy) -> int:
    catalogue = Catalogue.__new__(Catalogue)
    for key, value in {"validation": policy, "waivers": (), "environments": {}}.items():
        object.__setattr__(catalogue, key, value)
    return len(list(validation_problems(catalogue)))


def test_nothing_declared_is_no_problem() -> None:
    assert found(ValidationPolicy()) == 0


@pytest.mark.parametrize("name", CASES)
def test_each_mistake_is_one_problem(name: str) -> None:
    assert found(CASES[name]) == 1
