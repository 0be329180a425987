"""The plots of a comparison, as SVG text. A recogniser keeps its colour through all of them."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from drugasr.evaluation.comparison import Comparison, Measured
from drugasr.evaluation.intervals import Interval
from drugasr.evaluation.metrics import NO_NOISE, NUM_RANKS, SNR_BANDS, Scores
from drugasr.tuning.svg import COLOURS, STYLE, TEXT, to_svg

# Place, top-1, its interval, and the colour.
Point = tuple[float, float, Interval | None, str]
_GROUPS = {"by_seen": "names in training", "by_dose": "dose", "by_engine": "engine", "by_accent": "accent", "by_voice": "voice"}
_MAX_GROUPS = 40  # of one kind; more would make a plot that nobody reads


def colour_of(number: int) -> str:
    """The colour of the recogniser that stands there, from 0; after ten they come again."""
    return COLOURS[number % len(COLOURS)]


def first_rank(scores: Scores) -> tuple[str, float | None]:
    """The score that tells how often a recogniser's own first name is right, and its value: by CTC likelihood where it has one."""
    key = "levenshtein_top1" if scores["top1"] is None else "top1"
    return key, scores[key]  # type: ignore[literal-required]


def accuracy_by_snr(comparison: Comparison) -> str:
    """Top-1 with its interval in every band of SNR that has clips."""
    bands = [band for *_, band in SNR_BANDS] + [NO_NOISE]
    present = [band for band in bands if any(band in measured["by_snr"] for measured in comparison["recognisers"].values())]

    def draw(axes: Axes) -> None:
        points = list(_points(comparison, "by_snr", present))
        for x, point, interval, colour in points:
            axes.errorbar([x], [100 * point], yerr=_bars(point, interval), fmt="o", color=colour, capsize=3, markersize=5)
        axes.set(ylabel="top-1, percent", ylim=_range(points), xlim=(-0.6, max(len(present) - 1, 0) + 0.6))
        axes.set_xticks(range(len(present)), present)
        axes.grid(axis="x", visible=False)

    return _figure((5.6, 3.8), draw, "snr", "Top-1 of every recogniser against the signal-to-noise ratio")


def top_k(comparison: Comparison) -> str:
    """Share of the clips whose name is among the first k: by CTC likelihood, and dotted by Levenshtein distance."""

    def draw(axes: Axes) -> None:
        ranks = range(1, NUM_RANKS + 1)
        for number, measured in enumerate(comparison["recognisers"].values()):
            for prefix, line in (("top", "-"), ("levenshtein_top", ":")):
                shares = [measured["overall"][f"{prefix}{k}"] for k in ranks]  # type: ignore[literal-required]
                if None not in shares:
                    axes.plot(ranks, [100 * share for share in shares], line, color=colour_of(number), marker="o", markersize=3.5)
        axes.plot([], [], color=TEXT, label="CTC likelihood")
        axes.plot([], [], ":", color=TEXT, label="Levenshtein")
        axes.legend(loc="best", fontsize=8)
        axes.set(xlabel="k", ylabel="name among the first k, percent")
        axes.set_xticks(ranks)

    return _figure((5.6, 3.8), draw, "topk", "Share of the clips whose name is among the first k, for k from 1 to 5")


def reliability(comparison: Comparison) -> str:
    """Share right against confidence; a point is a bin, as large as what is in it; a perfect recogniser lies on the diagonal."""

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], "--", color=TEXT, linewidth=1, alpha=0.5)
        for number, measured in enumerate(comparison["recognisers"].values()):
            bins = measured["reliability"]
            if bins:
                x, y = [one["confidence"] for one in bins], [one["right"] for one in bins]
                axes.plot(x, y, color=colour_of(number), linewidth=1.2)
                axes.scatter(x, y, s=[12 + 160 * one["weight"] for one in bins], color=colour_of(number), alpha=0.8, zorder=3)
        axes.set(xlabel="confidence", ylabel="share right", xlim=(-0.04, 1.04), ylim=(-0.04, 1.04))

    return _figure((5.6, 3.8), draw, "reliability", "Share of right answers against their confidence")


