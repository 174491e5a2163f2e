"""What the documents say is there, is there: links, commands, names."""

import ast
import json
import re
import shlex
import tomllib
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from blocks.catalogue import load_catalogue
from deployments import approve, audit, aws_calls, enrol, outcome, register
from deployments.documents import KINDS, documents
from deployments.sandbox import __main__ as sandbox
from deployments.sandbox.stories import DEMO, STORIES
from rules import catalogue, vocabulary
from tasks.endings import ENDS

ROOT = Path(__file__).parent.parent
DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
EVERYTHING = "\n".join(document.read_text() for document in DOCUMENTS)
PARSERS = {
    "deployments.sandbox": sandbox.parsed,
    "deployments.register": register._options,
    "deployments.audit": audit._options,
    "deployments.aws_calls": aws_calls._options,
    "deployments.approve": approve._options,
    "deployments.enrol": enrol._options,
    "deployments.outcome": outcome._options,
}
MENTIONED = {
    "deployments.audit": ["show"],
    "deployments.approve": ["RUN"],
    "deployments.enrol": ["anna-meier"],
    "deployments.outcome": ["213493bb-add8-4ea7-8c6b-cba96b9cae33"],
}
"""What is put in where a text only mentions a command that needs something."""
PREFECT_NAMES = {"Completed", "Failed", "Cancelled"}
"""States that a run of ours ends in and that bear Prefect's own names."""


def code_in(text: str) -> Iterator[str]:
    """Every piece of code: between backticks, or a line after a prompt."""
    yield from re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)
    yield from re.findall(r"^\$ (.+)$", text, re.MULTILINE)


def rows(text: str, heading: str) -> list[list[str]]:
    """The cells of the first table below a heading, without its head."""
    below = text.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    lines = [line.strip() for line in below.splitlines() if line.strip().startswith("|")]
    return [[cell.strip().strip("`") for cell in line.strip("|").split("|")] for line in lines[2:]]


def deployed() -> dict[str, set[str]]:
    """Parameters by `flow/deployment`, as prefect.yaml and the flows' sources have them."""
    found = {}
    for one in yaml.safe_load((ROOT / "deployments/prefect.yaml").read_text())["deployments"]:
        path, name = one["entrypoint"].split(":")
        tree = ast.parse((ROOT / path).read_text())
        function = next(it for it in tree.body if isinstance(it, ast.FunctionDef) and it.name == name)
        found[f"{name.replace('_', '-')}/{one['name']}"] = {argument.arg for argument in function.args.args}
    return found


def commands() -> list[tuple[str, str]]:
    """Every `python -m module arguments` of the documents, up to where another sentence or command begins."""
    pattern = re.compile(r"python -m ([\w.]+)([^&|;#]*)")
    return sorted({(match[1], match[2].strip()) for code in code_in(EVERYTHING) if (match := pattern.search(code))})


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.name)
def test_links_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", document.read_text())
    local = [target for target in targets if "://" not in target]
    assert [target for target in local if not (document.parent / target).exists()] == []


def test_files_that_are_named_are_there() -> None:
    folders = "blocks|deployments|docs|flows|rules|tasks|tests"
    named = {it for code in code_in(EVERYTHING) for it in re.findall(rf"(?<![\w./])(?:{folders})/[\w./-]*\w", code)}
    # of docs/adr/0001 and the like the number is enough
    assert {it for it in named if not list(ROOT.glob(f"{it}*"))} == {"flows/calendar.py"}, "an example of a bad name"


def test_make_targets_are_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {name for code in code_in(EVERYTHING) for name in re.findall(r"^make ([a-z-]+)", code)}
    assert named >= {"demo", "test", "check", "sandbox"}
    assert named <= targets


@pytest.mark.parametrize(("module", "arguments"), commands(), ids=" ".join)
def test_commands_are_understood(module: str, arguments: str) -> None:
    assert find_spec(module)
    if module in PARSERS and not arguments.startswith(("[", "-h", "--help")):
        PARSERS[module](shlex.split(arguments) or MENTIONED.get(module, []))


