"""No secret gets out: texts and httpx's own log lines pass here."""

import json
import logging
from collections.abc import Iterable
from urllib.parse import quote

from pydantic import ValidationError

from rules.errors import InvalidInput

EXCERPT = 300
SHORTEST_SECRET = 4
"""Anything shorter would blot out ordinary words."""


class Discretion(logging.Filter):
    """Knows the secrets of this process and takes them out of texts and of httpx's own log lines.

    httpx logs each request's address, and the address of an incoming webhook is a secret.
    """

    def __init__(self) -> None:
        super().__init__()
        self._secrets: set[str] = set()

    def learn(self, secrets: Iterable[str]) -> None:
        for secret in (secret for secret in secrets if len(secret) >= SHORTEST_SECRET):
            spellings = (secret, quote(secret, safe=""), repr(secret)[1:-1], json.dumps(secret)[1:-1])
            self._secrets.update(spellings)

    def clean(self, text: str) -> str:
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        if (cleaned := self.clean(message)) != message:
            record.msg, record.args = cleaned, ()
        return True


discretion = Discretion()
logging.getLogger("httpx").addFilter(discretion)


def excerpt(text: str, limit: int = EXCERPT) -> str:
    """The text on one line, cut on a code point."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def invalid(what: str, name: str, error: ValidationError) -> InvalidInput:
    """What is wrong with a document's fields. To be raised `from None`: pydantic's own text shows the values."""
    told = "; ".join(
        f"{'.'.join(map(str, one['loc']))}: {one['msg']}".removeprefix(": ")
        for one in error.errors(include_input=False, include_context=False, include_url=False)
    )
    return InvalidInput(what, name, "a document with valid fields", f"{told}. Mend it in the Prefect UI under Blocks.")
