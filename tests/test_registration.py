import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import yaml
from prefect.blocks.core import Block
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import GlobalConcurrencyLimitUpdate
from prefect.client.schemas.filters import FlowRunFilter, FlowRunFilterDeploymentId
from prefect.flows import Flow, load_flow_from_entrypoint
from prefect_aws import AwsCredentials
from pydantic import SecretStr

from blocks.accounts import Account
from blocks.catalogue import PROJECT, CatalogueFile, load_catalogue
from blocks.chat import Chat
from blocks.doors import load, open_application
from blocks.feature_flags import FeatureFlags
from blocks.ledger import LocalLedger, S3Ledger, open_ledger
from blocks.pager import Pager
from blocks.probes import Probes
from deployments.documents import NO_ADDRESS, PLACEHOLDER, documents, save
from deployments.register import (
    CATALOGUE,
    PREFECT_FILE,
    _finish_deploying,
    _start_deploying,
    main,
    make_lock,
    save_documents,
)
from deployments.sandbox.block_values import block_values
from rules.catalogue import Catalogue
from rules.errors import InvalidInput, PromotionError
from rules.vocabulary import Role
from tasks.locks import lock_name

Captured = pytest.CaptureFixture[str]
OTHER = "other"
WORLD: dict[str, Any] = {
    "state": "/made-up",
    "catalogue": str(CATALOGUE),
    "world": {
        "aws_url": "http://127.0.0.1:5001",
        "vendors_url": "http://127.0.0.1:5002",
        "edges": {name: f"http://127.0.0.1:50{at}" for at, name in enumerate(("dev", "staging", "production"), 10)},
    },
}

KEEPER = "promote-waiting"
CHANGE_NOTHING = (KEEPER, "validate")
"""Flows that need no dry run."""
"""It wakes runs and changes nothing itself."""


@pytest.fixture
def client() -> Iterator[SyncPrefectClient]:
    with get_client(sync_client=True) as client:
        yield client


def entrypoints() -> list[str]:
    return [deployment["entrypoint"] for deployment in yaml.safe_load(PREFECT_FILE.read_text())["deployments"]]


