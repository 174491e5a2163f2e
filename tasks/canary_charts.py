"""The chart of one canary, as SVG: how strong the evidence is, how bad the rates are, how many requests were seen.

Drawn by matplotlib's own objects: no window, no figure kept anywhere. matplotlib is imported when the first chart is
drawn, so that runs without a canary do not wait for it.
"""

import atexit
import io
import os
import re
import shutil
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from prefect.settings import PREFECT_HOME

from rules.canary_pictures import gaps, line_of, old_rate, requests
from rules.canary_running import Question, limit_of, line
from rules.catalogue import JudgePolicy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Stages = Sequence[tuple[float, float]]
"""(seconds since the canary started, percent of the traffic from then on)."""

GROUND, PANEL, GRID, TEXT, FAINT = "#0f1524", "#151d30", "#2a3550", "#e7ebf5", "#9aa5c0"
NEW, OLD, LIMIT, GAP = "#7cc4ff", "#8791ab", "#ff6b7a", "#fbbf24"
LOOKS = {
    Question.ERRORS: ("errors / limit", "#ff9d5c", "solid"),
    Question.ERRORS_TO_OLD: ("errors / old", "#ff9d5c", "dashed"),
    Question.SLOW: ("slow / limit", "#7cc4ff", "solid"),
    Question.SLOW_TO_OLD: ("slow / old", "#7cc4ff", "dashed"),
}
INCHES = (8.2, 7.6)
"""As wide as the UI shows it on a usual screen, so that its words are not made smaller."""
MARGINS = {"left": 0.1, "right": 0.97, "top": 0.955, "bottom": 0.045, "hspace": 0.32, "wspace": 0.19}
LOWEST, HIGHEST = -1.5, 5.0
"""The evidence beyond these powers of ten is drawn at the edge: it says nothing more."""
STYLE: dict[str, Any] = {
    "svg.hashsalt": "canary",
    "svg.fonttype": "none",
    "font.family": ["DejaVu Sans"],
    "font.size": 9.5,
    "text.color": TEXT,
    "axes.facecolor": PANEL,
    "axes.edgecolor": GRID,
    "axes.labelcolor": FAINT,
    "axes.titlecolor": TEXT,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.6,
    "xtick.major.pad": 6,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "legend.frameon": False,
    "legend.fontsize": 8.5,
    "axes.axisbelow": True,
}
_PATH = re.compile(r' d="[^"]*"')
_LONG = re.compile(r"-?\d+\.\d{2,}")
"""A tenth of a point is finer than any screen, and half of the bytes."""
_one_at_a_time = threading.Lock()
"""matplotlib's settings are the process's; several services may be drawn at once."""


@dataclass(frozen=True, slots=True)
class _Case:
    service: str
    counts: pd.DataFrame
    trace: pd.DataFrame
    policy: JudgePolicy
    stages: Stages

    @property
    def until(self) -> float:
        """End of the picture in seconds: the last thing known of this service."""
        ends = [60.0, *(begins + 15.0 for begins, _ in self.stages)]
        ends += [float(rows.loc[rows["service"] == self.service, "t"].max()) for rows in (self.counts, self.trace)]
        return max(end for end in ends if end == end)  # noqa: PLR0124 - no rows, no number


def draw(service: str, counts: pd.DataFrame, trace: pd.DataFrame, policy: JudgePolicy, stages: Stages) -> str:
    """The chart as SVG with its own dark ground. The same numbers give the same text.

    `counts` and `trace` as in `rules.canary_counts` and `rules.canary.trace`; other services' rows are left out.
    """
    with _one_at_a_time:
        matplotlib = _matplotlib()
        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(STYLE)
            return _svg(_figure(_Case(service, counts, trace, policy, stages)))


def _matplotlib() -> Any:
    """The library, with its list of fonts in a folder where we may write, which the user's home need not be."""
    os.environ.setdefault("MPLCONFIGDIR", _own_folder())
    import matplotlib as mpl

    return mpl


def _own_folder() -> str:
    folder = Path(PREFECT_HOME.value()) / "matplotlib"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return str(folder)
    except OSError:
        passing = tempfile.mkdtemp(prefix="matplotlib-")
        atexit.register(shutil.rmtree, passing, ignore_errors=True)
        return passing


def _svg(figure: "Figure") -> str:
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    text = io.StringIO()
    draw_to: Any = FigureCanvasSVG(figure).print_svg  # has no types
    draw_to(text, metadata={"Date": None, "Creator": None})
    return _PATH.sub(lambda path: _LONG.sub(_shorter, path[0]), text.getvalue())


def _shorter(number: "re.Match[str]") -> str:
    return f"{float(number[0]):.1f}".removesuffix(".0")


def _figure(case: _Case) -> "Figure":
    from matplotlib.figure import Figure

    figure = Figure(figsize=INCHES, facecolor=GROUND)
    panels = figure.subplot_mosaic(
        [["evidence", "evidence"], ["errors", "slow"], ["requests", "requests"]],
        height_ratios=[1.3, 1.0, 0.8],
        gridspec_kw=MARGINS,
    )
    _evidence(panels["evidence"], case)
    for question in (Question.ERRORS, Question.SLOW):
        _rate(panels[question.value], case, question)
    _requests(panels["requests"], case)
    for name, axes in panels.items():
        _time(axes, case, wide=name in {"evidence", "requests"}, named=name == "evidence")
    return figure


