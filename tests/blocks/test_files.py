"""Files by address: below a folder on disk, and in buckets of the AWS stand-in."""

import io
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ReadTimeoutError
from botocore.response import StreamingBody
from hypothesis import given
from hypothesis import strategies as st

from blocks.files import LONGEST_LINE, PIECE, TRIES, Files, NotThere, filled
from deployments.sandbox.aws.host import AwsStandIn
from deployments.sandbox.faults import Fault, FaultKind
from rules.errors import Declined, InvalidInput, Outage

BUCKET = "batbern-results"
REPORT = b'{"one": 1}\n{"two": 2}\nlast'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "results"
    (root / "3f2a1bc" / "k6").mkdir(parents=True)
    (root / "3f2a1bc" / "report.json").write_bytes(REPORT)
    return root


@pytest.fixture
def s3(open_client: Callable[..., Any]) -> Any:
    client = open_client("s3")
    client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
    client.put_object(Bucket=BUCKET, Key="3f2a1bc/report.json", Body=REPORT)
    return client


# ------------------------------------------------------------------------------------------------------- addresses


def test_a_template_is_filled() -> None:
    address = filled("s3://results/{service}/{version}/k6.json", service="event-management", version="3f2a1bc")
    assert address == "s3://results/event-management/3f2a1bc/k6.json"
    assert filled("k6.json", version="3f2a1bc") == "k6.json"


@pytest.mark.parametrize("template", ["{run}/x", "{}", "{version", "version}", "{{version}}", "{version.real}", "{ver"])
def test_a_template_with_other_placeholders_is_refused(template: str) -> None:
    with pytest.raises(InvalidInput):
        filled(template, version="3f2a1bc", run="1")


def test_a_placeholder_needs_a_value() -> None:
    with pytest.raises(InvalidInput, match=r"'\{service\}'; allowed is \{version\}"):
        filled("{service}/k6.json", version="3f2a1bc")


@pytest.mark.parametrize("value", ["", ".", "..", "a/b", "a b", "../x", "a\n", "é", "{version}", "a\\b"])
def test_a_value_cannot_make_another_address(value: str) -> None:
    with pytest.raises(InvalidInput, match="The version"):
        filled("results/{version}/k6.json", version=value)


@given(st.text(max_size=20))
def test_a_filled_address_has_the_segments_of_its_template(value: str) -> None:
    try:
        address = filled("s3://b/{version}/x", version=value)
    except InvalidInput:
        return
    assert address.split("/")[3:] == [value, "x"]
    assert value.strip(".")


@pytest.mark.parametrize("address", ["/etc/passwd", "../x", "a/../../x", "a/./b", "a\0b", "http://x/y", "s3://B/x", ""])
def test_an_address_of_another_kind_is_refused(root: Path, address: str) -> None:
    with pytest.raises(InvalidInput):
        Files(root).content(address)


@pytest.mark.parametrize("address", ["report.json", "s3://batbern-results/x"])
def test_what_is_not_configured_is_said(address: str) -> None:
    with pytest.raises(InvalidInput, match="configured"):
        Files().content(address)


# ---------------------------------------------------------------------------------------------------------- folder


def test_a_file_is_read_whole_and_by_lines(root: Path) -> None:
    files = Files(root)
    assert files.content("3f2a1bc/report.json") == REPORT
    assert list(files.lines("3f2a1bc/report.json")) == [b'{"one": 1}\n', b'{"two": 2}\n', b"last"]


def test_a_large_file_comes_in_pieces(root: Path) -> None:
    (root / "large").write_bytes(b"x" * (2 * PIECE + 1))
    assert [len(piece) for piece in Files(root).pieces("large")] == [PIECE, PIECE, 1]


def test_lines_go_over_the_borders_of_pieces(root: Path) -> None:
    lines = [b"a" * length + b"\n" for length in (0, PIECE - 1, 5, 2 * PIECE, 0)]
    (root / "large").write_bytes(b"".join(lines))
    assert list(Files(root).lines("large")) == lines


