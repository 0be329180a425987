"""The preview read back with an HTML parser: the right clips, playable, escaped, and nothing from the network."""

import base64
import io
import json
import re
from argparse import Namespace
from html.parser import HTMLParser

import matplotlib.image
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from drugasr import audio, presets
from drugasr.corpus.manifest import Manifest
from drugasr.corpus.preview import MAX_CLIPS, check_num_clips, write_preview
from drugasr.corpus.schema import CORPUS_SCHEMA, SPLITS
from drugasr.corpus.synthesis import Synthesis
from drugasr.errors import ConfigError, CorpusError, StorageError
from jobs import synthesize

FILES = {"train": {"part-a.parquet": 7, "part-b.parquet": 4}, "validation": {"part-c.parquet": 3}, "test": {"part-d.parquet": 2, "part-e.parquet": 0}}
NUM_CLIPS = 16
NASTY = "<script>alert(1)</script> & \"quoted\" {{ 7*7 }}"


def row(clip_id: str, **changes) -> dict:
    time_s = np.arange(8000) / 16_000
    wave_S = np.sin(2 * np.pi * 2000 * time_s).astype(np.float32) / 2
    values = {
        "id": clip_id, "audio": {"bytes": audio.encode_flac(wave_S), "path": f"{clip_id}.flac"}, "text": "metformin", "drug": "Metformin",
        "drug_id": "6809", "dose": None, "engine": "tone", "voice": "tone:a", "accent": "flat", "rate": 1.25, "pitch": 0.9, "augmentation": "",
        "snr_db": None, "duration_s": 0.5, "sampling_rate": 16_000, "seed": 1, "source": "tts",
    }  # fmt: skip
    return values | changes


def write_file(path, rows, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema=CORPUS_SCHEMA), path, **options)


@pytest.fixture
def corpus(tmp_path):
    """16 clips in five files, of which one is empty and the others have row groups of two."""
    for split, files in FILES.items():
        for name, num_rows in files.items():
            write_file(tmp_path / split / name, [row(f"{name[5]}{number}") for number in range(num_rows)], row_group_size=2)
    Manifest(
        lexicon="two", unseen_drug_ids=("7",), files=FILES, num_failures=3,
        speech_s={split: {next(iter(files)): 1800.0} for split, files in FILES.items()},
        settings={"corpus": {f"{split}_voices": ["tone:a"] for split in SPLITS}},
    ).write(str(tmp_path))  # fmt: skip
    return tmp_path


