"""The plots of a search, as SVG text. A trial keeps its colour and its number (its rank) through all of them."""

import math
from collections.abc import Mapping, Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, ScalarFormatter

from drugasr.tuning.svg import COLOURS, STYLE, TEXT, to_svg
from drugasr.tuning.trial import Trial, metric

STATUS_MARKS = {"finished": "s", "stopped early": "|", "failed": "X", "diverged": "X"}
"""How a trial's line ends, by its status."""

_NEAR = 0.035
"""Share of the axes' width or height within which two labels would cover one another."""
_MAX_TOGETHER = 3


def colour_of(rank: int) -> str:
    """The colour of the trial that stands at `rank`, from 1; after ten they come again."""
    return COLOURS[(rank - 1) % len(COLOURS)]


def learning_curves(trials: Sequence[Trial]) -> str:
    """Loss, CER and top-1 (percent) against the epoch; one line a trial, with its rank at the end."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(11, 3.4), layout="constrained")
        kinds = (("Loss, nats a clip", "loss", 1), ("CER, percent", "cer", 100), ("Top-1, percent", "top1", 100))
        for axes, (title, name, factor) in zip(figure.subplots(1, 3), kinds):
            ends = []
            for rank, trial in enumerate(trials, start=1):
                points = [(metric(e, "epoch"), factor * value) for e in trial.epochs if math.isfinite(value := metric(e, name))]
                if points:
                    axes.plot(*zip(*points), color=colour_of(rank), marker="o", markersize=3.5)
                    ends.append((*points[-1], rank))
            if name == "loss":
                axes.plot([], [], color=TEXT, label="validation")
                for rank, trial in enumerate(trials, start=1):
                    points = [(metric(e, "epoch"), v) for e in trial.epochs if math.isfinite(v := metric(e, "train_loss"))]
                    if points:
                        axes.plot(*zip(*points), color=colour_of(rank), linestyle=":", marker=".", markersize=3, linewidth=1.3)
                axes.plot([], [], color=TEXT, linestyle=":", linewidth=1.3, label="training")
                axes.legend(loc="upper right", fontsize=8)
                _log_if_wide(axes, [metric(e, n) for t in trials for e in t.epochs for n in ("loss", "train_loss")])
            axes.set(title=title, xlabel="epoch", xlim=(0.7, max((len(t.epochs) for t in trials), default=1) * 1.08 + 0.3))
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            _label(axes, ends)
        return to_svg(figure, "curves", "Validation loss, character error rate and top-1 of every trial against the epoch")


def parameter_map(trials: Sequence[Trial], reference: int | None = None) -> str:
    """Frozen layers against learning rate, coloured by the best top-1; a cross failed or diverged; a dashed line at `reference`."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.6, 3.8), layout="constrained")
        axes = figure.subplots()
        places = [(metric(t.params, "frozen_layers"), metric(t.params, "learning_rate"), rank, t) for rank, t in enumerate(trials, 1)]
        good = [(x, y, 100 * metric(t.best_epoch, "top1")) for x, y, _, t in places if t.is_usable]
        bad = [(x, y) for x, y, _, t in places if not t.is_usable]
        if good:
            x, y, top1 = zip(*good)
            points = axes.scatter(x, y, c=top1, cmap="viridis", s=130, edgecolors=TEXT, linewidths=0.8)
            figure.colorbar(points, ax=axes, label="best top-1, percent").outline.set_visible(False)
        if bad:
            axes.scatter(*zip(*bad), marker="x", s=70, color=TEXT, label="failed or diverged")
        if reference is not None:
            axes.axvline(reference, color=TEXT, linestyle="--", linewidth=1, zorder=0, label="last two layers trained, as in 2022")
        if bad or reference is not None:
            axes.legend(loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0, ncols=2, fontsize=8)
        rates = [y for _, y, _, _ in places if y > 0]
        axes.set(xlabel="frozen layers", ylabel="learning rate")
        if rates:
            axes.set(yscale="log", ylim=(min(rates) / 1.6, max(rates) * 1.6))
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter(lambda rate, _: f"{rate:.0e}".replace("e-0", "e-"))
            axes.yaxis.set_minor_formatter(NullFormatter())
        layers = [x for x in (*(place[0] for place in places), *([] if reference is None else [reference])) if math.isfinite(x)]
        axes.set_xlim(min(layers, default=0) - 0.6, max(layers, default=0) + 0.9)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
        _label(axes, [place[:3] for place in places], offset=9)
        return to_svg(figure, "map", "Every trial by frozen layers and learning rate, coloured by its best top-1")


