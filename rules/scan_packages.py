"""Reads what scanners of images write as their own JSON: Trivy, Grype, and Amazon ECR's scan findings."""

from rules.scan_results import Scan, ScanKind, Severity, Vulnerability, by_word
from rules.scan_shapes import Node, count, cwes_in, day, digests_in, moment, node, nodes, text, texts

OF_PACKAGES = frozenset({"os-pkgs", "lang-pkgs"})
SCANNED = frozenset({"COMPLETE", "ACTIVE"})
"""States of an ECR scan that has been: basic ones complete, enhanced ones stay active."""


def read_trivy(document: Node) -> Scan:
    """Trivy's `--format json`, schema version 2. Only targets with packages prove that vulnerabilities were sought."""
    metadata, results = node(document, "Metadata"), nodes(document, "Results")
    found = [it for result in results for it in _trivy_findings(result)]
    problems = []
    if node(metadata, "OS").get("EOSL") is True:
        problems.append("its operating system is out of support, nobody reports its vulnerabilities any more")
    return Scan(
        "Trivy",
        ScanKind.IMAGE if text(document, "ArtifactType") == "container_image" else ScanKind.DEPENDENCIES,
        sum(1 for it in results if text(it, "Class") in OF_PACKAGES),
        "groups of packages",
        tuple(found),
        text(document, "ArtifactName"),
        digests_in(texts(metadata, "RepoDigests")),
        at=moment(document, "CreatedAt"),
        problems=tuple(problems),
    )


def _trivy_findings(result: Node) -> list[Vulnerability]:
    target = text(result, "Target")
    found = [_of_trivy(it, target) for it in nodes(result, "Vulnerabilities")]
    found += [
        _misconfiguration(it, target) for it in nodes(result, "Misconfigurations") if text(it, "Status") != "PASS"
    ]
    found += [_secret(it, target) for it in nodes(result, "Secrets")]
    for modified in nodes(result, "ExperimentalModifiedFindings"):
        inner = node(modified, "Finding")
        if text(inner, "VulnerabilityID"):
            found.append(_of_trivy(inner, target, suppressed=True))
    return found


def _of_trivy(it: Node, target: str, *, suppressed: bool = False) -> Vulnerability:
    return Vulnerability(
        text(it, "VulnerabilityID") or "a vulnerability without a name",
        by_word(text(it, "Severity")),
        texts(it, "VendorIDs"),
        text(it, "PkgName"),
        text(it, "InstalledVersion"),
        text(it, "FixedVersion"),
        cwes_in(texts(it, "CweIDs")),
        text(it, "PkgPath") or target,
        since=day(it, "PublishedDate"),
        suppressed=suppressed,
    )


def _misconfiguration(it: Node, target: str) -> Vulnerability:
    name = text(it, "AVDID") or text(it, "ID") or "a misconfiguration without a name"
    return Vulnerability(name, by_word(text(it, "Severity")), path=target)


def _secret(it: Node, target: str) -> Vulnerability:
    severity = by_word(text(it, "Severity"))
    line = count(it, "StartLine")
    return Vulnerability(
        text(it, "RuleID") or "secret", min(severity, Severity.HIGH, key=_rank), path=target, line=line
    )


def _rank(severity: Severity) -> int:
    return severity.rank


def read_grype(document: Node) -> Scan:
    """Grype's `-o json`. It does not count packages: the layers it opened are the proof, or that it found something."""
    source, descriptor = node(document, "source"), node(document, "descriptor")
    of_image = text(source, "type") == "image"
    target = node(source, "target") if of_image else {}
    matches = nodes(document, "matches")
    found = [_of_grype(it) for it in matches]
    found += [_of_grype(it, suppressed=True) for it in nodes(document, "ignoredMatches")]
    layers = len(nodes(target, "layers"))
    subject = text(target, "userInput") if of_image else text(source, "target")
    digests = digests_in((*texts(target, "repoDigests"), text(target, "manifestDigest")))
    return Scan(
        "Grype",
        ScanKind.IMAGE if of_image else ScanKind.DEPENDENCIES,
        layers or len(matches),
        "layers" if layers else "matches",
        tuple(found),
        subject,
        digests,
        at=moment(descriptor, "timestamp"),
        problems=_grype_problems(document, descriptor),
    )


