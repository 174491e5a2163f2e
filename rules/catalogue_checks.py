"""What a catalogue must satisfy beyond its types, so that a mistake is found in review and not at night.

Each check yields `Problem`s; an empty answer means that the catalogue can be used.
"""

import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import fields
from itertools import permutations
from string import Formatter

from rules.catalogue import CanaryPolicy, Catalogue, JudgePolicy, KeyAction, KeyRule, RolloutPolicy
from rules.catalogue_problems import Problem
from rules.production_checks import production_problems
from rules.telemetry_checks import faults
from rules.validation_checks import validation_problems
from rules.vocabulary import Controller, Environment, Service, Strategy

__all__ = ["Problem", "problems"]

NAME = re.compile(r"[a-z][a-z0-9-]{0,62}")
REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-\d")
ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::(\d{12}):role/[\w+=,.@/-]+")
PARAMETER_PATH = re.compile(r"/([\w.-]+/)+")
KEY_SEGMENT = re.compile(r"\*\*|[\w.*-]+")
REPOSITORY = re.compile(r"[a-z0-9]+([._/-][a-z0-9]+)*")
URL_PATH = re.compile(r"/\S*")

LONGEST_BAKE_MINUTES = 1440
"""Amazon ECS accepts at most a day."""
JUDGE_NUMBERS = (
    ("max_error_rate", 0.0001, 0.2),
    ("slow_ms", 1, 600_000),
    ("max_slow_share", 0.0001, 0.2),
    ("error_tolerance", 1, 10),
    ("slow_tolerance", 1, 10),
    ("alpha", 0.0001, 0.2),
    ("least_bad", 1, 100),
    ("segment_seconds", 5, 600),
    ("segment_nats", 1, 100),
    ("breaking_factor", 1, 100),
    ("history_segments", 0, 1000),
    ("burstiness", 0, 100),
    ("warm_up_seconds", 0, 600),
    ("silence_seconds", 5, 3600),
    ("promote_factor", 1.1, 4),
    ("promote_alpha", 0.0001, 0.2),
)
"""Policy key, the least and the most that makes sense."""
LONGEST_PAUSE_MINUTES = 20_160
"""Amazon ECS waits at a pause for two weeks at most."""
LEAST_STEP = 3
"""Amazon ECS moves at least so many percent at a time."""
LEASE_SECONDS = (60, 86_400)
"""What a Prefect server accepts for the lease of a concurrency slot."""


def problems(catalogue: Catalogue) -> tuple[Problem, ...]:
    """Everything that is wrong with the catalogue, not just the first thing."""
    return tuple(problem for check in CHECKS for problem in check(catalogue))


def _match(path: tuple[str | int, ...], pattern: re.Pattern[str], value: str, allowed: str) -> Iterator[Problem]:
    if not pattern.fullmatch(value):
        yield Problem(path, value, allowed)


def _names(catalogue: Catalogue) -> Iterator[Problem]:
    allowed = "a name of lower-case letters, digits and dashes that begins with a letter"
    yield from _match(("application",), NAME, catalogue.application, allowed)
    for table in ("environments", "services"):
        for name in getattr(catalogue, table):
            yield from _match((table, name), NAME, name, allowed)
    for key, environment in catalogue.environments.items():
        if environment.name != key:
            yield Problem(("environments", key, "name"), environment.name, f"the name of its table, {key!r}")
    for key, service in catalogue.services.items():
        if service.id != key:
            yield Problem(("services", key, "id"), service.id, f"the name of its table, {key!r}")


def _chain(catalogue: Catalogue) -> Iterator[Problem]:
    known = f"environments of this file ({', '.join(catalogue.environments) or 'there are none'})"
    if not catalogue.chain:
        yield Problem(("chain",), [], f"one or more of the {known}")
    for position, name in enumerate(catalogue.chain):
        if name not in catalogue.environments:
            yield Problem(("chain", position), name, f"one of the {known}")
    for name in _repeated(catalogue.chain):
        yield Problem(("chain",), list(catalogue.chain), f"each environment once; {name!r} stands there twice")
    if catalogue.registry not in catalogue.environments:
        yield Problem(("registry",), catalogue.registry, f"one of the {known}")


