"""The page read back with an HTML parser: complete, escaped, and free of anything that the network would fetch."""

import math
import random
from collections import Counter
from html.parser import HTMLParser

import pytest
from test_metrics import outsider, row

from drugasr.evaluation.comparison import compare_predictions
from drugasr.evaluation.report import render, write_report
from drugasr.evaluation.table import format_comparison
from drugasr.evaluation.worst_clips import Heard, WorstClip, find_mixups, find_worst
from drugasr.lexicon.drug import Drug, Lexicon

NASTY = "<b>nasty</b> & co"
NAMES = ("hydroxyzine", "hydralazine", "lasix", "zocor")
LEXICON = Lexicon("four", tuple(Drug(id=name, name=name.title(), spoken=name) for name in NAMES))


class Page(HTMLParser):
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


def rows_of(recogniser: str, share: float, seed: int, **changes) -> list[dict]:
    draws = random.Random(seed)
    rows = []
    for i in range(80):
        said = NAMES[i % 4]
        heard = said if draws.random() < share else NAMES[(i + 1) % 4]
        rows.append(
            row(id=str(i), drug_id=said, drug=said.title(), text=said, transcript=heard, ranked=[heard], ranked_levenshtein=[heard], confidence=draws.random(),
                in_list=draws.random(), snr_db=draws.choice((None, 5.0, 15.0, 25.0)), voice=draws.choice(("espeak:a", "pico:b")), sound_alike=heard != said,
                recogniser=recogniser) | changes
        )  # fmt: skip
    return [*rows, outsider(id="out", recogniser=recogniser, answer=None), row(id="broken", error="cannot decode", recogniser=recogniser, ranked=None)]


@pytest.fixture(scope="module")
def predictions():
    return {"good": rows_of("good", 0.9, 0), NASTY: rows_of(NASTY, 0.3, 1, ranked=None)}


@pytest.fixture(scope="module")
def comparison(predictions):
    return compare_predictions(predictions, num_resamples=200)


def page_of(comparison, **changes):
    values = {"worst": [], "mixups": [], "lexicon_name": "four", "num_names": 4, "facts": {}} | changes
    return render(comparison, **values)


def test_the_page_is_whole_and_loads_nothing(comparison, predictions, monkeypatch):
    monkeypatch.setattr("drugasr.evaluation.worst_clips._read_audio", lambda corpus_uri, ids: dict.fromkeys(ids, b"fLaC"))
    worst, mixups = find_worst(predictions, "corpus", LEXICON, 12), find_mixups(predictions, LEXICON, 25)
    html = page_of(comparison, worst=worst, mixups=mixups, facts={"versions": {"x": 1}, "corpus": "s3://bucket/corpus"})
    page = Page(html)
    assert page.loads and all(target.startswith(("#", "data:")) for target in page.loads), page.loads
    assert page.tags["svg"] == 5 and page.tags["audio"] == len(worst) == 8 and not page.tags["b"] and not page.tags["script"]
    assert [name for name, count in page.ids.items() if count > 1] == []
    assert NASTY in page.text and "80 clips of the list's 4 names, 1 of names outside it, 1 that could not be decoded" in page.text
    first = comparison["recognisers"]["good"]
    low, high = first["intervals"]["overall"]["top1"]
    assert f"{100 * first['overall']['top1']:.1f}" in page.text and f"{100 * low:.1f}–{100 * high:.1f}" in page.text
    # Four names can be swapped in 16 ways: the rarest of these is no surprise.
    assert f"points of top-1 above {NASTY}: no more than chance may give (p 0." in page.text
    assert "s3://bucket/corpus" in page.text and "nan" not in page.text.lower().split()


def test_one_recogniser_makes_a_page_too(comparison, predictions):
    one = compare_predictions({"good": predictions["good"]}, num_resamples=100)
    page = Page(page_of(one))
    assert "1 recogniser," in page.text and "No clip was taken for another name." in page.text


def test_no_clips_make_a_page():
    html = page_of(compare_predictions({"none": [], "text": [row(error="broken", ranked=None)]}))
    assert Page(html).tags["svg"] == 5


def test_the_worst_are_those_that_most_get_wrong(monkeypatch):
    monkeypatch.setattr("drugasr.evaluation.worst_clips._read_audio", lambda corpus_uri, ids: {i: i.encode() for i in ids})

    def rows(recogniser, wrong):
        return [
            row(id=f"{name}{i}", drug_id=name, ranked=["zocor" if f"{name}{i}" in wrong else name], confidence=wrong.get(f"{name}{i}", 0.9), recogniser=recogniser)
            for name in NAMES[:3]
            for i in range(3)
        ]

    both = {"a": rows("a", {"lasix1": 0.9, "lasix0": 0.2, "hydroxyzine0": 0.3}), "b": rows("b", {"lasix1": 0.5, "lasix0": 0.2, "lasix2": 0.99})}
    worst = find_worst(both, "corpus", LEXICON, 3)
    # Both wrong and surest first; a third of lasix is one too many.
    assert [clip.flac.decode() for clip in worst] == ["lasix1", "lasix0", "hydroxyzine0"]
    assert worst[2].heard == (
        Heard(recogniser="a", name="Zocor", transcript="aspirin", is_right=False), Heard(recogniser="b", name="hydrOXYzine", transcript="aspirin", is_right=True),
    )  # fmt: skip
    assert isinstance(worst[0], WorstClip) and worst[0].said == "Lasix"


def test_listed_sound_alikes_stand_first():
    rows = [row(id=str(i), drug_id="lasix", ranked=["zocor"]) for i in range(5)] + [row(id="9", drug_id="hydroxyzine", ranked=["hydralazine"])]
    pairs = find_mixups({"a": rows, "b": [rows[0], row(id="9", drug_id="hydroxyzine", ranked=["hydroxyzine"])]}, LEXICON, 10)
    assert [(pair.said, pair.heard, pair.is_listed, pair.num_clips, pair.num_said) for pair in pairs] == [
        ("hydrOXYzine", "hydrALAZINE", True, (1, 0), 1), ("Lasix", "Zocor", False, (5, 1), 5)
    ]  # fmt: skip


def test_the_table_has_a_row_a_recogniser(comparison):
    lines = format_comparison(comparison).splitlines()
    assert len(lines) == 4 and lines[2].startswith("good") and lines[3].startswith(NASTY)
    top1 = comparison["recognisers"]["good"]["overall"]["top1"]
    assert f"{100 * top1:.1f} [" in lines[2] and math.isclose(len(lines[2]), len(lines[3]), abs_tol=1)


def test_the_page_is_written_where_it_is_asked_for(comparison, predictions, tiny_corpus, tmp_path):
    nothing_wrong = {"good": [one for one in predictions["good"] if one["drug_id"] is None]}
    uri = write_report(compare_predictions(nothing_wrong), nothing_wrong, str(tiny_corpus), LEXICON, {"recognisers": {"good": ["/m"]}}, str(tmp_path))
    assert uri == f"{tmp_path}/report.html" and "corpus hash" in (tmp_path / "report.html").read_text()
