"""The plots of a search, as SVG text. A trial keeps its colour and its number (its rank) through all of them."""

import math
from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, ScalarFormatter

from drugasr.tuning.svg import COLOURS
from drugasr.tuning.svg import STYLE as _STYLE
from drugasr.tuning.svg import TEXT as _TEXT
from drugasr.tuning.svg import to_svg as _svg
from drugasr.tuning.trial import Trial, metric

STATUS_MARKS = {"finished": "s", "stopped early": "|", "failed": "X", "diverged": "X"}
"""How a trial's line ends, by its status."""


def colour_of(rank: int) -> str:
    """The colour of the trial that stands at `rank`, from 1; after ten they come again."""
    return COLOURS[(rank - 1) % len(COLOURS)]


def learning_curves(trials: Sequence[Trial]) -> str:
    """Loss, CER and top-1 against the epoch; one line a trial, with its rank at the end."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(11, 3.4), layout="constrained")
        for axes, (title, name) in zip(figure.subplots(1, 3), (("Loss", "loss"), ("CER", "cer"), ("Top-1", "top1"))):
            for rank, trial in enumerate(trials, start=1):
                points = [(metric(e, "epoch"), value) for e in trial.epochs if math.isfinite(value := metric(e, name))]
                if points:
                    axes.plot(*zip(*points), color=colour_of(rank), marker="o", markersize=3.5)
                    _label(axes, *points[-1], rank)
            if name == "loss":
                axes.plot([], [], color=_TEXT, label="validation")
                for rank, trial in enumerate(trials, start=1):
                    points = [(metric(e, "epoch"), v) for e in trial.epochs if math.isfinite(v := metric(e, "train_loss"))]
                    if points:
                        axes.plot(*zip(*points), color=colour_of(rank), linestyle=":", marker=".", markersize=3, linewidth=1.3)
                axes.plot([], [], color=_TEXT, linestyle=":", linewidth=1.3, label="training")
                axes.legend(loc="upper right", fontsize=8)
                _log_if_wide(axes, [metric(e, n) for t in trials for e in t.epochs for n in ("loss", "train_loss")])
            axes.set(title=title, xlabel="epoch", xlim=(0.7, max((len(t.epochs) for t in trials), default=1) * 1.08 + 0.3))
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        return _svg(figure, "curves", "Validation loss, character error rate and top-1 of every trial against the epoch")


def parameter_map(trials: Sequence[Trial]) -> str:
    """Frozen layers against learning rate, coloured by the best top-1; a cross failed or diverged."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(5.6, 3.8), layout="constrained")
        axes = figure.subplots()
        places = [(metric(t.params, "frozen_layers"), metric(t.params, "learning_rate"), rank, t) for rank, t in enumerate(trials, 1)]
        good = [(x, y, metric(t.best_epoch, "top1")) for x, y, _, t in places if t.is_usable]
        bad = [(x, y) for x, y, _, t in places if not t.is_usable]
        if good:
            x, y, top1 = zip(*good)
            points = axes.scatter(x, y, c=top1, cmap="viridis", s=130, edgecolors=_TEXT, linewidths=0.8)
            figure.colorbar(points, ax=axes, label="best top-1").outline.set_visible(False)
        if bad:
            axes.scatter(*zip(*bad), marker="x", s=70, color=_TEXT, label="failed or diverged")
            axes.legend(loc="best", fontsize=8)
        for x, y, rank, _ in places:
            _label(axes, x, y, rank, offset=9)
        rates = [y for _, y, _, _ in places if y > 0]
        axes.set(xlabel="frozen layers", ylabel="learning rate")
        if rates:
            axes.set(yscale="log", ylim=(min(rates) / 1.6, max(rates) * 1.6))
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(lambda rate, _: f"{rate:.0e}".replace("e-0", "e-"))
            axes.yaxis.set_minor_formatter(NullFormatter())
        layers = [x for x, _, _, _ in places if math.isfinite(x)]
        axes.set_xlim(min(layers, default=0) - 0.6, max(layers, default=0) + 0.9)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        return _svg(figure, "map", "Every trial by frozen layers and learning rate, coloured by its best top-1")


