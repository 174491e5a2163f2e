"""What a service's `deploymentConfiguration` may say, and what becomes of it when an update says something else."""

from collections.abc import Mapping

from moto.ecs.exceptions import ECSException

from deployments.sandbox.aws.ecs_stages import Stage, Strategy
from deployments.sandbox.aws.ecs_state import Document

DEFAULTS: Document = {"strategy": "ROLLING", "maximumPercent": 200, "minimumHealthyPercent": 100}
STEP_DEFAULTS: Mapping[Strategy, tuple[str, Document]] = {
    Strategy.LINEAR: ("linearConfiguration", {"stepPercent": 10.0, "stepBakeTimeInMinutes": 6}),
    Strategy.CANARY: ("canaryConfiguration", {"canaryPercent": 5.0, "canaryBakeTimeInMinutes": 10}),
}
"""The field in which a strategy has its traffic steps, and what AWS takes where the field is silent."""
LEAST_PERCENT = {"stepPercent": 3.0, "canaryPercent": 0.1}
NO_PAUSE = frozenset({Stage.TEST_TRAFFIC_SHIFT, Stage.PRODUCTION_TRAFFIC_SHIFT})
HOOK_STAGES = frozenset(Stage) - {Stage.SCALE_UP, Stage.BAKE_TIME, Stage.CLEAN_UP}
MAX_HOOKS = 10
MAX_BAKE_MINUTES = 1440
MAX_PAUSE_MINUTES = 20_160


def refuse(message: str, code: str = "InvalidParameterException") -> ECSException:
    """An answer of HTTP status 400 with this error code and message, to be raised."""
    return ECSException(code, message)


def joined(present: Document, given: Document) -> Document:
    """The configuration after a request. Raises an ECS error when the two cannot be joined.

    What the request does not name stays: real ECS is known to keep lifecycle hooks so, until an empty list takes
    them away. That it treats every field alike, and drops the traffic steps of a strategy that was left, is assumed.
    """
    whole = DEFAULTS | present | given
    _check_steps_given(whole, given)
    for strategy, (field, defaults) in STEP_DEFAULTS.items():
        steps = whole.pop(field, None) or {}
        if whole["strategy"] == strategy:
            whole[field] = defaults | steps
    return whole


def check_configuration(configuration: Document) -> None:
    """Refuse a configuration (as `joined` gives it) that cannot work. Raises an ECS error."""
    strategy_of(configuration)
    _check_minutes("bakeTimeInMinutes", configuration.get("bakeTimeInMinutes", 0), 0, MAX_BAKE_MINUTES)
    for field, _ in STEP_DEFAULTS.values():
        for name, value in configuration.get(field, {}).items():
            if name in LEAST_PERCENT:
                _check_percent(name, value)
            else:
                _check_minutes(name, value, 0, MAX_BAKE_MINUTES)
    hooks = configuration.get("lifecycleHooks") or ()
    for hook in hooks:
        _check_hook(hook)
    if len(hooks) > MAX_HOOKS:
        raise refuse(f"A service can have at most {MAX_HOOKS} PAUSE lifecycle hooks; {len(hooks)} were given.")


def strategy_of(configuration: Document) -> Strategy:
    """The strategy of a deployment. Raises an ECS error for a word that is none."""
    name = configuration.get("strategy") or Strategy.ROLLING
    if name not in set(Strategy):
        raise refuse(f"{name} is not a deployment strategy; use one of {', '.join(Strategy)}.")
    return Strategy(name)


def traffic_steps(configuration: Document) -> tuple[tuple[float, ...], float]:
    """Shares of production traffic in their order, percent, and AWS minutes between them. The last share is 100."""
    match strategy_of(configuration):
        case Strategy.LINEAR:
            steps = configuration["linearConfiguration"]
            step = _tenths(steps["stepPercent"])
            shares = (*range(step, 1000, step), 1000)
            return tuple(tenths / 10 for tenths in shares), float(steps["stepBakeTimeInMinutes"])
        case Strategy.CANARY:
            steps = configuration["canaryConfiguration"]
            shares = (*{_tenths(steps["canaryPercent"])} - {1000}, 1000)
            return tuple(tenths / 10 for tenths in shares), float(steps["canaryBakeTimeInMinutes"])
        case _:
            return (100.0,), 0.0


def _tenths(percent: float) -> int:
    """Whole tenths of a percent: tenths added up as floats would not arrive at 100."""
    return round(percent * 10)


def _check_steps_given(whole: Document, given: Document) -> None:
    fields = [field for field, _ in STEP_DEFAULTS.values() if given.get(field)]
    if len(fields) > 1:
        raise refuse(f"{' and '.join(fields)} cannot be specified together.")
    for strategy, (field, _) in STEP_DEFAULTS.items():
        if field in fields and whole["strategy"] != strategy:
            raise refuse(f"{field} is only valid with the {strategy} strategy; the strategy is {whole['strategy']}.")


def _check_percent(name: str, value: float) -> None:
    least = LEAST_PERCENT[name]
    if not least <= value <= 100.0 or abs(value * 10 - _tenths(value)) > 1e-6:
        raise refuse(f"{name} is {value}; it must be a multiple of 0.1 between {least} and 100.0.")


def _check_minutes(name: str, value: int, least: int, most: int) -> None:
    if not least <= value <= most:
        raise refuse(f"{name} is {value}; it must be between {least} and {most}.")


def _check_hook(hook: Document) -> None:
    if hook.get("targetType", "AWS_LAMBDA") != "PAUSE":
        raise refuse("The sandbox runs no Lambda functions; use a hook with targetType PAUSE.")
    stages = hook.get("lifecycleStages")
    if not stages:
        raise refuse("A lifecycle hook needs at least one entry in lifecycleStages.")
    if unknown := sorted(set(stages) - HOOK_STAGES):
        raise refuse(f"{', '.join(unknown)} is no stage for lifecycle hooks; use {', '.join(sorted(HOOK_STAGES))}.")
    if forbidden := sorted(NO_PAUSE.intersection(stages)):
        raise refuse(f"A PAUSE hook is not allowed at {', '.join(forbidden)}.")
    timeout = hook.get("timeoutConfiguration") or {}
    _check_minutes("timeoutInMinutes", timeout.get("timeoutInMinutes", 1), 1, MAX_PAUSE_MINUTES)
    if timeout.get("action", "ROLLBACK") not in {"ROLLBACK", "CONTINUE"}:
        raise refuse(f"The timeout action is {timeout['action']}; it must be ROLLBACK or CONTINUE.")
