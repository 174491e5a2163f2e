"""A form of AWS's query protocol is read back to the call that botocore wrote it from."""

from functools import cache
from typing import Any
from urllib.parse import urlencode

import pytest
from botocore.model import OperationModel
from botocore.serialize import QuerySerializer
from botocore.session import get_session
from hypothesis import given
from hypothesis import strategies as st

from deployments.sandbox.aws.query_forms import parameters

SERVICES = ("elbv2", "sts", "autoscaling", "rds")
"""The two that we call; two more, whose lists have names of their own, or that are flat."""
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)
SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "string": TEXT,
    "integer": st.integers(),
    "long": st.integers(),
    "boolean": st.booleans(),
    "double": st.floats(allow_nan=False, allow_infinity=False),
    "float": st.floats(allow_nan=False, allow_infinity=False),
}


@cache
def operation(service: str, name: str) -> OperationModel:
    return get_session().get_service_model(service).operation_model(name)


@cache
def operations() -> list[tuple[str, str]]:
    session = get_session()
    return [(it, name) for it in SERVICES for name in session.get_service_model(it).operation_names]


def values(shape: Any, depth: int) -> st.SearchStrategy[Any]:
    """Calls that lose nothing on the way: an empty structure or map is nowhere in a form."""
    match shape.type_name:
        case "structure":
            members = {
                name: values(member, depth - 1) for name, member in shape.members.items() if readable(member, depth - 1)
            }
            return st.fixed_dictionaries({}, optional=members).filter(lambda it: depth == TOP or bool(it))
        case "list":
            return st.lists(values(shape.member, depth - 1), max_size=3)
        case "map":
            return st.dictionaries(TEXT, values(shape.value, depth - 1), min_size=1, max_size=3)
    return SCALARS[shape.type_name]


TOP = 5


def readable(shape: Any, depth: int) -> bool:
    match shape.type_name:
        case "structure":
            return depth > 0 and any(readable(member, depth - 1) for member in shape.members.values())
        case "list":
            return depth > 0 and readable(shape.member, depth - 1)
        case "map":
            return depth > 0 and readable(shape.value, depth - 1)
    return shape.type_name in SCALARS


def form(of: OperationModel, call: Any) -> str:
    return urlencode(QuerySerializer().serialize_to_request(call, of)["body"])


@given(st.data())
def test_every_call_that_botocore_writes_is_read_back(data: st.DataObject) -> None:
    found = operation(*data.draw(st.sampled_from(operations())))
    call = data.draw(values(found.input_shape, TOP)) if found.input_shape else {}
    assert parameters(found, form(found, call)) == (call, [])


@given(st.text())
def test_nonsense_is_read_and_complained_about_never_raised(text: str) -> None:
    parameters(operation("elbv2", "DescribeTargetGroups"), text)


@given(st.lists(st.sampled_from(["Names", "member", "1", "2", "x", "", "PageSize"]), max_size=5))
def test_names_of_any_depth_are_read(parts: list[str]) -> None:
    of = operation("elbv2", "DescribeTargetGroups")
    parameters(of, urlencode([(".".join(parts), "x"), ("Names.member.1", "y")]))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("PageSize=many", "PageSize is many, which is no integer"),
        ("Nmaes.member.1=x", "Nmaes is no parameter that AWS's model knows"),
        ("Names.item.1=x", "Names.item is no parameter that AWS's model knows"),
        ("Names.member.2=x", "Names has the places 2, and not 1 to 1"),
        ("Names=x", "Names is the text 'x', and has parts in AWS's model"),
        ("Marker.x=1", "Marker has parts (x), and is a string"),
        ("Marker=1&Marker=2", "Marker is given twice, or both as text and with parts"),
        ("Marker=1&Marker.x=2", "Marker.x is given twice, or both as text and with parts"),
    ],
)
def test_what_the_model_does_not_know_is_said(text: str, problem: str) -> None:
    _, problems = parameters(operation("elbv2", "DescribeTargetGroups"), f"Action=x&Version=1&{text}")
    assert problems == [problem]


def test_a_call_without_parameters_takes_none() -> None:
    found = operation("sts", "GetCallerIdentity")
    assert parameters(found, "Action=GetCallerIdentity") == ({}, [])
    assert parameters(operation("rds", "DescribeSourceRegions"), "RegionName=x") == ({"RegionName": "x"}, [])