def importance_bars(importances: Mapping[str, float]) -> str:
    """A bar for each searched value: the share of the variance of top-1 that it explains."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(5.6, 0.8 + 0.42 * len(importances)), layout="constrained")
        axes = figure.subplots()
        names, shares = zip(*reversed(importances.items()))
        bars = axes.barh([name.replace("_", " ") for name in names], [100 * share for share in shares], color=COLOURS[0], height=0.6)
        axes.bar_label(bars, fmt="%.0f %%", padding=4, fontsize=8, color=_TEXT)
        axes.set(xlabel="share of the variance of top-1, percent", xlim=(0, 110))
        axes.grid(axis="y", visible=False)
        return _svg(figure, "importance", "Share of the variance of top-1 that each searched value explains")


def best_so_far(trials: Sequence[Trial]) -> str:
    """Every epoch's top-1 against the wall time, and the best until then."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(5.6, 3.8), layout="constrained")
        axes = figure.subplots()
        points = sorted(
            (metric(epoch, "wall_s"), metric(epoch, "top1"), rank)
            for rank, trial in enumerate(trials, start=1)
            for epoch in trial.epochs
            if math.isfinite(metric(epoch, "wall_s")) and math.isfinite(metric(epoch, "top1"))
        )
        if points:
            seconds, top1, ranks = zip(*points)
            best = [max(top1[: i + 1]) for i in range(len(top1))]
            axes.step(seconds, best, where="post", color=_TEXT, label="best so far")
            axes.scatter(seconds, top1, color=[colour_of(rank) for rank in ranks], s=24, zorder=3)
            axes.legend(loc="best", fontsize=8)
            axes.set_xlim(0, seconds[-1] * 1.05 or 1)
        axes.set(xlabel="seconds since the search began", ylabel="top-1")
        return _svg(figure, "best", "Best top-1 so far against the wall time of the search")


def timeline(trials: Sequence[Trial]) -> str:
    """A row a trial over the wall time: a dot for each epoch, and the end by its status."""
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(11, 1.1 + 0.32 * max(len(trials), 1)), layout="constrained")
        axes = figure.subplots()
        for rank, trial in enumerate(trials, start=1):
            ends = [second for epoch in trial.epochs if math.isfinite(second := metric(epoch, "wall_s"))]
            if not ends:
                axes.annotate(f"{trial.status} before its first epoch", (0, rank), va="center", xytext=(4, 0),
                              textcoords="offset points", fontsize=8)  # fmt: skip
                continue
            start = trial.wall_s - trial.duration_s
            axes.plot([start if math.isfinite(start) else ends[0], ends[-1]], [rank, rank], color=colour_of(rank), linewidth=5, alpha=0.45)
            axes.scatter(ends, [rank] * len(ends), color=colour_of(rank), s=16, zorder=3)
            axes.scatter(ends[-1], rank, color=_TEXT, marker=STATUS_MARKS[trial.status], s=55, zorder=4, linewidths=1.5)
            axes.annotate(f"{trial.status}, epoch {len(trial.epochs)}", (ends[-1], rank), va="center",
                          xytext=(9, 0), textcoords="offset points", fontsize=8)  # fmt: skip
        axes.set(xlabel="seconds since the search began", ylim=(len(trials) + 0.6, 0.4))
        axes.set_yticks(range(1, len(trials) + 1), [f"#{rank}" for rank in range(1, len(trials) + 1)])
        axes.grid(axis="y", visible=False)
        # Room on the right for the words behind the last mark.
        axes.set_xlim(0, max([trial.wall_s for trial in trials if math.isfinite(trial.wall_s)], default=1) * 1.18)
        return _svg(figure, "timeline", "When every trial ran, reported, and was finished or stopped")


def _label(axes: Axes, x: float, y: float, rank: int, offset: float = 5) -> None:
    if math.isfinite(x) and math.isfinite(y):
        axes.annotate(f"#{rank}", (x, y), xytext=(offset, 0), textcoords="offset points", va="center", fontsize=8)


def _log_if_wide(axes: Axes, values: Sequence[float]) -> None:
    """A diverging trial must not press the others flat on the ground."""
    positive = [value for value in values if value > 0]
    if positive and max(positive) > 30 * min(positive):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.yaxis.set_minor_formatter(NullFormatter())