def _grype_problems(document: Node, descriptor: Node) -> tuple[str, ...]:
    database = node(descriptor, "db")
    status = node(database, "status") or database
    problems = [] if document.get("matches") is not None else ["it has no list of matches"]
    if status.get("valid") is False or text(status, "error"):
        problems.append("its database of vulnerabilities was not valid")
    return tuple(problems)


def _of_grype(match: Node, *, suppressed: bool = False) -> Vulnerability:
    it, artifact = node(match, "vulnerability"), node(match, "artifact")
    related = tuple(text(other, "id") for other in nodes(match, "relatedVulnerabilities"))
    fix = node(it, "fix")
    dates = [found for other in nodes(fix, "available") if (found := day(other, "date"))]
    places = nodes(artifact, "locations")
    return Vulnerability(
        text(it, "id") or "a vulnerability without a name",
        by_word(text(it, "severity")),
        related,
        text(artifact, "name"),
        text(artifact, "version"),
        ", ".join(texts(fix, "versions")) if text(fix, "state") == "fixed" else "",
        path=text(places[0], "path") if places else "",
        since=min(dates) if dates else None,
        suppressed=suppressed,
    )


def read_ecr(document: Node) -> Scan:
    """What `aws ecr describe-image-scan-findings` answers, basic or enhanced, all pages of it."""
    findings, image = node(document, "imageScanFindings"), node(document, "imageId")
    found = [_of_basic(it) for it in nodes(findings, "findings")]
    found += [_of_enhanced(it) for it in nodes(findings, "enhancedFindings")]
    state = text(node(document, "imageScanStatus"), "status")
    at = moment(findings, "imageScanCompletedAt")
    return Scan(
        "Amazon ECR",
        ScanKind.IMAGE,
        1 if state in SCANNED and at else 0,
        "image",
        tuple(found),
        text(document, "repositoryName"),
        digests_in([text(image, "imageDigest")]),
        at=at,
        problems=_ecr_problems(document, findings, len(found), state),
    )


def _ecr_problems(document: Node, findings: Node, found: int, state: str) -> tuple[str, ...]:
    problems = [] if state in SCANNED else [f"the registry says the scan is {state or 'not there'}"]
    if document.get("nextToken"):
        problems.append("it is only the first page of the findings")
    counts = node(findings, "findingSeverityCounts")
    if (claimed := sum(count(counts, key) for key in counts)) != found:
        problems.append(f"it counts {claimed} findings and lists {found}")
    return tuple(problems)


def _of_basic(it: Node) -> Vulnerability:
    attributes = {text(pair, "key"): text(pair, "value") for pair in nodes(it, "attributes")}
    name, package = text(it, "name") or "a vulnerability without a name", attributes.get("package_name", "")
    return Vulnerability(
        name, by_word(text(it, "severity")), package=package, installed=attributes.get("package_version", "")
    )


def _of_enhanced(it: Node) -> Vulnerability:
    details = node(it, "packageVulnerabilityDetails")
    packages = nodes(details, "vulnerablePackages")
    package = packages[0] if packages else {}
    fixed = text(package, "fixedInVersion")
    return Vulnerability(
        text(details, "vulnerabilityId") or "a vulnerability without a name",
        by_word(text(it, "severity")),
        texts(details, "relatedVulnerabilities"),
        text(package, "name"),
        text(package, "version"),
        "" if fixed.lower() in ("notavailable", "not available") else fixed,
        path=text(package, "filePath"),
        since=day(details, "vendorCreatedAt"),
        suppressed=text(it, "status") in ("SUPPRESSED", "CLOSED"),
    )
