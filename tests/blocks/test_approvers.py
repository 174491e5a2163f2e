"""One-time codes: which are taken, for how long, and that no secret gets out."""

import base64
import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pyotp
import pytest
from hypothesis import given
from hypothesis import strategies as st
from prefect.client.orchestration import get_client
from prefect.types import SecretDict

from blocks.approvers import Approvers
from blocks.doors import load
from rules.approvals import CodeCheck, CodeKind

SEED = base64.b32encode(b"12345678901234567890").decode()
"""The secret of RFC 6238's own examples."""
ANNA = "anna-meier"
NOW = datetime(2026, 11, 23, 9, 0, 10, tzinfo=UTC)
STEP = int(NOW.timestamp()) // 30


@pytest.fixture
def approvers() -> Approvers:
    return door({ANNA: SEED})


def door(secrets: dict[str, str]) -> Approvers:
    return Approvers(secrets=SecretDict(dict(secrets)))


def code_of(step: int) -> str:
    return pyotp.TOTP(SEED).generate_otp(step)


@pytest.mark.parametrize(
    ("seconds", "code"),
    [
        (59, "287082"),
        (1111111109, "081804"),
        (1111111111, "050471"),
        (1234567890, "005924"),
        (2000000000, "279037"),
        (20000000000, "353130"),
    ],
)
def test_the_codes_are_those_of_rfc_6238(approvers: Approvers, seconds: int, code: str) -> None:
    at = datetime.fromtimestamp(seconds, UTC)
    assert approvers.check(ANNA, code, at) == CodeCheck(CodeKind.VALID, seconds // 30)


@pytest.mark.parametrize("drift", [-1, 0, 1])
def test_a_telephone_s_clock_may_be_off_by_half_a_minute(approvers: Approvers, drift: int) -> None:
    assert approvers.check(ANNA, code_of(STEP + drift), NOW) == CodeCheck(CodeKind.VALID, STEP + drift)


@pytest.mark.parametrize("drift", [-2, -20])
def test_a_code_of_the_last_ten_minutes_is_old(approvers: Approvers, drift: int) -> None:
    assert approvers.check(ANNA, code_of(STEP + drift), NOW) == CodeCheck(CodeKind.OLD)


@pytest.mark.parametrize("drift", [-21, 2, 1000])
def test_any_other_code_is_wrong(approvers: Approvers, drift: int) -> None:
    assert approvers.check(ANNA, code_of(STEP + drift), NOW) == CodeCheck(CodeKind.WRONG)


def test_another_person_s_code_is_wrong() -> None:
    approvers = door({ANNA: pyotp.random_base32(), "sofia-rossi": SEED})
    assert approvers.check(ANNA, code_of(STEP), NOW).kind is CodeKind.WRONG


@pytest.mark.parametrize("shape", ["{} ", " {}", "{}\n"])
def test_blanks_around_and_inside_are_taken(approvers: Approvers, shape: str) -> None:
    code = code_of(STEP)
    assert approvers.check(ANNA, shape.format(f"{code[:3]} {code[3:]}"), NOW).kind is CodeKind.VALID


@pytest.mark.parametrize("typed", ["", " ", "12345", "1234567", "12345a", "-12345", "१२३४५६", "None", "1" * 10_000])
def test_what_is_no_code_is_wrong(approvers: Approvers, typed: str) -> None:
    assert approvers.check(ANNA, typed, NOW) == CodeCheck(CodeKind.WRONG)


def test_the_right_digits_of_another_script_are_wrong(approvers: Approvers) -> None:
    arabic = code_of(STEP).translate({ord(str(digit)): chr(0x660 + digit) for digit in range(10)})
    assert approvers.check(ANNA, arabic, NOW).kind is CodeKind.WRONG


@given(st.text(max_size=12))
def test_whatever_is_typed_only_the_three_codes_of_now_are_taken(typed: str) -> None:
    valid = {code_of(STEP + drift) for drift in (-1, 0, 1)}
    taken = door({ANNA: SEED}).check(ANNA, typed, NOW).kind is CodeKind.VALID
    assert taken == ("".join(typed.split()) in valid)


@pytest.mark.parametrize("secrets", [{}, {ANNA: ""}, {ANNA: "not base 32!"}, {ANNA: "JBSWY3DP"}, {ANNA: "********"}])
def test_without_a_secret_that_holds_no_code_is_taken(secrets: dict[str, str]) -> None:
    approvers = door(secrets)
    assert approvers.check(ANNA, "123456", NOW) == CodeCheck(CodeKind.NOT_ENROLLED)
    assert approvers.enrolled() == frozenset()


def test_a_secret_may_be_written_in_groups_and_small_letters() -> None:
    grouped = " ".join(SEED[at : at + 4] for at in range(0, len(SEED), 4)).lower()
    assert door({ANNA: grouped}).check(ANNA, code_of(STEP), NOW).kind is CodeKind.VALID


def test_a_code_at_the_beginning_of_time_is_no_error(approvers: Approvers) -> None:
    assert approvers.check(ANNA, "123456", datetime(1970, 1, 1, tzinfo=UTC)).kind is CodeKind.WRONG


def test_no_secret_and_no_code_gets_out(approvers: Approvers, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    told = [repr(approvers), str(approvers), approvers.model_dump_json(), repr(approvers.check(ANNA, "287082", NOW))]
    door({ANNA: "SPOILT-SECRET!"}).check(ANNA, "287082", NOW)
    everything = " ".join([*told, caplog.text])
    assert "The secret of anna-meier is too short or not base 32" in everything
    assert not [secret for secret in (SEED, "SPOILT", "287082") if secret in everything]


@pytest.fixture
def saved(prefect_server: None, approvers: Approvers) -> Iterator[Approvers]:
    approvers.save("codes-of-a-test", overwrite=True)
    yield load(Approvers, "codes-of-a-test")
    Approvers.delete("codes-of-a-test")


def test_what_is_saved_is_loaded_and_the_server_shows_no_secret(saved: Approvers) -> None:
    assert saved.check(ANNA, code_of(STEP), NOW + timedelta(seconds=5)).kind is CodeKind.VALID
    with get_client(sync_client=True) as client:
        document = client.read_block_document_by_name("codes-of-a-test", "approvers", include_secrets=False)
    assert SEED not in document.model_dump_json()
    assert ANNA in document.data["secrets"]
