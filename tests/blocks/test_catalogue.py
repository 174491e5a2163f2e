import hashlib
import tomllib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from blocks.catalogue import PROJECT, CatalogueFile, line_of, load_catalogue
from rules.catalogue import Catalogue, KeyAction
from rules.errors import InvalidInput
from rules.vocabulary import Role, Strategy

SHIPPED = PROJECT / "deployments" / "catalogue.toml"
TEXT = SHIPPED.read_text()


def loaded(folder: Path, text: str) -> Catalogue:
    file = folder / "catalogue.toml"
    file.write_text(text)
    return load_catalogue(file)


def refusal(folder: Path, old: str, new: str) -> str:
    assert old in TEXT
    with pytest.raises(InvalidInput) as caught:
        loaded(folder, TEXT.replace(old, new, 1))
    return str(caught.value)


def test_the_shipped_catalogue_is_batbern() -> None:
    catalogue = load_catalogue(SHIPPED)
    assert catalogue.chain == ("dev", "staging", "production")
    assert catalogue.environments["production"].role is Role.PRODUCTION
    assert [len(wave) for wave in catalogue.waves()] == [5, 1]
    assert catalogue.services["gateway"].strategy is Strategy.BLUE_GREEN
    assert catalogue.flags.enabled


def test_a_catalogue_knows_the_hash_of_its_file() -> None:
    assert load_catalogue(SHIPPED).sha256 == hashlib.sha256(SHIPPED.read_bytes()).hexdigest()


def test_the_name_of_a_table_is_the_name_of_its_entry() -> None:
    catalogue = load_catalogue(SHIPPED)
    assert all(environment.name == key for key, environment in catalogue.environments.items())
    assert all(service.id == key for key, service in catalogue.services.items())


def test_what_is_left_out_has_the_default(tmp_path: Path) -> None:
    text = TEXT[: TEXT.index("[stability]")].replace('chain = ["dev", "staging", "production"]', 'chain = ["dev"]')
    assert loaded(tmp_path, text).stability.minutes == 120


def test_a_one_environment_chain_is_a_catalogue(tmp_path: Path) -> None:
    text = TEXT.replace('chain = ["dev", "staging", "production"]', 'chain = ["dev"]')
    assert loaded(tmp_path, text).chain == ("dev",)


def test_the_block_reads_the_file_from_anywhere(
    tmp_path: Path,
) -> None:
    assert CatalogueFile(path="deployments/catalogue.toml").read().application == "batbern"
    other = tmp_path / "other.toml"
    other.write_text(TEXT.replace('application = "batbern"', 'application = "other"'))
    assert CatalogueFile(path=str(other)).read().application == "other"


