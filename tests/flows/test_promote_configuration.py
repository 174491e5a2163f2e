"""promote-configuration on a real Prefect server, in the sandbox's world."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest
from prefect import State
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterFlowRunId, ArtifactFilterKey

from blocks.accounts import Account
from blocks.doors import Application, load
from rules.errors import InvalidInput
from rules.records import EventKind
from tasks.configuration_promotions import check_direction

# botocore closes a client's connections when it likes, which may be in the middle of any test.
pytestmark = [
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"),
]

TTL, LIMIT, SECRET, UNRULED = "redis/cache-ttl", "api-gateway/test-limit", "api-gateway/test-secret", "unruled"


def promote(promotions: Any, source: str = "dev", target: str = "staging", **parameters: Any) -> State[Any]:
    state: State[Any] = promotions.configuration(source, target, **parameters)
    return state


@pytest.fixture
def tidy(promotions: Any) -> Iterator[None]:
    yield
    for environment in ("dev", "staging"):
        present = {it.name for it in doors(promotions, environment).parameters.read()}
        for key in present & {UNRULED, LIMIT, SECRET}:
            promotions.room.delete_parameter(environment, key)


def doors(promotions: Any, environment: str) -> Any:
    return promotions.application.environment(environment)


def staging(promotions: Any) -> dict[str, tuple[str, int]]:
    """Value and version by key."""
    return {it.name: (it.text, it.version) for it in doors(promotions, "staging").parameters.read()}


def kinds(promotions: Any, state: State[Any]) -> list[EventKind]:
    return [it.event.kind for it in promotions.story(state)]


@pytest.mark.usefixtures("tidy")
def test_differences_arrive_with_their_intent_recorded_first_and_a_second_run_writes_nothing(promotions: Any) -> None:
    promotions.room.put_parameter("dev", TTL, "4711")
    promotions.room.put_parameter("dev", LIMIT, "two\nlines --x")
    state = promote(promotions)

    assert state.is_completed(), state.message
    before = staging(promotions)
    assert (before[TTL][0], before[LIMIT][0]) == ("4711", "two\nlines --x")
    order = [EventKind.PLAN, EventKind.LOCK_TAKEN, EventKind.CONFIGURATION_INTENT, EventKind.CONFIGURATION_APPLIED]
    assert [kind for kind in kinds(promotions, state) if kind in order] == order

    again = promote(promotions)
    assert again.is_completed(), again.message
    assert staging(promotions) == before


@pytest.mark.usefixtures("tidy")
def test_a_dry_run_shows_the_plan_and_changes_nothing(promotions: Any) -> None:
    promotions.room.put_parameter("dev", LIMIT, "4713")
    before = staging(promotions)
    state = promote(promotions, dry_run=True)

    assert state.is_completed(), state.message
    assert staging(promotions) == before
    assert EventKind.LOCK_TAKEN not in kinds(promotions, state)
    with get_client(sync_client=True) as client:
        of_this_run = ArtifactFilter(
            flow_run_id=ArtifactFilterFlowRunId(any_=[cast(UUID, state.state_details.flow_run_id)]),
            key=ArtifactFilterKey(any_=["batbern-staging-configuration-plan"]),
        )
        # Named, not searched for among all: the server answers with 200 artifacts, and the suite publishes more.
        [table] = client.read_artifacts(artifact_filter=of_this_run)
    assert "4713" in str(table.data)


@pytest.mark.usefixtures("tidy")
def test_an_unsafe_plan_is_refused_with_all_reasons_and_nothing_is_written(promotions: Any) -> None:
    promotions.room.put_parameter("dev", UNRULED, "x")
    promotions.room.put_parameter("dev", LIMIT, "see dev.batbern.ch")
    before = staging(promotions)
    state = promote(promotions)

    assert (state.is_failed(), state.name) == (True, "Refused")
    assert "No rule of the catalogue covers unruled" in str(state.message)
    assert "test-limit: the value still names 'dev'" in str(state.message)
    assert staging(promotions) == before


@pytest.mark.usefixtures("tidy")
def test_what_aws_refuses_in_the_middle_puts_everything_back(promotions: Any) -> None:
    promotions.room.put_parameter("dev", LIMIT, "new")
    encrypt_with_a_key_that_staging_lacks(SECRET)
    promotions.room.put_parameter("dev", TTL, "4715")
    before = {key: text for key, (text, _) in staging(promotions).items()}
    state = promote(promotions)

    assert (state.is_failed(), state.name) == (True, "PutBack"), state.message
    assert f"AWS refused to write /batbern/staging/{SECRET}" in str(state.message)
    assert {key: text for key, (text, _) in staging(promotions).items()} == before
    assert kinds(promotions, state).count(EventKind.CONFIGURATION_PUT_BACK) == 1


def encrypt_with_a_key_that_staging_lacks(key: str) -> None:
    account = load(Account, "batbern-dev")
    kms: Any = cast("Any", account).client("kms")
    kms.create_alias(AliasName="alias/elsewhere", TargetKeyId=kms.create_key()["KeyMetadata"]["KeyId"])
    name = f"/batbern/dev/{key}"
    account.client("ssm").put_parameter(Name=name, Value="hunter22", Type="SecureString", KeyId="alias/elsewhere")


def test_production_changes_with_an_approved_release_only(promotions: Any) -> None:
    state = promote(promotions, source="staging", target="production")

    assert state.name == "Refused"


@pytest.mark.parametrize(("source", "target"), [("staging", "dev"), ("dev", "dev"), ("dev", "moon"), ("moon", "dev")])
def test_configuration_walks_one_way(source: str, target: str) -> None:
    application = SimpleNamespace(catalogue=SimpleNamespace(chain=("dev", "staging", "production")))

    with pytest.raises(InvalidInput, match=r"is '(dev|moon)'"):
        check_direction(cast("Application", application), source, target)
