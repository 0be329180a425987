"""The report read back with an HTML parser: complete, escaped, and free of anything that the network would fetch."""

import base64
import math
import re
from collections import Counter
from html.parser import HTMLParser

import pytest

from drugasr.tuning.mistakes import Mistakes, WorstClip
from drugasr.tuning.report import render
from drugasr.tuning.trial import Trial


class Page(HTMLParser):
    """Tags, ids, attributes that load something, and the visible text."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.ids, self.loads, self.texts = Counter(), Counter(), [], []
        self.feed(text)
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        for name, value in attrs:
            if name == "id":
                self.ids[value] += 1
            if name in ("src", "href", "xlink:href", "srcset", "action", "data", "poster"):
                self.loads.append(value)

    def handle_data(self, data):
        self.texts.append(data)


def epoch(number, top1, **changes):
    values = {"epoch": number, "train_loss": 2.0 / number, "loss": 2.5 / number, "cer": 1 - top1, "wer": 1 - top1 / 2, "top1": top1,
              "top5": min(1, top1 + 0.1), "blank_fraction": 0.7, "clips_per_s": 61.5, "wall_s": 20.0 * number}  # fmt: skip
    return values | changes


def trial(trial_id, frozen_layers, learning_rate, status, *epochs, **changes):
    return Trial(trial_id=trial_id, params={"frozen_layers": frozen_layers, "learning_rate": learning_rate}, status=status, epochs=epochs, **changes)


GOOD = trial("good", 2, 2.4e-3, "finished", *(epoch(i, 0.2 * i) for i in (1, 2, 3, 4)), checkpoint="s3://bucket/good")
STOPPED = trial("stopped", 0, 1e-3, "stopped early", epoch(1, 0.1))
DIVERGED = trial("diverged", 1, 4e-3, "diverged", epoch(1, 0.1), epoch(2, math.nan, loss=math.nan, cer=math.inf), error="the loss is nan")
FAILED = trial("failed", 3, 5e-4, "failed", error="<script>alert('x')</script>")


def page_of(*trials, facts=None, notes=()):
    return render(trials, title="Tuning", facts=facts or {}, notes=notes)


def test_page_loads_nothing():
    html = page_of(GOOD, STOPPED, DIVERGED, FAILED)
    page = Page(html)
    assert all(target.startswith(("#", "data:image/png;base64,")) for target in page.loads), page.loads
    assert not {"script", "link", "iframe", "object", "embed", "base"} & set(page.tags)
    assert "@import" not in html and "url(http" not in html and "url(//" not in html
    assert len(html) < 3_000_000


def test_ids_are_unique_so_that_plots_do_not_use_each_others_shapes():
    html = page_of(GOOD, STOPPED)
    page = Page(html)
    assert page.tags["svg"] == 4
    assert not [name for name, count in page.ids.items() if count > 1]
    used = {target[1:] for target in page.loads if target.startswith("#")} | set(re.findall(r"url\(#([^)]+)\)", html))
    assert used and used <= set(page.ids)


def test_headline_and_leaderboard():
    page = Page(page_of(FAILED, STOPPED, DIVERGED, GOOD, notes=["A note."]))
    assert "2 frozen layers, learning rate 2.40e-3 top-1 80.0 %" in page.text
    assert "4 of 4 Trial good" in page.text and "s3://bucket/good" in page.text
    positions = [page.text.index(f" {rank} {name} ") for rank, name in enumerate(("good", "stopped", "diverged", "failed"), start=1)]
    assert positions == sorted(positions)
    assert "4 trials (1 finished, 1 stopped early, 1 failed, 1 diverged), 7 epochs, 80 s" in page.text
    assert "A note." in page.text and "30 parameter tensors" in page.text
    assert "61.5" in page.text  # clips a second
    assert "stopped early, epoch 1" in page.text and "failed before its first epoch" in page.text
    assert "nan" not in page.text.replace("the loss is nan", "")


def test_strangers_text_is_escaped():
    nasty = "<img src=http://x/y> & $x_1$ {{ 7*7 }}"
    named = trial(nasty, 1, 1e-3, "finished", epoch(1, 0.5), checkpoint=nasty)
    html = render([named, FAILED], title=nasty, facts={nasty: nasty, "config": {"a": [nasty]}}, notes=[nasty])
    page = Page(html)
    assert "script" not in page.tags and not any("http" in target for target in page.loads)
    assert page.text.count(nasty) == 10  # title 2, headline 2, note, leaderboard, cost, fact 2, JSON
    assert "<img src=http" not in html


def test_facts_show_plain_values_and_fold_structures():
    page = Page(page_of(GOOD, facts={"seed": 7, "config": {"tuning": {"num_trials": 4}}, "versions": {"ray": "2.60.0"}}))
    assert "seed 7" in page.text and '"num_trials": 4' in page.text and "2.60.0" in page.text
    assert page.tags["details"] == 2


@pytest.mark.parametrize(
    "trials",
    [
        (),
        (GOOD,),
        (STOPPED,),
        (FAILED,),
        (trial("nan", 1, 1e-3, "finished", epoch(1, math.nan, loss=math.nan, cer=math.nan, wall_s=math.nan)),),
        (trial("sparse", 1, 1e-3, "finished", {"epoch": 1, "top1": 0.5}),),
        (trial("no parameters", math.nan, math.nan, "finished", epoch(1, 0.5)),),
        (trial("exploded", 1, 1e-3, "diverged", epoch(1, 0.0, loss=1e30, train_loss=1e30)), GOOD),
        (trial("zero", 0, 1e-3, "finished", epoch(1, 0.0, loss=0.0, train_loss=0.0)),),
        tuple(trial(f"t{i}", i % 4, 1e-6 * 2**i, "finished", epoch(1, i / 20)) for i in range(20)),
    ],
    ids=["none", "one trial", "one epoch", "all failed", "all nan", "sparse", "no parameters", "exploded", "zero loss", "twenty"],
)
@pytest.mark.filterwarnings("error", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_odd_searches_still_give_a_page(trials):
    page = Page(page_of(*trials))
    assert page.tags["svg"] == 4
    assert ("No trial gave a result" in page.text) == (not any(t.is_usable for t in trials))


def test_same_trials_give_the_same_bytes():
    assert page_of(GOOD, STOPPED) == page_of(STOPPED, GOOD)


def test_what_else_was_searched_and_what_mattered():
    masked = trial("masked", 2, 1e-3, "finished", epoch(1, 0.9), num_starts=2)
    masked = Trial(**(masked.__dict__ | {"params": masked.params | {"mask_time_prob": 0.05}}))
    html = render([masked, GOOD], title="Tuning", facts={}, importances={"learning_rate": 0.75, "mask_time_prob": 0.25})
    page = Page(html)
    assert "learning rate 1.00e-3, mask time prob 0.05" in page.text and "learning rate mask time prob top-1" in page.text
    assert page.tags["svg"] == 5 and "75 %" in page.text and "25 %" in page.text
    assert "finished, begun 2 times" in page.text


def test_the_claim_of_2022_stands_beside_the_trials_that_trained_as_many_layers():
    better = trial("better", 4, 1e-3, "finished", epoch(1, 0.55))
    worse = trial("worse", 4, 1e-4, "stopped early", epoch(1, 0.35))
    html = render([GOOD, better, worse], title="Tuning", facts={}, num_layers=6)
    assert "this model has 4 frozen (the dashed line on the map): the best trial there came to a top-1 of 55.0 %" in Page(html).text
    assert "last two layers trained, as in 2022" in html
    assert "no trial here has a result there" in Page(render([GOOD], title="Tuning", facts={}, num_layers=6)).text
    unknown = page_of(GOOD)
    assert "30 parameter tensors" in unknown and "dashed line" not in unknown and "last two layers" not in unknown


def test_labels_that_would_cover_one_another_stand_together():
    same = [trial(f"t{i}", 2, 1e-3, "finished", epoch(1, 0.5)) for i in range(5)]
    apart = [trial("low", 0, 1e-5, "finished", epoch(1, 0.2))]
    html = page_of(*same, *apart)
    # In the map and in each of the three curves; the loss is the same for all six.
    assert html.count(">#1 #2 #3 …<") == 4
    assert html.count(">#6<") == 2 + 1 + 1  # CER and top-1, the map, the timeline


def test_mistakes_can_be_listened_to_offline():
    nasty = "<script>x</script>"
    clips = tuple(WorstClip(said=nasty, heard=f"other {i}", voice="tone:a", margin=i - 5.5, flac=bytes([102, i] * 8000)) for i in range(10))
    mistakes = Mistakes(num_clips=40, num_wrong=6, pairs=tuple((nasty, f"other {i}", 30 - i) for i in range(25)), worst=clips)
    html = render([GOOD], title="Tuning", facts={}, mistakes=mistakes)
    page = Page(html)
    assert "6 of 40 validation clips were taken for another name" in page.text and "and 5 more pairs" in page.text
    sounds = [target for target in page.loads if target.startswith("data:audio/flac;base64,")]
    assert [base64.b64decode(sound.partition(",")[2]) for sound in sounds] == [clip.flac for clip in clips]
    assert "script" not in page.tags and "media-src data:" in html and len(html) < 3_000_000
    right = Mistakes(num_clips=40, num_wrong=0, pairs=(), worst=clips)
    assert "0 of 40" in Page(render([GOOD], title="Tuning", facts={}, mistakes=right)).text
