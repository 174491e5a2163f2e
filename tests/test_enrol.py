"""Enrolling an approver: nothing is saved until the telephone has shown a right code."""

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pyotp
import pytest

from blocks.approvers import Approvers
from blocks.catalogue import CatalogueFile
from blocks.doors import load
from deployments.enrol import CALLED_WRONGLY, DONE, NOT_DONE, main
from rules.approvals import CodeKind

APPLICATION = "enrolments"
CATALOGUE = Path(__file__).resolve().parents[1] / "deployments" / "catalogue.toml"
OLD = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
Captured = pytest.CaptureFixture[str]

pytestmark = pytest.mark.usefixtures("registered")


@pytest.fixture
def registered(prefect_server: None, tmp_path: Path) -> Iterator[None]:
    """The example's catalogue, in which Urs Frei has left, and one person who is enrolled."""
    told = CATALOGUE.read_text().replace('name = "Urs Frei"', 'name = "Urs Frei"\nactive = false')
    file = tmp_path / "catalogue.toml"
    file.write_text(told)
    CatalogueFile(path=str(file)).save(APPLICATION, overwrite=True)
    Approvers.model_validate({"secrets": {"sofia-rossi": OLD}}).save(APPLICATION, overwrite=True)
    yield
    Approvers.delete(APPLICATION)
    CatalogueFile.delete(APPLICATION)


def secrets() -> dict[str, str]:
    return load(Approvers, APPLICATION).secrets.get_secret_value()


class Telephone:
    """Takes the secret from the terminal and shows codes; what it was asked for is kept."""

    def __init__(self, capsys: Captured) -> None:
        self._capsys = capsys
        self.seen = ""

    def __call__(self) -> str:
        self.seen += self._capsys.readouterr().out
        return pyotp.TOTP(self.secret).at(datetime.now(UTC))

    @property
    def secret(self) -> str:
        found = re.search(r"enter there: ([A-Z2-7 ]+)", self.seen)
        assert found
        return found[1].replace(" ", "")


@pytest.fixture
def telephone(capsys: Captured) -> Telephone:
    return Telephone(capsys)


def run(*arguments: str, ask: Callable[[], str] = str) -> int:
    return main([*arguments, "--application", APPLICATION], ask=ask)


def test_whoever_shows_a_right_code_is_enrolled_beside_the_others(telephone: Telephone, capsys: Captured) -> None:
    assert run("annam", ask=telephone) == DONE
    assert secrets() == {"sofia-rossi": OLD, "anna-meier": telephone.secret}
    assert "█" in telephone.seen
    said = capsys.readouterr().out
    assert said == f"Anna Meier is enrolled in {APPLICATION}.\n"
    code = pyotp.TOTP(telephone.secret).now()
    assert load(Approvers, APPLICATION).check("anna-meier", code, datetime.now(UTC)).kind is CodeKind.VALID


def test_with_wrong_codes_nothing_is_saved(capsys: Captured) -> None:
    codes = iter(["000000", "12345", "no"])
    assert run("anna-meier", ask=lambda: next(codes)) == NOT_DONE
    assert secrets() == {"sofia-rossi": OLD}
    assert "No right code, so nothing was changed" in capsys.readouterr().err


def test_who_types_wrongly_may_try_again(telephone: Telephone) -> None:
    codes = iter(["000000", ""])
    assert run("anna-meier", ask=lambda: next(codes) or telephone()) == DONE


def test_nothing_typed_ends_it() -> None:
    assert run("anna-meier") == NOT_DONE
    assert secrets() == {"sofia-rossi": OLD}


def test_a_secret_is_not_replaced_unless_it_is_asked_for(telephone: Telephone, capsys: Captured) -> None:
    assert run("sofia-rossi", ask=telephone) == NOT_DONE
    assert "With --again it is replaced" in capsys.readouterr().err
    assert secrets() == {"sofia-rossi": OLD}
    assert run("sofia-rossi", "--again", ask=telephone) == DONE
    assert secrets() == {"sofia-rossi": telephone.secret}
    assert telephone.secret != OLD


def test_every_secret_is_new_and_long(telephone: Telephone) -> None:
    run("sofia-rossi", "--again", ask=telephone)
    first = telephone.secret
    telephone.seen = ""
    run("sofia-rossi", "--again", ask=telephone)
    assert telephone.secret != first
    assert len(first) == 32


@pytest.mark.parametrize(("person", "why"), [("mallory", "anna-meier"), ("urs-frei", "active = false")])
def test_only_active_people_of_the_catalogue_are_enrolled(person: str, why: str, capsys: Captured) -> None:
    assert run(person) == CALLED_WRONGLY
    assert why in capsys.readouterr().err
    assert secrets() == {"sofia-rossi": OLD}


def test_a_secret_is_taken_away() -> None:
    assert run("srossi", "--remove") == DONE
    assert secrets() == {}
    assert run("srossi", "--remove") == NOT_DONE


def test_the_secret_of_somebody_who_left_the_catalogue_is_taken_away() -> None:
    Approvers.model_validate({"secrets": {"long-gone": OLD}}).save(APPLICATION, overwrite=True)
    assert run("long-gone", "--remove") == DONE
    assert secrets() == {}


def test_an_application_that_is_not_registered_is_said(capsys: Captured) -> None:
    assert main(["anna-meier", "--application", "unheard-of"]) == CALLED_WRONGLY
    assert "deployments.register" in capsys.readouterr().err
