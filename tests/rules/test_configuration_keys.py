"""Which keys a pattern covers."""

import pytest

from rules.catalogue import KeyAction, KeyRule
from rules.key_patterns import covers, first_rule, is_literal


@pytest.mark.parametrize(
    ("pattern", "key", "covered"),
    [
        ("database/url", "database/url", True),
        ("database/url", "database/url2", False),
        ("database/*", "database/url", True),
        ("database/*", "database/read/url", False),
        ("database/*-timeout", "database/read-timeout", True),
        ("database/**", "database/read/url", True),
        ("database/**", "database", False),
        ("**/url", "url", True),
        ("**/url", "a/b/url", True),
        ("**/url", "curl", False),
        ("api/**/*-url", "api/x-url", True),
        ("api/**/*-url", "api/a/b/x-url", True),
        ("**", "anything/at/all", True),
        ("a.b", "axb", False),
        ("Database/*", "database/url", False),
        ("k?", "k1", True),
        ("k?", "k/", False),
    ],
)
def test_a_pattern_covers_whole_keys(pattern: str, key: str, covered: bool) -> None:
    assert covers(pattern, key) is covered


def test_the_first_rule_wins() -> None:
    rules = (KeyRule("a/b", KeyAction.COPY), KeyRule("a/*", KeyAction.KEEP))

    assert first_rule(rules, "a/b") is rules[0]
    assert first_rule(rules, "a/c") is rules[1]
    assert first_rule(rules, "c") is None


def test_a_pattern_without_wildcards_is_one_key() -> None:
    assert is_literal("a/b.c-d")
    assert not is_literal("a/*")
