"""Texts that match a pattern of a check: LIKE, and the regular expressions that people write into checks.

What it does not understand gives no sample; that all samples match is PostgreSQL's to say, which is asked anyway.
"""


def like_samples(pattern: str, count: int) -> tuple[str, ...]:
    """Texts that are LIKE this."""
    return tuple(pattern.replace("%", "" if at == 0 else str(at)).replace("_", "a") for at in range(count))


def samples(pattern: str, count: int) -> tuple[str, ...]:  # noqa: ARG001 - under way
    return ()
