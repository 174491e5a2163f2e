"""Amazon ECR's `DescribeImageScanFindings`: what was set for an image, in pages; moto tells of one made-up finding.

    aws.image_scans.set("111111111111", "batbern/web", digest, findings=[{"name": "CVE-…", "severity": "HIGH", …}])

An image for which nothing was set was never scanned.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from moto.core.responses import ActionResult
from moto.ecr.models import ecr_backends
from moto.ecr.responses import ECRResponse

from deployments.sandbox.aws.patches.seams import Current, refusal, replace

Document = Mapping[str, Any]
PAGE = 100
"""As many as ECR gives unless it is asked for more."""
DONE = frozenset({"COMPLETE", "ACTIVE"})


@dataclass(frozen=True, slots=True)
class ScanAnswer:
    """One image's scan, its findings in the shape of ECR's API."""

    findings: Sequence[Document] = ()
    status: str = "COMPLETE"
    description: str = "The scan was completed successfully."
    enhanced: bool = False
    """Whether the findings are Amazon Inspector's."""
    at: datetime | None = None

    def page(self, start: int, size: int) -> Document:
        """Severities are counted over all pages; a scan that is not done shows no findings."""
        if self.status not in DONE:
            return {}
        counts = Counter(str(one["severity"]) for one in self.findings)
        key = "enhancedFindings" if self.enhanced else "findings"
        at = self.at or Current.clock.now()
        times = {"imageScanCompletedAt": at, "vulnerabilitySourceUpdatedAt": at}
        found = {**times, "findingSeverityCounts": dict(counts), key: list(self.findings[start : start + size])}
        return {"imageScanFindings": found}


@dataclass(slots=True)
class ImageScanAnswers:
    """What was found, by account, repository and digest."""

    _answers: dict[tuple[str, str, str], ScanAnswer] = field(default_factory=dict)

    def set(self, account: str, repository: str, digest: str, answer: ScanAnswer) -> None:
        self._answers[account, repository, digest] = answer

    def forget(self) -> None:
        self._answers.clear()

    def install(self) -> None:
        """Answer moto's operation from here on; of several the last one installed answers."""

        def answer(request: Any) -> ActionResult:
            return ActionResult(self._told(request))

        replace(ECRResponse, "describe_image_scan_findings", answer)

    def _told(self, request: Any) -> Document:
        names = ("registryId", "repositoryName", "imageId", "nextToken", "maxResults")
        asked = {name: request._get_param(name) for name in names}  # noqa: SLF001 - how moto's own operations read them
        account, name = str(asked["registryId"] or request.current_account), str(asked["repositoryName"])
        backend = ecr_backends[account][request.region]
        repository = backend._get_repository(name, account)  # noqa: SLF001 - it refuses as ECR does
        wanted = asked["imageId"]
        image = repository._get_image(wanted.get("imageTag"), wanted.get("imageDigest"))  # noqa: SLF001 - likewise
        scan = self._answers.get((account, name, image.image_digest))
        if scan is None:
            reason = f"Image scan does not exist for the image with '{wanted}' in the repository '{name}'"
            raise refusal("ScanNotFoundException", f"{reason} in the registry with id '{account}'")
        told = {"registryId": account, "repositoryName": name, "imageId": _identity(image, wanted)}
        status = {"imageScanStatus": {"status": scan.status, "description": scan.description}}
        return {**told, **status, **_paged(scan, asked)}


def _identity(image: Any, wanted: Document) -> Document:
    tag = {"imageTag": wanted["imageTag"]} if "imageTag" in wanted else {}
    return {"imageDigest": image.image_digest, **tag}


def _paged(scan: ScanAnswer, asked: Document) -> Document:
    start, size = int(asked.get("nextToken") or 0), int(asked.get("maxResults") or PAGE)
    more = {"nextToken": str(start + size)} if start + size < len(scan.findings) else {}
    return {**scan.page(start, size), **more}