@pytest.fixture(scope="module")
def catalogue_option(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The shipped catalogue for an application of another name: batbern's documents lead to the other tests' world."""
    file = tmp_path_factory.mktemp("catalogue") / "catalogue.toml"
    file.write_text(CATALOGUE.read_text().replace('application = "batbern"', f'application = "{OTHER}"'))
    return ["--catalogue", str(file)]


@pytest.fixture(scope="module", autouse=True)
def first(prefect_server: None, catalogue_option: list[str]) -> None:
    assert main(catalogue_option) == 0


def test_the_application_opens_all_its_doors(catalogue_option: list[str]) -> None:
    application = open_application(OTHER)
    assert application.catalogue == load_catalogue(Path(catalogue_option[1]))
    assert isinstance(application.ledger, LocalLedger)
    assert [doors.environment.name for doors in application.step_to(Role.STAGING)] == ["dev", "staging"]


def test_the_registered_catalogue_is_found_wherever_the_project_lies() -> None:
    document = next(one for one in documents(BATBERN, CATALOGUE) if one.kind is CatalogueFile)
    assert document.reviewed["path"] == "deployments/catalogue.toml"


def test_an_account_is_what_the_catalogue_says() -> None:
    account = load(Account, f"{OTHER}-staging")
    assert account.account_id == "222222222222"
    assert account.role_arn == "arn:aws:iam::222222222222:role/promotion-flows"
    assert account.region == "eu-central-1"


def test_what_is_not_given_is_a_named_placeholder() -> None:
    assert load(Pager, OTHER).routing_key.get_secret_value() == PLACEHOLDER
    assert load(Probes, f"{OTHER}-dev").api_url == NO_ADDRESS


def test_registering_again_changes_nothing(catalogue_option: list[str], capsys: Captured) -> None:
    main(catalogue_option)
    said = capsys.readouterr().out
    assert ": made" not in said
    assert ": changed" not in said
    assert said.count(": unchanged") == 18
    assert f"pager/{OTHER}: routing_key is a placeholder; enter it in the Prefect UI" in said


def test_each_environment_has_one_lock(client: SyncPrefectClient) -> None:
    limits = {limit.name: limit for limit in client.read_global_concurrency_limits(limit=50, offset=0)}
    for environment in ("dev", "staging", "production"):
        limit = limits[lock_name(OTHER, environment)]
        assert (limit.limit, limit.active) == (1, True)


def test_a_lock_that_somebody_widened_or_switched_off_is_set_right(client: SyncPrefectClient) -> None:
    make_lock(client, "widened")
    client.update_global_concurrency_limit("widened", GlobalConcurrencyLimitUpdate(limit=5, active=False))
    make_lock(client, "widened")
    limit = client.read_global_concurrency_limit_by_name("widened")
    assert (limit.limit, limit.active) == (1, True)


def test_the_work_pool_runs_processes(client: SyncPrefectClient) -> None:
    assert client.read_work_pool("promotions").type == "process"


@pytest.mark.parametrize(
    ("name", "prefilled"),
    [
        ("promote-to-staging/batbern", {}),
        ("promote-configuration/batbern", {"source": "dev", "target": "staging"}),
    ],
)
def test_a_deployment_is_ready_to_run(client: SyncPrefectClient, name: str, prefilled: dict[str, str]) -> None:
    deployment = client.read_deployment_by_name(name)
    assert deployment.work_pool_name == "promotions"
    assert deployment.parameters == {"application": "batbern", **prefilled}
    assert "batbern" in deployment.tags
    assert deployment.description
    assert deployment.job_variables["env"] == {
        "PREFECT_LOGGING_HANDLERS_CONSOLE_FORMATTER": "json",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
    }
    assert deployment.pull_steps == [{"prefect.deployments.steps.set_working_directory": {"directory": str(PROJECT)}}]


@pytest.mark.parametrize("entrypoint", entrypoints())
def test_every_entrypoint_loads(entrypoint: str) -> None:
    flow: Flow[..., Any] = load_flow_from_entrypoint(f"{PROJECT / entrypoint}", use_placeholder_flow=False)
    assert "application" in flow.parameters.properties
    assert "dry_run" in flow.parameters.properties or flow.name in CHANGE_NOTHING


def test_a_deployment_with_the_example_schedule_gets_scheduled_runs(client: SyncPrefectClient, tmp_path: Path) -> None:
    text = PREFECT_FILE.read_text().replace("    # schedules:", "    schedules:").replace("    #   ", "      ")
    file = only_first_deployment(tmp_path, text.replace("name: batbern\n", "name: on-working-days\n"))
    deploy(file)
    deployment = client.read_deployment_by_name("promote-to-staging/on-working-days")
    [schedule] = deployment.schedules
    assert schedule.slug == "working-days"

    runs = FlowRunFilter(deployment_id=FlowRunFilterDeploymentId(any_=[deployment.id]))
    deadline = time.monotonic() + 60
    while not (found := client.read_flow_runs(flow_run_filter=runs)) and time.monotonic() < deadline:
        time.sleep(0.5)  # the server's scheduler works in its own time
    assert found
    assert all(run.state and run.state.is_scheduled() for run in found)
    assert all(run.expected_start_time and run.expected_start_time.weekday() < 5 for run in found)


def only_first_deployment(folder: Path, text: str) -> Path:
    content = yaml.safe_load(text)
    file = folder / "prefect.yaml"
    file.write_text(yaml.safe_dump({"name": content["name"], "deployments": content["deployments"][:1]}))
    return file


def deploy(file: Path) -> None:
    process = _start_deploying(file)
    _finish_deploying(process, file)


def test_a_deployment_without_its_flow_fails_the_registration(tmp_path: Path) -> None:
    text = PREFECT_FILE.read_text().replace("promote_to_staging.py", "promote_to_nowhere.py")
    file = only_first_deployment(tmp_path, text)
    with pytest.raises(PromotionError, match="Prefect did not take"):
        deploy(file)


# ---------------------------------------------------------------------- what a person entered, and what is given


BATBERN = load_catalogue(CATALOGUE)


@pytest.fixture
def catalogue() -> Catalogue:
    """An application of its own, so that nothing here touches batbern's documents."""
    return replace(BATBERN, application=f"app-{uuid4().hex[:8]}")


def saved(catalogue: Catalogue, kind: type[Block], **given: Any) -> Any:
    """The first document of that kind, registered with the given values and loaded again."""
    document = next(one for one in documents(catalogue, CATALOGUE) if one.kind is kind)
    save(document, given)
    return kind.load(document.name)


def test_a_secret_that_a_person_entered_stays(catalogue: Catalogue) -> None:
    chat: Chat = saved(catalogue, Chat)
    chat.token, chat.channel = SecretStr("xoxb-entered"), "#ours"
    chat.save(catalogue.application, overwrite=True)

    chat = saved(catalogue, Chat, token="xoxb-given")
    assert chat.token
    assert chat.token.get_secret_value() == "xoxb-entered"
    assert chat.channel == "#ours"


def test_a_given_secret_takes_the_place_of_a_placeholder(catalogue: Catalogue) -> None:
    saved(catalogue, Pager)
    pager: Pager = saved(catalogue, Pager, routing_key="given")
    assert pager.routing_key.get_secret_value() == "given"


def test_a_given_address_is_written_again_and_again(catalogue: Catalogue) -> None:
    saved(catalogue, Probes, api_url="http://127.0.0.1:1")
    probes: Probes = saved(catalogue, Probes, api_url="http://127.0.0.1:2")
    assert probes.api_url == "http://127.0.0.1:2"


def test_an_accounts_own_credentials_stay_and_its_role_follows_the_catalogue(catalogue: Catalogue) -> None:
    account: Account = saved(catalogue, Account)
    account.credentials.aws_secret_access_key = SecretStr("entered")
    account.role_arn = "arn:aws:iam::111111111111:role/other"
    account.save(f"{catalogue.application}-dev", overwrite=True)

    given = {"aws_secret_access_key": "given", "aws_client_parameters": {"endpoint_url": "http://x"}}
    account = saved(catalogue, Account, credentials=given)
    assert account.credentials.aws_secret_access_key
    assert account.credentials.aws_secret_access_key.get_secret_value() == "entered"
    assert account.credentials.aws_client_parameters.endpoint_url == "http://x"
    assert account.role_arn == "arn:aws:iam::111111111111:role/promotion-flows"


def test_credentials_that_are_a_document_of_their_own_stay_one(catalogue: Catalogue) -> None:
    name = f"{catalogue.application}-dev"
    AwsCredentials(aws_access_key_id="shared").save(name)
    account: Account = saved(catalogue, Account)
    account.credentials = load(AwsCredentials, name)
    account.save(name, overwrite=True)

    saved(catalogue, Account)
    AwsCredentials(aws_access_key_id="changed").save(name, overwrite=True)
    assert load(Account, name).credentials.aws_access_key_id == "changed"


def test_the_ledger_in_a_bucket_wins_where_both_are_there(catalogue: Catalogue) -> None:
    saved(catalogue, LocalLedger)
    account = Account(region="eu-central-1", account_id="333333333333")
    S3Ledger(account=account, bucket="audit").save(catalogue.application)
    assert isinstance(open_ledger(catalogue.application), S3Ledger)


def test_a_ledger_that_nobody_registered_is_named() -> None:
    with pytest.raises(InvalidInput, match="local-ledger/nobody or s3-ledger/nobody"):
        open_ledger("nobody")


def test_values_for_a_document_that_is_none_are_refused() -> None:
    with pytest.raises(InvalidInput, match="'chat/elsewhere'; allowed is one of catalogue-file/batbern"):
        save_documents(BATBERN, CATALOGUE, {"chat/elsewhere": {}})


def test_a_wrong_value_is_refused_without_being_shown(catalogue: Catalogue) -> None:
    with pytest.raises(InvalidInput, match=f"chat/{catalogue.application}") as caught:
        saved(catalogue, Chat, token="xoxb-secret", webhook="https://secret")
    assert "secret" not in str(caught.value)


def test_the_settings_of_a_sandbox_open_its_doors(catalogue: Catalogue) -> None:
    values = block_values(WORLD, catalogue)
    save_documents(catalogue, CATALOGUE, values)
    name = catalogue.application
    assert load(Account, f"{name}-production").client("ssm").meta.endpoint_url == "http://127.0.0.1:5001"
    assert load(FeatureFlags, name).url == "http://127.0.0.1:5002/launchdarkly"
    assert load(Probes, f"{name}-staging").api_url == "http://127.0.0.1:5011"
    assert load(LocalLedger, name).directory == "/made-up/ledger"


# ------------------------------------------------------------------------------------------------- the command


def test_check_says_that_a_catalogue_is_one(capsys: Captured) -> None:
    assert main(["--check"]) == 0
    assert "batbern, dev → staging → production" in capsys.readouterr().out


def test_a_wrong_catalogue_ends_with_one(tmp_path: Path, capsys: Captured) -> None:
    file = tmp_path / "catalogue.toml"
    file.write_text(CATALOGUE.read_text().replace("wave = 2", "wave = 0"))
    assert main(["--catalogue", str(file)]) == 1
    assert "services.gateway.wave is 0; allowed is 1 or more" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["", "[]", '{"blocks": []}', '{"blocks": {"chat/batbern": 1}}'])
def test_settings_of_another_shape_are_refused(tmp_path: Path, content: str, capsys: Captured) -> None:
    file = tmp_path / "settings.json"
    file.write_text(content)
    assert main(["--settings", str(file)]) == 1
    assert "allowed is" in capsys.readouterr().err


def test_settings_that_are_not_there_are_named(capsys: Captured) -> None:
    assert main(["--settings", "/nowhere.json"]) == 1
    assert "/nowhere.json" in capsys.readouterr().err