@pytest.mark.parametrize(
    ("old", "new", "place", "found", "allowed"),
    [
        pytest.param(
            "poll_seconds = 3", "pol_seconds = 3", "rollout.pol_seconds", "3", "not known here", id="unknown key"
        ),
        pytest.param(
            'account = "111111111111"',
            "account = 111111111111",
            "environments.dev.account",
            "111111111111",
            "valid string",
            id="number for text",
        ),
        pytest.param(
            'account = "111111111111"',
            'account = "11111111111"',
            "environments.dev.account",
            "'11111111111'",
            "twelve digits",
            id="eleven digits",
        ),
        pytest.param(
            'role = "staging"',
            'role = "stage"',
            "environments.staging.role",
            "'stage'",
            "'integration', 'staging' or 'production'",
            id="unknown role",
        ),
        pytest.param(
            'chain = ["dev"',
            'chain = ["devel"',
            "chain.0",
            "'devel'",
            "dev, staging, production",
            id="stranger in the chain",
        ),
        pytest.param(
            'registry = "dev"',
            'registry = "shared"',
            "registry",
            "'shared'",
            "dev, staging, production",
            id="unknown registry",
        ),
        pytest.param(
            "iam::222222222222:role",
            "iam::111111111111:role",
            "environments.staging.role_arn",
            "'arn:aws:iam::111111111111:role/promotion-flows'",
            "222222222222",
            id="role of another account",
        ),
        pytest.param(
            'parameter_path = "/batbern/dev/"',
            'parameter_path = "/batbern/dev"',
            "environments.dev.parameter_path",
            "'/batbern/dev'",
            "slash at both ends",
            id="path without slash",
        ),
        pytest.param("wave = 2", "wave = 0", "services.gateway.wave", "0", "1 or more", id="wave zero"),
        pytest.param(
            'pattern = "redis/**"',
            'pattern = "/redis/**"',
            "configuration.rules.6.pattern",
            "'/redis/**'",
            "without a leading slash",
            id="slash before the pattern",
        ),
        pytest.param(
            'pattern = "redis/**"',
            'pattern = "redis**"',
            "configuration.rules.6.pattern",
            "'redis**'",
            "whole levels",
            id="two stars within a level",
        ),
        pytest.param(
            'pattern = "redis/**"',
            'pattern = "database/**"',
            "configuration.rules.6.pattern",
            "'database/**'",
            "each pattern once",
            id="pattern twice",
        ),
        pytest.param(
            'staging = "https://staging.batbern.ch", ',
            "",
            "configuration.rules.7.values",
            "['production']",
            "staging has none",
            id="mapped without a value",
        ),
        pytest.param("minutes = 120", "minutes = 0", "stability.minutes", "0.0", "above 0", id="no duration"),
        pytest.param("minutes = 120", "minutes = nan", "stability.minutes", "nan", "above 0", id="not a number"),
        pytest.param("minutes = 120", "minutes = inf", "stability.minutes", "inf", "above 0", id="for ever"),
        pytest.param(
            "bake_minutes = 5",
            "bake_minutes = 0.4",
            "rollout.bake_minutes",
            "0.4",
            "whole minutes",
            id="a bake that ECS rounds away",
        ),
        pytest.param(
            "steps = [10, 50]",
            "steps = [50, 10]",
            "canary.steps",
            "[50, 10]",
            "rising percentages",
            id="falling steps",
        ),
        pytest.param(
            "steps = [10, 50]",
            "steps = [1, 50]",
            "canary.steps",
            "[1, 50]",
            "common step of 3 or more",
            id="steps that ECS is too coarse for",
        ),
        pytest.param(
            "hold_minutes = 60",
            "hold_minutes = 20",
            "canary.hold_minutes",
            "20",
            "more than the window and its extensions together (20)",
            id="taken back before a person is asked",
        ),
        pytest.param(
            'strategies = { production = "canary" }',
            'strategies = { live = "canary" }',
            "services.gateway.strategies",
            "'live'",
            "dev, staging, production",
            id="a strategy for a stranger",
        ),
        pytest.param(
            "total_minutes = 60",
            "total_minutes = 20",
            "rollout.total_minutes",
            "20.0",
            "more than start_minutes and bake_minutes",
            id="no roll-out can be in time",
        ),
        pytest.param(
            "lease_seconds = 60",
            "lease_seconds = 30",
            "lock.lease_seconds",
            "30.0",
            "60 to 86400",
            id="lease too short",
        ),
        pytest.param(
            'project = "batbern"', 'project = ""', "flags.project", "''", "flag project", id="flags of no project"
        ),
        pytest.param(
            "{environment}-Gateway",
            "{stage}-Gateway",
            "services.gateway.ecs_service",
            "'BATbern-{stage}-Gateway-Service'",
            "only {environment}",
            id="unknown placeholder",
        ),
        pytest.param(
            "{environment}-Gateway",
            "{environment-Gateway",
            "services.gateway.ecs_service",
            "'BATbern-{environment-Gateway-Service'",
            "only {environment}",
            id="open bracket",
        ),
    ],
)
def test_a_mistake_is_named_with_its_line(
    tmp_path: Path, *, old: str, new: str, place: str, found: str, allowed: str
) -> None:
    message = refusal(tmp_path, old, new)
    line = TEXT[: TEXT.index(old)].count("\n") + 1
    assert f"{tmp_path / 'catalogue.toml'}:{line}: {place} is {found}" in message
    assert allowed in message


