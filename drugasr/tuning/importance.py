"""How much each searched value decided, by functional ANOVA (Hutter, Hoos and Leyton-Brown, ICML 2014), as Optuna computes it."""

from collections.abc import Sequence

from drugasr.tuning.trial import Trial, metric

_LEAST = 4


def importances(trials: Sequence[Trial]) -> dict[str, float]:
    """Share of the variance of top-1 that each value explains, largest first, adding up to 1; empty for fewer than 4 usable trials,
    or where all came to the same."""
    import optuna  # a second to import, and only a report needs it

    usable = [trial for trial in trials if trial.is_usable]
    if len(usable) < _LEAST or len({metric(trial.best_epoch, "top1") for trial in usable}) == 1:
        return {}
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    values = {name: [trial.params[name] for trial in usable] for name in usable[0].params}
    distributions = {name: _distribution(name, of_trials) for name, of_trials in values.items() if len(set(of_trials)) > 1}
    study = optuna.create_study(direction="maximize")
    for trial in usable:
        params = {name: trial.params[name] for name in distributions}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=distributions, value=metric(trial.best_epoch, "top1")))
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
    return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))


def _distribution(name: str, values: Sequence[float | str]):
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if name == "frozen_layers":
        return IntDistribution(min(values), max(values))
    if name == "learning_rate":
        return FloatDistribution(min(values), max(values), log=True)
    return CategoricalDistribution(sorted(set(values), key=str))