def _environments(catalogue: Catalogue) -> Iterator[Problem]:
    for environment in catalogue.environments.values():
        yield from _environment(environment)
    roots = {(it.account, it.region, it.parameter_path): it for it in catalogue.environments.values()}
    for it in catalogue.environments.values():
        owner = roots[it.account, it.region, it.parameter_path]
        if owner is not it:
            path = ("environments", it.name, "parameter_path")
            yield Problem(path, it.parameter_path, f"a path of its own; {owner.name} has the same one")


def _environment(environment: Environment) -> Iterator[Problem]:
    def check(key: str, pattern: re.Pattern[str], allowed: str) -> Iterator[Problem]:
        path = ("environments", environment.name, key)
        yield from _match(path, pattern, getattr(environment, key), allowed)

    yield from check("account", re.compile(r"\d{12}"), "an AWS account: twelve digits, in quotes")
    yield from check("region", REGION, "an AWS region such as eu-central-1")
    yield from check("role_arn", ROLE_ARN, "arn:aws:iam::<account>:role/<name>")
    yield from check("cluster", re.compile(r"[\w-]{1,255}"), "the name of an ECS cluster")
    yield from check("parameter_path", PARAMETER_PATH, "a path with a slash at both ends: /application/dev/")
    yield from check("flag_environment", re.compile(r"[\w.-]+"), "the environment's key in the flag service")
    role = ROLE_ARN.fullmatch(environment.role_arn)
    if role and role.group(1) != environment.account:
        path = ("environments", environment.name, "role_arn")
        yield Problem(path, environment.role_arn, f"a role of the environment's account {environment.account}")


def _services(catalogue: Catalogue) -> Iterator[Problem]:
    if not catalogue.services:
        yield Problem(("services",), {}, "at least one service")
    for service in catalogue.services.values():
        yield from _service(service)
        for name in set(service.strategies) - set(catalogue.environments):
            yield Problem(("services", service.id, "strategies"), name, f"one of {', '.join(catalogue.environments)}")
    named = [(it, "ecs_service", it.ecs_service) for it in catalogue.services.values()]
    named += [
        (it, "ecs_service_beside", it.ecs_service_beside) for it in catalogue.services.values() if it.ecs_service_beside
    ]
    for (one, key, name), (other, _, prefix) in permutations(named, 2):
        if name.startswith(prefix):
            allowed = f"a name that {other.id} ({prefix}) does not also find"
            yield Problem(("services", one.id, key), name, allowed)


def _service(service: Service) -> Iterator[Problem]:
    def check(key: str, pattern: re.Pattern[str], value: str, allowed: str) -> Iterator[Problem]:
        yield from _match(("services", service.id, key), pattern, value, allowed)

    if service.wave < 1:
        yield Problem(("services", service.id, "wave"), service.wave, "1 or more")
    yield from check("repository", REPOSITORY, service.repository, "the name of an image repository")
    yield from check("container", re.compile(r"[\w-]+"), service.container, "a container of the task definition")
    yield from check("health_path", URL_PATH, service.health_path, "a path that begins with a slash")
    for path in service.smoke_paths:
        yield from check("smoke_paths", URL_PATH, path, "paths that begin with a slash")
    yield from _template(service.id, "ecs_service", service.ecs_service)
    for alarm in service.alarms:
        yield from _template(service.id, "alarms", alarm)
    if service.controller is Controller.CODEDEPLOY:
        yield from _codedeploy(service)
    if service.controller is Controller.LISTENER:
        yield from _listener(service)


