"""The clips that most recognisers get wrong, to be listened to, and the names that they take for others."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from drugasr import audio
from drugasr.corpus.manifest import Manifest
from drugasr.corpus.reading import read_file
from drugasr.evaluation.metrics import is_first_right
from drugasr.evaluation.prediction import heard_wave
from drugasr.lexicon.drug import Lexicon
from drugasr.lexicon.soundalikes import SoundAlikes, read_sound_alikes

Predictions = Mapping[str, Sequence[Mapping[str, Any]]]
_MAX_OF_A_NAME = 2  # a name that nobody recognises would fill the page


@dataclass(frozen=True, kw_only=True)
class Heard:
    recogniser: str
    name: str
    """What ranked first; empty for nothing."""
    transcript: str
    is_right: bool


@dataclass(frozen=True, kw_only=True)
class WorstClip:
    said: str
    dose: str
    voice: str
    snr_db: float | None
    heard: tuple[Heard, ...]
    flac: bytes


@dataclass(frozen=True, kw_only=True)
class Mixup:
    said: str
    heard: str
    is_listed: bool
    """Whether the two are listed as sound-alikes."""
    num_clips: tuple[int, ...]
    """Clips in which `heard` ranked first, of each recogniser."""
    num_said: int
    """Clips that say the name."""


def find_worst(predictions: Predictions, corpus_uri: str, lexicon: Lexicon, num_clips: int) -> list[WorstClip]:
    """Those that most recognisers get wrong, of these the ones where they are surest, at most two of a name. Raises CorpusError."""
    names = _shown_names(lexicon, read_sound_alikes())
    by_clip: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for rows in predictions.values():
        for row in rows:
            if row["drug_id"] is not None and row["error"] is None:
                by_clip[row["id"]].append(row)
    badness = {
        clip: (sum(wrong := [not is_first_right(row) for row in rows]), sum(row["confidence"] or 0.0 for row, bad in zip(rows, wrong) if bad))
        for clip, rows in by_clip.items()
    }
    chosen: list[str] = []
    of_name: Counter[str] = Counter()
    for clip in sorted(badness, key=lambda clip: (*(-value for value in badness[clip]), clip)):
        drug = by_clip[clip][0]["drug_id"]
        if badness[clip][0] and of_name[drug] < _MAX_OF_A_NAME and len(chosen) < num_clips:
            chosen.append(clip)
            of_name[drug] += 1
    flac = _read_audio(corpus_uri, set(chosen))
    return [
        WorstClip(
            said=names[rows[0]["drug_id"]], dose=rows[0]["dose"] or "", voice=rows[0]["voice"], snr_db=rows[0]["snr_db"], flac=flac[clip],
            heard=tuple(
                Heard(recogniser=row["recogniser"], name=names.get(first_of(row), ""), transcript=row["transcript"], is_right=is_first_right(row)) for row in rows
            ),
        )
        for clip in chosen
        for rows in [by_clip[clip]]
    ]  # fmt: skip


def find_mixups(predictions: Predictions, lexicon: Lexicon, num_pairs: int) -> list[Mixup]:
    """Names of which another ranked first: listed sound-alikes before others, then by how often, over all recognisers."""
    drugs, sound_alikes = {drug.id: drug for drug in lexicon.drugs}, read_sound_alikes()
    names = _shown_names(lexicon, sound_alikes)
    counts = [Counter() for _ in predictions]
    said: Counter[str] = Counter()
    for number, rows in enumerate(predictions.values()):
        heard = [row for row in rows if row["drug_id"] is not None and row["error"] is None]
        said |= Counter(row["drug_id"] for row in heard)
        counts[number].update((row["drug_id"], first_of(row)) for row in heard if first_of(row) not in (None, row["drug_id"]))
    total: Counter[tuple[str, str]] = sum(counts, Counter())

    def is_listed(one: str, other: str) -> bool:
        return any(form in sound_alikes.of(own) for own in drugs[one].spoken_forms for form in drugs[other].spoken_forms)

    pairs = sorted(total, key=lambda pair: (not is_listed(*pair), -total[pair], pair))[:num_pairs]
    return [
        Mixup(
            said=names[one], heard=names[other], is_listed=is_listed(one, other), num_clips=tuple(count[one, other] for count in counts),
            num_said=said[one],
        )
        for one, other in pairs
    ]  # fmt: skip


def first_of(row: Mapping[str, Any]) -> str | None:
    """Id of what ranked first: by CTC likelihood where the recogniser has one."""
    return next(iter(row["ranked_levenshtein"] if row["ranked"] is None else row["ranked"]), None)


def _shown_names(lexicon: Lexicon, sound_alikes: SoundAlikes) -> dict[str, str]:
    """Id -> the name in tall-man letters, or as the list writes it."""
    return {drug.id: sound_alikes.tall_man(drug.spoken) or drug.name for drug in lexicon.drugs}


def _read_audio(corpus_uri: str, ids: set[str]) -> dict[str, bytes]:
    """Id -> FLAC of what was heard, noise and all."""
    found: dict[str, bytes] = {}
    originals = {clip.partition("@")[0] for clip in ids}
    for file_name in Manifest.read(corpus_uri).files["test"]:
        if originals.intersection(read_file(corpus_uri, "test", file_name, ["id"])["id"].to_pylist()):
            data = {row["id"]: row["audio"]["bytes"] for row in read_file(corpus_uri, "test", file_name, ["id", "audio"]).to_pylist() if row["id"] in originals}
            found |= {clip: audio.encode_flac(heard_wave(data[original], clip)) for clip in ids if (original := clip.partition("@")[0]) in data}
    return found
