"""Reads SARIF 2.1.0 (OASIS), by whichever scanner.

    result ──known producer's word ▶ its score ▶ its rule's score ▶ level ▶ rule's level──▶ severity

Of a result only its rule, place and package are kept: snippets and messages may quote a secret.
"""

import re
from collections.abc import Mapping

from rules.errors import InvalidInput
from rules.scan_results import Scan, ScanKind, Severity, Vulnerability, by_score, by_word
from rules.scan_shapes import (
    Node,
    as_text,
    cwes_in,
    digests_in,
    moment,
    node,
    nodes,
    text,
    texts,
)

LEVELS = {"error": Severity.HIGH, "warning": Severity.MEDIUM, "note": Severity.LOW, "none": Severity.INFO}
NO_FINDING = frozenset({"pass", "notApplicable", "informational"})
OF_SECRETS = ("gitleaks", "kingfisher", "trufflehog", "detect-secrets", "betterleaks")
WITHOUT_LEVELS = ("osv-scanner",)
"""Tools that write the same level on every result: without a score nothing is known."""
KINDS = {
    "trivy": ScanKind.DEPENDENCIES,
    "grype": ScanKind.DEPENDENCIES,
    "snyk container": ScanKind.IMAGE,
    "snyk open source": ScanKind.DEPENDENCIES,
    "osv-scanner": ScanKind.DEPENDENCIES,
    "zap": ScanKind.DYNAMIC,
    "owasp zap": ScanKind.DYNAMIC,
}
OF_PACKAGES = frozenset({ScanKind.IMAGE, ScanKind.DEPENDENCIES})
PACKAGE = re.compile(
    r"Package: (?P<package>\S+)\nInstalled Version: (?P<installed>\S+)\nVulnerability \S+\n"
    r"Severity: \w+\nFixed Version: ?(?P<fixed>\S*)"
)


def is_sarif(document: Node) -> bool:
    return "runs" in document


def read_sarif(document: Node) -> Scan:
    """Several runs in one file are one scan, whose kind is that of the first."""
    if text(document, "version") != "2.1.0":
        raise InvalidInput("The version of a SARIF file", text(document, "version"), "2.1.0")
    runs = nodes(document, "runs")
    if not runs:
        return Scan("SARIF", ScanKind.UNKNOWN, problems=("it has no run: no tool wrote into it",))
    scans = [_run(it) for it in runs]
    first, times = scans[0], [it.at for it in scans if it.at]
    return Scan(
        first.tool,
        first.kind,
        sum(it.looked_at for it in scans) if all(it.looked_at for it in scans) else 0,
        first.unit,
        tuple(found for it in scans for found in it.vulnerabilities),
        first.subject,
        first.digests if len({it.digests for it in scans}) == 1 else (),
        at=min(times) if len(times) == len(scans) else None,
        problems=tuple(dict.fromkeys(problem for it in scans for problem in it.problems)),
    )


def _run(run: Node) -> Scan:
    tool = node(run, "tool")
    parts = [node(tool, "driver"), *nodes(tool, "extensions")]
    name, properties = text(parts[0], "name"), node(run, "properties")
    rules = [rule for part in parts for rule in nodes(part, "rules") if text(rule, "id")]
    listed = {text(rule, "id"): rule for rule in rules}
    digests = digests_in(texts(properties, "repoDigests"))
    kind = _kind(name, properties)
    found = tuple(_finding(it, listed, nodes(parts[0], "rules"), name) for it in _that_count(run))
    files = len(nodes(run, "artifacts")) or len(node(properties, "metrics"))
    looked_at, unit = (files, "files") if files else (len(rules), "rules")
    times = [moment(it, "endTimeUtc") or moment(it, "startTimeUtc") for it in nodes(run, "invocations")]
    told = [it for it in times if it]
    return Scan(
        name or "an unnamed tool",
        kind,
        looked_at,
        unit,
        found,
        text(properties, "imageName"),
        digests,
        at=min(told) if told else None,
        problems=_problems(run, name),
    )


