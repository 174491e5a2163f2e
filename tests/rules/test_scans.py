"""What a scan proves, what blocks, and what tries to look like a pass."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.errors import InvalidInput
from rules.scan_policies import Acceptance, ScanPolicy
from rules.scan_results import Scan, ScanKind, Severity, Vulnerability
from rules.scan_sources import read_rules_tsv, with_rules
from rules.scans import judge, judge_each, merged, read
from rules.vocabulary import Finding, Verdict

DATA = Path(__file__).parents[1] / "data" / "scans"
NOW = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
TODAY = NOW.date()
DIGEST, OTHER = "sha256:" + "a" * 64, "sha256:" + "b" * 64
FILES = {it.stem: it.read_bytes() for it in sorted(DATA.glob("*.json"))}
LOOSE = ScanPolicy(required=())
CLEAN = Scan("Trivy", ScanKind.IMAGE, 3, "groups of packages", digests=(DIGEST,), at=NOW)
BAD = Vulnerability("CVE-2024-1234", Severity.HIGH, package="openssl", installed="3.0.1", fixed="3.0.2")


def judged(*scans: Scan, policy: ScanPolicy = LOOSE, digests: dict[str, str] | None = None) -> Finding:
    return judge(scans, policy, TODAY, digests=digests, now=NOW)


def changed(name: str, **changes: Any) -> bytes:
    return orjson.dumps(orjson.loads(FILES[name]) | changes)


@pytest.mark.parametrize(
    ("name", "tool", "kind", "looked_at", "worst"),
    [
        ("trivy", "Trivy", ScanKind.IMAGE, 2, Severity.CRITICAL),
        ("grype", "Grype", ScanKind.IMAGE, 1, Severity.HIGH),
        ("ecr_basic", "Amazon ECR", ScanKind.IMAGE, 1, Severity.HIGH),
        ("ecr_enhanced", "Amazon ECR", ScanKind.IMAGE, 1, Severity.CRITICAL),
        ("snyk", "Snyk", ScanKind.DEPENDENCIES, 42, Severity.HIGH),
        ("npm7", "npm audit", ScanKind.DEPENDENCIES, 120, Severity.HIGH),
        ("npm6", "npm audit", ScanKind.DEPENDENCIES, 80, Severity.CRITICAL),
        ("pip_audit", "pip-audit", ScanKind.DEPENDENCIES, 2, Severity.UNKNOWN),
        ("osv", "OSV-Scanner", ScanKind.DEPENDENCIES, 1, Severity.CRITICAL),
        ("gitleaks", "gitleaks", ScanKind.SECRETS, 1, Severity.HIGH),
        ("bandit", "bandit", ScanKind.CODE, 1, Severity.HIGH),
        ("zap", "ZAP", ScanKind.DYNAMIC, 1, Severity.HIGH),
        ("wapiti", "Wapiti", ScanKind.DYNAMIC, 7, Severity.HIGH),
        ("semgrep_sarif", "Semgrep OSS", ScanKind.CODE, 1, Severity.HIGH),
        ("trivy_sarif", "Trivy", ScanKind.IMAGE, 1, Severity.CRITICAL),
    ],
)
def test_each_format_is_known_by_its_content_and_blocks(
    name: str, tool: str, kind: ScanKind, looked_at: int, worst: Severity
) -> None:
    scan = read(FILES[name], at=NOW)
    assert (scan.tool, scan.kind, scan.looked_at, scan.problems) == (tool, kind, looked_at, ())
    assert min((it.severity for it in scan.vulnerabilities), key=lambda it: it.rank) is worst
    finding = judged(scan)
    assert finding.verdict is (Verdict.INCONCLUSIVE if worst is Severity.UNKNOWN else Verdict.FAILED)


def test_what_blocks_is_named_with_its_package_and_both_versions() -> None:
    finding = judged(replace(CLEAN, vulnerabilities=(BAD,)))
    assert finding.sentence == ("1 vulnerability blocks: CVE-2024-1234 in openssl 3.0.1 (high, fixed in 3.0.2).")
    assert finding.could_be_met == "update openssl to 3.0.2"


def test_three_are_named_and_the_others_counted() -> None:
    many = tuple(replace(BAD, id=f"CVE-2024-{number}") for number in range(1000, 1008))
    finding = judged(replace(CLEAN, vulnerabilities=many))
    assert finding.sentence.startswith("8 vulnerabilities block: ")
    assert finding.sentence.endswith(" and 5 more.")


def test_a_good_scan_of_these_images_passes() -> None:
    finding = judged(CLEAN, digests={"gateway": DIGEST}, policy=ScanPolicy())
    assert finding.verdict is Verdict.PASSED
    assert "Trivy at 3 groups of packages looked; no vulnerabilities" in finding.sentence


@pytest.mark.parametrize(
    ("scan", "told"),
    [
        (replace(CLEAN, digests=(OTHER,)), "it is of another image"),
        (replace(CLEAN, digests=()), "it names no digest"),
        (replace(CLEAN, at=NOW - timedelta(hours=25)), "old"),
        (replace(CLEAN, at=NOW + timedelta(hours=1)), "from the future"),
        (replace(CLEAN, at=None), "nobody knows when"),
        (replace(CLEAN, looked_at=0), "it proves no groups of packages"),
        (replace(CLEAN, problems=("it broke off",)), "it broke off"),
        (replace(CLEAN, kind=ScanKind.CODE), "there is no scan of the kind image"),
    ],
)
def test_what_proves_nothing_is_inconclusive(scan: Scan, told: str) -> None:
    finding = judged(scan, digests={"gateway": DIGEST}, policy=ScanPolicy())
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert told in finding.sentence


def test_every_image_needs_its_scan() -> None:
    finding = judged(CLEAN, digests={"gateway": DIGEST, "orders": OTHER})
    assert finding.verdict is Verdict.INCONCLUSIVE
    assert "no scan is of the image of orders" in finding.sentence


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b'{"version":"2.1.0","runs":[]}',
        b'{"ok":false,"error":"no token","path":"."}',
        b'{"message":"405","statusCode":405,"error":"x"}',
        b'{"error":{"code":"ENOAUDIT","summary":"x"}}',
        b'{"results":[]}',
        b'{"dependencies":[],"fixes":[]}',
        b'{"dependencies":[{"name":"a","skip_reason":"x"},{"name":"b","version":"1","vulns":[]}]}',
        changed("trivy", Results=None),
        changed("trivy_sarif", runs=[{"tool": {"driver": {"name": "Trivy"}}}]),
        changed("ecr_basic", imageScanStatus={"status": "FAILED"}, imageScanFindings={}),
        changed("ecr_basic", imageScanFindings={"imageScanCompletedAt": NOW, "findingSeverityCounts": {"HIGH": 1}}),
        changed("npm7", vulnerabilities={}),
        changed("snyk", vulnerabilities=[]),
        changed("bandit", results=[]),
        changed("zap", site=[]),
        changed("wapiti", vulnerabilities={}, infos={"target": "https://staging.example/", "crawled_pages_nbr": 0}),
    ],
)
def test_no_file_without_proof_passes(document: bytes) -> None:
    assert judged(read(document, at=NOW)).verdict is Verdict.INCONCLUSIVE


def test_no_scan_at_all_is_inconclusive() -> None:
    assert judged().verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("successful", [False, None, "true"])
def test_a_run_that_was_not_successful_proves_nothing(successful: object) -> None:
    run = orjson.loads(FILES["semgrep_sarif"])["runs"][0] | {"results": []}
    run["invocations"] = [{"executionSuccessful": successful, "endTimeUtc": "2026-03-02T11:00:00Z"}]
    finding = judged(read(orjson.dumps({"version": "2.1.0", "runs": [run]})))
    assert finding.verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("extra", [{"suppressions": [{"kind": "external"}]}, {"baselineState": "unchanged"}])
def test_suppressed_and_known_results_count(extra: dict[str, object]) -> None:
    document = orjson.loads(FILES["semgrep_sarif"])
    document["runs"][0]["results"][0] |= extra
    assert judged(read(orjson.dumps(document))).verdict is Verdict.FAILED


def test_one_vulnerability_of_several_tools_counts_once() -> None:
    one = replace(BAD, id="GHSA-aaaa", aliases=("CVE-2024-1234",), severity=Severity.UNKNOWN, package="OpenSSL")
    bridge = replace(BAD, id="X", aliases=("GHSA-AAAA", "Y"), severity=Severity.MEDIUM)
    [found] = merged([BAD, one, bridge, replace(BAD, id="Y")])
    assert found.severity is Severity.HIGH
    assert len(merged([BAD, replace(BAD, package="zlib")])) == 2


def test_an_acceptance_is_visible_and_ends() -> None:
    scan = replace(CLEAN, vulnerabilities=(BAD,))
    acceptance = Acceptance("cve-2024-1234", "anna-meier", "Not reachable", TODAY)
    finding = judged(scan, policy=replace(LOOSE, acceptances=(acceptance,)))
    assert finding.verdict is Verdict.PASSED
    assert "CVE-2024-1234 was accepted by anna-meier until 2 March 2026: Not reachable." in finding.sentence
    over = replace(acceptance, expires=TODAY - timedelta(days=1))
    for wrong in (over, replace(acceptance, person=""), replace(acceptance, expires=date(2036, 1, 1))):
        assert judged(scan, policy=replace(LOOSE, acceptances=(wrong,))).verdict is Verdict.FAILED


def test_grace_counts_from_the_fix_and_never_from_the_future() -> None:
    policy = replace(LOOSE, grace_days={Severity.HIGH: 7})
    for days, verdict in ((6, Verdict.PASSED), (7, Verdict.FAILED), (-1, Verdict.FAILED)):
        young = replace(BAD, since=TODAY - timedelta(days=days))
        assert judged(replace(CLEAN, vulnerabilities=(young,)), policy=policy).verdict is verdict


def test_a_secret_blocks_although_nothing_fixes_it() -> None:
    assert judged(read(FILES["gitleaks"], at=NOW), policy=replace(LOOSE, without_fix=False)).verdict is Verdict.FAILED


def test_cwe_and_path_are_left_out_where_the_policy_says_so() -> None:
    scan = replace(CLEAN, vulnerabilities=(replace(BAD, cwes=("CWE-79",), path="tests/a.py"),))
    assert judged(scan, policy=replace(LOOSE, ignored_cwes=("CWE-79",))).verdict is Verdict.PASSED
    assert judged(scan, policy=replace(LOOSE, left_out=("tests/*",))).verdict is Verdict.PASSED


def test_each_kind_has_its_own_finding() -> None:
    policy = replace(LOOSE, required=(ScanKind.IMAGE, ScanKind.SECRETS))
    found = judge_each([CLEAN], policy, TODAY, now=NOW)
    assert [(it.gate, it.verdict) for it in found] == [
        ("security/image", Verdict.PASSED),
        ("security/secrets", Verdict.INCONCLUSIVE),
    ]


def test_the_rules_of_zap_raise_and_lower() -> None:
    scan = read(FILES["zap"], target="https://staging.example/")
    assert judged(with_rules(scan, read_rules_tsv("# mine\n40012\tIGNORE\t(XSS)\n"))).verdict is Verdict.PASSED
    low = replace(scan, vulnerabilities=(Vulnerability("ZAP-10010", Severity.LOW),))
    assert judged(with_rules(low, read_rules_tsv("10010\tFAIL\n"))).verdict is Verdict.FAILED
    with pytest.raises(InvalidInput, match="Line 1"):
        read_rules_tsv("10010 FAIL")


def test_a_scan_of_another_url_is_inconclusive() -> None:
    scan = replace(read(FILES["zap"], target="https://production.example"), vulnerabilities=())
    assert "it is not of https://production.example" in judged(scan).sentence


@given(st.from_regex(r"[A-Za-z0-9+/]{12,40}", fullmatch=True))
def test_no_secret_is_kept(secret: str) -> None:
    secret = f"SECRET{secret}"
    leak = orjson.loads(FILES["gitleaks"])[0] | {"Secret": secret, "Match": f"key={secret}", "File": f"a/{secret}/b"}
    trivy = orjson.loads(FILES["trivy"])
    trivy["Results"][0]["Secrets"] = [
        {"RuleID": "aws", "Severity": "LOW", "Match": secret, "Code": {"Lines": [secret]}}
    ]
    sarif = orjson.loads(FILES["semgrep_sarif"])
    sarif["runs"][0]["results"][0]["message"] = {"text": secret}
    bandit = orjson.loads(FILES["bandit"])
    bandit["results"][0] |= {"code": secret, "issue_text": secret}
    for document in ([leak], trivy, sarif, bandit):
        assert secret not in repr(read(orjson.dumps(document)))


@given(st.sampled_from(sorted(FILES)), st.data())
def test_no_damage_makes_a_crash_or_a_pass(name: str, data: st.DataObject) -> None:
    whole = FILES[name].strip()
    cut = data.draw(st.integers(0, len(whole) - 1))
    junk = data.draw(st.binary(max_size=4))
    try:
        scan = read(whole[:cut] + junk, at=NOW)
    except InvalidInput:
        return
    assert judged(scan).verdict is not Verdict.PASSED


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.text(max_size=5), st.just([]), st.just({}), st.just([[]])
)


@given(st.sampled_from(sorted(FILES)), st.data())
def test_no_value_of_another_kind_makes_a_crash(name: str, data: st.DataObject) -> None:
    document = orjson.loads(FILES[name])
    place = document
    while isinstance(place, (dict, list)) and place:
        keys = sorted(place) if isinstance(place, dict) else list(range(len(place)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(place[key], (dict, list)) or not place[key] or data.draw(st.integers(0, 3)) == 0:
            place[key] = data.draw(VALUES)
            break
        place = place[key]
    try:
        written = orjson.dumps(document)
    except (TypeError, ValueError):
        return
    try:
        judged(read(written, at=NOW))
    except InvalidInput:
        return


@pytest.mark.parametrize("rule", ["", "unlisted"])
def test_a_result_of_an_unlisted_rule_without_a_level_is_of_unknown_severity(rule: str) -> None:
    document = orjson.loads(FILES["semgrep_sarif"])
    document["runs"][0]["results"][0]["ruleId"] = rule
    assert judged(read(orjson.dumps(document))).verdict is Verdict.INCONCLUSIVE


@pytest.mark.parametrize("document", [b'{"results":[{"packages":[{}]}]}', changed("wapiti", vulnerabilities={})])
def test_a_list_of_nothing_by_name_proves_nothing(document: bytes) -> None:
    assert judged(read(document, at=NOW)).verdict is Verdict.INCONCLUSIVE
