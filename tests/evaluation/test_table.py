from drugasr.evaluation.metrics import compute_metrics
from drugasr.evaluation.table import format_table


def row(**changes):
    """A clip of drug `a` that everything got right, with `changes`."""
    return {
        "drug_id": "a", "drug": "A", "text": "aspirin", "transcript": "aspirin", "ranked": ["a"], "ranked_levenshtein": ["a"],
        "answer": "A", "confidence": 1.0, "in_list": 1.0, "engine": "espeak", "voice": "espeak:en-us+f5", "accent": "en-us", "snr_db": None, "seen": True,
        "dose": None, "said_dose": None, "sound_alike": False, "error": None, "compute_s": 0.1, "duration_s": 1.0,
    } | changes  # fmt: skip


def test_table_shows_the_groups_and_no_drug():
    rows = [row(drug="Secretamab", drug_id="secretamab", ranked=["secretamab"], text="secretamab", transcript="b"), row(voice="pico:en-GB")]
    table = format_table(compute_metrics(rows))
    lines = table.splitlines()
    assert lines[0].split() == ["clips", "top-1", "top-5", "Lev", "top-1", "Lev", "top-5", "CER", "WER", "ECE", "OOL", "rej@90"]
    assert lines[2].split()[:4] == ["overall", "2", "100.0", "100.0"]
    assert lines[3].startswith("seen names") and lines[4].startswith("unseen names")
    assert [line.split()[0] for line in lines[6:]] == ["espeak:en-us+f5", "pico:en-GB"]
    assert "ecretamab" not in table


def test_groups_without_clips_show_dashes():
    unseen = format_table(compute_metrics([row()])).splitlines()[4]
    assert unseen.split() == ["unseen", "names", "0", *["-"] * 8]


def test_outsiders_have_a_column_and_are_no_clips_of_the_list():
    rows = [row(in_list=0.7), *(row(drug_id=None, drug="Secretamab", in_list=p) for p in (0.1, 0.6, 0.9, 0.7))]
    lines = format_table(compute_metrics(rows)).splitlines()
    assert lines[2].split()[1:3] == ["1", "100.0"] and lines[2].split()[-1] == "50.0"
    assert lines[3].split()[-1] == "-"  # outsiders are neither seen nor unseen


def test_columns_stay_aligned():
    lines = format_table(compute_metrics([row(), row(voice="kokoro:a-rather-long-voice-name")])).splitlines()
    assert len({len(line) for line in lines}) == 1