def test_a_line_without_end_comes_in_cuts(root: Path) -> None:
    (root / "large").write_bytes(b"x" * (LONGEST_LINE + 3))
    assert [len(line) for line in Files(root).lines("large")] == [LONGEST_LINE, 3]


def test_too_large_a_file_is_refused_before_it_is_read_whole(root: Path) -> None:
    with (root / "huge").open("wb") as file:
        file.truncate(1 << 40)
    with pytest.raises(InvalidInput, match=r"huge is 'more than \d+ bytes'; allowed is 1000 bytes"):
        Files(root).content("huge", at_most=1000)


def test_a_folder_is_listed(root: Path) -> None:
    assert Files(root).listing("3f2a1bc") == ("k6/", "report.json")
    assert Files(root).listing("3f2a1bc/k6/") == ()


@pytest.mark.parametrize("address", ["none", "none/x", "3f2a1bc/report.json/x"])
def test_what_is_not_there_is_said_to_be_not_there(root: Path, address: str) -> None:
    files = Files(root)
    for ask in (files.content, files.last_modified, files.listing):
        with pytest.raises(NotThere, match="There is nothing at") as caught:
            ask(address)
        assert caught.value.address.rstrip("/") == address


def test_the_time_of_a_file_is_told_in_utc(root: Path) -> None:
    os.utime(root / "3f2a1bc" / "report.json", (1_700_000_000, 1_700_000_000))
    assert Files(root).last_modified("3f2a1bc/report.json") == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)


def test_a_link_out_of_the_root_is_refused(root: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("secret")
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "up").symlink_to(tmp_path)
    for address in ("link", "up/secret"):
        with pytest.raises(InvalidInput, match="stays in the folder"):
            Files(root).content(address)
    with pytest.raises(InvalidInput, match="stays in the folder"):
        Files(root).listing("up")


def test_a_link_within_the_root_is_followed(root: Path) -> None:
    (root / "latest").symlink_to(root / "3f2a1bc")
    assert Files(root).content("latest/report.json") == REPORT


def test_a_link_to_itself_is_an_outage_of_the_folder(root: Path) -> None:
    (root / "loop").symlink_to(root / "loop")
    with pytest.raises(Outage):
        Files(root).content("loop")


def test_what_is_no_file_is_refused_at_once(root: Path) -> None:
    os.mkfifo(root / "pipe")
    for address in ("pipe", "3f2a1bc"):
        with pytest.raises(InvalidInput, match="not a folder, pipe or device"):
            Files(root).content(address)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_declined(root: Path) -> None:
    (root / "3f2a1bc" / "report.json").chmod(0)
    with pytest.raises(Declined):
        Files(root).content("3f2a1bc/report.json")


# ------------------------------------------------------------------------------------------------------- Amazon S3


def test_an_object_is_read_whole_and_by_lines(s3: Any) -> None:
    files = Files(s3=s3)
    address = f"s3://{BUCKET}/3f2a1bc/report.json"
    assert files.content(address) == REPORT
    assert list(files.lines(address)) == [b'{"one": 1}\n', b'{"two": 2}\n', b"last"]
    assert files.last_modified(address).utcoffset() == UTC.utcoffset(None)


def test_an_empty_object_is_empty(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="empty", Body=b"")
    assert Files(s3=s3).content(f"s3://{BUCKET}/empty") == b""


@pytest.mark.parametrize("address", [f"s3://{BUCKET}/none", "s3://no-such-bucket/none"])
def test_an_object_that_is_not_there_is_said_to_be_not_there(s3: Any, address: str) -> None:
    files = Files(s3=s3)
    for ask in (files.content, files.last_modified, files.listing):
        with pytest.raises(NotThere):
            ask(address)


@pytest.mark.parametrize("key", ["", "3f2a1bc/", "a/../b"])
def test_an_address_without_an_object_is_refused(s3: Any, key: str) -> None:
    with pytest.raises(InvalidInput, match="The address of a file"):
        Files(s3=s3).content(f"s3://{BUCKET}/{key}")


