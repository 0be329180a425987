"""The page about a search: one HTML file that opens offline and asks the network for nothing."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from markupsafe import Markup

from drugasr.tuning import plots
from drugasr.tuning.mistakes import Mistakes
from drugasr.tuning.page import environment_of, percent, plain
from drugasr.tuning.trial import SEARCHED, Trial, leaderboard, metric, params_of

_MAX_PAIRS = 20

_NUM_TRAINED_2022 = 2
REFERENCE = (
    "For comparison: the 2022 project that this one follows reported its best results from training the last "
    "30 parameter tensors, which is about two layers of a 24-layer HuBERT, so about 22 frozen."
)


def render(
    trials: Iterable[Trial],
    *,
    title: str,
    facts: Mapping[str, object],
    notes: Iterable[str] = (),
    importances: Mapping[str, float] | None = None,
    mistakes: Mistakes | None = None,
    num_layers: int = 0,
) -> str:
    """The page as text.

    `facts` is what a reader needs to do the search again (the configuration, versions, hashes); a value that is a
    dict or a list is shown as JSON, folded. `notes` are paragraphs under the headline; `importances` are shares of 1;
    `mistakes` are the best trial's; `num_layers` are the transformer layers of the model, where known.
    """
    ranked = leaderboard(trials)
    reference = num_layers - _NUM_TRAINED_2022 if num_layers > _NUM_TRAINED_2022 else None
    rows = list(enumerate(ranked, start=1))
    environment = environment_of(Path(__file__).parent)
    environment.filters["rate"] = _rate
    environment.globals |= {"metric": metric, "colour_of": plots.colour_of}
    return environment.get_template("report.html.j2").render(
        title=title,
        rows=rows,
        best=ranked[0] if ranked and ranked[0].is_usable else None,
        others=params_of(ranked)[len(SEARCHED) :],
        mistakes=mistakes,
        max_pairs=_MAX_PAIRS,
        # The SVG is ours, made of numbers and fixed words alone; everything else is escaped.
        curves=Markup(plots.learning_curves(ranked)),
        parameter_map=Markup(plots.parameter_map(ranked, reference)),
        best_so_far=Markup(plots.best_so_far(ranked)),
        importance=Markup(plots.importance_bars(importances)) if importances else None,
        timeline=Markup(plots.timeline(ranked)),
        counts={status: count for status in plots.STATUS_MARKS if (count := sum(t.status == status for t in ranked))},
        epochs_run=sum(len(trial.epochs) for trial in ranked),
        total_s=max((trial.wall_s for trial in ranked if math.isfinite(trial.wall_s)), default=math.nan),
        facts={name: plain(value) for name, value in facts.items()},
        notes=list(notes),
        reference=_reference(ranked, reference),
    )


def _reference(ranked: Sequence[Trial], frozen_layers: int | None) -> str:
    """The claim of 2022 beside the trials that trained as many layers."""
    if frozen_layers is None:
        return REFERENCE
    same = [trial for trial in ranked if trial.is_usable and trial.params.get("frozen_layers") == frozen_layers]
    found = f"the best trial there came to a top-1 of {percent(metric(same[0].best_epoch, 'top1'))}" if same else "no trial here has a result there"
    return f"{REFERENCE} With the last two layers trained, this model has {frozen_layers} frozen (the dashed line on the map): {found}."


def _rate(value: float) -> str:
    return f"{value:.2e}".replace("e-0", "e-") if math.isfinite(value) else "–"