class Page(HTMLParser):
    """The elements with their attributes, and the visible text."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.texts = [], []
        self.feed(text)
        self.text = " ".join(" ".join(self.texts).split())

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def preview(corpus, num_clips=NUM_CLIPS, seed=0) -> str:
    write_preview(str(corpus), num_clips, str(corpus / "preview.html"), seed)
    return (corpus / "preview.html").read_text()


def ids(html: str) -> list[str]:
    return re.findall(r"<code>(\w+)</code>", html)


def bytes_of(uri: str) -> bytes:
    return base64.b64decode(uri.partition(",")[2])


def test_every_clip_can_be_heard_and_seen(corpus):
    page = Page(preview(corpus))
    players, images = page.all("audio"), page.all("img")
    assert len(players) == len(images) == NUM_CLIPS
    assert all(player["src"].startswith("data:audio/flac;base64,") and "controls" in player for player in players)
    assert bytes_of(players[0]["src"]) == row("a0")["audio"]["bytes"]
    pixels = matplotlib.image.imread(io.BytesIO(bytes_of(images[0]["src"])))[..., :3].sum(axis=-1)
    assert abs(pixels.mean(axis=1).argmax() / len(pixels) - (1 - 2 / 8)) < 0.02  # a tone of 2 kHz, and 8 kHz stands at the top


def test_a_wav_is_called_a_wav(corpus):
    data = audio.encode_wav(np.full(4000, 0.1, np.float32))
    write_file(corpus / "test/part-d.parquet", [row("d0", audio={"bytes": data, "path": "x.wav"}), row("d1")])
    assert [player["src"][:15] for player in Page(preview(corpus)).all("audio")[-2:]] == ["data:audio/wav;", "data:audio/flac"]


def test_the_page_loads_nothing(corpus):
    html = preview(corpus)
    targets = [value for _, attributes in Page(html).elements for name, value in attributes.items() if name in ("src", "href", "srcset", "poster")]
    assert targets and all(target.startswith(("data:image/png;", "data:audio/flac;")) for target in targets)
    assert "default-src 'none'" in html and "http://" not in html and "https://" not in html and "url(" not in html


def test_a_clip_is_described(corpus):
    drawn = {"Gain": {"amplitude_ratio": 0.30512}, "Filter": {"center_freq": 1560.4, "gains_db": [1.0, -2.5], "mode": "low"}, "Noise": {"on": True}}
    clip = row("d0", dose="500 mg", text="metformin five hundred", augmentation=json.dumps(drawn), snr_db=12.34, engine="pico", voice="pico:en-GB")
    write_file(corpus / "test/part-d.parquet", [clip, row("d1", source="recording", rate=None, pitch=None, accent=None)])
    page = Page(preview(corpus))
    for words in (
        "Metformin 500 mg “metformin five hundred” test pico augmented", "voice pico:en-GB, flat rate, pitch 1.25, 0.9 length 0.50 s SNR 12.3 dB",
        "Gain amplitude ratio 0.305", "Filter center freq 1560, gains db 1 -2.5, mode low", "Noise on True",
        "test tone recording", "voice tone:a rate, pitch –, – length 0.50 s id d1",
    ):  # fmt: skip
        assert words in page.text
    assert page.all("audio")[-2]["aria-label"] == "metformin five hundred, pico:en-GB"
    assert page.all("img")[-2]["alt"] == "Spectrogram of 0.50 s, 0 to 8 kHz"


def test_the_header_counts_the_whole_corpus(corpus):
    page = Page(preview(corpus, num_clips=1))
    assert "1 of 16 clips" in page.text
    assert "train 11 validation 3 test 2 hours 1.50 engines 1 voices 1 names unheard in training 1 clips that failed 3" in page.text
    assert "train tone tone:a 11 0.1 validation tone tone:a 3 0.0 test tone tone:a 2 0.0" in page.text


def test_the_filters_know_the_clips(corpus):
    write_file(corpus / "test/part-d.parquet", [row("d0", engine="pico", augmentation="{}"), row("d1")])
    page = Page(preview(corpus))
    assert [(select["data-filter"]) for select in page.all("select")] == ["split", "engine", "augmented"]
    marks = [(a["data-split"], a["data-engine"], a["data-augmented"]) for a in page.all("article")]
    assert marks[-2:] == [("test", "pico", "yes"), ("test", "tone", "no")]


def test_the_seed_alone_draws_the_clips(corpus):
    drawn = {seed: ids(preview(corpus, 5, seed)) for seed in range(30)}
    assert drawn[0] == ids(preview(corpus, 5, 0)) != drawn[1]
    assert all(len(set(clips)) == 5 for clips in drawn.values())
    assert {clip for clips in drawn.values() for clip in clips} == set(ids(preview(corpus)))


def test_more_than_there_are_shows_all(corpus):
    assert len(ids(preview(corpus, MAX_CLIPS))) == len(set(ids(preview(corpus)))) == NUM_CLIPS


def test_only_row_groups_with_a_drawn_clip_are_read(corpus, monkeypatch):
    read, whole = [], pq.ParquetFile.read_row_group
    monkeypatch.setattr(pq.ParquetFile, "read_row_group", lambda file, group, *a, **k: read.append(group) or whole(file, group, *a, **k))
    assert len(ids(preview(corpus, 1))) == len(read) == 1


@pytest.mark.parametrize("changes", [{name: NASTY} for name in ("drug", "dose", "text", "engine", "voice", "accent", "source")], ids=str)
def test_strangers_text_is_escaped(corpus, changes):
    write_file(corpus / "test/part-d.parquet", [row("d0", **changes), row("d1", augmentation=json.dumps({NASTY: {NASTY: NASTY}}))])
    html = preview(corpus)
    assert "<script>alert" not in html and len(Page(html).all("script")) == 1
    assert NASTY in Page(html).text


@pytest.mark.parametrize("num_clips", [0, -1, MAX_CLIPS + 1, 10**9])
def test_a_bad_number_is_refused_before_any_work(num_clips, tmp_path, monkeypatch):
    monkeypatch.setattr(synthesize, "read_lexicon", lambda *_: pytest.fail("work was done"))
    for refused in (
        lambda: check_num_clips(num_clips),
        lambda: write_preview(str(tmp_path), num_clips, str(tmp_path / "p.html"), 0),
        lambda: synthesize.job(presets.mini(), Namespace(preview=num_clips, storage=str(tmp_path), out=None)),
    ):
        with pytest.raises(ConfigError, match=f"1 to {MAX_CLIPS} clips, not {num_clips}"):
            refused()
    assert list(tmp_path.iterdir()) == []


def test_the_job_writes_the_page_where_it_says(corpus, monkeypatch):
    (corpus.parent / "corpus").symlink_to(corpus)
    monkeypatch.setattr(synthesize, "check_storage", lambda _: None)  # it asks Ray's nodes
    monkeypatch.setattr(synthesize, "synthesise", lambda *_: Synthesis(manifest=Manifest.read(str(corpus)), num_made=0))
    arguments = ["--storage", str(corpus.parent), "--preview", "3"]
    result = synthesize.job(presets.mini(), synthesize.parser().parse_args(arguments))
    assert result["preview"] == f"{corpus.parent}/corpus/preview.html"
    assert len(ids((corpus / "preview.html").read_text())) == 3
    assert "preview" not in synthesize.job(presets.mini(), synthesize.parser().parse_args(arguments[:2]))


def test_without_a_corpus_there_is_no_page(tmp_path):
    with pytest.raises(CorpusError, match=r"no finished corpus.*jobs\.synthesize"):
        write_preview(str(tmp_path), 3, str(tmp_path / "preview.html"), 0)


@pytest.mark.parametrize("damage", ["missing", "cut", "short", "audio"])
def test_a_damaged_file_is_named_with_advice(corpus, damage):
    path = corpus / "train/part-a.parquet"
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:100])
    elif damage == "short":
        write_file(path, [row("a0")])
    else:
        write_file(path, [row(f"a{number}", audio={"bytes": b"rubbish", "path": "x.flac"}) for number in range(7)])
    with pytest.raises(CorpusError, match=r"part-a\.parquet of the train split.*run jobs\.synthesize again"):
        preview(corpus)
    assert not (corpus / "preview.html").exists()


def test_a_place_that_cannot_be_written_is_a_storage_error(corpus):
    with pytest.raises(StorageError, match="cannot write"):
        write_preview(str(corpus), 3, str(corpus / "README.md/preview.html"), 0)
