"""Gives an approver the secret for one-time codes, or takes it away.

    python -m deployments.enrol PERSON            shows a QR code, asks for one code, then saves
    python -m deployments.enrol PERSON --again    a new secret (new or lost telephone); the old one ends
    python -m deployments.enrol PERSON --remove   this person's codes count no more

PERSON is an id, name or account of the catalogue. Sit together: whoever sees the QR code can approve as that person.
The secret is shown once, kept in the block `approvers/<application>` and nowhere else. Nothing is saved until a code
has shown that the telephone has it. The catalogue and the block are those registered for `--application NAME`
(default: that of deployments/catalogue.toml).

Exit code 0: done; 1: not done, nothing was changed; 2: called wrongly.
"""

import argparse
import io
import sys
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import pyotp
import segno
from prefect.types import SecretDict

from blocks.approvers import Approvers
from blocks.catalogue import PROJECT, CatalogueFile, load_catalogue
from blocks.doors import load
from rules.approvals import CodeKind, person_of
from rules.errors import InvalidInput, PromotionError
from rules.production_policies import Person

DONE, NOT_DONE, CALLED_WRONGLY = 0, 1, 2
CATALOGUE = PROJECT / "deployments" / "catalogue.toml"
ISSUER = "promotion-flows"
SECRET_LETTERS = 32
"""160 bits in base 32, as RFC 4226 recommends."""
TRIES = 3

Ask = Callable[[], str]


class NotDone(PromotionError):
    """Nothing was changed."""


def main(arguments: Sequence[str] | None = None, ask: Ask | None = None) -> int:
    options = _options(arguments)
    try:
        application = options.application or load_catalogue(CATALOGUE).application
        if options.remove:
            remove(application, options.person)
        else:
            enrol(application, options.person, ask or _ask, again=options.again)
    except NotDone as error:
        print(error, file=sys.stderr)
        return NOT_DONE
    except PromotionError as error:
        print(error, file=sys.stderr)
        return CALLED_WRONGLY
    return DONE


def enrol(application: str, name: str, ask: Ask, *, again: bool) -> None:
    """Make a secret, show it, and save it once a code proves that the telephone has it.

    Raises:
        InvalidInput: nobody of the catalogue, or removed.
        NotDone: enrolled before and not `again`, or no right code.

    """
    person = _approver(application, name)
    if person.id in load(Approvers, application).enrolled() and not again:
        raise NotDone(f"{person.name} has a secret already. With --again it is replaced; nothing was changed.")
    secret = pyotp.random_base32(SECRET_LETTERS)
    print(_shown(application, person, secret))
    _confirm(person, secret, ask)
    _save(application, {**_secrets(application), person.id: secret})
    print(f"{person.name} is enrolled in {application}.")


def remove(application: str, name: str) -> None:
    """Take the secret away, also of somebody who has left the catalogue. Raises NotDone when there is none."""
    secrets = _secrets(application)
    person = person_of(name, _people(application))
    key = person.id if person else name
    if key not in secrets:
        raise NotDone(f"{name} has no secret; nothing was changed. Secrets have: {', '.join(secrets) or 'nobody'}.")
    _save(application, {id_: secret for id_, secret in secrets.items() if id_ != key})
    print(f"The codes of {key} count no more in {application}.")


def _people(application: str) -> Mapping[str, Person]:
    """Of the catalogue that the flows read."""
    return load(CatalogueFile, application).read().people


def _approver(application: str, name: str) -> Person:
    people = _people(application)
    person = person_of(name, people)
    if person is None:
        raise InvalidInput("the person", name, f"one of the catalogue's people: {', '.join(people) or 'none yet'}")
    if not person.active:
        raise InvalidInput("the person", person.id, "somebody who is active", "The catalogue says active = false.")
    return person


def _confirm(person: Person, secret: str, ask: Ask) -> None:
    """By the door itself: what it takes now it will take later."""
    door = Approvers(secrets=SecretDict({person.id: secret}))
    for _ in range(TRIES):
        code = ask()
        if not code.strip():
            break
        if door.check(person.id, code, datetime.now(UTC)).kind is CodeKind.VALID:
            return
        print("That is not the code. Is the telephone's clock right?", file=sys.stderr)
    raise NotDone(f"No right code, so nothing was changed. Delete the entry of {person.name} in the app and try again.")


def _secrets(application: str) -> dict[str, str]:
    return dict(load(Approvers, application).secrets.get_secret_value())


def _save(application: str, secrets: Mapping[str, str]) -> None:
    Approvers(secrets=SecretDict(dict(secrets))).save(application, overwrite=True)


def _shown(application: str, person: Person, secret: str) -> str:
    address = pyotp.TOTP(secret).provisioning_uri(name=person.name, issuer_name=f"{ISSUER} {application}")
    picture = io.StringIO()
    segno.make(address, error="l", micro=False).terminal(out=picture, compact=True)
    letters = " ".join(secret[at : at + 4] for at in range(0, len(secret), 4))
    return f"{picture.getvalue()}\nScan this with {person.name}'s authenticator app, or enter there: {letters}"


def _ask() -> str:
    """Empty at the input's end."""
    print("The six digits that the app shows now: ", end="", flush=True)
    return sys.stdin.readline()


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deployments.enrol", description=__doc__.split("\n", 1)[0])
    parser.add_argument("person", metavar="PERSON", help="id, name or account of the catalogue")
    parser.add_argument("--again", action="store_true", help="replace the secret that is there")
    parser.add_argument("--remove", action="store_true", help="take the secret away")
    parser.add_argument("--application", default="", help="default: that of deployments/catalogue.toml")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    raise SystemExit(main())
