"""Confusable pairs against sums made by hand and by brute force; the files read back with the csv module and an HTML parser."""

import csv
import itertools
import json
import random
import re
from html.parser import HTMLParser

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from drugasr.corpus.recordings import RecordingShard
from drugasr.errors import InputError, StorageError
from drugasr.evaluation.confusions import NUM_SHOWN, confusable_pairs, write_confusions
from drugasr.lexicon.drug import Drug, Lexicon
from drugasr.lexicon.similarity import similarity
from jobs import confusions as job
from jobs import evaluate

NASTY = "<script>alert(1)</script>, \"quoted\" & {{ 7*7 }}\n'last'"


def row(said, ranked, posteriors, **changes):
    return {"drug_id": said, "drug": said, "ranked": ranked, "posteriors": posteriors, "engine": "espeak", "voice": "espeak:a"} | changes


@pytest.fixture
def three():
    return Lexicon("three", (Drug(id="1", name="Prednisone", spoken="prednisone"), Drug(id="2", name="Prednisolone", spoken="prednisolone"),
                             Drug(id="3", name="Lasix", spoken="lasix", aliases=("furosemide",))))  # fmt: skip


@pytest.fixture
def made_up():
    """A list of 30 and 200 predictions with up to five names each, from a seed."""
    draw = random.Random(7)
    drugs = (Drug(id=f"id {i:02d}", name=f"Name {i}", spoken=f"name {chr(97 + i % 26) * (1 + i // 26)}") for i in range(30))
    lexicon = Lexicon("made up", tuple(drugs))
    rows = []
    for _ in range(200):
        # Few drugs are said, so that pairs come again; some of the list are never said, and some clips are no drug's.
        said = draw.choice([None, *(drug.id for drug in lexicon.drugs[:20])])
        ranked = draw.sample([drug.id for drug in lexicon.drugs[:25]], draw.randrange(6))
        posteriors = sorted((draw.choice([0.0, draw.random() / 5]) for _ in ranked), reverse=True)
        rows.append(row(said, ranked, posteriors, voice=f"espeak:{draw.randrange(4)}"))
    return lexicon, rows


def test_by_hand(three):
    pairs = confusable_pairs(
        [
            row("1", ["2", "1", "3"], [0.6, 0.3, 0.1]),
            row("1", ["1", "2"], [0.8, 0.2]),
            row("1", ["3"], [1.0]),  # what was said is not among the best: all that is came before it
            row("2", ["2", "1"], [0.9, 0.1]),
            row(None, ["1", "2", "3"], [0.5, 0.3, 0.2]),  # no name of the list
            row("elsewhere", ["1"], [1.0]),
        ],
        three,
    )
    assert [(pair.one.id, pair.other.id) for pair in pairs] == [("3", "1"), ("2", "1")]  # by the spoken forms
    lasix, solone = pairs
    assert solone.confusability == pytest.approx((0.6 + 0.2 + 0.1) / 4)
    assert solone.other_as_one.share == pytest.approx((0.6 + 0.2) / 3) and solone.one_as_other.share == pytest.approx(0.1)
    assert (solone.other_as_one.num_clips, solone.other_as_one.num_outranked) == (3, 1)
    assert (solone.one_as_other.num_clips, solone.one_as_other.num_outranked) == (1, 0)
    assert lasix.confusability == lasix.other_as_one.share == pytest.approx(1.1 / 3)
    assert lasix.one_as_other.num_clips == 0 and lasix.one_as_other.share is None
    assert lasix.other_as_one.num_outranked == 1
    assert solone.listed and (solone.tall_man_one, solone.tall_man_other) == ("prednisoLONE", "predniSONE")
    assert not lasix.listed and lasix.tall_man_one == "Lasix"
    assert solone.similarity == pytest.approx(similarity("prednisone", "prednisolone"))


def test_aliases_are_forms_of_the_name():
    lexicon = Lexicon("two", (Drug(id="1", name="Apo", spoken="apo", aliases=("prednisone",)), Drug(id="2", name="Pred", spoken="prednisolone")))
    (pair,) = confusable_pairs([row("1", ["2"], [1.0])], lexicon)
    assert pair.listed
    assert pair.similarity == pytest.approx(similarity("prednisone", "prednisolone"))


def test_by_brute_force(made_up):
    lexicon, rows = made_up
    expected = {}
    for a, b in itertools.combinations(sorted(lexicon.drugs, key=lambda drug: drug.spoken), 2):
        clips = [(r, heard) for r in rows for said, heard in ((a, b), (b, a)) if r["drug_id"] == said.id]
        wrong = [dict(zip(r["ranked"], r["posteriors"], strict=True)).get(heard.id, 0.0) for r, heard in clips]
        if sum(wrong) > 0:
            expected[a.id, b.id] = sum(wrong) / len(wrong)
    pairs = confusable_pairs(rows, lexicon)
    assert {(pair.one.id, pair.other.id): pair.confusability for pair in pairs} == pytest.approx(expected)
    assert [pair.confusability for pair in pairs] == sorted((pair.confusability for pair in pairs), reverse=True)
    for pair in pairs:
        for said, heard, found in ((pair.one, pair.other, pair.one_as_other), (pair.other, pair.one, pair.other_as_one)):
            clips = [r["ranked"] for r in rows if r["drug_id"] == said.id]
            assert found.num_clips == len(clips)
            assert found.num_outranked == sum(
                heard.id in best and (said.id not in best or best.index(heard.id) < best.index(said.id)) for best in clips
            )


