"""The house rules that a syntax tree can see."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ORDER = ("rules", "blocks", "tasks", "flows", "deployments")
"""Imports point down only: each folder may import itself and what stands before it."""
PARSERS_OF_RULES = {"pandas", "numpy", "orjson", "defusedxml", "postgast", "google"}
FORBIDDEN_NAMES = {"utils", "helpers", "common"}


def modules(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield "." * node.level + (node.module or "")


def upward_imports(source: str, folder: str) -> list[str]:
    above = set(ORDER[ORDER.index(folder) + 1 :])
    names = imported(ast.parse(source))
    return [name for name in names if name.split(".")[0] in above or name.startswith(".")]


def foreign_imports(source: str) -> list[str]:
    allowed = set(sys.stdlib_module_names) | PARSERS_OF_RULES | {"rules"}
    return [name for name in imported(ast.parse(source)) if name.split(".")[0] not in allowed]


@pytest.mark.parametrize("folder", ORDER)
def test_imports_point_down(folder: str) -> None:
    found = {str(path.relative_to(ROOT)): upward_imports(path.read_text(), folder) for path in modules(folder)}
    assert {path: names for path, names in found.items() if names} == {}


def test_rules_import_only_the_standard_library_and_parsers() -> None:
    found = {path.name: foreign_imports(path.read_text()) for path in modules("rules")}
    assert {name: names for name, names in found.items() if names} == {}


def test_rules_have_no_clock() -> None:
    asking = [path.name for path in modules("rules") if ".now(" in path.read_text() or "time.time(" in path.read_text()]
    assert asking == []


def test_only_tasks_make_tasks_and_only_flows_make_flows() -> None:
    def makers(word: str, home: str) -> list[str]:
        folders = [folder for folder in ORDER if folder != home]
        return [
            str(path)
            for folder in folders
            for path in modules(folder)
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.ImportFrom) and node.module == "prefect" and word in {a.name for a in node.names}
        ]

    assert makers("task", "tasks") == []
    assert makers("flow", "flows") == []


def test_only_the_doors_load_blocks() -> None:
    loading = [
        str(path.relative_to(ROOT))
        for folder in ("blocks", "tasks", "flows")
        for path in modules(folder)
        if "kind.load(" in path.read_text() or "Block.load(" in path.read_text()
    ]
    assert loading == ["blocks/doors.py", "blocks/ledger.py"]


def test_no_file_is_named_after_a_module_that_others_import() -> None:
    taken = set(sys.stdlib_module_names) | {"prefect", "boto3", "httpx", "pandas", "numpy", "moto", "jira", "slack"}
    paths = [path for folder in ORDER for path in modules(folder) if path.stem not in {"__init__", "__main__"}]
    assert [str(path) for path in paths if path.stem in taken | FORBIDDEN_NAMES] == []


def test_the_architecture_test_sees_violations() -> None:
    assert upward_imports("from flows.promote_to_staging import x", "rules") == ["flows.promote_to_staging"]
    assert upward_imports("from ..tasks import x", "tasks") == ["..tasks"]
    assert foreign_imports("import boto3, json") == ["boto3"]