def _evidence(axes: "Axes", case: _Case) -> None:
    """Odds that the new version is worse, of each question, against the line at which it goes back."""
    border = line(case.policy) / np.log(10)
    top = border + 0.9
    for question, (label, colour, dashes) in LOOKS.items():
        rows = line_of(case.trace, case.service, question.value)
        shown = rows["evidence"].clip(LOWEST, HIGHEST)
        top = max(top, float(shown.max()) + 0.3) if len(rows) else top
        axes.plot(rows["t"], shown, color=colour, linestyle=dashes, linewidth=1.7, label=label)
        past = rows["t"][shown >= border]
        axes.plot(past[:1], shown[past[:1].index], color=colour, marker="o", markersize=6, clip_on=False)
    axes.axhspan(border, top, color=LIMIT, alpha=0.10, linewidth=0)
    _border(axes, border, f"{10**border:.0f}:1 goes back")
    axes.set_ylim(LOWEST, top)
    powers = range(int(np.ceil(LOWEST)), int(np.floor(top)) + 1)
    axes.set_yticks(list(powers), [_odds(power) for power in powers])
    axes.set_title("Odds that the new version is worse")
    _legend(axes)


def _odds(power: int) -> str:
    return f"{10**power:,}:1".replace(",", " ") if power >= 0 else f"1:{10**-power:,}"


def _rate(axes: "Axes", case: _Case, question: Question) -> None:
    """One rate with its band, the old version's beside it, and the limit."""
    limit = limit_of(question, case.policy)
    rows = line_of(case.trace, case.service, question.value)
    rows = rows[rows["n"] > 0]
    axes.fill_between(rows["t"], rows["low"], rows["high"], color=NEW, alpha=0.20, linewidth=0, label="band")
    axes.plot(rows["t"], rows["rate"], color=NEW, linewidth=1.8, label="new")
    axes.plot(*old_rate(case.counts, case.service, question.column, case.until), color=OLD, linewidth=1.4, label="old")
    top = _height(rows, limit)
    axes.set_ylim(0, top)
    _border(axes, limit, f"limit {100 * limit:g} %")
    axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.3g} %")
    what = f"Over {case.policy.slow_ms:g} ms" if question.about_slowness else "Failed requests"
    axes.set_title(what)
    _legend(axes)


def _height(rows: pd.DataFrame, limit: float) -> float:
    """So much that the limit, the rate and most of the band are seen; the first requests' band is all of it."""
    if not len(rows):
        return 3 * limit
    late = rows.iloc[len(rows) // 4 :]
    return float(min(1.0, max(2.4 * limit, 1.3 * late["rate"].max(), min(1.2 * late["high"].median(), 8 * limit))))


def _requests(axes: "Axes", case: _Case) -> None:
    """How many requests there were; a silence of the new version stands out."""
    bars = requests(case.counts, case.service, case.until)
    edges = np.append(bars.begins, bars.ends)
    axes.stairs(bars.new, edges, fill=True, color=NEW, label="new")
    axes.stairs(bars.new + bars.old, edges, baseline=bars.new, fill=True, color=OLD, alpha=0.45, label="old")
    for number, gap in enumerate(gaps(case.counts, case.service, case.until, case.policy.silence_seconds)):
        label = "nothing of the new version" if number == 0 else None
        axes.axvspan(gap.begins, gap.ends, facecolor=GAP, alpha=0.22, linewidth=0, label=label)
    axes.set_ylim(0, max(1.0, 1.15 * float((bars.new + bars.old).max())))
    axes.set_title(f"Requests in {bars.width:.3g} s")
    _legend(axes)


def _border(axes: "Axes", height: float, words: str) -> None:
    axes.axhline(height, color=LIMIT, linewidth=1.2)
    axes.annotate(
        words, (1, height), (-5, 4), xycoords=("axes fraction", "data"), textcoords="offset points", color=LIMIT,
        ha="right", bbox={"facecolor": PANEL, "alpha": 0.75, "linewidth": 0, "pad": 1},
    )  # fmt: skip


def _legend(axes: "Axes") -> None:
    """Beside the title, where it hides nothing."""
    axes.legend(
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=4,
        borderaxespad=0.3,
        handlelength=1.2,
        handletextpad=0.5,
        columnspacing=0.9,
    )


def _time(axes: "Axes", case: _Case, *, wide: bool, named: bool) -> None:
    """The time's axis, and where the new version got more of the traffic."""
    from matplotlib.ticker import MultipleLocator

    until, most = case.until, 10 if wide else 6
    axes.set_xlim(0, until)
    step = next((it for it in (15, 30, 60, 120, 300, 600, 1200, 3600) if until / it <= most), 7200)
    axes.xaxis.set_major_locator(MultipleLocator(step))
    axes.xaxis.set_major_formatter(lambda seconds, _: f"{int(seconds) // 60}:{int(seconds) % 60:02d}")
    axes.tick_params(length=0)
    for begins, percent in case.stages:
        axes.axvline(begins, color=TEXT, linewidth=0.9, linestyle="dotted")
        if named:
            axes.annotate(
                f"{percent:g} %", (begins, 0), (4, 4), xycoords=("data", "axes fraction"),
                textcoords="offset points", color=TEXT, fontweight="bold",
            )  # fmt: skip
