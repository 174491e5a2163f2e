"""Opening a door whose document is spoilt: the reason is told, the secrets in it are not."""

import traceback
from typing import Any, cast

import pytest

from blocks.chat import Chat
from blocks.doors import load
from blocks.ledger import LocalLedger, open_ledger
from blocks.locked_ledger import S3Ledger
from rules.errors import InvalidInput


class TwoWaysIn:
    """A document in which somebody entered a token and a webhook."""

    get_block_type_slug = Chat.get_block_type_slug

    @staticmethod
    def load(_name: str) -> Chat:
        entered: dict[str, Any] = {"token": "xoxb-1", "channel": "releases"}
        return Chat(**entered, webhook="https://hooks.chat.test/services/T0/B0/hunter22")


class ForNoTime:
    """A bucket whose records anybody could delete at once."""

    @staticmethod
    def load(_name: str) -> S3Ledger:
        return S3Ledger(bucket="records", retain_days=0)


class OnDisk:
    @staticmethod
    def load(_name: str) -> LocalLedger:
        return LocalLedger(directory="ledger")


def test_what_is_wrong_with_a_document_is_told_without_its_secrets() -> None:
    with pytest.raises(InvalidInput, match="either a webhook, or a token") as refused:
        load(cast("Any", TwoWaysIn), "batbern")
    assert "hunter22" not in "".join(traceback.format_exception(refused.value))


def test_a_spoilt_ledger_is_not_replaced_by_another_one() -> None:
    with pytest.raises(InvalidInput, match="retain_days"):
        open_ledger("batbern", cast("Any", (ForNoTime, OnDisk)))