def test_a_name_that_finds_two_services_is_refused(tmp_path: Path) -> None:
    message = refusal(tmp_path, "{environment}-Gateway-Service", "{environment}-EventManagement-Service-Two")
    assert "services.gateway.ecs_service" in message
    assert "event-management" in message


def test_two_environments_with_the_same_parameters_are_refused(tmp_path: Path) -> None:
    text = TEXT.replace("222222222222", "111111111111").replace('"/batbern/staging/"', '"/batbern/dev/"')
    with pytest.raises(InvalidInput, match=r"environments\.dev\.parameter_path.*staging has the same one"):
        loaded(tmp_path, text)


def test_a_missing_key_is_named_with_its_table(tmp_path: Path) -> None:
    message = refusal(tmp_path, 'cluster = "batbern-dev"\n', "")
    line = TEXT[: TEXT.index("[environments.dev]")].count("\n") + 1
    assert f":{line}: environments.dev.cluster is 'missing'; allowed is required" in message


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    text = TEXT.replace("wave = 2", "wave = 0").replace("minutes = 120", "minutes = 0")
    with pytest.raises(InvalidInput, match=r"wave is 0.*Also: .*stability\.minutes is 0"):
        loaded(tmp_path, text)


def test_a_hash_written_by_hand_is_refused(tmp_path: Path) -> None:
    assert "the hash is computed" in refusal(tmp_path, 'registry = "dev"', 'registry = "dev"\nsha256 = "00"')


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"nowhere\.toml.*No such file"):
        load_catalogue(tmp_path / "nowhere.toml")


@pytest.mark.parametrize("content", [b"chain = [", b"\xff\xfe", b"a = 1\na = 2"])
def test_what_is_not_toml_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "catalogue.toml"
    file.write_bytes(content)
    with pytest.raises(InvalidInput, match="allowed is TOML"):
        load_catalogue(file)


@pytest.mark.parametrize("content", ["", "environments = 3\nservices = []", 'chain = "dev"', "[[environments]]\na = 1"])
def test_toml_of_another_shape_is_refused(tmp_path: Path, content: str) -> None:
    with pytest.raises(InvalidInput):
        loaded(tmp_path, content)


scalars = st.sampled_from([0, -1, 2**70, True, 0.5, float("nan"), "", "dev", "ü\x00"])
anything = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["dev", "wave", "name"]), inner, max_size=2)
    ),
    max_leaves=4,
)
top_level = st.sampled_from(["application", "chain", "environments", "services", "flags", "lock"])


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(st.dictionaries(top_level, anything))
def test_no_data_of_any_shape_escapes_as_another_error(
    tmp_path_factory: pytest.TempPathFactory, data: dict[str, object]
) -> None:
    lines = "".join(f"{key} = {_toml(value)}\n" for key, value in data.items())
    tomllib.loads(lines)
    with pytest.raises(InvalidInput):
        loaded(tmp_path_factory.getbasetemp(), lines)


def _toml(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return '"' + "".join(f"\\U{ord(char):08X}" for char in value) + '"'
        case list():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case dict():
            return "{" + ", ".join(f"{key} = {_toml(inner)}" for key, inner in value.items()) + "}"
        case _:
            return repr(value)


def test_the_line_of_a_key_is_found_in_tables_and_arrays() -> None:
    text = 'a = 1\n[b.c]\nd = 2\n[[e]]\nf = 1\n[[e]]\nf = 2\n["g"]\n"h" = 1\n'
    places = [("a",), ("b", "c", "d"), ("e", 1, "f"), ("e", 1, "x"), ("g", "h"), ("z",)]
    assert [line_of(text, place) for place in places] == [1, 3, 7, 6, 9, None]


def test_every_action_has_its_place_in_the_shipped_example() -> None:
    actions = {rule.action for rule in load_catalogue(SHIPPED).configuration.rules}
    assert actions == set(KeyAction)
