"""What `[validation]` and the waivers of a catalogue must satisfy beyond their types.

Whether a quarantine or a waiver is over is judged when a release is: there is no clock here.
"""

import math
import re
from collections.abc import Iterable, Iterator

from rules.catalogue import Catalogue
from rules.catalogue_problems import Problem
from rules.releases import is_sha
from rules.suite_checks import problem
from rules.validation_policies import GATES, LoadPolicy, RegressionPolicy, ScanSource
from rules.waivers import WAIVABLE, may_be_waived

PLACE = re.compile(r"\{([^{}]*)\}")
PROGRAM = re.compile(r"[\w./+-]+")
IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
MOST_ERRORS = 0.5


def validation_problems(catalogue: Catalogue) -> Iterator[Problem]:
    """Each mistake by its place in the file; none where nothing is declared."""
    policy = catalogue.validation
    for gate, reason in policy.left_out.items():
        path = ("validation", "left_out", gate)
        if gate not in GATES:
            yield Problem(path, gate, f"one of {', '.join(GATES)}")
        elif policy.is_declared(gate):
            yield Problem(path, gate, "a gate that is not declared as well: declare it or leave it out")
        if not reason.strip():
            yield Problem(path, reason, "the reason")
    yield from _regression(policy.regression)
    yield from _load(policy.load, catalogue)
    yield from _repeated(("validation", "security", "scans"), [it.name for it in policy.security.scans])
    for position, scan in enumerate(policy.security.scans):
        yield from _scan(("validation", "security", "scans", position), scan)
    for key in ("table", "schema"):
        name = getattr(policy.migrations, key)
        if not IDENTIFIER.fullmatch(name):
            yield Problem(("validation", "migrations", key), name, "a plain identifier of letters, digits and _")
    yield from _address(("validation", "migrations", "scripts"), policy.migrations.scripts)
    for key in ("minutes", "lock_seconds", "rows"):
        yield from _above_nothing(("validation", "migrations", key), getattr(policy.migrations, key))
    yield from _waivers(catalogue)


def _regression(policy: RegressionPolicy) -> Iterator[Problem]:
    path = ("validation", "regression")
    yield from _above_nothing((*path, "hours"), policy.hours)
    yield from _above_nothing((*path, "least_passed"), policy.least_passed)
    yield from _repeated(path, [*(it.name for it in policy.scenarios), *(it.name for it in policy.suites)])
    yield from _repeated((*path, "functions"), [it.name for it in policy.functions])
    for position, scenario in enumerate(policy.scenarios):
        if not scenario.checks:
            yield Problem((*path, "scenarios", position, "checks"), [], "one check or more")
        for step, check in enumerate(scenario.checks):
            if wrong := problem(check):
                yield Problem((*path, "scenarios", position, "checks", step), check.name, f"a sound check: {wrong}")
    for position, suite in enumerate(policy.suites):
        yield from _address((*path, "suites", position, "result"), suite.result, needed=True)
    for position, function in enumerate(policy.functions):
        yield from _address(
            (*path, "functions", position, "function"), function.function, ("environment",), needed=True
        )
    for position, entry in enumerate(policy.quarantine):
        for key in ("test", "person", "reason"):
            yield from _said((*path, "quarantine", position, key), getattr(entry, key))


def _load(policy: LoadPolicy, catalogue: Catalogue) -> Iterator[Problem]:
    path = ("validation", "load")
    if policy.script and policy.result:
        yield Problem((*path, "result"), policy.result, "a script or a result, not both")
    yield from _address((*path, "script"), policy.script)
    yield from _address((*path, "result"), policy.result)
    for key in ("minutes", "hours", "p95_ms", "minimum_requests", "minimum_seconds", "part_requests"):
        yield from _above_nothing((*path, key), getattr(policy, key))
    for key in ("error_rate", "check_failures"):
        if not 0 <= getattr(policy, key) <= MOST_ERRORS:
            yield Problem((*path, key), getattr(policy, key), f"0 to {MOST_ERRORS:g}")
    for name in policy.environments:
        if name not in catalogue.environments:
            yield Problem((*path, "environments"), name, f"environments ({', '.join(catalogue.environments)})")


def _scan(path: tuple[str | int, ...], scan: ScanSource) -> Iterator[Problem]:
    if bool(scan.command) + scan.registry + bool(scan.result) != 1:
        yield Problem(path, scan.name, "exactly one of result, command and registry")
    if scan.command and not PROGRAM.fullmatch(scan.command[0]):
        yield Problem((*path, "command"), scan.command[0], "a program's name or path, without a shell's characters")
    if scan.command and not any("{result}" in it for it in scan.command):
        yield Problem((*path, "command"), list(scan.command), "a command with {result}, the file that it writes")
    yield from _address((*path, "result"), scan.result, ("version", "environment", "service"))
    yield from _above_nothing((*path, "minutes"), scan.minutes)


def _waivers(catalogue: Catalogue) -> Iterator[Problem]:
    for position, waiver in enumerate(catalogue.waivers):
        path = ("waivers", position)
        if not may_be_waived(waiver.gate):
            yield Problem((*path, "gate"), waiver.gate, f"one of {', '.join(WAIVABLE)}, or a part of one")
        if not is_sha(waiver.version):
            yield Problem((*path, "version"), waiver.version, "a Git SHA of 7 to 40 digits")
        for key in ("person", "reason"):
            yield from _said((*path, key), getattr(waiver, key))


def _address(
    path: tuple[str | int, ...], text: str, known: Iterable[str] = ("version", "environment"), *, needed: bool = False
) -> Iterator[Problem]:
    if (needed and not text) or set(PLACE.findall(text)) - set(known):
        yield Problem(
            path, text, f"an address in which only {', '.join(f'{{{it}}}' for it in known)} stand for something"
        )


def _above_nothing(path: tuple[str | int, ...], value: float) -> Iterator[Problem]:
    if not (math.isfinite(value) and value > 0):
        yield Problem(path, value, "a number above 0")


def _said(path: tuple[str | int, ...], text: str) -> Iterator[Problem]:
    if not text.strip():
        yield Problem(path, text, "more than nothing")


def _repeated(path: tuple[str | int, ...], names: list[str]) -> Iterator[Problem]:
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield Problem(path, name, "each name once")