def test_a_prefix_is_listed_page_by_page(s3: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOTO_S3_DEFAULT_MAX_KEYS", "5")
    for number in range(12):
        s3.put_object(Bucket=BUCKET, Key=f"many/{number:04}.json", Body=b"")
    s3.put_object(Bucket=BUCKET, Key="many/", Body=b"")
    s3.put_object(Bucket=BUCKET, Key="many/below/x.json", Body=b"")
    names = Files(s3=s3).listing(f"s3://{BUCKET}/many")
    assert len(names) == 13
    assert (names[0], names[-1]) == ("0000.json", "below/")
    assert Files(s3=s3).listing(f"s3://{BUCKET}/") == ("3f2a1bc/", "many/")


@pytest.mark.parametrize("kind", [FaultKind.ERROR, FaultKind.RESET, FaultKind.THROTTLE])
def test_a_bucket_that_does_not_answer_is_an_outage(aws: AwsStandIn, s3: Any, kind: FaultKind) -> None:
    aws.faults.add(Fault("aws", operation="s3:GetObject", kind=kind, times=1))
    with pytest.raises(Outage, match=f"reading s3://{BUCKET}/3f2a1bc/report.json"):
        Files(s3=s3).content(f"s3://{BUCKET}/3f2a1bc/report.json")


class Flaky:
    """An S3 client whose streams break after some bytes, so many times, and which notes what was asked."""

    def __init__(self, body: bytes, breaks: int, after: int) -> None:
        self.body, self.breaks, self.after, self.asked = body, breaks, after, list[dict[str, str]]()
        self.etag = '"one"'

    def get_object(self, **asked: str) -> dict[str, Any]:
        self.asked.append(asked)
        if asked.get("IfMatch", self.etag) != self.etag:
            raise ClientError({"Error": {"Code": "PreconditionFailed", "Message": "no"}}, "GetObject")
        start = int(asked.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        rest = self.body[start:]
        is_broken, self.breaks = self.breaks > 0, self.breaks - 1
        source: Any = Breaking(rest[: self.after]) if is_broken else io.BytesIO(rest)
        return {"Body": StreamingBody(source, len(rest)), "ContentLength": len(rest), "ETag": self.etag}


class Breaking(io.RawIOBase):
    def __init__(self, body: bytes) -> None:
        self._pieces: Iterator[bytes] = iter([body])

    def read(self, size: int = -1) -> bytes:  # noqa: ARG002 - as io has it
        try:
            return next(self._pieces)
        except StopIteration:
            raise ReadTimeoutError(endpoint_url="s3") from None


def pauses() -> tuple[list[float], Callable[[float], None]]:
    paused: list[float] = []
    return paused, paused.append


def test_a_broken_stream_is_taken_up_where_it_broke() -> None:
    client, (paused, pause) = Flaky(b"0123456789", breaks=2, after=3), pauses()
    assert Files(s3=client, pause=pause).content("s3://results/x") == b"0123456789"  # type: ignore[arg-type]  # a fake
    assert [asked.get("Range") for asked in client.asked] == [None, "bytes=3-", "bytes=6-"]
    assert [asked.get("IfMatch") for asked in client.asked] == [None, '"one"', '"one"']
    assert len(paused) == 2


def test_a_stream_that_keeps_breaking_is_an_outage() -> None:
    client, (paused, pause) = Flaky(b"0123456789", breaks=99, after=1), pauses()
    with pytest.raises(Outage, match="timeout"):
        Files(s3=client, pause=pause).content("s3://results/x")  # type: ignore[arg-type]  # a fake
    assert (len(client.asked), len(paused)) == (TRIES, TRIES - 1)


def test_an_object_that_is_written_anew_meanwhile_is_not_sewn_together() -> None:
    client, (_, pause) = Flaky(b"0123456789", breaks=1, after=3), pauses()
    pieces = Files(s3=client, pause=pause).pieces("s3://results/x")  # type: ignore[arg-type]  # a fake
    assert next(pieces) == b"012"
    client.etag = '"two"'
    with pytest.raises(Outage, match="written anew"):
        next(pieces)
