import csv
import io
import json
import math

import pytest

from drugasr.tuning.trial import Trial, leaderboard, to_csv


def epochs(*pairs):
    """Epochs of 10 s from (top1, cer) pairs."""
    return tuple(
        {"epoch": i, "top1": top1, "cer": cer, "loss": 1.0, "clips_per_s": 50.0 + i, "wall_s": 5.0 + 10 * i}
        for i, (top1, cer) in enumerate(pairs, start=1)
    )


def trial(trial_id="t", status="finished", pairs=((0.5, 0.3),), **changes):
    values = {"trial_id": trial_id, "status": status, "params": {"frozen_layers": 2, "learning_rate": 1e-3}, "epochs": epochs(*pairs)}
    return Trial(**(values | changes))


@pytest.mark.parametrize(
    ("pairs", "best"),
    [
        (((0.2, 0.5), (0.6, 0.4), (0.5, 0.1)), 2),  # top-1 goes before CER
        (((0.6, 0.5), (0.6, 0.4), (0.6, 0.4)), 2),  # then CER, then the earlier one
        (((0.6, 0.5), (math.nan, math.nan)), 1),
        (((math.nan, 0.1), (0.1, math.nan)), 2),
        (((0.6, math.nan), (0.6, 0.9)), 2),
    ],
)
def test_best_epoch(pairs, best):
    assert trial(pairs=pairs).best_epoch["epoch"] == best


@pytest.mark.parametrize("pairs", [(), ((math.nan, 0.1),)])
def test_without_a_top1_there_is_no_best_epoch(pairs):
    assert trial(pairs=pairs).best_epoch is None
    assert not trial(pairs=pairs).is_usable


def test_leaderboard_puts_failures_last():
    order = leaderboard([
        trial("failed but good", "failed", ((0.9, 0.1),)),
        trial("nan", "finished", ((math.nan, math.nan),)),
        trial("third", "finished", ((0.4, 0.2),)),
        trial("diverged", "diverged", ((0.3, 0.2),)),
        trial("first", "stopped early", ((0.5, 0.1), (0.4, 0.1))),
        trial("second", "finished", ((0.5, 0.2),)),
    ])  # fmt: skip
    assert [t.trial_id for t in order] == ["first", "second", "third", "failed but good", "diverged", "nan"]


def test_leaderboard_does_not_depend_on_the_order_given():
    same = [trial(name) for name in "abc"]
    assert leaderboard(same) == leaderboard(same[::-1])


def test_duration():
    assert trial(pairs=((0.1, 0.9),) * 3, start_s=5.0).duration_s == 30.0
    assert trial(pairs=((0.1, 0.9),) * 3).duration_s == 30.0  # two intervals of 10 s were seen, so three epochs took 30 s
    assert math.isnan(trial().duration_s)
    assert math.isnan(trial(pairs=(), start_s=5.0).duration_s)
    assert trial(pairs=((0.1, 0.9),) * 3).clips_per_s == 52.0


def test_dict_round_trip_is_strict_json():
    original = trial(pairs=((0.5, math.nan), (math.inf, 0.2)), error="boom", checkpoint="s3://b/c")
    text = json.dumps(original.to_dict(), allow_nan=False)
    back = Trial.from_dict(json.loads(text))
    assert back.to_dict() == original.to_dict()
    assert math.isnan(back.epochs[0]["cer"]) and math.isnan(back.start_s) and back.error == "boom"
    assert back.best_epoch["epoch"] == original.best_epoch["epoch"] == 1


def test_unknown_status_is_refused():
    with pytest.raises(ValueError, match="sleeping"):
        trial(status="sleeping")


def test_csv_has_one_row_a_trial_best_first():
    text = to_csv([
        trial("b", "failed", (), error='line 1\nline "2", with a comma'),
        trial("a", pairs=((0.5, math.nan), (0.25, 0.1)), start_s=5.0, checkpoint="/runs/a"),
    ])  # fmt: skip
    first, second = csv.DictReader(io.StringIO(text))
    assert (first["rank"], first["trial_id"], first["top1"], first["cer"], first["best_epoch"]) == ("1", "a", "0.5", "", "1")
    assert (first["num_epochs"], first["duration_s"], first["wall_s"], first["checkpoint"]) == ("2", "20.0", "25.0", "/runs/a")
    assert (first["frozen_layers"], float(first["learning_rate"])) == ("2", 1e-3)
    assert (second["trial_id"], second["top1"], second["wall_s"], second["num_epochs"]) == ("b", "", "", "0")
    assert second["error"] == 'line 1\nline "2", with a comma'
    assert "nan" not in text
