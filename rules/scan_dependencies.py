"""Reads what scanners of dependencies write as their own JSON: Snyk, npm audit, pip-audit, OSV-scanner."""

from collections.abc import Sequence

from rules.scan_results import Scan, ScanKind, Severity, Vulnerability, by_score, by_word
from rules.scan_shapes import Node, as_node, count, cwes_in, day, digests_in, node, nodes, text, texts

NEWER = "a newer version"


def read_snyk(projects: Sequence[Node]) -> Scan:
    """`snyk test --json` (an object, or a list of them with `--all-projects`) or `snyk container test --json`."""
    found = [_of_snyk(it) for project in projects for it in nodes(project, "vulnerabilities")]
    for project in projects:
        ignored = nodes(node(project, "filtered"), "ignore")
        found += [_of_snyk(it, suppressed=True) for it in ignored]
    counts = [count(it, "dependencyCount") for it in projects]
    return Scan(
        "Snyk",
        ScanKind.IMAGE if any("docker" in it for it in projects) else ScanKind.DEPENDENCIES,
        sum(counts) if all(counts) else 0,
        "packages",
        tuple(found),
        ", ".join(text(it, "projectName") or text(it, "path") for it in projects)[:200],
        digests_in([text(it, "path") for it in projects]),
        problems=tuple(dict.fromkeys(problem for it in projects for problem in _snyk_problems(it))),
    )


def _snyk_problems(project: Node) -> tuple[str, ...]:
    listed = nodes(project, "vulnerabilities")
    problems = ["Snyk tells of an error"] if project.get("error") else []
    if project.get("vulnerabilities") is None:
        problems.append("it has no list of vulnerabilities")
    if project.get("ok") is not (not listed):
        problems.append("it says `ok` otherwise than its list shows")
    unique = len({text(it, "id") for it in listed})
    if "uniqueCount" in project and count(project, "uniqueCount") > unique:
        problems.append(f"it counts {count(project, 'uniqueCount')} vulnerabilities and lists {unique}")
    return tuple(problems)


def _of_snyk(it: Node, *, suppressed: bool = False) -> Vulnerability:
    names = node(it, "identifiers")
    return Vulnerability(
        text(it, "id") or "a vulnerability without a name",
        by_word(text(it, "severity")),
        (*texts(names, "CVE"), *texts(names, "GHSA")),
        text(it, "packageName") or text(it, "moduleName"),
        text(it, "version"),
        ", ".join(texts(it, "fixedIn")) or text(it, "nearestFixedInVersion"),
        cwes_in(texts(names, "CWE")),
        since=day(it, "publicationTime"),
        suppressed=suppressed,
    )


def read_npm(document: Node) -> Scan:
    """`npm audit --json`: of npm 7 and later (`auditReportVersion` 2), or of npm 6 and pnpm (`advisories`)."""
    metadata = node(document, "metadata")
    dependencies = metadata.get("dependencies")
    looked_at = count(node(metadata, "dependencies"), "total") if isinstance(dependencies, dict) else 0
    looked_at = looked_at or count(metadata, "totalDependencies")
    old = "advisories" in document
    found = _advisories(document) if old else _of_npm(document)
    problems = _npm_problems(document, metadata, old=old)
    return Scan("npm audit", ScanKind.DEPENDENCIES, looked_at, "packages", tuple(found), problems=problems)


def _npm_problems(document: Node, metadata: Node, *, old: bool) -> tuple[str, ...]:
    if document.get("error") or "statusCode" in document:
        return ("npm tells of an error: the registry gave no answer to the audit",)
    listed = node(document, "advisories" if old else "vulnerabilities")
    if document.get("advisories" if old else "vulnerabilities") is None:
        return ("it has no list of vulnerabilities",)
    counts = node(metadata, "vulnerabilities")
    claimed = count(counts, "total") or sum(count(counts, key) for key in counts if key != "total")
    # npm 6 counts every path, later ones every package
    if claimed > len(listed) and not (old and listed):
        return (f"it counts {claimed} vulnerabilities and lists {len(listed)}",)
    return ()


def _advisories(document: Node) -> list[Vulnerability]:
    listed = node(document, "advisories")
    return [_advisory(key, as_node(value, "advisory")) for key, value in listed.items()]


def _advisory(key: str, it: Node) -> Vulnerability:
    found = nodes(it, "findings")
    patched = text(it, "patched_versions")
    cwe = it.get("cwe")
    return Vulnerability(
        text(it, "github_advisory_id") or f"npm-{key[:20]}",
        by_word(text(it, "severity")),
        texts(it, "cves"),
        text(it, "module_name"),
        text(found[0], "version") if found else "",
        "" if patched == "<0.0.0" else patched,
        cwes_in(texts(it, "cwe") if isinstance(cwe, list) else [text(it, "cwe")]),
        since=day(it, "created"),
    )


