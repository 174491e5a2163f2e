"""Who is meant: people are known by their id, their name and their accounts, however these are typed."""

import re
import unicodedata
from collections.abc import Iterable, Mapping

from rules.production_policies import Person

WITH_ADDRESS = re.compile(r"(.*)<([^<>]*)>")
"""`Anna Meier <anna.meier@example.com>`, as commits and mails have it."""
HIDDEN_ADDRESS = re.compile(r"(?:\d+\+)?([^@+]+)@users\.noreply\.github\.com")
"""What GitHub writes into a commit for somebody who hides his address: `1234+login@…`."""


def person_of(text: str, people: Mapping[str, Person]) -> Person | None:
    """The person of that id, name or account; None for nobody, and for more than one of whom none has it as id."""
    wanted = _folded(text)
    meant = [person for person in people.values() if wanted and wanted in _handles(person)]
    exact = [person for person in meant if _folded(person.id) == wanted]
    found = exact or meant
    return found[0] if len(found) == 1 else None


def is_among(person: Person, names: Iterable[str]) -> bool:
    """Whether one of the names, addresses or logins is this person's. In doubt (a namesake) it is."""
    return not _handles(person).isdisjoint(form for name in names for form in _forms(name))


def listed(people: Iterable[Person], last: str = "or") -> str:
    """`Anna Meier, Reto Keller or Urs Frei`."""
    *others, end = [person.name or person.id for person in people] or ["nobody"]
    return f"{', '.join(others)} {last} {end}" if others else end


def _handles(person: Person) -> frozenset[str]:
    return frozenset(form for text in (person.id, person.name, *person.accounts) for form in _forms(text))


def _forms(text: str) -> set[str]:
    """What is compared of a name as typed: the whole, and the name, address and login in it."""
    whole = _folded(text)
    parts = WITH_ADDRESS.fullmatch(whole)
    forms = {whole, *(part.strip() for part in parts.groups())} if parts else {whole}
    logins = {hidden[1] for form in forms if (hidden := HIDDEN_ADDRESS.fullmatch(form))}
    return (forms | logins) - {""}


def _folded(text: str) -> str:
    """Without what the eye does not see: case, width, blanks, invisible characters, the @ before a login."""
    plain = unicodedata.normalize("NFKC", text)
    seen = "".join(character for character in plain if unicodedata.category(character) != "Cf")
    return " ".join(seen.casefold().split()).removeprefix("@")
