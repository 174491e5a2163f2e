"""Does a text still name the environment that it comes from?"""

import re
from collections.abc import Iterable
from urllib.parse import unquote

from rules.vocabulary import Environment

# An environment called `dev` must not forbid the device files of Unix.
_DEVICES = re.compile(r"(?<![\w.-])/dev/(?:\./)?(?:null|zero|full|u?random|std(?:in|out|err)|shm|tty|fd)\b")


def words_of(environment: Environment, other: Environment) -> tuple[str, ...]:
    """What in a text gives the environment away: its name, account and cluster, unless the other shares them."""
    pairs = (
        (environment.name, other.name),
        (environment.account, other.account),
        (environment.cluster, other.cluster),
    )
    return tuple(dict.fromkeys(one for one, another in pairs if one and one != another))


def named_in(text: str, words: Iterable[str]) -> tuple[str, ...]:
    """The words that the text contains as words: `dev` is in `batbern-dev` and `ApiDev`, not in `developer`."""
    seen = [_DEVICES.sub(" ", form) for form in dict.fromkeys((text, unquote(text)))]
    return tuple(word for word in words if any(_contains(form, word) for form in seen))


def _contains(text: str, word: str) -> bool:
    if re.search(rf"(?<![a-zA-Z0-9]){re.escape(word)}(?![a-zA-Z0-9])", text, re.IGNORECASE):
        return True
    # Inside a CamelCase name only capitals tell where a word begins and ends.
    return word.isalpha() and bool(re.search(rf"(?<![A-Z]){word.capitalize()}(?![a-z])", text))
