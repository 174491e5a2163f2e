"""Two plots as SVG: the evidence of one roll-out over time, and how soon what is found at which traffic."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from rules.canary import Question, trace
from rules.canary_arrays import Floats
from rules.canary_running import line
from tests.benchmarks.canary.ours import POLICY, counts_of, judged
from tests.benchmarks.canary.scenarios import END, STAGES, Course, Kind, Scenario, Version, named
from tests.benchmarks.canary.simulation import simulate

STYLE: dict[Any, Any] = {
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#dddddd",
    "legend.frameon": False,
    "svg.hashsalt": "canary",
}
LOOKS = {
    Question.ERRORS: ("errors / limit", "#c2410c", "solid"),
    Question.ERRORS_TO_OLD: ("errors / old version", "#c2410c", "dashed"),
    Question.SLOW: ("slow / limit", "#1d4ed8", "solid"),
    Question.SLOW_TO_OLD: ("slow / old version", "#1d4ed8", "dashed"),
}
TRUE_RATES = (0.012, 0.015, 0.02, 0.03, 0.052, 0.1, 0.2, 0.5, 1.0)
TRAFFIC = (1, 3, 10, 30, 100, 300, 1000)


@dataclass(frozen=True, slots=True)
class Map:
    """Median seconds to a roll-back by true error rate (rows) and traffic (columns); infinity: most runs had none."""

    seconds: Floats


def detectability(runs: int, seed: int) -> Map:
    return Map(np.array([[_seconds(rate, rps, runs, seed) for rps in TRAFFIC] for rate in TRUE_RATES]))


def _seconds(rate: float, rps: float, runs: int, seed: int) -> float:
    scenario = Scenario("map", Kind.BAD, "", Version(errors=Course(rate)))
    at = judged(simulate(scenario, rps, runs, np.random.default_rng([seed, int(rps), int(rate * 1e6)]))).at
    return float(np.median(np.minimum(at, 2 * END))) if np.isfinite(at).mean() > 0.5 else np.inf


def evidence(seed: int, names: Sequence[str] = ("E+1%", "clean")) -> str:
    """The evidence of two roll-outs at 100 requests a second, and their rates with the band of what they allow."""
    with rc_context(STYLE):
        figure = Figure(figsize=(10, 7), layout="constrained")
        axes = figure.subplots(2, len(names), sharex=True, sharey="row", squeeze=False)
        for column, name in enumerate(names):
            _story(axes[0, column], axes[1, column], name, seed)
        return _svg(figure)


def _story(above: Axes, below: Axes, name: str, seed: int) -> None:
    runs = simulate(named(name), 100, 1, np.random.default_rng([seed, 7]))
    series = trace(counts_of(runs, slice(0, 1)), POLICY, END)
    for question, (label, colour, dashes) in LOOKS.items():
        one = series[series["test"] == question.value]
        above.plot(one["t"], one["evidence"].clip(-2, 6), label=label, color=colour, linestyle=dashes, linewidth=1.4)
    above.axhline(line(POLICY) / np.log(10), color="#111111", linewidth=1)
    above.set(title=f"{name}: {named(name).what}", ylabel="evidence (powers of ten)", ylim=(-2.1, 6.1))
    above.text(END / 2, line(POLICY) / np.log(10) + 0.1, "400 : 1, roll back", ha="center")
    above.legend(loc="upper right", fontsize=8)
    errors = series[series["test"] == Question.ERRORS.value]
    below.fill_between(errors["t"], 100 * errors["low"], 100 * errors["high"], color="#fed7aa", label="band")
    below.plot(errors["t"], 100 * errors["rate"], color="#c2410c", label="error rate of the canary")
    below.axhline(100 * POLICY.max_error_rate, color="#111111", linewidth=1, label="limit")
    below.set(ylabel="errors, %", ylim=(0, 4), xlabel="seconds since the canary started", xlim=(0, END))
    below.legend(loc="upper right", fontsize=8)
    for panel in (above, below):
        for begin, _, _ in STAGES[1:]:
            panel.axvline(begin, color="#9ca3af", linewidth=0.8, linestyle="dotted")


def map_of(found: Map) -> str:
    with rc_context(STYLE | {"axes.grid": False}):
        figure = Figure(figsize=(8.5, 5.6), layout="constrained")
        axes = figure.subplots()
        shown = np.where(np.isfinite(found.seconds), found.seconds, np.nan)
        picture = axes.imshow(shown, cmap="viridis_r", norm=LogNorm(5, END), aspect="auto", origin="lower")
        axes.set_xticks(range(len(TRAFFIC)), [f"{it:g}" for it in TRAFFIC])
        axes.set_yticks(range(len(TRUE_RATES)), [f"{100 * it:g} %" for it in TRUE_RATES])
        axes.set(xlabel="requests per second, canary at 10 / 50 / 100 % of them", ylabel="true error rate (limit 1 %)")
        axes.set_title("Median seconds to a roll-back; -: most canaries stay for the whole 15 minutes")
        for row, column in np.ndindex(found.seconds.shape):
            _number(axes, float(found.seconds[row, column]), (column, row))
        figure.colorbar(picture, ax=axes, label="seconds")
        return _svg(figure)


def _number(axes: Axes, value: float, at: tuple[int, int]) -> None:
    dark = np.isfinite(value) and value > 120
    axes.text(*at, f"{value:.0f}" if np.isfinite(value) else "-", ha="center", va="center",
              color="white" if dark else "black")  # fmt: skip


def _svg(figure: Figure) -> str:
    FigureCanvasSVG(figure)
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def write(folder: Path, runs: int, seed: int) -> list[Path]:
    folder.mkdir(parents=True, exist_ok=True)
    pictures = {"evidence.svg": evidence(seed), "detectability.svg": map_of(detectability(runs, seed))}
    for name, svg in pictures.items():
        (folder / name).write_text(svg)
    return [folder / name for name in pictures]
