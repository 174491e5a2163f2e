"""The chart and the page of a canary: drawn without a trace in the process, published once for each run."""

import base64
import html
import os
import re
import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import numpy as np
import pandas as pd
import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey
from prefect.client.schemas.objects import Artifact
from prefect.settings import PREFECT_API_URL, PREFECT_UI_URL, temporary_settings

from rules.canary import fold, judge, trace
from rules.canary_pages import Phase, Standing
from rules.catalogue import CanaryPolicy, JudgePolicy
from tasks.canary_charts import STYLE, draw
from tasks.canary_screens import address_of, canary_key, chart_link, publish_canary

ROOT = Path(__file__).parents[2]
POLICY = JudgePolicy()
STAGES = [(0.0, 10.0), (300.0, 50.0)]


def counts(seconds: int, *, errors: float = 0.002, silent_from: float = 1e9, rps: int = 100) -> pd.DataFrame:
    chance = np.random.default_rng(1)
    rows = [
        ("gateway", arm, float(t), n, chance.binomial(n, bad), chance.binomial(n, 0.01), chance.binomial(n, 0.05))
        for t in range(-60, seconds, 5)
        for arm, share, bad in (("old", 0.9, 0.002), ("new", 0.1 if 0 <= t < silent_from else 0, errors))
        if (n := chance.poisson(rps * 5 * share)) > 0
    ]
    return pd.DataFrame(rows, columns=["service", "arm", "t", "n", "errors", "slow", "slow_ref"])


def chart(numbers: pd.DataFrame, stages: list[tuple[float, float]] = STAGES[:1]) -> str:
    return draw("gateway", numbers, trace(numbers, POLICY), POLICY, stages)


def words(svg: str) -> set[str]:
    return {html.unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", svg)}


def test_a_chart_shows_the_line_the_limits_the_stages_and_both_versions() -> None:
    assert {"400:1 goes back", "limit 1 %", "limit 5 %", "10 %", "50 %", "new", "old", "Requests in 5 s"} <= words(
        chart(counts(420), STAGES)
    )


def test_the_same_numbers_give_the_same_chart() -> None:
    numbers = counts(120)
    series = trace(numbers, POLICY)
    charts = {draw("gateway", numbers, series, POLICY, STAGES[:1]) for _ in range(3)}
    assert len(charts) == 1
    assert not re.search(r"dc:date|\b20\d\d-\d\d-\d\d", charts.pop())


def test_a_silence_is_named_and_thin_traffic_is_not_one() -> None:
    assert "nothing of the new version" in words(chart(counts(240, silent_from=120)))
    assert "nothing of the new version" not in words(chart(counts(240)))


@pytest.mark.parametrize("seconds", [60, 600, 5400])
def test_a_chart_is_small_however_long_the_canary_runs(seconds: int) -> None:
    assert len(address_of(chart(counts(seconds, errors=0.01), STAGES))) < 150_000


def test_a_canary_without_one_request_can_be_drawn() -> None:
    assert "nothing of the new version" in words(chart(counts(120, silent_from=0)))
    none = counts(60).iloc[:0]
    assert "400:1 goes back" in words(chart(none))


def test_another_services_numbers_do_not_change_a_chart() -> None:
    mine, other = counts(60), counts(60, errors=0.5).assign(service="other")
    assert chart(pd.concat([mine, other], ignore_index=True)) == chart(mine)


def test_drawing_leaves_no_trace_in_the_process_even_from_many_threads() -> None:
    import matplotlib as mpl

    before, numbers = {name: mpl.rcParams[name] for name in STYLE}, counts(60)
    series, charts = trace(numbers, POLICY), set()

    def draws() -> None:
        charts.add(draw("gateway", numbers, series, POLICY, STAGES[:1]))

    threads = [threading.Thread(target=draws) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(charts) == 1
    assert {name: mpl.rcParams[name] for name in STYLE} == before
    assert "matplotlib.pyplot" not in sys.modules


def python(code: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name != "MPLCONFIGDIR"}
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        cwd=ROOT, env=kept | {"DO_NOT_TRACK": "1"} | variables, capture_output=True, text=True, check=True, timeout=120,
    )  # fmt: skip


def test_who_draws_nothing_does_not_load_the_library(tmp_path: Path) -> None:
    loaded = python("import sys, tasks.canary_screens, tasks.canary_charts; print('matplotlib' in sys.modules)",
                    PREFECT_HOME=str(tmp_path))  # fmt: skip
    assert loaded.stdout.strip() == "False"


DRAWING = """
import warnings; warnings.simplefilter("error")
import pandas as pd
from rules.catalogue import JudgePolicy
from tasks.canary_charts import draw
row = {"service": "a", "arm": "new", "t": 0.0, "n": 5, "errors": 0, "slow": 0, "slow_ref": 0}
counts = pd.DataFrame([row])
series = pd.DataFrame(columns=["service", "test", "t", "n", "bad", "evidence", "rate", "low", "high", "limit"])
print(len(draw("a", counts, series, JudgePolicy(), [(0.0, 10.0)])) > 1000)
import os; print(os.environ["MPLCONFIGDIR"])
"""


def test_it_draws_without_a_word_where_its_own_folder_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "matplotlib").touch()
    drawn = python(DRAWING, HOME=str(tmp_path / "none"), PREFECT_HOME=str(tmp_path))
    done, folder = drawn.stdout.split()
    assert (done, drawn.stderr) == ("True", "")
    assert not Path(folder).exists()


