"""deployments/aws_calls.toml lists what the product calls: seen in the walks of a session, and read in the sources."""

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import pytest
from walked_calls import RECORDING, WALKS, Walked, invalid, need, unlisted, walking

from blocks.catalogue import load_catalogue
from deployments.aws_calls import (
    DEMANDED,
    FILE,
    HEAD,
    Need,
    Place,
    Unseen,
    action,
    demanded,
    excused,
    line,
    load,
    main,
    needs,
    reads,
    recorded,
    text,
    unseen_beside,
)

if TYPE_CHECKING:
    from deployments.sandbox.room import ControlRoom

ROOT = Path(__file__).parent.parent
APART = {"s3"}
"""The ledger's, whose module lists what it needs, and that of files."""
BY_ADDRESS = {"s3:GetObject", "s3:ListBucket", "lambda:InvokeFunction"}
"""Of `blocks/files.py` and `blocks/functions.py`: their clients are not typed by what is called."""
READ, WRITE = Need("f", Place.TARGET, "ecs:ListTasks"), Need("f", Place.TARGET, "ssm:PutParameter")


def clients(tree: ast.Module) -> dict[str, str]:
    """Service by name of the client's type, as the module imports it: `ECSClient` → `ecs`."""
    return {
        alias.name: node.module.removeprefix("mypy_boto3_")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module and re.fullmatch(r"mypy_boto3_\w+", node.module)
        for alias in node.names
    }


def holders(tree: ast.Module) -> dict[str, str]:
    """Service by the name that holds its client: a parameter, `self._x` that is given one, a property."""
    types = clients(tree)
    found = {
        argument.arg: types[name]
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for argument in function.args.args
        if (name := annotated(argument.annotation)) in types
    }
    kept = {attribute: found[name] for attribute, name in given(tree) if name in found}
    return found | kept | {name: types[type_] for name, type_ in returned(tree) if type_ in types}


