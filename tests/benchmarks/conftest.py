"""Benchmarks run only when they are asked for: `make bench`. Each measures a ratio, both sides in the same run."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

Row = tuple[str, str, str, str]
Report = Callable[[str, float, float, str], float]
HEAD: Row = ("what", "took", "compared with", "ratio")
ROWS = pytest.StashKey[list[Row]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--benchmarks", action="store_true", help="run the benchmarks and print their table")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    # unknown to pytest when it does not begin in this folder
    asked = config.getoption("--benchmarks", default=False)
    return True if collection_path.is_relative_to(Path(__file__).parent) and not asked else None


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ROWS] = []


@pytest.fixture
def report(pytestconfig: pytest.Config) -> Report:
    """`report(what, seconds, other_seconds, other)` puts a row into the table and returns the ratio."""

    def report(what: str, seconds: float, other_seconds: float, other: str) -> float:
        ratio = seconds / other_seconds
        compared = f"{other}: {shown(other_seconds)}"
        pytestconfig.stash[ROWS].append((what, shown(seconds), compared, f"{ratio:.3g}"))
        return ratio

    return report


def shown(seconds: float) -> str:
    return f"{seconds:.2f} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    rows = config.stash[ROWS]
    if not rows:
        return
    terminalreporter.section("benchmarks")
    for line in table([HEAD, *rows]):
        terminalreporter.write_line(line)


def table(rows: list[Row]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
