"""Real scanners look at planted and at clean places: what they write is what the reading of scans is built on."""

import json
import random
import string
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from subprocess import CompletedProcess

Run = Callable[..., "CompletedProcess[bytes]"]
Report = dict[str, Any]

CLEAN = "def total(prices: list[int]) -> int:\n    return sum(prices)\n"
PLANTED = CLEAN + "\n\ndef price(text: str) -> int:\n    return eval(text)\n"
PLANTED_LINE = 6
RULE = """
rules:
  - id: no-eval
    languages: [python]
    severity: ERROR
    message: eval runs whatever it is given
    pattern: eval(...)
"""


def _made_up_key() -> str:
    """Has the form of a key, and is put together here so that none stands in any file of ours."""
    letters = random.Random(7)  # noqa: S311 - no secret: a key that opens nothing
    return "AK" + "IA" + "".join(letters.choices(string.ascii_uppercase + "234567", k=16))


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "prices.py").write_text(CLEAN)
    return tmp_path


# ------------------------------------------------------------------------------------------------- gitleaks


def _gitleaks(run: Run, gitleaks: Path, place: Path, form: str) -> tuple[int, bytes]:
    options = ("--no-banner", "--no-color", "--redact", "--report-format", form, "--report-path", "report")
    exit_code = run(place, gitleaks, "dir", "code", *options).returncode
    return exit_code, (place / "report").read_bytes()


@pytest.mark.parametrize("form", ["json", "sarif"])
def test_gitleaks_redacts_what_it_found(run: Run, gitleaks: Path, place: Path, form: str) -> None:
    key = _made_up_key()
    (place / "code" / "settings.py").write_text(f'# access\nkey = "{key}"\n')
    exit_code, report = _gitleaks(run, gitleaks, place, form)
    assert exit_code == 1
    assert key.encode() not in report
    assert b"code/settings.py" in report


def test_gitleaks_names_rule_file_and_line(run: Run, gitleaks: Path, place: Path) -> None:
    (place / "code" / "settings.py").write_text(f'# access\nkey = "{_made_up_key()}"\n')
    found = json.loads(_gitleaks(run, gitleaks, place, "json")[1])
    assert [(it["RuleID"], it["File"], it["StartLine"]) for it in found] == [
        ("aws-access-token", "code/settings.py", 2)
    ]


def test_gitleaks_own_json_of_a_clean_place_proves_nothing_and_its_sarif_names_the_tool(
    run: Run, gitleaks: Path, place: Path
) -> None:
    exit_code, report = _gitleaks(run, gitleaks, place, "json")
    assert (exit_code, json.loads(report)) == (0, [])
    sarif = json.loads(_gitleaks(run, gitleaks, place, "sarif")[1])["runs"][0]
    assert (sarif["tool"]["driver"]["name"], sarif["results"]) == ("gitleaks", [])
    assert len(sarif["tool"]["driver"]["rules"]) > 100


# ------------------------------------------------------------------------------------------------- bandit


def _bandit(run: Run, bandit: Path, place: Path) -> tuple[int, Report]:
    exit_code = run(place, bandit, "-q", "-r", "code", "-f", "json", "-o", "report").returncode
    return exit_code, json.loads((place / "report").read_bytes())


def test_bandit_names_file_line_and_severity(run: Run, bandit: Path, place: Path) -> None:
    (place / "code" / "prices.py").write_text(PLANTED)
    exit_code, report = _bandit(run, bandit, place)
    told = [(it["test_id"], it["filename"], it["line_number"], it["issue_severity"]) for it in report["results"]]
    assert (exit_code, told) == (1, [("B307", "code/prices.py", PLANTED_LINE, "MEDIUM")])


def test_bandit_tells_which_clean_files_it_read(run: Run, bandit: Path, place: Path) -> None:
    exit_code, report = _bandit(run, bandit, place)
    assert (exit_code, report["results"], report["errors"]) == (0, [], [])
    assert report["metrics"]["code/prices.py"]["loc"] == 2


