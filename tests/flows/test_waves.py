"""What services that are rolled out side by side tell each other."""

from datetime import UTC, datetime

from tasks.waves import Question, Wave

GATEWAY = Question("gateway", "arn:1", 10, "gateway-1", "", datetime(2026, 11, 23, 9, tzinfo=UTC))


def test_one_that_goes_back_takes_the_others_with_it_and_not_itself() -> None:
    wave = Wave()
    wave.fail("events", "5 % errors")
    assert "5 % errors" in wave.failed_beside("gateway")
    assert wave.failed_beside("events") == ""


def test_the_first_reason_stands() -> None:
    wave = Wave()
    wave.fail("events", "5 % errors")
    wave.fail("events", "stopped")
    assert "5 % errors" in wave.failed_beside("gateway")


def test_nobody_asks_while_an_answer_is_unheard() -> None:
    wave = Wave()
    assert wave.ask(GATEWAY, heard=0)
    wave.answered(GATEWAY)
    assert not wave.ask(GATEWAY, heard=0)
    assert wave.ask(GATEWAY, heard=1)


def test_a_question_is_open_until_it_is_answered_withdrawn_or_pointless() -> None:
    for end in (Wave.answered, lambda wave, it: wave.withdraw(it.service), lambda wave, it: wave.fail(it.service, "")):
        wave = Wave()
        wave.ask(GATEWAY, heard=0)
        assert wave.open_question() == GATEWAY
        end(wave, GATEWAY)
        assert wave.open_question() is None
        assert not wave.is_open(GATEWAY)


def test_a_word_that_comes_after_the_question_was_withdrawn_counts_all_the_same() -> None:
    wave = Wave()
    wave.ask(GATEWAY, heard=0)
    wave.withdraw("gateway")
    wave.answered(GATEWAY)
    assert wave.answers("gateway") == 1
