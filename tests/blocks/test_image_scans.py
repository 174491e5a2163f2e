"""Image scans by digest, against the stand-in's registry."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from blocks.image_scans import ImageScans, NoScan, Why
from deployments.sandbox.aws.host import AwsStandIn
from deployments.sandbox.aws.image_scan_answers import ScanAnswer
from deployments.sandbox.faults import Fault, FaultKind
from rules.errors import Outage

REGISTRY, REPOSITORY = "111111111111", "batbern/event-management"
MEDIA = "application/vnd.oci.image.manifest.v1+json"
AT = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


def finding(number: int, severity: str = "HIGH") -> dict[str, Any]:
    attributes = [{"key": "package_name", "value": "openssl"}, {"key": "package_version", "value": "3.0.1"}]
    return {"name": f"CVE-2026-{number:05}", "severity": severity, "attributes": attributes}


ENHANCED = {
    "severity": "CRITICAL",
    "status": "ACTIVE",
    "title": "CVE-2026-00001 - openssl",
    "fixAvailable": "YES",
    "firstObservedAt": AT,
    "packageVulnerabilityDetails": {
        "vulnerabilityId": "CVE-2026-00001",
        "vulnerablePackages": [{"name": "openssl", "version": "3.0.1", "fixedInVersion": "3.0.2"}],
    },
}


@pytest.fixture
def digest(open_client: Callable[..., Any]) -> str:
    ecr = open_client("ecr", account=REGISTRY)
    ecr.create_repository(repositoryName=REPOSITORY)
    manifest = json.dumps({"schemaVersion": 2, "mediaType": MEDIA, "layers": []})
    image = ecr.put_image(repositoryName=REPOSITORY, imageManifest=manifest, imageTag="3f2a1bc")["image"]
    return str(image["imageId"]["imageDigest"])


@pytest.fixture
def scans(open_client: Callable[..., Any]) -> ImageScans:
    return ImageScans(open_client("ecr", account=REGISTRY), REGISTRY)


def said(scans: ImageScans, digest: str) -> NoScan:
    with pytest.raises(NoScan) as caught:
        scans.findings(REPOSITORY, digest)
    return caught.value


def test_a_basic_scan_is_one_document(aws: AwsStandIn, scans: ImageScans, digest: str) -> None:
    aws.image_scans.set(REGISTRY, REPOSITORY, digest, ScanAnswer((finding(1), finding(2, "LOW")), at=AT))
    document = json.loads(scans.findings(REPOSITORY, digest))
    assert set(document) == {"registryId", "repositoryName", "imageId", "imageScanStatus", "imageScanFindings"}
    assert document["imageId"] == {"imageDigest": digest}
    assert document["imageScanStatus"]["status"] == "COMPLETE"
    found = document["imageScanFindings"]
    assert [one["name"] for one in found["findings"]] == ["CVE-2026-00001", "CVE-2026-00002"]
    assert found["findingSeverityCounts"] == {"HIGH": 1, "LOW": 1}
    assert datetime.fromisoformat(found["imageScanCompletedAt"]) == AT
    assert "enhancedFindings" not in found


def test_the_pages_of_a_scan_are_put_together(aws: AwsStandIn, scans: ImageScans, digest: str) -> None:
    findings = tuple(finding(number) for number in range(2500))
    aws.image_scans.set(REGISTRY, REPOSITORY, digest, ScanAnswer(findings))
    found = json.loads(scans.findings(REPOSITORY, digest))["imageScanFindings"]
    assert len({one["name"] for one in found["findings"]}) == 2500
    assert found["findingSeverityCounts"] == {"HIGH": 2500}
    assert len([call for call in aws.calls if call.operation == "DescribeImageScanFindings"]) == 3


def test_an_enhanced_scan_keeps_its_shape(aws: AwsStandIn, scans: ImageScans, digest: str) -> None:
    aws.image_scans.set(REGISTRY, REPOSITORY, digest, ScanAnswer((ENHANCED,), status="ACTIVE", enhanced=True))
    document = json.loads(scans.findings(REPOSITORY, digest))
    assert document["imageScanStatus"]["status"] == "ACTIVE"
    [found] = document["imageScanFindings"]["enhancedFindings"]
    assert found["packageVulnerabilityDetails"] == ENHANCED["packageVulnerabilityDetails"]
    assert datetime.fromisoformat(found["firstObservedAt"]) == AT


def test_a_scan_without_findings_is_a_scan(aws: AwsStandIn, scans: ImageScans, digest: str) -> None:
    aws.image_scans.set(REGISTRY, REPOSITORY, digest, ScanAnswer())
    assert json.loads(scans.findings(REPOSITORY, digest))["imageScanFindings"]["findings"] == []


def test_an_image_that_nobody_scanned_is_told_apart(scans: ImageScans, digest: str) -> None:
    no_scan = said(scans, digest)
    assert (no_scan.why, no_scan.is_underway) == (Why.NOT_SCANNED, False)
    assert "Start a scan" in str(no_scan)


def test_an_image_that_is_not_there_is_told_apart(scans: ImageScans, digest: str) -> None:
    assert said(scans, f"sha256:{'0' * 64}").why is Why.NO_IMAGE
    with pytest.raises(NoScan, match="Check the service's repository"):
        scans.findings("batbern/none", digest)


@pytest.mark.parametrize("status", ["PENDING", "IN_PROGRESS"])
def test_a_scan_that_is_under_way_is_told_apart(aws: AwsStandIn, scans: ImageScans, digest: str, status: str) -> None:
    aws.image_scans.set(REGISTRY, REPOSITORY, digest, ScanAnswer((finding(1),), status=status, description=""))
    no_scan = said(scans, digest)
    assert no_scan.is_underway
    assert f"its status is {status}. Run again" in str(no_scan)


@pytest.mark.parametrize("status", ["FAILED", "UNSUPPORTED_IMAGE", "SCAN_ELIGIBILITY_EXPIRED", "FINDINGS_UNAVAILABLE"])
def test_a_scan_that_failed_is_told_apart(aws: AwsStandIn, scans: ImageScans, digest: str, status: str) -> None:
    answer = ScanAnswer((finding(1),), status=status, description="UnsupportedImageError: too old")
    aws.image_scans.set(REGISTRY, REPOSITORY, digest, answer)
    no_scan = said(scans, digest)
    assert no_scan.why is Why.IMPOSSIBLE
    assert f"its status is {status} (UnsupportedImageError: too old)" in str(no_scan)


@pytest.mark.parametrize("kind", [FaultKind.ERROR, FaultKind.THROTTLE, FaultKind.RESET, FaultKind.GARBAGE])
def test_a_registry_that_does_not_answer_is_an_outage(
    aws: AwsStandIn, scans: ImageScans, digest: str, kind: FaultKind
) -> None:
    aws.image_scans.set(REGISTRY, REPOSITORY, digest, ScanAnswer())
    aws.faults.add(Fault("aws", kind=kind, operation="DescribeImageScanFindings"))
    with pytest.raises(Outage, match="reading the scan of batbern/event-management@sha256:"):
        scans.findings(REPOSITORY, digest)


class Pages:
    """An ECR client that gives these pages."""

    def __init__(self, *pages: dict[str, Any]) -> None:
        self._pages = list(pages)

    def describe_image_scan_findings(self, **_: Any) -> dict[str, Any]:
        return self._pages.pop(0)


def page(digest: str = "sha256:a", status: str = "COMPLETE", token: str = "") -> dict[str, Any]:
    more = {"nextToken": token} if token else {}
    found = {"imageScanFindings": {"findings": [finding(1)]}}
    return {"imageId": {"imageDigest": digest}, "imageScanStatus": {"status": status}, **found, **more}


@pytest.mark.parametrize(
    ("pages", "why"),
    [
        ([page("sha256:b")], "not about sha256:a"),
        ([page(token="1"), page("sha256:b")], "not about sha256:a"),
        ([page(token="1"), page(status="IN_PROGRESS")], "scanned anew"),
        ([page() | {"imageScanFindings": {}}], "lacks its findings"),
        ([page(token="1"), page(token="1")], "do not end"),
        ([page(token=str(number)) for number in range(101)], "do not end"),
    ],
)
def test_pages_that_do_not_fit_together_are_no_scan(pages: list[dict[str, Any]], why: str) -> None:
    with pytest.raises(Outage, match=why):
        ImageScans(Pages(*pages), REGISTRY).findings(REPOSITORY, "sha256:a")  # type: ignore[arg-type]  # a fake
