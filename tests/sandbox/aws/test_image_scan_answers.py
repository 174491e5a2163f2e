"""Contract of deployments/sandbox/aws/image_scan_answers.py: findings as they were set for an image, in pages."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from deployments.sandbox.aws.host import AwsStandIn
from deployments.sandbox.aws.image_scan_answers import PAGE, ScanAnswer

REGISTRY, REPOSITORY = "111111111111", "batbern/event-management"
MEDIA = "application/vnd.oci.image.manifest.v1+json"


@pytest.fixture
def ecr(open_client: Callable[..., Any]) -> Any:
    client = open_client("ecr", account=REGISTRY)
    client.create_repository(repositoryName=REPOSITORY)
    return client


@pytest.fixture
def digest(ecr: Any) -> str:
    manifest = json.dumps({"schemaVersion": 2, "mediaType": MEDIA, "layers": []})
    image = ecr.put_image(repositoryName=REPOSITORY, imageManifest=manifest, imageTag="3f2a1bc")["image"]
    return str(image["imageId"]["imageDigest"])


def finding(number: int) -> dict[str, str]:
    return {"name": f"CVE-2026-{number:05}", "severity": "HIGH"}


def refused(ecr: Any, **asked: Any) -> str:
    with pytest.raises(ClientError) as caught:
        ecr.describe_image_scan_findings(**asked)
    return str(caught.value.response["Error"]["Code"])


def test_findings_come_in_pages(aws: AwsStandIn, ecr: Any, digest: str) -> None:
    aws.image_scans.set(REGISTRY, REPOSITORY, digest, ScanAnswer([finding(number) for number in range(PAGE + 1)]))
    asked = {"repositoryName": REPOSITORY, "imageId": {"imageDigest": digest}}
    first = ecr.describe_image_scan_findings(**asked)
    second = ecr.describe_image_scan_findings(**asked, nextToken=first["nextToken"])
    counts = [len(page["imageScanFindings"]["findings"]) for page in (first, second)]
    assert counts == [PAGE, 1]
    assert "nextToken" not in second
    assert second["imageScanFindings"]["findingSeverityCounts"] == {"HIGH": PAGE + 1}


def test_an_image_may_be_asked_for_by_its_tag(aws: AwsStandIn, ecr: Any, digest: str) -> None:
    aws.image_scans.set(REGISTRY, REPOSITORY, digest, ScanAnswer())
    told = ecr.describe_image_scan_findings(repositoryName=REPOSITORY, imageId={"imageTag": "3f2a1bc"})
    assert told["imageId"] == {"imageDigest": digest, "imageTag": "3f2a1bc"}
    assert told["imageScanStatus"]["status"] == "COMPLETE"


def test_a_scan_that_is_not_done_shows_no_findings(aws: AwsStandIn, ecr: Any, digest: str) -> None:
    aws.image_scans.set(REGISTRY, REPOSITORY, digest, ScanAnswer([finding(1)], status="IN_PROGRESS"))
    told = ecr.describe_image_scan_findings(repositoryName=REPOSITORY, imageId={"imageDigest": digest})
    assert told["imageScanStatus"]["status"] == "IN_PROGRESS"
    assert "imageScanFindings" not in told


def test_what_is_lacking_is_told_apart(ecr: Any, digest: str) -> None:
    image = {"imageDigest": digest}
    assert refused(ecr, repositoryName=REPOSITORY, imageId=image) == "ScanNotFoundException"
    none = {"imageDigest": f"sha256:{'0' * 64}"}
    assert refused(ecr, repositoryName=REPOSITORY, imageId=none) == "ImageNotFoundException"
    assert refused(ecr, repositoryName="none", imageId=image) == "RepositoryNotFoundException"


def test_a_reset_forgets_the_scans(aws: AwsStandIn, ecr: Any, digest: str) -> None:
    aws.image_scans.set(REGISTRY, REPOSITORY, digest, ScanAnswer())
    aws.image_scans.forget()
    asked = {"repositoryName": REPOSITORY, "imageId": {"imageDigest": digest}}
    assert refused(ecr, **asked) == "ScanNotFoundException"
