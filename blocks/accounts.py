"""The door to an AWS account: one role per environment, taken on afresh before it expires."""

from __future__ import annotations  # the clients' types are stubs, not there at run time

from typing import TYPE_CHECKING, Any, Literal, Self, overload

import boto3
from botocore.config import Config
from botocore.credentials import CredentialProvider, CredentialResolver, DeferredRefreshableCredentials
from botocore.loaders import Loader
from botocore.session import Session as BotocoreSession
from prefect.blocks.core import Block
from prefect_aws import AwsCredentials
from pydantic import Field, PrivateAttr, model_validator

from blocks.aws_errors import translated
from rules.errors import InvalidInput

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_codedeploy import CodeDeployClient
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client
    from mypy_boto3_rds import RDSClient
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_sts import STSClient

    from blocks.functions import Invoker

# A promotion takes longer than the hour that one set of role credentials lives; botocore fetches the next
# set 15 minutes before the end, in whichever call comes first.
SESSION_SECONDS = 3600
_DEFAULTS = Config(connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 4})
"""Standard mode retries time-outs, 5xx and throttling with jitter, four attempts in all."""
_OWN = {
    # A function may run for 15 minutes. An invocation whose answer is lost may have run, so botocore repeats none.
    "lambda": Config(read_timeout=910, tcp_keepalive=True, retries={"mode": "standard", "total_max_attempts": 1}),
}
"""Where a service needs more than the defaults; said here, because nothing else may overrule it."""
_MODELS = Loader()
"""The services' models are large: read once for all accounts."""


class _AssumedRole(CredentialProvider):
    """Gives botocore credentials that renew themselves by assuming the role again."""

    METHOD = "promotion-flows-assume-role"

    def __init__(self, sts: STSClient, role_arn: str, session_name: str) -> None:
        super().__init__()
        self._sts, self._role_arn, self._session_name = sts, role_arn, session_name

    def load(self) -> DeferredRefreshableCredentials:
        return DeferredRefreshableCredentials(self._fetch, self.METHOD)

    def _fetch(self) -> dict[str, str]:
        answer = self._sts.assume_role(
            RoleArn=self._role_arn, RoleSessionName=self._session_name, DurationSeconds=SESSION_SECONDS
        )["Credentials"]
        return {
            "access_key": answer["AccessKeyId"],
            "secret_key": answer["SecretAccessKey"],
            "token": answer["SessionToken"],
            "expiry_time": answer["Expiration"].isoformat(),
        }


class Account(Block):
    """An AWS account as one environment's promotion sees it.

    `credentials` are the worker's own (or none: then the worker's role); with them `role_arn` is assumed.
    """

    _block_type_name = "Promotion account"
    _block_type_slug = "promotion-account"

    credentials: AwsCredentials = Field(
        default_factory=AwsCredentials, description="Who the worker is. Empty: its own role."
    )
    role_arn: str = Field(default="", description="Role to take on in the environment's account. Empty: none.")
    region: str = Field(description="For example eu-central-1.")
    account_id: str = Field(
        description="Twelve digits; credentials of another account are refused.", pattern=r"^\d{12}$"
    )

    @model_validator(mode="after")
    def _role_of_this_account(self) -> Self:
        if self.role_arn and self.role_arn.split(":")[4:5] != [self.account_id]:
            raise ValueError(f"role_arn {self.role_arn} is not of account {self.account_id}")
        return self

    _session: boto3.Session | None = PrivateAttr(default=None)

    @overload
    def client(self, service: Literal["cloudwatch"]) -> CloudWatchClient: ...
    @overload
    def client(self, service: Literal["codedeploy"]) -> CodeDeployClient: ...
    @overload
    def client(self, service: Literal["ecs"]) -> ECSClient: ...
    @overload
    def client(self, service: Literal["elbv2"]) -> ElasticLoadBalancingv2Client: ...
    @overload
    def client(self, service: Literal["lambda"]) -> Invoker: ...
    @overload
    def client(self, service: Literal["ssm"]) -> SSMClient: ...
    @overload
    def client(self, service: Literal["ecr"]) -> ECRClient: ...
    @overload
    def client(self, service: Literal["rds"]) -> RDSClient: ...
    @overload
    def client(self, service: Literal["s3"]) -> S3Client: ...
    @overload
    def client(self, service: Literal["sts"]) -> STSClient: ...
    def client(self, service: Any) -> Any:
        """A client of this account: role credentials that renew themselves, time-outs, bounded retries."""
        if self._session is None:
            self._session = self._open()
        return self._session.client(service, **self._parameters(service))

    def _open(self) -> boto3.Session:
        own = self.credentials.get_boto3_session()
        sts: STSClient = own.client("sts", **self._parameters())
        if not self.role_arn:
            self._refuse_another_account(sts)
            return own
        botocore_session = BotocoreSession()
        resolver = CredentialResolver([_AssumedRole(sts, self.role_arn, "promotion-flows")])
        botocore_session.register_component("credential_provider", resolver)
        botocore_session.register_component("data_loader", _MODELS)
        return boto3.Session(botocore_session=botocore_session, region_name=self.region)

    def _refuse_another_account(self, sts: STSClient) -> None:
        with translated("AWS", "asking whose credentials these are"):
            found = sts.get_caller_identity()["Account"]
        if found != self.account_id:
            raise InvalidInput("the account of the worker's credentials", found, self.account_id, "Give a role_arn.")

    def _parameters(self, service: str = "") -> dict[str, Any]:
        # A session's own client() ignores the block's endpoint and would reach out to AWS itself.
        override = self.credentials.aws_client_parameters.get_params_override()
        given = override.pop("config", None)
        config = _DEFAULTS.merge(given) if isinstance(given, Config) else _DEFAULTS
        own = _OWN.get(service, Config())
        return {"region_name": self.region, **override, "config": config.merge(own)}