def returned(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """Each function's name and its result's type; a property may hold a client."""
    functions = (it for it in ast.walk(tree) if isinstance(it, ast.FunctionDef))
    yield from ((it.name, annotated(it.returns)) for it in functions)


def annotated(annotation: ast.expr | None) -> str:
    return annotation.id if isinstance(annotation, ast.Name) else ""


def given(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(`_x`, `y`) for `self._x = y`, alone or among others."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            pairs = zip(parts(target), parts(node.value), strict=False)
            yield from (
                (to.attr, of.id) for to, of in pairs if isinstance(to, ast.Attribute) and isinstance(of, ast.Name)
            )


def parts(node: ast.expr) -> list[ast.expr]:
    return node.elts if isinstance(node, ast.Tuple) else [node]


def called(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """(service, method) for every method of a client that is taken, and every paginator."""
    held = holders(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Attribute) or (service := held.get(last(node.value))) is None:
            continue
        if node.attr != "get_paginator":
            yield service, node.attr
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "get_paginator":
            [method] = [it.value for it in node.args if isinstance(it, ast.Constant)]
            yield held[last(node.func.value)], str(method)


def last(node: ast.expr) -> str:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def actions_in(folder: Path) -> set[str]:
    """IAM actions of all AWS calls of a folder's modules."""
    from botocore import xform_name
    from botocore.session import get_session

    found = {call for path in sorted(folder.glob("*.py")) for call in called(ast.parse(path.read_text()))}
    session, actions = get_session(), set()
    for service, method in found:
        if service not in APART:
            names = {xform_name(it): it for it in session.get_service_model(service).operation_names}
            actions.add(action(service, names[method]))
    return actions


def test_the_file_lists_what_the_sources_call_and_nothing_else() -> None:
    assert {it.action for it in needs(load())} - BY_ADDRESS == actions_in(ROOT / "blocks")


def test_no_client_is_used_that_the_sources_do_not_show() -> None:
    """Every type of a client that is imported is somebody's parameter, so `holders` sees what is called on it."""
    trees = {path.name: ast.parse(path.read_text()) for path in (ROOT / "blocks").glob("*.py")}
    held = {service for tree in trees.values() for service in holders(tree).values()}
    imported = {
        service for tree in trees.values() for name, service in clients(tree).items() if name.endswith("Client")
    }
    assert imported - held <= APART
    assert held >= {"cloudwatch", "codedeploy", "ecr", "ecs", "elbv2", "ssm", "sts"}


@pytest.mark.parametrize(
    ("source", "calls"),
    [
        ("def f(x: ECSClient): x.list_tasks()", {("ecs", "list_tasks")}),
        ("def f(x: ECSClient): g(x.get_paginator('list_tasks'))", {("ecs", "list_tasks")}),
        ("def f(self, x: ECSClient): self._y = x; partial(self._y.list_tasks)", {("ecs", "list_tasks")}),
        (
            "def f(self, a, x: ECSClient): self.a, self._y = a, x\ndef g(self): self._y.list_tasks()",
            {("ecs", "list_tasks")},
        ),
        ("def f(x: Other): x.list_tasks()", set()),
    ],
)
def test_calls_are_read_in_the_sources(source: str, calls: set[tuple[str, str]]) -> None:
    assert set(called(ast.parse(f"from mypy_boto3_ecs import ECSClient\n{source}"))) == calls


def test_every_flow_that_calls_aws_is_listed() -> None:
    flows = {path.stem.replace("_", "-") for path in (ROOT / "flows").glob("*.py")} - {"--init--"}
    assert set(load()) == flows - {"promote-waiting"}  # it asks the ledger and the Prefect server only


def test_the_file_is_as_it_is_written() -> None:
    """Nobody edited it, and the list of what no walk does is the one that it was written with."""
    seen = needs(load()) - commented()
    assert FILE.read_text() == text(seen, unseen_beside(seen))


def commented() -> set[Need]:
    """What the file has with a reason."""
    found, flow, place = set(), "", ""
    for it in FILE.read_text().splitlines():
        if table := re.fullmatch(r"\[([\w-]+)\.(\w+)\]", it):
            flow, place = table.groups()
        elif reasoned := re.match(r' +"([\w:]+)",  # ', it):
            found.add(Need(flow, Place(place), reasoned[1]))
    return found


def test_reading_and_writing_are_told_apart_and_the_source_is_only_read() -> None:
    for flow, places in load().items():
        for place, kinds in places.items():
            assert all(reads(it) for it in kinds.get("reading", ())), (flow, place)
            assert not any(reads(it) for it in kinds.get("writing", ())), (flow, place)
            assert set(kinds.get("beside", ())) == set(demanded([*kinds.get("reading", ()), *kinds.get("writing", ())]))
        assert set(places.get("source", {})) <= {"reading", "beside"}
        assert set(places.get("registry", {})) <= {"reading"}


def test_what_is_demanded_beside_a_call_is_beside_a_call_that_is_made() -> None:
    assert set(DEMANDED) <= actions_in(ROOT / "blocks")


def test_what_is_listed_was_seen_or_is_excused(request: pytest.FixtureRequest) -> None:
    if request.config.args_source is not pytest.Config.ArgsSource.TESTPATHS or request.config.option.keyword:
        pytest.skip("Only a run of all tests walks every way.")
    seen = {it for walk in WALKS for it in walk.needs}
    assert needs(load()) - seen - set(excused(unseen_beside(seen))) == set()


@pytest.mark.parametrize(
    ("service", "operation", "expected"),
    [
        ("elbv2", "DescribeRules", "elasticloadbalancing:DescribeRules"),
        ("cloudwatch", "GetMetricData", "cloudwatch:GetMetricData"),
        ("codedeploy", "BatchGetDeploymentTargets", "codedeploy:BatchGetDeploymentTargets"),
        ("sts", "AssumeRole", "sts:AssumeRole"),
        ("s3", "HeadObject", "s3:GetObject"),
        ("s3", "ListObjectsV2", "s3:ListBucket"),
        ("lambda", "Invoke", "lambda:InvokeFunction"),
    ],
)
def test_actions_are_named_as_iam_names_them(service: str, operation: str, expected: str) -> None:
    assert action(service, operation) == expected


def test_amazon_s3_is_apart() -> None:
    with pytest.raises(ValueError, match="the ledger in S3 is apart"):
        action("s3", "PutObject")


def test_a_call_that_is_not_listed_is_named() -> None:
    assert unlisted([READ, WRITE], [READ]) == [
        "f calls ssm:PutParameter in target, which aws_calls.toml does not list; `make aws-calls` writes it anew."
    ]


def test_a_call_belongs_to_the_place_of_its_account() -> None:
    call = {"service": "elbv2", "operation": "DescribeRules", "account": "2"}
    places = {"1": Place.SOURCE, "2": Place.TARGET}
    assert need(call, "f", places) == Need("f", Place.TARGET, "elasticloadbalancing:DescribeRules")
    assert need({**call, "service": "ecr", "account": "1"}, "f", places).place is Place.REGISTRY
    assert need({**call, "service": "sts"}, "f", places).place is Place.WORKER
    with pytest.raises(KeyError):
        need({**call, "account": "3"}, "f", places)


def test_a_call_that_is_wrong_or_was_not_looked_at_is_named() -> None:
    right = {"service": "ecs", "operation": "ListTasks", "checked": True, "breaches": []}
    wrong, unknown = {**right, "breaches": ["x is 1", "y is 2"]}, {**right, "checked": False}
    assert invalid([right, wrong, unknown]) == [
        "ecs:ListTasks: x is 1; y is 2",
        "ecs:ListTasks: not held against the model",
    ]


UNSEEN = (Unseen("only by night", ("f",), ("ssm:GetParametersByPath", "ecs:ListTasks")),)
WRITTEN = """\
[f.target]
reading = [
    "ecs:ListTasks",
    "ssm:GetParametersByPath",  # only by night
]
writing = [
    "ssm:PutParameter",
]
beside = [
    "kms:Decrypt",
    "kms:Encrypt",
    "kms:GenerateDataKey",
]
"""


def test_a_recording_is_written_with_what_no_walk_does_and_read_back(tmp_path: Path) -> None:
    lines = [line("f", "Completed", [READ, WRITE]), "", line("f", "PutBack", [WRITE])]
    found = recorded(lines)
    assert found == {READ, WRITE}
    assert text(found, UNSEEN).removeprefix(HEAD).strip() == WRITTEN.strip()
    file = tmp_path / "calls.toml"
    file.write_text(text(found, UNSEEN))
    assert needs(load(file)) == {READ, WRITE, Need("f", Place.TARGET, "ssm:GetParametersByPath")}


def test_the_command_writes_a_file_from_a_recording(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recording, file = tmp_path / "walks.jsonl", tmp_path / "calls.toml"
    recording.write_text(line("f", "Completed", [READ]) + "\n")
    assert main(["record", str(recording), "--to", str(file)]) == 0
    assert READ in needs(load(file))
    recording.write_text("")
    assert main(["record", str(recording), "--to", str(file)]) == 2
    assert "holds no call" in capsys.readouterr().err


def test_the_command_shows_one_flow(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "roll-out"]) == 0
    assert "writing  ecs:UpdateService" in capsys.readouterr().out
    assert main(["show", "no-flow"]) == 2
    assert "allowed is one of" in capsys.readouterr().err


class Room:
    """A control room that tells of the calls that are put in."""

    def __init__(self, url: str) -> None:
        self.url, self.calls = url, [asked(1, "ecs", "DeleteCluster")]

    def aws_calls(self, since: int) -> list[dict[str, Any]]:
        return [call for call in self.calls if call["sequence"] > since]


def asked(sequence: int, service: str, operation: str, **more: Any) -> dict[str, Any]:
    right = {"by_product": True, "checked": True, "breaches": [], "account": "222222222222"}
    return {"sequence": sequence, "service": service, "operation": operation, **right, **more}


def walk(room: Room, *calls: dict[str, Any]) -> Walked:
    catalogue = load_catalogue(ROOT / "deployments/catalogue.toml")
    with walking(cast("ControlRoom", room), catalogue, "roll-out", "staging") as walked:
        room.calls.extend(calls)
    WALKS.remove(walked)
    return walked


def test_a_walk_has_the_calls_of_its_own_time_that_the_product_made() -> None:
    world = asked(3, "ecs", "CreateCluster", by_product=False)
    walked = walk(Room("own"), asked(2, "ecs", "UpdateService"), world)
    assert walked.needs == {Need("roll-out", Place.TARGET, "ecs:UpdateService")}


@pytest.mark.skipif(RECORDING in os.environ, reason="While recording, everything is written down.")
def test_a_walk_fails_with_the_name_of_the_call_that_is_not_listed() -> None:
    with pytest.raises(AssertionError, match="roll-out calls ecs:DeleteService in target"):
        walk(Room("unlisted"), asked(2, "ecs", "DeleteService"))
    WALKS.pop()


@pytest.mark.parametrize("wrong", [{"breaches": ["x is 1"]}, {"checked": False}])
def test_a_walk_fails_when_a_call_is_not_known_to_be_right(wrong: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match="ecs:UpdateService"):
        walk(Room(str(wrong)), asked(2, "ecs", "UpdateService", **wrong))
    WALKS.pop()
