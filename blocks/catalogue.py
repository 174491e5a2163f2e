"""The door to the catalogue: one reviewed TOML file, read into the frozen types of `rules/catalogue.py`."""

import hashlib
import json
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefect.blocks.core import Block
from pydantic import BaseModel, Field, ValidationError
from pydantic_core import ErrorDetails

from rules.catalogue import Catalogue
from rules.catalogue_checks import Problem, problems
from rules.errors import InvalidInput

PROJECT = Path(__file__).resolve().parents[1]

_HEADER = re.compile(r"\s*(\[\[?)([^\]]+)\]\]?")
_KEY = re.compile(r"\s*([\w.\"'-]+)\s*=")

KeyPath = tuple[str | int, ...]


class _File(BaseModel, extra="forbid", strict=True):
    """Carries the strictness to the plain dataclasses below: nested ones inherit it."""

    catalogue: Catalogue


def load_catalogue(path: Path | str) -> Catalogue:
    """Read and check the catalogue; `sha256` is the hash of the file's bytes.

    Raises:
        InvalidInput: not readable, not TOML, or not a catalogue. Says where: file, line, key.

    """
    file = Path(path)
    content = _read(file)
    text, data = _parse(file, content)
    catalogue = _validate(file, text, _with_names(data), hashlib.sha256(content).hexdigest())
    _complain(file, text, problems(catalogue))
    return catalogue


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InvalidInput("the catalogue", str(file), f"a file that can be read ({error.strerror})") from error


def _parse(file: Path, content: bytes) -> tuple[str, dict[str, Any]]:
    try:
        text = content.decode()
        return text, tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise InvalidInput(f"the catalogue {file}", str(error), "TOML in UTF-8") from error


def _with_names(data: Mapping[str, Any]) -> dict[str, Any]:
    """A table's name is the environment's name, the service's and the person's id: nobody writes it twice."""
    filled = dict(data)
    for table, key in (("environments", "name"), ("services", "id"), ("people", "id")):
        if isinstance(entries := filled.get(table), dict):
            filled[table] = {
                name: {key: name, **entry} if isinstance(entry, dict) else entry for name, entry in entries.items()
            }
    return filled


def _validate(file: Path, text: str, data: dict[str, Any], sha256: str) -> Catalogue:
    if "sha256" in data:
        _complain(file, text, [Problem(("sha256",), data["sha256"], "nothing: the hash is computed")])
    # As JSON, because pydantic's strict mode takes lists for tuples and texts for enums only from there.
    document = json.dumps({"catalogue": {**data, "sha256": sha256}}, default=str)
    try:
        return _File.model_validate_json(document).catalogue
    except ValidationError as error:
        _complain(file, text, [_problem(detail) for detail in error.errors()])
        raise


def _problem(detail: ErrorDetails) -> Problem:
    path = detail["loc"][1:]
    if detail["type"] == "unexpected_keyword_argument":
        return Problem(path, detail["input"], "not known here; see rules/catalogue.py for the keys")
    if detail["type"] in {"missing", "missing_argument"}:
        return Problem(path, "missing", "required")
    return Problem(path, detail["input"], detail["msg"].removeprefix("Input should be "))


def _complain(file: Path, text: str, found: Sequence[Problem]) -> None:
    if not found:
        return
    first, *others = found
    also = "".join(f" Also: {_place(file, text, it.path)} is {it.found!r}; allowed is {it.allowed}." for it in others)
    raise InvalidInput(_place(file, text, first.path), first.found, first.allowed, also.strip())


def _place(file: Path, text: str, path: KeyPath) -> str:
    line = line_of(text, path)
    return f"{file}{f':{line}' if line else ''}: {'.'.join(map(str, path)) or 'the file'}"


def line_of(text: str, path: KeyPath) -> int | None:
    """The line (from 1) of the longest part of a key path that stands in a TOML text; None if none does.

    A help for the reader, not a parser: it knows tables, arrays of tables and `key = value` lines.
    """
    best: int | None = None
    best_depth = 0
    table: KeyPath = ()
    counts: dict[KeyPath, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        table, here = _position(line, table, counts)
        if len(here) > best_depth and here == path[: len(here)]:
            best, best_depth = number, len(here)
    return best


def _position(line: str, table: KeyPath, counts: dict[KeyPath, int]) -> tuple[KeyPath, KeyPath]:
    """The table that holds from this line on, and the key path that begins on it."""
    if header := _HEADER.match(line):
        table = _keys(header.group(2))
        if header.group(1) == "[[":
            counts[table] = counts.get(table, -1) + 1
            table = (*table, counts[table])
        return table, table
    if key := _KEY.match(line):
        return table, (*table, *_keys(key.group(1)))
    return table, ()


def _keys(dotted: str) -> KeyPath:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


class CatalogueFile(Block):
    """Where the reviewed catalogue of one application lies. The document bears the application's name."""

    _block_type_name = "Catalogue file"
    _block_type_slug = "catalogue-file"
    _description = "The reviewed TOML file that says what is promoted, from where to where, under which policy."

    path: str = Field(
        description="Path of the catalogue; a relative one starts at the project's folder, so that it holds "
        "on every worker.",
        examples=["deployments/catalogue.toml"],
    )

    def read(self) -> Catalogue:
        """Read the catalogue as it is now. Raises InvalidInput as `load_catalogue` does."""
        return load_catalogue(PROJECT / self.path)