@pytest.mark.parametrize("module", PARSERS)
def test_commands_explain_themselves(module: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        PARSERS[module](["--help"])
    assert ended.value.code == 0
    assert f"usage: python -m {module}" in capsys.readouterr().out


def test_deployments_are_there() -> None:
    named = set(re.findall(r"\bpromote-[a-z-]+/[a-z-]+\b", EVERYTHING))
    assert named
    assert named <= set(deployed())


def test_parameters_of_a_run_are_there() -> None:
    pattern = re.compile(r"deployment run (\S+) --params '([^']+)'")
    for name, parameters in (match for code in code_in(EVERYTHING) for match in pattern.findall(code)):
        assert set(json.loads(parameters)) <= deployed()[name], name


def test_block_documents_are_there() -> None:
    file = ROOT / "deployments/catalogue.toml"
    paths = {document.path for document in documents(load_catalogue(file), file)}
    slugs = {kind.get_block_type_slug() for kind in KINDS}
    named = {code for code in code_in(README) if code.split("/")[0] in slugs and "/" in code}
    assert len(named) > 5
    assert {path for path in named if path not in paths} == {"s3-ledger/batbern"}, "it is made by hand"


def known_words() -> set[str]:
    """Lower-case words that stand for something: keys, parameters, stories, commands."""
    keys = {it.name for one in vars(catalogue).values() if is_dataclass(one) for it in fields(one)}
    keys |= {it.name for one in vars(vocabulary).values() if is_dataclass(one) for it in fields(one)}
    keys |= set(tomllib.loads((ROOT / "deployments/catalogue.toml").read_text()))
    parameters = {name for names in deployed().values() for name in names}
    return keys | parameters | set(STORIES) | {"show", "verify", "export", register.POOL}


def test_keys_that_the_readme_names_are_there() -> None:
    words = {code.strip("[]") for code in code_in(README) if re.fullmatch(r"\[?[a-z_]+\]?", code)}
    assert {"registry", "tags", "strategy"} <= words
    assert words - known_words() == set()


def test_states_of_the_readme_are_those_that_runs_end_in() -> None:
    named = {row[0] for row in rows(README, "How a run ends")}
    assert named == {state for _, state in ENDS.values()} | PREFECT_NAMES


def test_stories_of_the_readme_are_those_of_the_sandbox() -> None:
    assert {row[0]: row[2] for row in rows(README, "The sandbox")} == {it.name: it.ends for it in STORIES.values()}


def test_the_demo_tells_the_stories_that_the_readme_shows() -> None:
    shown = re.findall(r"^([a-z-]+): (.+)$", README, re.MULTILINE)
    assert shown == [(name, STORIES[name].tells) for name in DEMO]


def test_the_glossary_has_every_word_of_the_vocabulary() -> None:
    words = {word for row in rows(README, "The words") for word in row[0].split(", ")}
    types = {it.__name__ for it in vars(vocabulary).values() if isinstance(it, type) and is_vocabulary(it)}
    assert types - words == set()


def is_vocabulary(it: type) -> bool:
    return it.__module__ == vocabulary.__name__ and (is_dataclass(it) or issubclass(it, Enum))


def needed(*kinds: str) -> set[str]:
    """Actions of all flows in the accounts of the environments."""
    places = [places for flow in aws_calls.load().values() for place, places in flow.items() if place != "worker"]
    return {action for place in places for kind in kinds for action in place.get(kind, ())}


def test_the_iam_role_may_do_what_the_flows_do_and_no_more() -> None:
    section = README.split("\n### The IAM role of an environment\n", 1)[1].split("\n## ", 1)[0]
    blocks = re.findall(r"^```text\n(.+?)^```$", section, re.MULTILINE | re.DOTALL)
    reading, writing, by_codedeploy = (set(block.split()) for block in blocks)
    everything = needed("reading", "writing", "beside")
    assert reading | writing | by_codedeploy == everything
    assert by_codedeploy == {it for it in everything if it.startswith("codedeploy:")}
    assert reading == needed("reading") - by_codedeploy | {"kms:Decrypt"}
    assert not reading & writing


def test_what_adr_11_says_that_codedeploy_needs_is_what_it_needs() -> None:
    text = (ROOT / "docs/adr/0011-codedeploy-for-what-it-already-moves.md").read_text()
    said = set(re.findall(r"\w+", text.split("`codedeploy:`", 1)[1].split(".", 1)[0]))
    assert {f"codedeploy:{name}" for name in said} == {
        it for it in needed("reading", "writing", "beside") if it.startswith("codedeploy:")
    }


def test_tests_that_contributing_names_are_rooms() -> None:
    rooms = {path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and list(path.rglob("test_*.py"))}
    named = set(re.findall(r"\[tests/(\w+)\]", CONTRIBUTING))
    assert named == rooms
