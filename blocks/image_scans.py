"""The door to the vulnerability scans of images (Amazon ECR, basic or enhanced by Amazon Inspector).

findings("batbern/event-management", "sha256:…") → one JSON document
    ⚡ NoScan: not there, still under way, or not possible; each for a gate to call INCONCLUSIVE
    ⚡ Outage, Declined: as everywhere
"""

from __future__ import annotations  # the client's type is a stub, not there at run time

from enum import StrEnum
from typing import TYPE_CHECKING, Any

import orjson
from botocore.exceptions import ClientError

from blocks.aws_errors import code_of, translated
from blocks.images import SYSTEM
from rules.errors import Outage, PromotionError
from rules.vocabulary import short

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecr.type_defs import DescribeImageScanFindingsResponseTypeDef

PAGE, MOST_PAGES = 1000, 100
"""As many findings ECR gives at once; and of so many pages we do not believe that they end."""
LISTS = ("findings", "enhancedFindings")
"""What is cut into pages, of a basic and of an enhanced scan. All else stands on every page."""


class Why(StrEnum):
    """Why there are no findings."""

    NOT_SCANNED = "not scanned"
    NO_IMAGE = "no image"
    UNDERWAY = "underway"
    IMPOSSIBLE = "impossible"


DONE = frozenset({"COMPLETE", "ACTIVE"})
"""The second is what a continuous scan says of an image that it watches."""
UNDERWAY = frozenset({"PENDING", "IN_PROGRESS"})
_ABSENT = {
    "ScanNotFoundException": Why.NOT_SCANNED,
    "ImageNotFoundException": Why.NO_IMAGE,
    "RepositoryNotFoundException": Why.NO_IMAGE,
}
_REMEDIES = {
    Why.NOT_SCANNED: "Start a scan of it, or turn on scanning when images are pushed.",
    Why.NO_IMAGE: "Check the service's repository in the catalogue, and whether the image was pushed.",
    Why.UNDERWAY: "Run again when it is done.",
    Why.IMPOSSIBLE: "Scan the image by other means, and give the scan's file.",
}


class NoScan(PromotionError):
    """There are no findings to judge, which is not to say that nothing was found."""

    def __init__(self, image: str, why: Why, said: str) -> None:
        self.image, self.why = image, why
        super().__init__(f"There is no finished scan of {image}: {said.rstrip('.')}. {_REMEDIES[why]}")

    @property
    def is_underway(self) -> bool:
        """Whether it may be there soon."""
        return self.why is Why.UNDERWAY


class ImageScans:
    """Scans by the image's digest. `registry_id` is the account that holds the repositories."""

    def __init__(self, ecr: ECRClient, registry_id: str) -> None:
        self._ecr, self._registry_id = ecr, registry_id

    def findings(self, repository: str, digest: str) -> bytes:
        """The finished scan as one JSON document in the shape of ECR's API, the findings of all pages together.

        It has `registryId`, `repositoryName`, `imageId`, `imageScanStatus` and `imageScanFindings`; times are
        ISO 8601. Its status is COMPLETE or ACTIVE.

        Raises:
            NoScan: nobody scanned this image, there is no such image, or its scan is not done or failed.
            Declined: this account may not read it.
            Outage: no answer, or one that does not fit together.

        """
        image = f"{repository}@{short(digest)}"
        first, *others = self._pages(repository, digest, image)
        _refuse_unfinished(first, image)
        return orjson.dumps(_merged(first, others, image, digest))

    def _pages(self, repository: str, digest: str, image: str) -> Iterator[dict[str, Any]]:
        token = ""
        for _ in range(MOST_PAGES):
            page = dict(self._page(repository, digest, image, token))
            yield page
            before, token = token, str(page.get("nextToken") or "")
            if not token:
                return
            if token == before:
                break
        raise Outage(SYSTEM, _doing(image), "its pages do not end")

    def _page(self, repository: str, digest: str, image: str, token: str) -> DescribeImageScanFindingsResponseTypeDef:
        with translated(SYSTEM, _doing(image)):
            try:
                answer = self._ecr.describe_image_scan_findings(
                    registryId=self._registry_id,
                    repositoryName=repository,
                    imageId={"imageDigest": digest},
                    maxResults=PAGE,
                    **({"nextToken": token} if token else {}),
                )
                _ = answer["imageScanStatus"]  # botocore reads an unreadable answer as an empty one
            except ClientError as error:
                if why := _ABSENT.get(code_of(error)):
                    raise NoScan(image, why, error.response["Error"].get("Message", str(why))) from error
                raise
        return answer


def _doing(image: str) -> str:
    return f"reading the scan of {image}"


def _refuse_unfinished(page: dict[str, Any], image: str) -> None:
    status = _status(page)
    if status in DONE:
        return
    described = (page.get("imageScanStatus") or {}).get("description", "")
    why = Why.UNDERWAY if status in UNDERWAY else Why.IMPOSSIBLE
    raise NoScan(image, why, f"its status is {status or 'not told'}" + (f" ({described})" if described else ""))


def _status(page: dict[str, Any]) -> str:
    return str((page.get("imageScanStatus") or {}).get("status", ""))


def _merged(first: dict[str, Any], others: list[dict[str, Any]], image: str, digest: str) -> dict[str, Any]:
    pages = [first, *others]
    if any(_status(page) != _status(first) for page in pages):
        raise Outage(SYSTEM, _doing(image), "it was scanned anew while the scan was read")
    if any((page.get("imageId") or {}).get("imageDigest") != digest for page in pages):
        raise Outage(SYSTEM, _doing(image), f"it told about {first.get('imageId')}, not about {digest}")
    if not first.get("imageScanFindings"):
        raise Outage(SYSTEM, _doing(image), f"it is {_status(first)}, and lacks its findings")
    found = [page.get("imageScanFindings") or {} for page in pages]
    lists = {
        name: [one for it in found for one in it.get(name, ())] for name in LISTS if any(name in it for it in found)
    }
    kept = {name: value for name, value in first.items() if name not in {"ResponseMetadata", "nextToken"}}
    return kept | {"imageScanFindings": found[0] | lists}