def _codedeploy(service: Service) -> Iterator[Problem]:
    if not service.load_balanced:
        yield Problem(
            ("services", service.id, "load_balanced"), False, "true: CodeDeploy moves a load balancer's traffic"
        )
    for key in ("codedeploy_application", "codedeploy_group"):
        yield from _template(service.id, key, getattr(service, key))


def _listener(service: Service) -> Iterator[Problem]:
    """What cannot be had where we ourselves move the weights is refused here, and not found out at night."""
    path = ("services", service.id)
    yield from _template(service.id, "ecs_service_beside", service.ecs_service_beside)
    if not service.load_balanced:
        yield Problem((*path, "load_balanced"), False, "true: the weights are those of a listener rule")
    if not service.stays_without_us:
        allowed = "true, by which its owner accepts that nothing goes back by itself where our process dies"
        yield Problem((*path, "stays_without_us"), False, allowed)
    if service.alarms:
        yield Problem((*path, "alarms"), list(service.alarms), "none: there is nobody who would roll back on them")


def _template(service: str, key: str, text: str) -> Iterator[Problem]:
    if not text or _placeholders(text) - {"environment"}:
        yield Problem(("services", service, key), text, "a name in which only {environment} stands for something")


def _placeholders(text: str) -> set[str]:
    try:
        return {name for _, name, _, _ in Formatter().parse(text) if name is not None}
    except ValueError:
        return {text}


def _configuration(catalogue: Catalogue) -> Iterator[Problem]:
    rules = catalogue.configuration.rules
    for position, rule in enumerate(rules):
        yield from _key_rule(("configuration", "rules", position), rule, catalogue)
    for pattern in _repeated(rule.pattern for rule in rules):
        last = max(position for position, rule in enumerate(rules) if rule.pattern == pattern)
        path = ("configuration", "rules", last, "pattern")
        yield Problem(path, pattern, "each pattern once; the first rule that covers a key decides")


def _key_rule(path: tuple[str | int, ...], rule: KeyRule, catalogue: Catalogue) -> Iterator[Problem]:
    if not all(_is_segment(segment) for segment in rule.pattern.split("/")):
        allowed = "a key without a leading slash; * stands within one level, ** for whole levels"
        yield Problem((*path, "pattern"), rule.pattern, allowed)
    if rule.action is not KeyAction.MAP and rule.values:
        yield Problem((*path, "values"), rule.values, "values only where the action is map")
    if rule.action is KeyAction.MAP:
        yield from _mapped(path, rule, catalogue)


def _is_segment(segment: str) -> bool:
    return bool(KEY_SEGMENT.fullmatch(segment)) and (segment == "**" or "**" not in segment)


def _mapped(path: tuple[str | int, ...], rule: KeyRule, catalogue: Catalogue) -> Iterator[Problem]:
    targets = catalogue.chain[1:]
    missing = [name for name in targets if name not in rule.values]
    strangers = [name for name in rule.values if name not in catalogue.environments]
    if missing:
        allowed = f"a value for each environment that can be promoted to; {', '.join(missing)} has none"
        yield Problem((*path, "values"), sorted(rule.values), allowed)
    if strangers:
        yield Problem((*path, "values"), strangers, f"environments ({', '.join(catalogue.environments)})")


def _flags(catalogue: Catalogue) -> Iterator[Problem]:
    flags = catalogue.flags
    if (flags.keys or flags.tags) and not flags.project:
        yield Problem(("flags", "project"), flags.project, "the flag project, as keys or tags are given")
    if flags.enabled:
        for key in _repeated(it.flag_environment for it in catalogue.environments.values()):
            last = [it.name for it in catalogue.environments.values() if it.flag_environment == key][-1]
            allowed = "a flag environment of its own for each environment"
            yield Problem(("environments", last, "flag_environment"), key, allowed)


