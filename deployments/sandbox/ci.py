"""What CI does in the world: it leaves a release's results and scripts beside its images, and databases follow it."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from deployments.sandbox.accounts import Clients
from deployments.sandbox.aws.host import AwsStandIn
from deployments.sandbox.aws.image_scan_answers import ScanAnswer
from deployments.sandbox.flyway import migrate_from_nothing
from deployments.sandbox.leavings import BY_HAND, left, migrations
from deployments.sandbox.seed import PushedRelease
from rules.catalogue import Catalogue
from rules.migration_scripts import checksum_of
from rules.vocabulary import Environment


def bucket_of(catalogue: Catalogue) -> str:
    """Where CI leaves what is not an image."""
    return f"{catalogue.application}-releases"


class Ci:
    """Of one catalogue. `databases`: URL by environment; empty where there are none."""

    def __init__(
        self,
        catalogue: Catalogue,
        clients: Clients,
        aws: AwsStandIn,
        databases: Mapping[str, str],
        now: Callable[[], datetime],
    ) -> None:
        self._catalogue, self._clients, self._aws = catalogue, clients, aws
        self._databases, self._now = databases, now
        self._has_bucket = False

    def leave(self, release: PushedRelease) -> None:
        """The release's files go into the bucket, and the registry scans its images."""
        s3 = self._bucket()
        left_there = left(release.behaviour, self._catalogue.services, self._now())
        for name, content in left_there.files.items():
            s3.put_object(Bucket=bucket_of(self._catalogue), Key=f"{release.version}/{name}", Body=content)
        for service, findings in left_there.findings.items():
            repository = self._catalogue.services[service].repository
            answer = ScanAnswer(findings)
            self._aws.image_scans.set(self._registry.account, repository, release.digests[service], answer)

    def migrate(self, environment: str, release: PushedRelease) -> None:
        """The environment's database is at the release's scripts, whatever it was."""
        if environment not in self._databases:
            return
        scripts = migrations(release.behaviour)
        checksums = {name: checksum_of(text) for name, text in scripts.items()}
        by_hand = BY_HAND.get(release.behaviour, "") if environment == self._catalogue.chain[0] else ""
        migrate_from_nothing(self._databases[environment], scripts, checksums, by_hand)

    @property
    def _registry(self) -> Environment:
        return self._catalogue.environments[self._catalogue.registry]

    def _bucket(self) -> Any:
        s3 = self._clients(self._registry, "s3")
        if not self._has_bucket:
            where = {"LocationConstraint": self._registry.region}
            s3.create_bucket(Bucket=bucket_of(self._catalogue), CreateBucketConfiguration=where)
            self._has_bucket = True
        return s3