def _kind(name: str, properties: Node) -> ScanKind:
    lower = name.lower()
    if lower in OF_SECRETS:
        return ScanKind.SECRETS
    kind = KINDS.get(lower, ScanKind.CODE)
    of_image = "imageID" in properties or "repoDigests" in properties
    return ScanKind.IMAGE if of_image and kind in OF_PACKAGES else kind


def _that_count(run: Node) -> list[Node]:
    return [it for it in nodes(run, "results") if text(it, "kind") not in NO_FINDING]


def _problems(run: Node, name: str) -> tuple[str, ...]:
    found = [] if name else ["the tool has no name"]
    if run.get("results") is None:
        found.append("it has no list of results: the tool did not get that far")
    for invocation in nodes(run, "invocations"):
        # the standard requires the answer: whoever leaves it out did not say that it went well
        if invocation.get("executionSuccessful") is not True:
            found.append("the tool says that it did not run through")
        notes = nodes(invocation, "toolExecutionNotifications") + nodes(invocation, "toolConfigurationNotifications")
        if any(text(it, "level") == "error" for it in notes):
            found.append("the tool tells of errors while it ran")
    return tuple(found)


def _finding(result: Node, listed: Mapping[str, Node], of_driver: list[Node], tool: str) -> Vulnerability:
    rule_id, rule = _rule(result, listed, of_driver)
    path, line = _place(result)
    package = PACKAGE.search(str(node(result, "message").get("text") or "")) if tool.lower() == "trivy" else None
    names = package.groupdict() if package else {}
    tags = texts(node(rule, "properties"), "tags")
    return Vulnerability(
        rule_id or "a finding without a name",
        severity_of(result, rule, tool),
        package=as_text(names.get("package", ""), "Package"),
        installed=as_text(names.get("installed", ""), "Installed Version"),
        fixed=as_text(names.get("fixed", ""), "Fixed Version"),
        cwes=cwes_in([it for it in tags if "cwe" in it.lower()]),
        path=path,
        line=line,
        suppressed=_is_suppressed(result),
    )


def _rule(result: Node, listed: Mapping[str, Node], of_driver: list[Node]) -> tuple[str, Node]:
    reference = node(result, "rule")
    rule_id = text(result, "ruleId") or text(reference, "id")
    index = result.get("ruleIndex", reference.get("index"))
    if not rule_id and isinstance(index, int) and 0 <= index < len(of_driver):
        return text(of_driver[index], "id"), of_driver[index]
    # `CA1000/1` is a part of the rule `CA1000`
    return rule_id, listed.get(rule_id) or listed.get(rule_id.rpartition("/")[0]) or {}


def _place(result: Node) -> tuple[str, int]:
    for location in nodes(result, "locations")[:1]:
        physical = node(location, "physicalLocation")
        line = node(physical, "region").get("startLine")
        return text(node(physical, "artifactLocation"), "uri"), line if isinstance(line, int) else 0
    return "", 0


def _is_suppressed(result: Node) -> bool:
    return any(text(it, "status") in ("", "accepted") for it in nodes(result, "suppressions"))


def severity_of(result: Node, rule: Node, tool: str) -> Severity:
    """By the order above. A secret is high, whatever its tool says."""
    lower = tool.lower()
    if lower in OF_SECRETS:
        return Severity.HIGH
    own, of_rule = node(result, "properties"), node(rule, "properties")
    words = (text(own, "zizmor/severity"), text(own, "issue_severity"), *_trivy_words(of_rule, lower))
    scores = (own.get("security-severity"), of_rule.get("security-severity"))
    for severity in (*map(by_word, words), *map(by_score, scores)):
        if severity is not Severity.UNKNOWN:
            return severity
    # a listed rule without a level is a warning, says the standard; of an unlisted one nothing is known
    default = "warning" if rule else ""
    level = text(result, "level") or text(node(rule, "defaultConfiguration"), "level") or default
    return Severity.UNKNOWN if lower in WITHOUT_LEVELS else LEVELS.get(level, Severity.UNKNOWN)


def _trivy_words(properties: Node, tool: str) -> tuple[str, ...]:
    return (
        tuple(it for it in texts(properties, "tags") if by_word(it) is not Severity.UNKNOWN) if tool == "trivy" else ()
    )