def test_a_table_gives_what_its_rows_give_and_a_number_cuts(made_up):
    lexicon, rows = made_up
    pairs = confusable_pairs(rows, lexicon)
    assert len(pairs) > 10
    assert confusable_pairs(pa.Table.from_pylist(rows), lexicon) == pairs
    assert confusable_pairs(iter(rows), lexicon, 10) == pairs[:10]


def test_equals_come_in_the_order_of_the_alphabet(three):
    rows = [row("1", ["1", "3", "2"], [0.5, 0.25, 0.25]), row("2", ["2"], [1.0]), row("3", ["3"], [1.0])]
    for order in (rows, rows[::-1]):
        names = [(pair.one.spoken, pair.other.spoken) for pair in confusable_pairs(order, three)]
        assert names == [("lasix", "prednisone"), ("prednisolone", "prednisone")]


def test_nulls_and_no_clips(three):
    assert confusable_pairs([], three) == []
    assert confusable_pairs([row("1", None, None), row("1", [], [])], three) == []


def test_predictions_that_do_not_fit_are_refused(three):
    old = row("1", ["1"], [1.0])
    del old["posteriors"]
    with pytest.raises(InputError, match="posteriors"):
        confusable_pairs([old], three)
    with pytest.raises(InputError, match="this list"):
        confusable_pairs([row("1", ["77"], [1.0])], three)
    with pytest.raises(InputError, match="this list"):
        confusable_pairs([row("1", ["1", "2"], [1.0])], three)