def test_bandit_ends_with_0_where_it_could_not_read_a_file(run: Run, bandit: Path, place: Path) -> None:
    (place / "code" / "prices.py").write_text("def (\n")
    exit_code, report = _bandit(run, bandit, place)
    assert (exit_code, report["results"]) == (0, [])
    assert [it["filename"] for it in report["errors"]] == ["code/prices.py"]


# ------------------------------------------------------------------------------------------------- semgrep


def _semgrep(run: Run, semgrep: Path, place: Path, form: str = "json") -> Report:
    (place / "rule.yml").write_text(RULE)
    still = ("--metrics", "off", "--disable-version-check", "--no-git-ignore", "--jobs", "1")
    ended = run(place, semgrep, "scan", *still, "--config", "rule.yml", f"--{form}", "--output", "report", "code")
    assert ended.returncode == 0, ended.stderr.decode()
    return json.loads((place / "report").read_bytes())


def test_semgrep_names_rule_file_and_line(run: Run, semgrep: Path, place: Path) -> None:
    (place / "code" / "prices.py").write_text(PLANTED)
    found = _semgrep(run, semgrep, place)["results"]
    told = [(it["check_id"], it["path"], it["start"]["line"], it["extra"]["severity"]) for it in found]
    assert told == [("no-eval", "code/prices.py", PLANTED_LINE, "ERROR")]


def test_semgrep_tells_which_clean_files_it_scanned(run: Run, semgrep: Path, place: Path) -> None:
    report = _semgrep(run, semgrep, place)
    assert (report["results"], report["errors"]) == ([], [])
    assert report["paths"]["scanned"] == ["code/prices.py"]


def test_semgrep_writes_sarif(run: Run, semgrep: Path, place: Path) -> None:
    (place / "code" / "prices.py").write_text(PLANTED)
    (ran,) = _semgrep(run, semgrep, place, "sarif")["runs"]
    (found,) = ran["results"]
    where = found["locations"][0]["physicalLocation"]
    assert found["ruleId"] == "no-eval"
    assert (where["artifactLocation"]["uri"], where["region"]["startLine"]) == ("code/prices.py", PLANTED_LINE)


# ------------------------------------------------------------------------------------------------- wapiti


def _wapiti(run: Run, wapiti: Path, place: Path, url: str) -> Report:
    within = ("--scope", "page", "--max-scan-time", "10", "-m", "http_headers", "--dns-endpoint", "127.0.0.1")
    kept = ("--flush-session", "--store-session", str(place / "session"), "--store-config", str(place / "config"))
    ended = run(place, wapiti, "-u", url, *within, *kept, "--no-bugreport", "-f", "json", "-o", "report")
    assert ended.returncode == 0, ended.stderr.decode()
    return json.loads((place / "report").read_bytes())


def test_wapiti_names_page_and_level(run: Run, wapiti: Path, place: Path, shop: str) -> None:
    report = _wapiti(run, wapiti, place, f"{shop}/good")
    found = {name: [(it["path"], it["level"]) for it in its] for name, its in report["vulnerabilities"].items() if its}
    assert found == {"Clickjacking Protection": [("/good", 1)], "MIME Type Confusion": [("/good", 1)]}


def test_wapiti_tells_that_it_was_at_a_clean_page(run: Run, wapiti: Path, place: Path, shop: str) -> None:
    report = _wapiti(run, wapiti, place, f"{shop}/guarded")
    assert not any(report["vulnerabilities"].values())
    assert report["infos"]["target"] == f"{shop}/guarded"
    assert report["infos"]["crawled_pages_nbr"] == 1


def test_wapiti_writes_a_report_without_findings_where_nobody_answers(run: Run, wapiti: Path, place: Path) -> None:
    """What proves a scan is the number of pages, not a report."""
    report = _wapiti(run, wapiti, place, "http://127.0.0.1:9/")
    assert not any(report["vulnerabilities"].values())
    assert report["infos"]["crawled_pages_nbr"] == 0
