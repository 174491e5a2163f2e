"""What an environment consists of before any release runs in it: registry, cluster, network, store, alarms."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Any

from deployments.sandbox.accounts import ADMINISTRATOR, Clients
from deployments.sandbox.codedeploy_furniture import CodeDeployFurniture
from deployments.sandbox.names import role_arn, service_name
from deployments.sandbox.values import made_up_secret, values
from rules.catalogue import Catalogue
from rules.vocabulary import Controller, Environment, Service

PORT = 8080
COUNT = 2
"""Tasks of each service."""
SLOW_SECONDS = 1.0
ERROR_SHARE = 0.05
"""The share of an environment's usual requests that may fail within a minute before the alarm sounds."""


@dataclass(frozen=True, slots=True)
class Network:
    vpc: str
    subnets: tuple[str, ...]
    security_groups: tuple[str, ...]

    def for_tasks(self) -> dict[str, Any]:
        return {"subnets": list(self.subnets), "securityGroups": list(self.security_groups)}


class Furniture:
    """Creates resources by boto3 clients. The stand-in is expected to be empty."""

    def __init__(
        self,
        catalogue: Catalogue,
        clients: Clients,
        databases: Mapping[str, str],
        requests_per_minute: Mapping[str, float],
    ) -> None:
        self._catalogue, self._clients = catalogue, clients
        self._databases, self._requests_per_minute = databases, dict(requests_per_minute)
        self._networks: dict[str, Network] = {}
        self._balancing: dict[tuple[str, str], dict[str, Any]] = {}
        """What `create_service` is told about load balancing, by environment and service id."""
        self.balancers: dict[str, str] = {}
        """The load balancer's name in CloudWatch (`app/batbern-dev/50dc…`), by environment."""

    def registry(self, environment: Environment) -> None:
        ecr = self._clients(environment, "ecr")
        for service in self._catalogue.services.values():
            ecr.create_repository(repositoryName=service.repository, imageTagMutability="IMMUTABLE")

    def environment(self, environment: Environment) -> None:
        self._networks[environment.name] = self._network(environment)
        self._roles(environment)
        self._clients(environment, "ecs").create_cluster(clusterName=environment.cluster)
        self._parameters(environment)
        self._secrets(environment)
        if environment.database:
            self._database(environment)
        for service in self._catalogue.services.values():
            if service.load_balanced:
                balancer = self.balancers[environment.name] = self._load_balancer(environment, service)
                self._alarms(environment, service, balancer)

    def service(self, environment: Environment, service: Service, task_definition: str) -> None:
        """The ECS service itself, blue-green, with the task definition that it starts from."""
        request = {
            "cluster": environment.cluster,
            "serviceName": service_name(environment, service),
            "taskDefinition": task_definition,
            "desiredCount": COUNT,
            "launchType": "FARGATE",
            "deploymentController": {"type": "ECS"},
            "deploymentConfiguration": {"strategy": "BLUE_GREEN", "bakeTimeInMinutes": 5},
            "networkConfiguration": {"awsvpcConfiguration": self._networks[environment.name].for_tasks()},
            **(self._balancing.get((environment.name, service.id)) or self._service_connect(service)),
        }
        if service.controller is Controller.CODEDEPLOY:
            CodeDeployFurniture(self._clients).service(environment, service, request)
        else:
            self._clients(environment, "ecs").create_service(**request)

    def expect(self, environment: Environment, requests_per_minute: float) -> None:
        """Other visitors come: the alarms take so many requests (in a minute of AWS) for usual from now on."""
        self._requests_per_minute[environment.name] = requests_per_minute
        for service in self._catalogue.services.values():
            if service.load_balanced:
                self._alarms(environment, service, self.balancers[environment.name])

    def _roles(self, environment: Environment) -> None:
        iam = self._clients(environment, "iam")
        anyone = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
        trust = json.dumps({"Version": "2012-10-17", "Statement": [anyone]})
        names = (environment.role_arn.rpartition("/")[2], ADMINISTRATOR, "ecs-execution", "ecs-infrastructure")
        for name in names:
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)

    def _parameters(self, environment: Environment) -> None:
        ssm = self._clients(environment, "ssm")
        database = self._databases.get(environment.name)
        for value in values(environment, self._catalogue.application, database):
            ssm.put_parameter(Name=environment.parameter_path + value.key, Value=value.text, Type=value.kind)

    def _secrets(self, environment: Environment) -> None:
        self._clients(environment, "secretsmanager").create_secret(
            Name=f"{self._catalogue.application}/{environment.name}/jwt-signing-key",
            SecretString=made_up_secret(environment.name, "jwt"),
        )

    def _database(self, environment: Environment) -> None:
        """What is snapshotted before a change; the services' data is elsewhere, in the sandbox's own PostgreSQL."""
        self._clients(environment, "rds").create_db_instance(
            DBInstanceIdentifier=environment.database,
            DBInstanceClass="db.t4g.medium",
            Engine="postgres",
            EngineVersion="15.18",
            AllocatedStorage=20,
            StorageEncrypted=True,
            MasterUsername=self._catalogue.application,
            MasterUserPassword=made_up_secret(environment.name, "rds"),
        )

    def _network(self, environment: Environment) -> Network:
        """The default network of the account."""
        ec2 = self._clients(environment, "ec2")
        subnets = ec2.describe_subnets()["Subnets"]
        groups = ec2.describe_security_groups()["SecurityGroups"]
        return Network(
            subnets[0]["VpcId"],
            tuple(subnet["SubnetId"] for subnet in subnets),
            tuple(group["GroupId"] for group in groups),
        )

    def _load_balancer(self, environment: Environment, service: Service) -> str:
        """Load balancer, two target groups and the rule between them. The balancer's name in CloudWatch."""
        elb = self._clients(environment, "elbv2")
        network = self._networks[environment.name]
        balancer = elb.create_load_balancer(Name=environment.cluster, Subnets=list(network.subnets), Type="application")
        arn = balancer["LoadBalancers"][0]["LoadBalancerArn"]
        blue, green = (self._target_group(environment, service, colour, network.vpc) for colour in ("blue", "green"))
        rule = self._rule(elb, arn, [(blue, 1), (green, 0)])
        advanced = {
            "alternateTargetGroupArn": green,
            "productionListenerRule": rule,
            "roleArn": role_arn(environment, "ecs-infrastructure"),
        }
        balanced = {"targetGroupArn": blue, "containerName": service.container, "containerPort": PORT}
        self._balancing[environment.name, service.id] = {
            "loadBalancers": [{**balanced, "advancedConfiguration": advanced}],
            "healthCheckGracePeriodSeconds": 60,
        }
        return str(arn).partition(":loadbalancer/")[2]

    def _target_group(self, environment: Environment, service: Service, colour: str, vpc: str) -> str:
        answer = self._clients(environment, "elbv2").create_target_group(
            Name=f"{environment.cluster}-{service.id}-{colour}"[:32],
            Protocol="HTTP",
            Port=PORT,
            VpcId=vpc,
            TargetType="ip",
            HealthCheckPath="/actuator/health",
        )
        return str(answer["TargetGroups"][0]["TargetGroupArn"])

    def _rule(self, elb: Any, balancer: str, groups: list[tuple[str, int]]) -> str:
        refuse = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}
        listener = elb.create_listener(LoadBalancerArn=balancer, Protocol="HTTP", Port=80, DefaultActions=[refuse])[
            "Listeners"
        ][0]["ListenerArn"]
        targets = [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in groups]
        answer = elb.create_rule(
            ListenerArn=listener,
            Priority=1,
            Conditions=[{"Field": "path-pattern", "Values": ["/*"]}],
            Actions=[{"Type": "forward", "ForwardConfig": {"TargetGroups": targets}}],
        )
        return str(answer["Rules"][0]["RuleArn"])

    def _service_connect(self, service: Service) -> dict[str, Any]:
        alias = {"port": PORT, "dnsName": service.id}
        served = {"portName": "http", "discoveryName": service.id, "clientAliases": [alias]}
        namespace = self._catalogue.application
        return {"serviceConnectConfiguration": {"enabled": True, "namespace": namespace, "services": [served]}}

    def _alarms(self, environment: Environment, service: Service, balancer: str) -> None:
        cloudwatch = self._clients(environment, "cloudwatch")
        for pattern in service.alarms:
            name = pattern.format(environment=environment.name)
            about = self._latency() if name.endswith("latency") else self._errors(environment)
            cloudwatch.put_metric_alarm(
                AlarmName=name,
                Namespace="AWS/ApplicationELB",
                Dimensions=[{"Name": "LoadBalancer", "Value": balancer}],
                Period=60,
                ComparisonOperator="GreaterThanOrEqualToThreshold",
                TreatMissingData="notBreaching",
                **about,
            )

    def _latency(self) -> dict[str, Any]:
        return {
            "AlarmDescription": f"The slowest twentieth of the requests take {SLOW_SECONDS} s or longer.",
            "MetricName": "TargetResponseTime",
            "ExtendedStatistic": "p95",
            "Threshold": SLOW_SECONDS,
            "EvaluationPeriods": 2,
            "DatapointsToAlarm": 2,
        }

    def _errors(self, environment: Environment) -> dict[str, Any]:
        threshold = tolerated(self._requests_per_minute.get(environment.name, 0.0))
        return {
            "AlarmDescription": f"{threshold} or more requests failed within a minute.",
            "MetricName": "HTTPCode_Target_5XX_Count",
            "Statistic": "Sum",
            "Threshold": threshold,
            "EvaluationPeriods": 2,
            "DatapointsToAlarm": 1,
        }


def tolerated(usual: float) -> int:
    """So many failed requests sound the alarm, where `usual` requests come in a minute of AWS.

    A compressed minute holds few requests, so three standard deviations are added to the share that may fail.
    """
    expected = ERROR_SHARE * usual
    return round(expected + 3 * sqrt(expected)) if expected >= 1 else 1
