"""The page about a comparison: one HTML file that opens offline and asks the network for nothing."""

import importlib.metadata
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from drugasr import storage
from drugasr.corpus.manifest import Manifest
from drugasr.evaluation import plots
from drugasr.evaluation.comparison import Comparison, Measured
from drugasr.evaluation.worst_clips import Mixup, Predictions, WorstClip, find_mixups, find_worst
from drugasr.lexicon.drug import Lexicon
from drugasr.tuning.page import environment_of, plain

NUM_WORST, NUM_MIXUPS = 12, 25
_COLUMNS = (
    ("top-1 CTC", "top1"), ("top-5 CTC", "top5"), ("top-1 Lev.", "levenshtein_top1"), ("top-5 Lev.", "levenshtein_top5"), ("name and dose", "exact"),
    ("letter for letter", "exact_text"), ("CER", "cer"), ("WER", "wer"), ("sound-alike", "sound_alike"), ("accepted", "accepted"), ("rejected", "rejected"),
    ("rejected at 90", "rejected_at_90"), ("ECE", "ece"), ("RTF", "rtf"),
)  # fmt: skip
_LESS_IS_BETTER = ("cer", "wer", "sound_alike", "ece", "rtf")


def write_report(comparison: Comparison, predictions: Predictions, corpus_uri: str, lexicon: Lexicon, facts: Mapping[str, object], out_uri: str) -> str:
    """Writes `<out>/report.html` and returns where it is. Raises CorpusError or StorageError."""
    uri = storage.join(out_uri, "report.html")
    versions = {name: importlib.metadata.version(name) for name in ("drugasr", "torch", "transformers", "ray", "scipy", "jiwer", "rapidfuzz")}
    facts = {"corpus": corpus_uri, "corpus hash": Manifest.read(corpus_uri).data_hash, "list of names": lexicon.name, **facts, "versions": versions}
    worst, mixups = find_worst(predictions, corpus_uri, lexicon, NUM_WORST), find_mixups(predictions, lexicon, NUM_MIXUPS)
    storage.write_bytes(uri, render(comparison, worst=worst, mixups=mixups, lexicon_name=lexicon.name, num_names=len(lexicon), facts=facts).encode())
    return uri


def render(
    comparison: Comparison, *, worst: Sequence[WorstClip], mixups: Sequence[Mixup], lexicon_name: str, num_names: int, facts: Mapping[str, object]
) -> str:
    """The page as text. `facts` are what a reader needs to do it again; a dict or a list is shown as JSON, folded."""
    measured = comparison["recognisers"]
    ranked = sorted(measured, key=lambda name: -(plots.first_rank(measured[name]["overall"])[1] or 0.0))
    environment = environment_of(Path(__file__).parent)
    environment.filters["snr"] = lambda snr_db: "–" if snr_db is None else f"{snr_db:.0f} dB"
    environment.filters["p_value"] = lambda p: "below 0.001" if p < 0.001 else f"{p:.3f}"
    overall = measured[ranked[0]]["overall"]
    return environment.get_template("comparison.html.j2").render(
        title=f"Recognisers of spoken drug names: {lexicon_name}",
        names=list(measured),
        colour_of={name: plots.colour_of(number) for number, name in enumerate(measured)},
        best=ranked[0],
        headline=_cell(measured[ranked[0]], plots.first_rank(overall)[0]),
        verdict=_verdict(comparison, ranked),
        num_clips=overall["num_clips"],
        num_outsiders=overall["num_outsiders"],
        num_failed=overall["num_failed"],
        num_names=num_names,
        columns=[title for title, _ in _COLUMNS],
        rows=[(name, [_cell(measured[name], key) | {"is_best": _is_best(measured, name, key)} for _, key in _COLUMNS]) for name in ranked],
        paired=comparison["paired"],
        # The SVG is ours, made of numbers and of names that matplotlib escapes; everything else is escaped here.
        snr=Markup(plots.accuracy_by_snr(comparison)),
        top_k=Markup(plots.top_k(comparison)),
        reliability=Markup(plots.reliability(comparison)),
        risk=Markup(plots.risk_against_coverage(comparison)),
        groups=Markup(plots.accuracy_by_group(comparison)),
        mixups=mixups,
        worst=worst,
        facts={name: plain(value) for name, value in facts.items()},
    )


def _cell(measured: Measured, key: str) -> dict[str, str]:
    value = measured["overall"][key]  # type: ignore[literal-required]
    show = (lambda number: f"{number:.3f}") if key == "rtf" else (lambda share: f"{100 * share:.1f}")
    interval = measured["intervals"]["overall"].get(key)
    bounds = "" if interval is None or value is None else "–".join(map(show, interval))
    return {"value": "–" if value is None else show(value), "interval": bounds}


def _is_best(measured: Mapping[str, Measured], name: str, key: str) -> bool:
    values = {other: one["overall"][key] for other, one in measured.items() if one["overall"][key] is not None}  # type: ignore[literal-required]
    if len(values) < 2 or name not in values:
        return False
    return values[name] == (min if key in _LESS_IS_BETTER else max)(values.values())


def _verdict(comparison: Comparison, ranked: Sequence[str]) -> str:
    """Whether the first is really better than the second, in a sentence."""
    if len(ranked) < 2:
        return ""
    pair: Mapping[str, Any] = next(pair for pair in comparison["paired"] if {pair["one"], pair["other"]} == set(ranked[:2]))
    gain = abs(pair["difference"])
    sure = "more than chance would give" if pair["p_holm"] < 0.05 else "no more than chance may give"
    shown = "below 0.001" if pair["p_holm"] < 0.001 else f"{pair['p_holm']:.3f}"
    return f"{100 * gain:.1f} points of top-1 above {ranked[1]}: {sure} (p {shown}, names swapped at random, corrected by Holm)." if math.isfinite(gain) else ""
