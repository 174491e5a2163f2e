"""Calls and answers held against AWS's own model, more strictly than botocore does.

botocore refuses unknown members, missing ones, wrong types and values that are too short. This also refuses what is
not in an enum, does not match a pattern, is too long or too large, or is a list of too many:

    strict.install(session)            # or one client: every call is checked before it leaves
    strict.install(session, answers=True)   # and every answer when it arrives
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from botocore.model import OperationModel, Shape
from botocore.validate import ParamValidator

SIZED = frozenset({"string", "list", "map", "blob"})
SIZE_REPORTS = ("Invalid length", "Invalid range")
DOCUMENTED = {"ServiceDeploymentLifecycleStage": ("PRE_PRODUCTION_TRAFFIC_SHIFT",)}
"""Values that AWS's model names in the text about a field and forgets in the field's enum."""
NUMBERS = frozenset({"integer", "long", "float", "double"})


class NotInModelError(ValueError):
    """A call or an answer that real AWS would not know."""

    def __init__(self, operation: str, what: str, problems: list[str]) -> None:
        super().__init__(f"The {what} of {operation} is not what AWS's model says: {'; '.join(problems)}")
        self.problems = tuple(problems)


def install(client_or_session: Any, *, answers: bool = False) -> None:
    """Check every call of this client, or of every client that this session makes from now on.

    Raises NotInModelError out of the offending call.
    """
    meta = getattr(client_or_session, "meta", None)
    events = meta.events if meta else client_or_session.events
    events.register("provide-client-params.*", _check_call, unique_id="strict-calls")
    if answers:
        events.register("after-call.*", _check_answer, unique_id="strict-answers")


def input_problems(operation: OperationModel, call: Mapping[str, Any]) -> list[str]:
    return list(problems(operation.input_shape, call)) if operation.input_shape else []


def wire_problems(operation: OperationModel, call: Mapping[str, Any]) -> list[str]:
    """As `input_problems`, and what botocore's validator says: nobody knows who wrote a call that arrives."""
    if operation.input_shape is None:
        return [f"{name} in a call without parameters" for name in call]
    return [*_structural(operation.input_shape, call), *input_problems(operation, call)]


def output_problems(operation: OperationModel, answer: Mapping[str, Any]) -> list[str]:
    """What an answer (as a client returns it, or as our layer makes it) has against the model's output shape.

    Sizes are not looked at: AWS itself answers with empty lists where its model asks for one item.
    """
    body = {name: value for name, value in answer.items() if name != "ResponseMetadata"}
    if operation.output_shape is None:
        return [f"{name} in an answer without a body" for name in body]
    readable = _without_streams(operation.output_shape, body)
    return _structural(operation.output_shape, readable) + list(problems(operation.output_shape, readable, sizes=False))


def _structural(shape: Shape, value: Mapping[str, Any]) -> list[str]:
    """Unknown and missing members, wrong types: what botocore's own validator finds, sizes apart."""
    report = ParamValidator().validate(value, shape).generate_report()
    return [line for line in report.splitlines() if not line.startswith(SIZE_REPORTS)]


def problems(shape: Shape, value: Any, path: str = "", *, sizes: bool = True) -> Iterator[str]:
    """What botocore's own validator lets pass, one sentence each."""
    if sizes:
        yield from _size_problems(shape, value, path or shape.name)
    if shape.type_name == "string" and isinstance(value, str):
        yield from _text_problems(shape, value, path or shape.name)
    for member, inner, where in _members(shape, value):
        yield from problems(member, inner, f"{path}.{where}" if path else where, sizes=sizes)


def _members(shape: Any, value: Any) -> Iterator[tuple[Shape, Any, str]]:
    match shape.type_name:
        case "structure" if isinstance(value, Mapping):
            known = [name for name in value if name in shape.members]
            yield from ((shape.members[name], value[name], name) for name in known)
        case "list" if isinstance(value, list | tuple):
            yield from ((shape.member, item, f"[{place}]") for place, item in enumerate(value))
        case "map" if isinstance(value, Mapping):
            yield from ((shape.key, key, f"key {key}") for key in value)
            yield from ((shape.value, item, str(key)) for key, item in value.items())


def _size_problems(shape: Any, value: Any, path: str) -> Iterator[str]:
    limits, kind = shape.metadata, shape.type_name
    size = len(value) if kind in SIZED and hasattr(value, "__len__") else None
    number = value if kind in NUMBERS else None
    for measured in (size, number):
        if measured is not None and "max" in limits and measured > limits["max"]:
            yield f"{path} is {measured}, at most {limits['max']} is allowed"
        if measured is not None and "min" in limits and measured < limits["min"]:
            yield f"{path} is {measured}, at least {limits['min']} is needed"


def _text_problems(shape: Any, value: str, path: str) -> Iterator[str]:
    allowed = getattr(shape, "enum", None) or shape.metadata.get("enum")
    if allowed and value not in (*allowed, *DOCUMENTED.get(shape.name, ())):
        yield f"{path} is {value}, one of {', '.join(allowed)} is allowed"
    pattern = shape.metadata.get("pattern")
    if pattern and _matches(pattern, value) is False:
        yield f"{path} does not match {pattern}"


def _matches(pattern: str, value: str) -> bool | None:
    """None: the pattern is in a dialect that Python does not speak (such as Unicode classes)."""
    try:
        return re.fullmatch(pattern, value) is not None
    except re.error:
        return None


def _without_streams(shape: Any, body: Mapping[str, Any]) -> dict[str, Any]:
    """Streaming bodies (S3) are no values to check; an unknown member stays, so that it is reported."""
    blobs = {name for name, member in shape.members.items() if member.type_name == "blob"}
    return {name: value for name, value in body.items() if name not in blobs or isinstance(value, bytes | str)}


def _check_call(params: Mapping[str, Any], model: OperationModel, **_: Any) -> None:
    if found := input_problems(model, params):
        raise NotInModelError(model.name, "call", found)


def _check_answer(http_response: Any, parsed: Mapping[str, Any], model: OperationModel, **_: Any) -> None:
    if http_response.status_code < 300 and (found := output_problems(model, parsed)):
        raise NotInModelError(model.name, "answer", found)
