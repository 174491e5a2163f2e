"""Reading AWS CodeDeploy: deployments, their targets, their AppSpecs, their group. Changes nothing."""

from __future__ import annotations  # the client's types are stubs, not there at run time

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from blocks.aws_errors import code_of, translated
from rules.app_specs import target_of
from rules.code_deployments import ACTIVE, Report, Share, Status
from rules.deployment_groups import DeploymentGroup
from rules.errors import InvalidInput

if TYPE_CHECKING:
    from mypy_boto3_codedeploy import CodeDeployClient
    from mypy_boto3_codedeploy.type_defs import (
        DeploymentGroupInfoTypeDef,
        DeploymentInfoTypeDef,
        ECSTargetTypeDef,
        RevisionLocationTypeDef,
    )

SYSTEM = "AWS CodeDeploy"
NOT_BEGUN = frozenset({"DeploymentNotStartedException", "DeploymentTargetDoesNotExistException"})
NO_GROUP = frozenset({"DeploymentGroupDoesNotExistException", "ApplicationDoesNotExistException"})


class DeploymentReports:
    """Deployments of one deployment group."""

    def __init__(self, codedeploy: CodeDeployClient, application: str, group: str) -> None:
        self._codedeploy, self._application, self._group = codedeploy, application, group
        self._definitions: dict[str, str] = {}
        """By hash of the AppSpec, which never changes."""
        self._targets: dict[str, list[str]] = {}
        """By deployment."""

    def group(self) -> DeploymentGroup:
        """The group, as it is now. Raises InvalidInput when it is not there."""
        with translated(SYSTEM, f"looking at deployment group {self._group}"):
            try:
                answer = self._codedeploy.get_deployment_group(
                    applicationName=self._application, deploymentGroupName=self._group
                )
            except ClientError as error:
                if code_of(error) in NO_GROUP:
                    raise InvalidInput(
                        "codedeploy_group", f"{self._application}/{self._group}", "a deployment group that exists",
                        "Create it, or mend codedeploy_application and codedeploy_group in the catalogue.",
                    ) from error  # fmt: skip
                raise
            return _group(answer["deploymentGroupInfo"])

    def active(self) -> Report | None:
        """The deployment in progress, whoever started it; a way back is one too."""
        with translated(SYSTEM, f"looking for deployments of {self._group}"):
            pages = self._codedeploy.get_paginator("list_deployments").paginate(
                applicationName=self._application,
                deploymentGroupName=self._group,
                includeOnlyStatuses=[status.value for status in ACTIVE],
            )
            found = [self.report(id_) for page in pages for id_ in page["deployments"]]
        return max(found, key=lambda report: report.created_at, default=None)

    def report(self, id_: str) -> Report:
        """One deployment, ongoing or ended."""
        with translated(SYSTEM, f"looking at deployment {id_}"):
            info = self._codedeploy.get_deployment(deploymentId=id_)["deploymentInfo"]
            return _report(info, self._definition(info.get("revision", {})), self._target(id_))

    def _target(self, id_: str) -> ECSTargetTypeDef | None:
        """The ECS service as the deployment's target; None before the deployment has begun."""
        try:
            if not self._targets.get(id_):
                self._targets[id_] = self._codedeploy.list_deployment_targets(deploymentId=id_)["targetIds"]
            if not self._targets[id_]:
                return None
            answer = self._codedeploy.batch_get_deployment_targets(deploymentId=id_, targetIds=self._targets[id_])
        except ClientError as error:
            if code_of(error) in NOT_BEGUN:
                return None
            raise
        return next((one["ecsTarget"] for one in answer["deploymentTargets"] if "ecsTarget" in one), None)

    def _definition(self, revision: RevisionLocationTypeDef) -> str:
        """GetDeployment tells only the hash of an AppSpec; its text is kept with the application."""
        spec = revision.get("appSpecContent", {})
        sha256 = spec.get("sha256", "")
        if sha256 not in self._definitions:
            content = spec.get("content") or self._content(sha256)
            if not sha256:
                return target_of(content)
            self._definitions[sha256] = target_of(content)
        return self._definitions[sha256]

    def _content(self, sha256: str) -> str:
        if not sha256:
            return ""
        answer = self._codedeploy.get_application_revision(
            applicationName=self._application,
            revision={"revisionType": "AppSpecContent", "appSpecContent": {"sha256": sha256}},
        )
        return answer["revision"].get("appSpecContent", {}).get("content", "")


def _report(info: DeploymentInfoTypeDef, definition: str, target: ECSTargetTypeDef | None) -> Report:
    error, rollback = info.get("errorInformation", {}), info.get("rollbackInfo", {})
    automatic = info.get("autoRollbackConfiguration", {})
    return Report(
        id=info["deploymentId"],
        status=Status(info["status"]),
        created_at=info["createTime"],
        task_definition=definition,
        stage=_stage(target.get("lifecycleEvents", ())) if target else "",
        shares=tuple(_shares(target.get("taskSetsInfo", ()))) if target else (),
        ended_at=info.get("completeTime"),
        code=error.get("code", ""),
        message=error.get("message", ""),
        goes_back_on=frozenset(automatic.get("events", ())) if automatic.get("enabled") else frozenset(),
        taken_back_by=rollback.get("rollbackDeploymentId", ""),
        takes_back=rollback.get("rollbackTriggeringDeploymentId", ""),
        rollback_message=rollback.get("rollbackMessage", ""),
    )


def _stage(events: Sequence[Any]) -> str:
    """The lifecycle event that is under way."""
    return next((str(one["lifecycleEventName"]) for one in events if one.get("status") == "InProgress"), "")


def _shares(sets: Sequence[Any]) -> Iterator[Share]:
    for one in sets:
        # The API misspells the identifier's name.
        yield Share(one.get("identifer", ""), one.get("trafficWeight", 0.0), one.get("taskSetLabel") == "Green")


def _group(info: DeploymentGroupInfoTypeDef) -> DeploymentGroup:
    pair: Any = next(iter(info.get("loadBalancerInfo", {}).get("targetGroupPairInfoList", ())), {})
    way = info.get("blueGreenDeploymentConfiguration", {})
    style = info.get("deploymentStyle", {})
    kind = (info.get("computePlatform", "ECS"), style.get("deploymentType"), style.get("deploymentOption"))
    end: Any = way.get("terminateBlueInstancesOnDeploymentSuccess", {})
    return DeploymentGroup(
        name=info["deploymentGroupName"],
        services=tuple((it.get("clusterName", "default"), it["serviceName"]) for it in info.get("ecsServices", ())),
        target_groups=tuple(it["name"] for it in pair.get("targetGroups", ())),
        listeners=tuple(pair.get("prodTrafficRoute", {}).get("listenerArns", ())),
        blue_green=kind == ("ECS", "BLUE_GREEN", "WITH_TRAFFIC_CONTROL"),
        waits_for_word=way.get("deploymentReadyOption", {}).get("actionOnTimeout") == "STOP_DEPLOYMENT",
        keeps_minutes=None if end.get("action") == "KEEP_ALIVE" else end.get("terminationWaitTimeInMinutes", 0),
    )