def _of_npm(document: Node) -> list[Vulnerability]:
    packages = {name: as_node(it, "vulnerability") for name, it in node(document, "vulnerabilities").items()}
    found = [one for name, it in packages.items() for one in _via(name, it, packages)]
    # packages that point at each other and at no advisory are counted themselves
    return found or [_package(name, it) for name, it in packages.items()]


def _via(name: str, it: Node, packages: dict[str, Node]) -> list[Vulnerability]:
    via = it.get("via")
    pointers = via if isinstance(via, list) else []
    own = [_reported(name, it, entry) for entry in pointers if isinstance(entry, dict)]
    leads_on = any(isinstance(entry, str) and entry in packages for entry in pointers)
    return own or ([] if leads_on else [_package(name, it)])


def _reported(name: str, package: Node, it: Node) -> Vulnerability:
    source = text(it, "source")
    advisory = text(it, "url").rpartition("/")[2] or f"npm-{source}"
    severity = by_word(text(it, "severity"))
    cwes = cwes_in(texts(it, "cwe"))
    package_name = text(it, "name") or name[:200]
    return Vulnerability(advisory, severity, package=package_name, fixed=_npm_fix(package), cwes=cwes)


def _package(name: str, it: Node) -> Vulnerability:
    return Vulnerability(f"npm-{name[:100]}", by_word(text(it, "severity")), package=name[:200], fixed=_npm_fix(it))


def _npm_fix(package: Node) -> str:
    fix = package.get("fixAvailable")
    if isinstance(fix, dict):
        return f"{text(fix, 'name')} {text(fix, 'version')}".strip()
    return NEWER if fix is True else ""


def read_pip_audit(dependencies: Sequence[Node]) -> Scan:
    """`pip-audit -f json`. It tells no severities: all of them are UNKNOWN until another scanner knows them."""
    skipped = [it for it in dependencies if it.get("skip_reason") is not None or it.get("vulns") is None]
    found = [_of_pip(it, vulnerability) for it in dependencies for vulnerability in nodes(it, "vulns")]
    problems = (f"{len(skipped)} of {len(dependencies)} packages were skipped",) if skipped else ()
    looked_at = len(dependencies) - len(skipped)
    return Scan("pip-audit", ScanKind.DEPENDENCIES, looked_at, "packages", tuple(found), problems=problems)


def _of_pip(package: Node, it: Node) -> Vulnerability:
    fixed = ", ".join(texts(it, "fix_versions"))
    name = text(it, "id") or "a vulnerability without a name"
    installed = text(package, "version")
    return Vulnerability(name, Severity.UNKNOWN, texts(it, "aliases"), text(package, "name"), installed, fixed)


def read_osv(document: Node) -> Scan:
    """`osv-scanner --format json`. It lists what it looked at only with `--all-packages`."""
    results = nodes(document, "results")
    packages = [it for result in results for it in nodes(result, "packages")]
    found = [_of_osv(it, one) for it in packages for one in nodes(it, "vulnerabilities")]
    paths = ", ".join(text(node(it, "source"), "path") for it in results)[:200]
    problems = [
        "a group of findings has no finding"
        for it in packages
        if nodes(it, "groups") and not nodes(it, "vulnerabilities")
    ]
    kind, named = ScanKind.DEPENDENCIES, sum(1 for it in packages if text(node(it, "package"), "name"))
    return Scan("OSV-Scanner", kind, named, "packages", tuple(found), paths, problems=tuple(problems[:1]))


def _of_osv(entry: Node, it: Node) -> Vulnerability:
    package, name = node(entry, "package"), text(it, "id")
    groups = [group for group in nodes(entry, "groups") if name in texts(group, "ids")]
    own = node(it, "database_specific")
    known = [by_score(text(group, "max_severity")) for group in groups] + [by_word(text(own, "severity"))]
    events = [
        event
        for affected in nodes(it, "affected")
        if text(node(affected, "package"), "name") in ("", text(package, "name"))
        for reach in nodes(affected, "ranges")
        for event in nodes(reach, "events")
    ]
    return Vulnerability(
        name or "a vulnerability without a name",
        next((severity for severity in known if severity is not Severity.UNKNOWN), Severity.UNKNOWN),
        texts(it, "aliases"),
        text(package, "name"),
        text(package, "version"),
        ", ".join(fixed for event in events if (fixed := text(event, "fixed"))),
        cwes_in(texts(own, "cwe_ids")),
        since=day(it, "published"),
    )