class Page(HTMLParser):
    """The elements with their attributes, the rows of cells, and the visible text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.rows, self.texts = [], [], []
        self.feed(text)
        self.rows = [[cell.strip() for cell in cells] for cells in self.rows]
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag == "td":
            self.rows[-1].append("")

    def handle_data(self, data):
        if self.elements and self.elements[-1][0] != "style":
            self.texts.append(data)
        if self.rows and self.rows[-1]:
            self.rows[-1][-1] += data


def written(tmp_path, rows, lexicon, **changes):
    table = pa.Table.from_pylist([r | changes for r in rows])
    result = write_confusions(table, lexicon, str(tmp_path))
    with open(result["csv"], newline="", encoding="utf-8") as stream:
        records = list(csv.DictReader(stream))
    with open(result["report"], encoding="utf-8") as stream:
        return result, records, stream.read()


def test_csv_holds_every_pair(made_up, tmp_path):
    lexicon, rows = made_up
    result, records, _ = written(tmp_path, rows, lexicon)
    pairs = confusable_pairs(rows, lexicon)
    assert result == {"report": f"{tmp_path}/confusions.html", "csv": f"{tmp_path}/confusions.csv", "pairs": len(pairs)}
    assert len(records) == len(pairs) > NUM_SHOWN
    for record, pair in zip(records, pairs, strict=True):
        assert (record["id_a"], record["name_b"], record["listed"]) == (pair.one.id, pair.other.name, "no")
        assert float(record["confusability"]) == pytest.approx(pair.confusability, rel=1e-5)
        for heard, share, clips, before in (
            (pair.one_as_other, "a_heard_as_b", "clips_a", "b_before_a"),
            (pair.other_as_one, "b_heard_as_a", "clips_b", "a_before_b"),
        ):
            assert (int(record[clips]), int(record[before])) == (heard.num_clips, heard.num_outranked)
            assert record[share] == "" if heard.share is None else float(record[share]) == pytest.approx(heard.share, rel=1e-5)
        assert float(record["similarity"]) == pytest.approx(similarity(pair.one.spoken, pair.other.spoken), rel=1e-5)


def test_page_shows_the_worst_and_the_csv_order(made_up, tmp_path):
    lexicon, rows = made_up
    _, records, html = written(tmp_path, rows, lexicon)
    page = Page(html)
    cells = [cells for cells in page.rows if len(cells) == 8]
    assert [(c[1], c[2]) for c in cells] == [(r["name_a"], r["name_b"]) for r in records[:NUM_SHOWN]]
    assert [int(c[0]) for c in cells] == list(range(1, NUM_SHOWN + 1))
    assert cells[0][3].split("%")[0].strip() == f"{100 * float(records[0]['confusability']):.1f}"
    widths = [float(re.fullmatch(r"width: ([\d.]+)%", attrs["style"])[1]) for tag, attrs in page.elements if "style" in attrs]
    assert widths == sorted(widths, reverse=True) and widths[0] == 100 and len(widths) == NUM_SHOWN
    missed = [cells for cells in page.rows if len(cells) == 4]
    shares = {
        drug.name: sum(r["ranked"][:1] == [drug.id] for r in mine) / len(mine)
        for drug in lexicon.drugs if (mine := [r for r in rows if r["drug_id"] == drug.id])
    }  # fmt: skip
    assert [c[1] for c in missed] == [f"{100 * share:.1f} %" if share else "0 %" for share in sorted(shares.values()) if share < 1]
    assert all(shares[c[0]] < 1 for c in missed)


def test_missed_names_tell_what_is_heard_instead(three, tmp_path):
    rows = [row("1", ["2", "1"], [0.9, 0.1])] * 2 + [row("1", ["3"], [1.0]), row("1", ["1"], [1.0]), row("2", ["2"], [1.0])]
    _, _, html = written(tmp_path, rows, three)
    (cells,) = [cells for cells in Page(html).rows if len(cells) == 4]
    assert cells[:3] == ["predniSONE", "25.0 %", "4"]
    assert cells[3].startswith("prednisoLONE") and "2 of 4" in cells[3]


def test_hostile_names_stay_text(three, tmp_path):
    drugs = (Drug(id="a,b", name=NASTY, spoken="aaa"), Drug(id='"', name="=1+1;x", spoken="bbb"))
    _, records, html = written(tmp_path, [row("a,b", ['"', "a,b"], [0.75, 0.25])], Lexicon(NASTY, drugs))
    assert records[0]["name_a"] == NASTY and records[0]["id_a"] == "a,b" and records[0]["id_b"] == '"' and records[0]["name_b"] == "=1+1;x"
    page = Page(html)
    assert "script" not in {tag for tag, _ in page.elements}
    assert page.text.count(" ".join(NASTY.split())) >= 3 and "49" not in page.text


def test_page_asks_the_network_for_nothing(made_up, tmp_path):
    lexicon, rows = made_up
    _, _, html = written(tmp_path, rows, lexicon)
    assert not re.search(r"https?:|//|@import|url\(", html)
    assert not {"script", "link", "img", "iframe"} & {tag for tag, _ in Page(html).elements}
    assert "default-src 'none'" in html


def test_page_tells_whose_voices_they_are(three, tmp_path):
    rows = [row("1", ["2"], [1.0]), row("2", ["2"], [1.0])]
    assert "All voices here are synthetic" in written(tmp_path, rows, three)[2]
    recorded = row("1", ["1"], [1.0], engine=RecordingShard.engine)
    assert "1 of the 3 clips are recordings" in written(tmp_path, [*rows, recorded], three)[2]
    assert "All clips are recordings" in written(tmp_path, rows, three, engine=RecordingShard.engine)[2]


def test_page_without_mistakes_or_clips(three, tmp_path):
    _, records, html = written(tmp_path, [row("1", ["1"], [1.0])], three)
    assert records == [] and "No name was heard as another" in html and "Every name came first" in html
    empty = pa.Table.from_pylist([row("1", ["1"], [1.0])]).slice(0, 0)
    assert write_confusions(empty, three, str(tmp_path))["pairs"] == 0


def test_files_are_the_same_twice(made_up, tmp_path):
    lexicon, rows = made_up
    first, second = (written(tmp_path / name, rows, lexicon)[1:] for name in "ab")
    assert first == second


def test_a_folder_of_predictions_is_read(made_up, tmp_path):
    lexicon, rows = made_up
    folder = tmp_path / "predictions.parquet"
    folder.mkdir()
    for number, part in enumerate((rows[:90], rows[90:])):
        pq.write_table(pa.Table.from_pylist(part), folder / f"part-{number}.parquet")
    write_confusions(str(folder), lexicon, str(tmp_path))
    written(tmp_path / "whole", rows, lexicon)
    assert (tmp_path / "confusions.csv").read_bytes() == (tmp_path / "whole" / "confusions.csv").read_bytes()
    with pytest.raises(StorageError, match="nowhere"):
        write_confusions(str(tmp_path / "nowhere"), lexicon, str(tmp_path))
    pq.write_table(pa.Table.from_pylist(rows).drop(["posteriors"]), tmp_path / "old.parquet")
    with pytest.raises(InputError, match="old.parquet lacks the columns posteriors"):
        write_confusions(str(tmp_path / "old.parquet"), lexicon, str(tmp_path))


def test_the_job_writes_beside_the_metrics(made_up, tmp_path, monkeypatch, capsys):
    lexicon, rows = made_up
    folder = tmp_path / "evaluation-x"
    (folder / "predictions.parquet").mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows), folder / "predictions.parquet" / "part-0.parquet")
    monkeypatch.setattr(evaluate, "evaluated", lambda config, arguments: (lexicon, {"overall": {"top1": 0.5}}, str(folder)))
    result = job.job(None, job.parser().parse_args(["--model", "m"]))
    assert json.loads(json.dumps(result)) == {
        "report": f"{folder}/confusions.html", "csv": f"{folder}/confusions.csv", "pairs": len(confusable_pairs(rows, lexicon)), "top1": 0.5,
    }  # fmt: skip
    shown = capsys.readouterr()
    assert "Name" not in shown.out + shown.err
