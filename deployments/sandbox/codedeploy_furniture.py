"""Services whose traffic AWS CodeDeploy moves: application, deployment group, and the ECS service they deploy to."""

from typing import Any

from botocore.exceptions import ClientError

from deployments.sandbox.accounts import Clients
from deployments.sandbox.names import role_arn, service_name
from rules.vocabulary import Environment, Service

KEEP_MINUTES = 5
"""So long the original task set stays after all traffic has left it."""
EVENTS = ("DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST")


class CodeDeployFurniture:
    """Creates resources by boto3 clients, behind a load balancer that is there already."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def service(self, environment: Environment, service: Service, request: dict[str, Any]) -> None:
        """The ECS service that `request` describes for ECS' own controller, given to CodeDeploy instead.

        Raises `ValueError` for a service without a load balancer: CodeDeploy cannot move the traffic of one.
        """
        entry = next(iter(request.get("loadBalancers", ())), None)
        if entry is None:
            raise ValueError(f"{service.id} has the controller codedeploy and no load balancer; set load_balanced.")
        balanced = {name: value for name, value in entry.items() if name != "advancedConfiguration"}
        kept = {name: value for name, value in request.items() if name != "deploymentConfiguration"}
        controller = {"type": "CODE_DEPLOY"}
        self._clients(environment, "ecs").create_service(
            **kept | {"deploymentController": controller, "loadBalancers": [balanced]}
        )
        self._application(environment, service)
        self._group(environment, service, entry)

    def _application(self, environment: Environment, service: Service) -> None:
        """Services may share an application: the second one finds it there."""
        try:
            self._clients(environment, "codedeploy").create_application(
                applicationName=_application(environment, service), computePlatform="ECS"
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "ApplicationAlreadyExistsException":
                raise

    def _group(self, environment: Environment, service: Service, entry: dict[str, Any]) -> None:
        stays = {"action": "TERMINATE", "terminationWaitTimeInMinutes": KEEP_MINUTES}
        alarms = [{"name": pattern.format(environment=environment.name)} for pattern in service.alarms]
        self._clients(environment, "codedeploy").create_deployment_group(
            applicationName=_application(environment, service),
            deploymentGroupName=service.codedeploy_group.format(environment=environment.name),
            serviceRoleArn=role_arn(environment, "ecs-infrastructure"),
            deploymentConfigName="CodeDeployDefault.ECSAllAtOnce",
            deploymentStyle={"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"},
            ecsServices=[{"clusterName": environment.cluster, "serviceName": service_name(environment, service)}],
            loadBalancerInfo={"targetGroupPairInfoList": [self._pair(environment, entry)]},
            blueGreenDeploymentConfiguration={
                "terminateBlueInstancesOnDeploymentSuccess": stays,
                "deploymentReadyOption": {"actionOnTimeout": "CONTINUE_DEPLOYMENT", "waitTimeInMinutes": 0},
            },
            autoRollbackConfiguration={"enabled": True, "events": list(EVENTS)},
            alarmConfiguration={"enabled": bool(alarms), "alarms": alarms},
        )

    def _pair(self, environment: Environment, entry: dict[str, Any]) -> dict[str, Any]:
        advanced = entry["advancedConfiguration"]
        arns = [entry["targetGroupArn"], advanced["alternateTargetGroupArn"]]
        found = self._clients(environment, "elbv2").describe_target_groups(TargetGroupArns=arns)["TargetGroups"]
        names = {group["TargetGroupArn"]: group["TargetGroupName"] for group in found}
        return {
            "targetGroups": [{"name": names[arn]} for arn in arns],
            "prodTrafficRoute": {"listenerArns": [_listener_of(advanced["productionListenerRule"])]},
        }


def _application(environment: Environment, service: Service) -> str:
    return service.codedeploy_application.format(environment=environment.name)


def _listener_of(rule: str) -> str:
    """The ARN of a rule is that of its listener, one part longer."""
    return rule.replace(":listener-rule/", ":listener/").rpartition("/")[0]