def test_its_list_of_fonts_is_kept_in_prefects_folder_and_nothing_in_the_users_home(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "prefect").mkdir()
    drawn = python(DRAWING, HOME=str(tmp_path / "home"), PREFECT_HOME=str(tmp_path / "prefect"))
    assert drawn.stdout.split()[1] == str(tmp_path / "prefect" / "matplotlib")
    assert list((tmp_path / "home").iterdir()) == []


# --- in the Prefect UI --------------------------------------------------------------------------------------------


def standing(environment: str) -> Standing:
    """Of an application of its own: other tests have canaries on the same server."""
    return Standing(
        "pages", environment, "gateway", "3f2a1bc", Phase.JUDGED, 10.0, CanaryPolicy(), POLICY, "CloudWatch",
        datetime(2026, 11, 22, 12, tzinfo=UTC),
    )  # fmt: skip


@flow(persist_result=False)
def canary(environment: str, looks: int) -> list[str]:
    links = []
    for look in range(1, looks + 1):
        numbers = counts(30 * look)
        verdicts = judge(numbers, POLICY)
        judgement = fold(verdicts, POLICY)["gateway"]
        links.append(publish_canary(standing(environment), judgement, verdicts, chart(numbers)))
    return links


def published(environment: str) -> list[Artifact]:
    key = ArtifactFilterKey(any_=[canary_key(standing(environment))])
    with get_client(sync_client=True) as client:
        return client.read_artifacts(artifact_filter=ArtifactFilter(key=key))


@pytest.mark.usefixtures("prefect_server")
def test_a_run_has_one_page_that_changes_while_the_canary_goes_on() -> None:
    with temporary_settings({PREFECT_UI_URL: "https://prefect.test"}):
        links = canary("staging", 3)
    (artifact,) = published("staging")
    assert links == [f"https://prefect.test/artifacts/artifact/{artifact.id}"] * 3
    text = str(artifact.data)
    assert text.startswith("## gateway 3f2a1bc has 10 % of the traffic in staging")
    (picture,) = re.findall(r"data:image/svg\+xml;base64,([A-Za-z0-9+/=]+)\)", text)
    assert "1:15" in base64.b64decode(picture).decode()


@pytest.mark.usefixtures("prefect_server")
def test_the_next_run_has_a_page_of_its_own_under_the_same_key() -> None:
    canary("production", 1)
    canary("production", 2)
    runs = {artifact.flow_run_id for artifact in published("production")}
    assert len(runs) == len(published("production")) == 2
    assert all(isinstance(run, UUID) for run in runs)


def test_a_page_that_cannot_be_shown_costs_no_release(caplog: pytest.LogCaptureFixture) -> None:
    nobody = {PREFECT_API_URL: "http://127.0.0.1:9/api", PREFECT_UI_URL: "https://prefect.test"}
    with temporary_settings(nobody):
        link = publish_canary(standing("dev"), None, None, "")
        assert link == chart_link(standing("dev")) == "https://prefect.test/artifacts/key/pages-dev-canary-gateway"
    assert "is not shown" in caplog.text


def test_without_an_address_of_the_ui_there_is_no_link() -> None:
    with temporary_settings(restore_defaults={PREFECT_UI_URL, PREFECT_API_URL}):
        assert chart_link(standing("dev")) == ""