def importance_bars(importances: Mapping[str, float]) -> str:
    """A bar for each searched value: the share of the variance of top-1 that it explains."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.6, 0.8 + 0.42 * len(importances)), layout="constrained")
        axes = figure.subplots()
        names, shares = zip(*reversed(importances.items()))
        bars = axes.barh([name.replace("_", " ") for name in names], [100 * share for share in shares], color=COLOURS[0], height=0.6)
        axes.bar_label(bars, fmt="%.0f %%", padding=4, fontsize=8, color=TEXT)
        axes.set(xlabel="share of the variance of top-1, percent", xlim=(0, 110))
        axes.grid(axis="y", visible=False)
        return to_svg(figure, "importance", "Share of the variance of top-1 that each searched value explains")


def best_so_far(trials: Sequence[Trial]) -> str:
    """Every epoch's top-1 against the wall time, and the best until then."""
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(5.6, 3.8), layout="constrained")
        axes = figure.subplots()
        points = sorted(
            (metric(epoch, "wall_s"), 100 * metric(epoch, "top1"), rank)
            for rank, trial in enumerate(trials, start=1)
            for epoch in trial.epochs
            if math.isfinite(metric(epoch, "wall_s")) and math.isfinite(metric(epoch, "top1"))
        )
        if points:
            seconds, top1, ranks = zip(*points)
            best = [max(top1[: i + 1]) for i in range(len(top1))]
            axes.step(seconds, best, where="post", color=TEXT, label="best so far")
            axes.scatter(seconds, top1, color=[colour_of(rank) for rank in ranks], s=24, zorder=3)
            axes.legend(loc="lower right", fontsize=8)
            axes.set_xlim(0, seconds[-1] * 1.05 or 1)
        axes.set(xlabel="seconds since the search began", ylabel="top-1, percent")
        return to_svg(figure, "best", "Best top-1 so far against the wall time of the search")


def timeline(trials: Sequence[Trial]) -> str:
    """A row a trial over the wall time: a dot for each epoch, and the end by its status."""
    with matplotlib.rc_context(STYLE):
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
            axes.scatter(ends[-1], rank, color=TEXT, marker=STATUS_MARKS[trial.status], s=55, zorder=4, linewidths=1.5)
            axes.annotate(f"{trial.status}, epoch {len(trial.epochs)}", (ends[-1], rank), va="center",
                          xytext=(9, 0), textcoords="offset points", fontsize=8)  # fmt: skip
        axes.set(xlabel="seconds since the search began", ylim=(len(trials) + 0.6, 0.4))
        axes.set_yticks(range(1, len(trials) + 1), [f"#{rank}" for rank in range(1, len(trials) + 1)])
        axes.grid(axis="y", visible=False)
        # Room on the right for the words behind the last mark.
        axes.set_xlim(0, max([trial.wall_s for trial in trials if math.isfinite(trial.wall_s)], default=1) * 1.18)
        return to_svg(figure, "timeline", "When every trial ran, reported, and was finished or stopped")


def _label(axes: Axes, places: Sequence[tuple[float, float, int]], offset: float = 5) -> None:
    """The rank beside each place (x, y, rank), once scales and limits are set; ranks of places that all but coincide stand together."""
    groups: list[list[tuple[float, float, int]]] = []
    shares = axes.transData - axes.transAxes  # from data to shares of the axes
    for place in sorted(place for place in places if all(map(math.isfinite, place))):
        if groups and abs(shares.transform(place[:2]) - shares.transform(groups[-1][-1][:2])).max() < _NEAR:
            groups[-1].append(place)
        else:
            groups.append([place])
    for group in groups:
        ranks = sorted(rank for _, _, rank in group)
        words = " ".join(f"#{rank}" for rank in ranks[:_MAX_TOGETHER]) + (" …" if len(ranks) > _MAX_TOGETHER else "")
        middle = group[len(group) // 2]
        axes.annotate(words, middle[:2], xytext=(offset, 0), textcoords="offset points", va="center", fontsize=8)


def _log_if_wide(axes: Axes, values: Sequence[float]) -> None:
    """A diverging trial must not press the others flat on the ground."""
    positive = [value for value in values if value > 0]
    if positive and max(positive) > 30 * min(positive):
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(ScalarFormatter())
        axes.yaxis.set_minor_formatter(NullFormatter())
