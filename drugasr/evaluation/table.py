"""Metrics as a plain table for a terminal. It names voices, groups and recognisers, never drugs."""

from collections.abc import Sequence

from drugasr.evaluation.comparison import Comparison, Measured
from drugasr.evaluation.metrics import Metrics, Scores

_COLUMNS = (
    ("clips", "num_clips"),
    ("top-1", "top1"),
    ("top-5", "top5"),
    ("Lev top-1", "levenshtein_top1"),
    ("Lev top-5", "levenshtein_top5"),
    ("CER", "cer"),
    ("WER", "wer"),
    ("ECE", "ece"),
    ("OOL rej@90", "rejected_at_90"),
)
_COMPARED = (*_COLUMNS[:7], ("exact", "exact"), ("sound-alike", "sound_alike"), *_COLUMNS[7:], ("RTF", "rtf"))
_WITH_INTERVAL = ("top1", "levenshtein_top1")


def format_table(metrics: Metrics) -> str:
    """Overall, by seen and unseen names, and by voice; rates in per cent; `-` where no clip can tell. OOL: names outside the list."""
    groups = [("overall", metrics["overall"])]
    groups += [(f"{name} names", scores) for name, scores in metrics["by_seen"].items()]
    groups += sorted(metrics["by_voice"].items())
    rows = [["", *(title for title, _ in _COLUMNS)]]
    rows += [[name, *(_cell(scores, key) for _, key in _COLUMNS)] for name, scores in groups]
    return _ruled(rows, 1 + len(metrics["by_seen"]))


def format_comparison(comparison: Comparison) -> str:
    """A row a recogniser, in per cent but for RTF (seconds of computing a second of audio); 95 % intervals in brackets."""
    rows = [["", *(title for title, _ in _COMPARED)]]
    rows += [[name, *(_with_interval(measured, key) for _, key in _COMPARED)] for name, measured in comparison["recognisers"].items()]
    return _ruled(rows, len(rows))


def _ruled(rows: Sequence[Sequence[str]], num_summary_rows: int) -> str:
    """Aligned, with a line under the titles and one under the first rows, where more follow."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    summary, others = lines[1 : 1 + num_summary_rows], lines[1 + num_summary_rows :]
    return "\n".join([lines[0], rule, *summary, *([rule, *others] if others else [])])


def _with_interval(measured: Measured, key: str) -> str:
    interval = measured["intervals"]["overall"].get(key) if key in _WITH_INTERVAL else None
    cell = _cell(measured["overall"], key)
    return f"{cell} [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]" if interval else cell


def _cell(scores: Scores, key: str) -> str:
    value = scores[key]  # type: ignore[literal-required]
    if value is None:
        return "-"
    if key == "rtf":
        return f"{value:.3f}"
    return f"{value:,}" if key == "num_clips" else f"{100 * value:.1f}"
