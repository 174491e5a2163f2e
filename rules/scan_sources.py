"""Reads scans of sources and of running applications: gitleaks, bandit, ZAP, Wapiti."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from rules.errors import InvalidInput
from rules.scan_results import Scan, ScanKind, Severity, Vulnerability, by_word
from rules.scan_shapes import Node, as_node, as_text, count, cwes_in, moment, node, nodes, text

RISKS = {"3": Severity.HIGH, "2": Severity.MEDIUM, "1": Severity.LOW, "0": Severity.INFO}
LEVELS = {"4": Severity.CRITICAL, **RISKS}
FALSE_POSITIVE = "0"
ACTIONS = ("IGNORE", "INFO", "WARN", "FAIL", "OUTOFSCOPE")
FEWEST_COLUMNS = 2


def read_gitleaks(findings: Sequence[Node]) -> Scan:
    """`gitleaks -f json`. An empty list proves nothing; its SARIF form names the rules it has."""
    found = tuple(_leak(it) for it in findings)
    return Scan("gitleaks", ScanKind.SECRETS, len(found), "findings", found)


def _leak(it: Node) -> Vulnerability:
    quoted = [str(it.get(key) or "") for key in ("Secret", "Match")]
    path = _redacted(str(it.get("File") or ""), quoted)
    name = _redacted(str(it.get("RuleID") or "secret"), quoted)
    return Vulnerability(
        as_text(name, "RuleID"), Severity.HIGH, path=as_text(path, "File"), line=count(it, "StartLine")
    )


def _redacted(value: str, quoted: Sequence[str]) -> str:
    """A secret may also stand in the path of its file."""
    for secret in quoted:
        if secret:
            value = value.replace(secret, "…")
    return value


def read_bandit(document: Node) -> Scan:
    """`bandit -f json`. Neither its code nor its text is kept: they quote passwords."""
    metrics, results = node(document, "metrics"), nodes(document, "results")
    files = [name for name in metrics if name != "_totals"]
    return Scan(
        "bandit",
        ScanKind.CODE,
        len(files) if count(node(metrics, "_totals"), "loc") else 0,
        "files",
        tuple(_of_bandit(it) for it in results),
        at=moment(document, "generated_at"),
        problems=_bandit_problems(document, node(metrics, "_totals"), results),
    )


def _bandit_problems(document: Node, totals: Node, results: Sequence[Node]) -> tuple[str, ...]:
    broken = len(nodes(document, "errors"))
    problems = [f"{broken} files could not be read"] if broken else []
    if document.get("results") is None:
        problems.append("it has no list of results")
    listed = Counter(text(it, "issue_severity").upper() for it in results)
    for word in ("HIGH", "MEDIUM", "LOW"):
        claimed = _whole(totals, f"SEVERITY.{word}")
        # fewer than counted: a baseline or a filter took them out
        if claimed > listed[word] and word == "HIGH":
            problems.append(f"it counts {claimed} findings of high severity and lists {listed[word]}")
    return tuple(problems)


def _whole(holder: Node, key: str) -> int:
    value = holder.get(key)
    return int(value) if isinstance(value, float) and value.is_integer() else count(holder, key)


def _of_bandit(it: Node) -> Vulnerability:
    cwe = text(node(it, "issue_cwe"), "id")
    name, severity = text(it, "test_id") or "a finding without a name", by_word(text(it, "issue_severity"))
    return Vulnerability(name, severity, cwes=cwes_in([cwe]), path=text(it, "filename"), line=count(it, "line_number"))


def read_zap(document: Node) -> Scan:
    """ZAP's traditional JSON report. Alerts of which it is sure that they are wrong do not count."""
    site = document.get("site")
    sites = [as_node(site, "site")] if isinstance(site, dict) else nodes(document, "site")
    urls = tuple(name for it in sites if (name := text(it, "@name")))
    found = [
        _alert(it, text(place, "@name"))
        for place in sites
        for it in nodes(place, "alerts")
        if text(it, "confidence") != FALSE_POSITIVE
    ]
    at = moment(document, "created") or moment(document, "@generated")
    lacking = any(it.get("alerts") is None for it in sites)
    problems = ("a site has no list of alerts",) if lacking else ()
    subject = ", ".join(urls)[:200]
    return Scan("ZAP", ScanKind.DYNAMIC, len(urls), "sites", tuple(found), subject, urls=urls, at=at, problems=problems)


def _alert(it: Node, site: str) -> Vulnerability:
    name = text(it, "pluginid") or text(it, "alertRef") or "an alert without a name"
    return Vulnerability(
        f"ZAP-{name}", RISKS.get(text(it, "riskcode"), Severity.UNKNOWN), cwes=cwes_in([text(it, "cweid")]), path=site
    )


def read_rules_tsv(written: str) -> Mapping[str, str]:
    """What a team wants of ZAP's rules, by plugin id: IGNORE, INFO, WARN, FAIL. The file of ZAP's packaged scans.

    Lines of OUTOFSCOPE are read and do nothing: by them alone nobody can tell what was left out.
    """
    found: dict[str, str] = {}
    for number, line in enumerate(written.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        columns = line.split("\t")
        if len(columns) < FEWEST_COLUMNS or columns[1].strip() not in ACTIONS:
            raise InvalidInput(f"Line {number} of the rules of ZAP", line[:80], f"id, tab, one of {', '.join(ACTIONS)}")
        if columns[1].strip() != "OUTOFSCOPE":
            found[columns[0].strip()] = columns[1].strip()
    return found


def with_rules(scan: Scan, rules: Mapping[str, str]) -> Scan:
    """The scan as its team's rules want it: FAIL is high at least, IGNORE and INFO are told and do not block."""
    return replace(scan, vulnerabilities=tuple(_ruled(it, rules) for it in scan.vulnerabilities))


def _ruled(it: Vulnerability, rules: Mapping[str, str]) -> Vulnerability:
    action = rules.get(it.id.removeprefix("ZAP-"), "") if it.id.startswith("ZAP-") else ""
    if action == "FAIL" and it.severity is not Severity.CRITICAL:
        return replace(it, severity=Severity.HIGH)
    return replace(it, severity=Severity.INFO) if action in ("IGNORE", "INFO") else it


def read_wapiti(document: Node) -> Scan:
    """Wapiti's `-f json`. Requests are not kept: they carry cookies."""
    infos = node(document, "infos")
    found = [
        _of_wapiti(category, as_node(it, category))
        for part in ("vulnerabilities", "anomalies")
        for category, listed in node(document, part).items()
        for it in nodes({category: listed}, category)
    ]
    target = text(infos, "target")
    problems = () if document.get("vulnerabilities") else ("it has no list of what it sought",)
    return Scan(
        "Wapiti",
        ScanKind.DYNAMIC,
        count(infos, "crawled_pages_nbr"),
        "pages",
        tuple(found),
        target,
        urls=(target,) if target else (),
        at=moment(infos, "date"),
        problems=problems,
    )


def _of_wapiti(category: str, it: Node) -> Vulnerability:
    severity = LEVELS.get(text(it, "level"), Severity.UNKNOWN)
    # a path may carry what was typed into a form
    return Vulnerability(as_text(category, "category"), severity, path=text(it, "path").partition("?")[0])
