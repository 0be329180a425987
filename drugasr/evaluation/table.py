"""Metrics as a plain table for a terminal. It names voices and groups, never drugs."""

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


def format_table(metrics: Metrics) -> str:
    """Overall, by seen and unseen names, and by voice; rates in per cent; `-` where no clip can tell. OOL: names outside the list."""
    groups = [("overall", metrics["overall"])]
    groups += [(f"{name} names", scores) for name, scores in metrics["by_seen"].items()]
    groups += sorted(metrics["by_voice"].items())
    rows = [["", *(title for title, _ in _COLUMNS)]]
    rows += [[name, *(_cell(scores, key) for _, key in _COLUMNS)] for name, scores in groups]
    widths = [max(map(len, column)) for column in zip(*rows)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]).rstrip() for row in rows]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    num_summary_rows = 2 + len(metrics["by_seen"])
    return "\n".join([lines[0], rule, *lines[1:num_summary_rows], rule, *lines[num_summary_rows:]])


def _cell(scores: Scores, key: str) -> str:
    value = scores[key]  # type: ignore[literal-required]
    if value is None:
        return "-"
    return f"{value:,}" if key == "num_clips" else f"{100 * value:.1f}"