def risk_against_coverage(comparison: Comparison) -> str:
    """Share wrong among the most confident answers, for a tenth of them to all."""

    def draw(axes: Axes) -> None:
        for number, measured in enumerate(comparison["recognisers"].values()):
            if steps := measured["risk_coverage"]:
                coverage, risk = ([100 * step[key] for step in steps] for key in ("coverage", "risk"))  # type: ignore[literal-required]
                axes.plot(coverage, risk, color=colour_of(number), marker="o", markersize=3.5)
        axes.set(xlabel="answered, percent of the clips", ylabel="wrong among these, percent", ylim=(-3, None))

    return _figure((5.6, 3.8), draw, "risk", "Share of wrong answers against the share of the clips that are answered")


def accuracy_by_group(comparison: Comparison) -> str:
    """Top-1 with its interval for every engine, accent and voice, names in training or not, with a dose or without."""
    rows: list[tuple[str, str]] = []
    for by in _GROUPS:
        names = {name for measured in comparison["recognisers"].values() for name, scores in measured[by].items() if scores["num_clips"]}  # type: ignore[literal-required]
        if len(names) > 1:
            rows += [(by, name) for name in sorted(names)[:_MAX_GROUPS]]

    def draw(axes: Axes) -> None:
        points = [point for by in _GROUPS for point in _points(comparison, by, [name if own == by else None for own, name in rows])]
        for y, point, interval, colour in points:
            axes.errorbar([100 * point], [y], xerr=_bars(point, interval), fmt="o", color=colour, capsize=2, markersize=4, linewidth=1.2)
        axes.set_yticks(range(len(rows)), [f"{_GROUPS[by]}: {name}" for by, name in rows])
        for i in (i for i in range(1, len(rows)) if rows[i][0] != rows[i - 1][0]):
            axes.axhline(i - 0.5, color=TEXT, linewidth=0.6, alpha=0.4)
        axes.set(xlabel="top-1, percent", xlim=_range(points), ylim=(len(rows) - 0.4, -0.6))
        axes.grid(axis="y", visible=False)

    height = 0.9 + len(rows) * max(0.3, 0.1 * len(comparison["recognisers"]))
    return _figure((11, height), draw, "groups", "Top-1 of every recogniser by group of clips")


def _points(comparison: Comparison, by: str, groups: Sequence[str | None]) -> Iterator[Point]:
    """The recognisers side by side at each group."""
    step = 0.7 / max(1, len(comparison["recognisers"]))
    for number, measured in enumerate(comparison["recognisers"].values()):
        for place, group in enumerate(groups):
            scores = measured[by].get(group) if group is not None else None  # type: ignore[literal-required]
            if scores and (found := first_rank(scores))[1] is not None:
                x = place + step * (number - (len(comparison["recognisers"]) - 1) / 2)
                yield x, found[1], _interval_of(measured, by, group, found[0]), colour_of(number)


def _range(points: Sequence[Point]) -> tuple[float, float]:
    """Of the axis, in percent: what is above 80 everywhere would else be a crowd at one end."""
    lowest = min((min(point, interval[0] if interval else point) for _, point, interval, _ in points), default=0.0)
    return max(0.0, 10 * math.floor(10 * lowest)) - 2, 102


def _interval_of(measured: Measured, by: str, group: str, score: str) -> Interval | None:
    intervals: Mapping[str, Mapping[str, Interval]] = measured["intervals"][by]  # type: ignore[literal-required]
    return intervals.get(group, {}).get(score)


def _bars(point: float, interval: Interval | None) -> list[list[float]] | None:
    """Lengths below and above the point, in percent. BCa's bounds need not hold the point."""
    return [[100 * max(0.0, point - interval[0])], [100 * max(0.0, interval[1] - point)]] if interval else None


def _figure(size: tuple[float, float], draw: Callable[[Axes], None], name: str, description: str) -> str:
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.subplots())
        return to_svg(figure, name, description)