def _numbers(catalogue: Catalogue) -> Iterator[Problem]:
    """A duration of nothing, less than nothing or for ever is a mistake; so is a count of nothing."""
    for policy in ("configuration", "flags", "stability", "rollout", "canary", "metrics", "health", "lock"):
        for key, value in _numbers_of(getattr(catalogue, policy)):
            if not (math.isfinite(value) and value > 0) and (policy, key, value) != ("canary", "extensions", 0):
                yield Problem((policy, key), value, "a number above 0")
    yield from _rollout(catalogue.rollout)
    yield from _canary(catalogue.canary)
    yield from _judge(catalogue.judge)
    shortest, longest = LEASE_SECONDS
    if catalogue.lock.lease_seconds > 0 and not shortest <= catalogue.lock.lease_seconds <= longest:
        allowed = f"{shortest} to {longest}, which a Prefect server accepts"
        yield Problem(("lock", "lease_seconds"), catalogue.lock.lease_seconds, allowed)


def _metrics(catalogue: Catalogue) -> Iterator[Problem]:
    strategies = {one for it in catalogue.services.values() for one in (it.strategy, *it.strategies.values())}
    judged, slow_ms = Strategy.CANARY in strategies, catalogue.judge.slow_ms
    for key, found, allowed in faults(catalogue.metrics, catalogue.canary, slow_ms, judged=judged):
        yield Problem(("metrics", key), found, allowed)


def _rollout(policy: RolloutPolicy) -> Iterator[Problem]:
    if policy.bake_minutes > LONGEST_BAKE_MINUTES or not float(policy.bake_minutes).is_integer():
        allowed = f"whole minutes, at most {LONGEST_BAKE_MINUTES} (a day)"
        yield Problem(("rollout", "bake_minutes"), policy.bake_minutes, allowed)
    least = policy.start_minutes + policy.bake_minutes
    if policy.total_minutes <= least:
        allowed = f"more than start_minutes and bake_minutes together ({least:g}), or every roll-out would be stopped"
        yield Problem(("rollout", "total_minutes"), policy.total_minutes, allowed)


def _canary(policy: CanaryPolicy) -> Iterator[Problem]:
    steps = policy.steps
    apart = math.gcd(*steps, 100)
    if not steps or sorted(set(steps)) != list(steps) or not 0 < steps[0] <= steps[-1] < 100 or apart < LEAST_STEP:  # noqa: PLR2004 - percent
        allowed = f"rising percentages below 100 with a common step of {LEAST_STEP} or more, such as [10, 50]"
        yield Problem(("canary", "steps"), list(steps), allowed)
    needed = policy.window_minutes * (1 + policy.extensions)
    if not needed < policy.hold_minutes <= LONGEST_PAUSE_MINUTES:
        allowed = f"more than the window and its extensions together ({needed:g}), at most {LONGEST_PAUSE_MINUTES}"
        yield Problem(("canary", "hold_minutes"), policy.hold_minutes, allowed)
    for key in ("hold_minutes", "codedeploy_minutes"):
        if not float(getattr(policy, key)).is_integer():
            yield Problem(("canary", key), getattr(policy, key), "whole minutes")


def _judge(policy: JudgePolicy) -> Iterator[Problem]:
    """Within these the judge's promises hold; a limit of a half or more, say, could not be exceeded twofold."""
    for key, least, most in JUDGE_NUMBERS:
        value = getattr(policy, key)
        if not least <= value <= most:
            yield Problem(("judge", key), value, f"{least:g} to {most:g}")


def _numbers_of(policy: object) -> Iterator[tuple[str, float]]:
    for field in fields(policy):  # type: ignore[arg-type]  # each policy is a dataclass
        value = getattr(policy, field.name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield field.name, value


def _repeated(names: Iterable[str]) -> list[str]:
    listed = list(names)
    return sorted({name for name in listed if listed.count(name) > 1})


CHECKS = (
    _names,
    _chain,
    _environments,
    _services,
    _configuration,
    _flags,
    _numbers,
    _metrics,
    production_problems,
    validation_problems,
)
