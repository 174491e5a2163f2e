"""No damage, no value taken out or spoilt and no cut makes a result that does not pass pass, or anything crash."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rules.errors import InvalidInput
from rules.load_test import Limits, judge, read
from rules.vocabulary import Verdict

PASSED = Verdict.PASSED
DATA = Path(__file__).parent.parent / "data" / "k6"
TIGHT = Limits(p95_ms=1, error_rate=0.1, check_failures=0.2, minimum_requests=40, minimum_seconds=2)
"""Against these no real file passes, by two measures at once."""

FILES = {it.name: it.read_bytes() for it in DATA.glob("v*") if it.suffix != ".txt"}
PLAIN = {name: gzip.decompress(it) if name.endswith(".gz") else it for name, it in FILES.items()}
EMPTYING: tuple[object, ...] = (None, "", "x", -1, True, False, [], {}, 0)


@given(st.sampled_from(sorted(FILES)), st.data())
@settings(max_examples=300, deadline=None)
def test_bytes_that_are_damaged_are_refused_or_read(name: str, data: st.DataObject) -> None:
    content = bytearray(data.draw(st.sampled_from([FILES[name], PLAIN[name]])))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content) - 1))
        content[at : at + data.draw(st.integers(0, 5))] = data.draw(st.binary(max_size=5))
    try:
        found = judge(read([bytes(content)]), TIGHT)
    except InvalidInput:
        return
    assert found.sentence


def places(it: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    for key, value in it.items() if isinstance(it, dict) else enumerate(it) if isinstance(it, list) else ():
        yield (*path, key)
        yield from places(value, (*path, key))


DOCUMENTS = {name: json.loads(it) for name, it in PLAIN.items() if name.endswith(".json")}
PLACES = {
    name: sorted(places(it["metrics" if "metrics" in it else "results"]), key=str) for name, it in DOCUMENTS.items()
}


@given(st.sampled_from(sorted(DOCUMENTS)), st.data())
@settings(max_examples=400, deadline=None)
def test_no_value_taken_out_or_spoilt_makes_a_summary_pass(name: str, data: st.DataObject) -> None:
    document = json.loads(PLAIN[name])
    for path in data.draw(st.lists(st.sampled_from(PLACES[name]), min_size=1, max_size=2)):
        spoil(document["metrics" if "metrics" in document else "results"], path, data)
    try:
        found = judge(read([json.dumps(document).encode()]), TIGHT)
    except InvalidInput:
        return
    assert found.verdict is not PASSED


def spoil(it: Any, path: tuple[str | int, ...], data: st.DataObject) -> None:
    for key in path[:-1]:
        try:
            it = it[key]
        except (KeyError, IndexError, TypeError):
            return
    if not isinstance(it, dict) or path[-1] not in it:
        return
    if data.draw(st.booleans()):
        del it[path[-1]]
    else:
        it[path[-1]] = data.draw(st.sampled_from(EMPTYING))


@given(st.sampled_from(["v0.57.0.fail.ndjson.gz", "v0.57.0.csvtime.csv"]), st.data())
@settings(max_examples=200, deadline=None)
def test_no_cut_makes_samples_pass(name: str, data: st.DataObject) -> None:
    content = PLAIN[name]
    end = data.draw(st.integers(0, len(content)))
    try:
        found = judge(read([content[:end]]), TIGHT)
    except InvalidInput:
        return
    assert found.verdict is not PASSED
