"""Programs on this machine, with real ones: small Python programs that behave badly in one way each."""

import signal
import sys
import threading
import time
from pathlib import Path

import pytest
from pydantic import SecretStr

from blocks.commands import MOST_OUTPUT, Ended, ProgramMissing, find, run, workplace
from rules.errors import InvalidInput, Outage

FLOOD = "import sys\nfor i in range(20000): print(f'line {i:06}', 'x' * 100)"
STUBBORN = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = os.fork()
if child:
    open("pids", "w").write(f"{os.getpid()} {child}")
    os.rename("pids", "ready")
time.sleep(600)
"""


def python(code: str, folder: Path, seconds: float = 20, **more: object) -> Ended:
    return run([sys.executable, "-c", code], seconds=seconds, folder=folder, **more)  # type: ignore[arg-type]  # as run


def is_alive(pid: int) -> bool:
    """A zombie of a container without an init counts as dead. The kernel takes a moment to end what it kills."""
    deadline = time.monotonic() + 2
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] in "ZX":
                return False
        except (FileNotFoundError, ProcessLookupError):
            return False
    return True


def test_a_program_tells_how_it_ended(tmp_path: Path) -> None:
    ended = python("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)", tmp_path)
    assert (ended.code, ended.stdout, ended.stderr, ended.timed_out) == (3, "out\n", "err\n", False)
    assert ended.how == "ended with exit status 3"
    assert (ended.is_ok(), ended.is_ok(0, 3)) == (False, True)
    assert 0 < ended.seconds < 20


def test_arguments_go_as_they_are(tmp_path: Path) -> None:
    odd = ["; echo x", "$HOME", "*", "a b", "'", "é"]
    ended = run([sys.executable, "-c", "import sys; print(sys.argv[1:])", *odd], seconds=20, folder=tmp_path)
    assert ended.stdout.strip() == str(odd)


def test_a_program_gets_no_variables_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "made-up")
    monkeypatch.setenv("PREFECT_API_KEY", "made-up")
    ended = python("import os; print(sorted(os.environ))", tmp_path, environment={"TARGET": "x"})
    given = set(eval(ended.stdout))  # noqa: S307 - what our own program printed
    assert "TARGET" in given
    assert given <= {"TARGET", "PATH", "HOME", "LANG", "LC_CTYPE"}  # Python sets the last one itself


def test_a_program_reads_nothing_of_ours(tmp_path: Path) -> None:
    assert python("import sys; print(repr(sys.stdin.read()))", tmp_path).stdout == "''\n"


def test_a_result_file_is_read_back_from_a_folder_that_goes() -> None:
    with workplace() as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        python("open('result.json', 'w').write('{}')", folder)
        assert (folder / "result.json").read_text() == "{}"
    assert not folder.exists()


def test_a_missing_program_is_named_with_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(
        ProgramMissing, match=r"no-such-program is not on this machine\. Install it from x\.$"
    ) as caught:
        run(["no-such-program"], seconds=1, folder=tmp_path, install="Install it from x")
    assert caught.value.program == "no-such-program"
    with pytest.raises(ProgramMissing, match="PATH"):
        find(str(tmp_path))


@pytest.mark.parametrize(("argv", "seconds"), [([], 1.0), ([""], 1.0), ([sys.executable], 0.0)])
def test_nothing_to_run_and_no_time_are_refused(tmp_path: Path, argv: list[str], seconds: float) -> None:
    with pytest.raises(InvalidInput):
        run(argv, seconds=seconds, folder=tmp_path)


def test_a_program_that_cannot_be_started_is_an_outage(tmp_path: Path) -> None:
    with pytest.raises(Outage, match="starting"):
        python("", tmp_path / "none")


def test_a_signal_is_told(tmp_path: Path) -> None:
    ended = python("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", tmp_path)
    assert (ended.code, ended.how) == (-signal.SIGSEGV, "was ended by SIGSEGV")


def test_at_the_time_limit_all_of_it_ends_even_what_ignores_the_request(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blocks.commands.TERM_SECONDS", 0.2)
    ended = python(STUBBORN, tmp_path, seconds=1.5)
    assert ended.timed_out
    assert not ended.is_ok(0, ended.code)
    assert ended.code == -signal.SIGKILL
    assert 1.5 <= ended.seconds < 4
    assert "time limit" in ended.how
    assert [is_alive(int(pid)) for pid in (tmp_path / "ready").read_text().split()] == [False, False]


def test_a_program_may_tidy_up_at_the_time_limit(tmp_path: Path) -> None:
    code = "import signal, sys, time\nsignal.signal(15, lambda *_: (print('tidied'), sys.exit(0)))\ntime.sleep(600)"
    ended = python(code, tmp_path, seconds=1)
    assert (ended.code, ended.stdout, ended.timed_out, ended.is_ok()) == (0, "tidied\n", True, False)


def test_what_a_program_leaves_behind_ends_with_it(tmp_path: Path) -> None:
    code = "import os, time\nchild = os.fork()\nif child: print(child, flush=True)\nelse: time.sleep(600)"
    ended = python(code, tmp_path)
    assert ended.is_ok()
    assert not is_alive(int(ended.stdout))


def test_one_that_flees_with_the_output_open_holds_us_only_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("blocks.commands.DRAIN_SECONDS", 0.2)
    code = "import os, time\nif os.fork() == 0:\n os.setsid(); time.sleep(3)\nelse: print('done')"
    ended = python(code, tmp_path)
    assert (ended.code, ended.stdout) == (0, "done\n")
    assert ended.seconds < 2


def test_the_caller_can_stop_it_from_a_thread(tmp_path: Path) -> None:
    stop = threading.Event()
    threading.Timer(0.3, stop.set).start()
    ended = python("import time; time.sleep(600)", tmp_path, stop=stop.is_set)
    assert (ended.stopped, ended.timed_out, ended.is_ok()) == (True, False, False)
    assert ended.how.startswith("was stopped")


def test_an_interrupted_caller_leaves_nothing_running(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("blocks.commands.INTERRUPTED_SECONDS", 0.1)

    def interrupted() -> bool:
        if (tmp_path / "ready").exists():
            raise KeyboardInterrupt
        return False

    with pytest.raises(KeyboardInterrupt):
        python(STUBBORN, tmp_path, stop=interrupted)
    assert [is_alive(int(pid)) for pid in (tmp_path / "ready").read_text().split()] == [False, False]


def test_of_a_flood_the_first_and_the_last_part_are_kept(tmp_path: Path) -> None:
    ended = python(FLOOD, tmp_path)
    assert ended.stdout.startswith("line 000000")
    assert ended.stdout.rstrip().splitlines()[-1].startswith("line 019999")
    assert "2260000 bytes in all, the middle is left out" in ended.stdout
    assert len(ended.stdout) <= 2 * MOST_OUTPUT + 100


def test_a_program_that_closes_its_output_and_goes_on_is_waited_for(tmp_path: Path) -> None:
    began = time.process_time()
    ended = python("import os, time\nos.close(1); os.close(2); time.sleep(0.5); os._exit(7)", tmp_path)
    assert ended.code == 7
    assert ended.seconds >= 0.5
    assert time.process_time() - began < 0.3  # without spinning


def test_secrets_are_given_and_masked(tmp_path: Path) -> None:
    token = SecretStr('made-up-token-"quoted"-of-the-scanner')
    code = "import json, os, sys\nt = os.environ['TOKEN']\nprint(t); print(json.dumps(t)); print(t, file=sys.stderr)"
    ended = python(code, tmp_path, secrets={"TOKEN": token})
    assert ended.is_ok()
    assert (ended.stdout, ended.stderr) == ('***\n"***"\n', "***\n")


def test_no_half_of_a_secret_stands_at_the_gap_of_a_flood(tmp_path: Path) -> None:
    token = SecretStr("made-up-secret-" + "0123456789abcdef" * 20)
    code = "import os, sys\nsys.stdout.write((os.environ['TOKEN'] + 'x' * 7) * 3000)"
    ended = python(code, tmp_path, secrets={"TOKEN": token})
    assert "left out" in ended.stdout
    assert "0123456789" not in ended.stdout
    assert "made-up-secret" not in ended.stdout


def test_output_that_is_no_text_is_made_one(tmp_path: Path) -> None:
    ended = python("import os; os.write(1, b'a\\xff\\0b')", tmp_path)
    assert ended.stdout == "a\ufffd\ufffdb"


def test_no_descriptors_are_left_open(tmp_path: Path) -> None:
    python("print(1)", tmp_path)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        python("print(1)", tmp_path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
