"""Which names of a list a model confuses: every name scored on the clips of every other, as `ranked` and `posteriors` tell."""

import csv
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from drugasr import storage
from drugasr.errors import InputError, StorageError
from drugasr.lexicon.drug import Drug, Lexicon
from drugasr.lexicon.similarity import phonetic_similarity, spelling_similarity
from drugasr.lexicon.soundalikes import SoundAlikes, read_sound_alikes

COLUMNS = ("drug_id", "ranked", "posteriors", "engine", "voice")
"""What a prediction must have; `posteriors` are those of `ranked`, among the names of the list."""
NUM_SHOWN, NUM_WORST = 50, 20
_ERROR = "error"  # a column that a prediction may have: why its clip could not be heard
_RECORDED = "recording"  # the engine of clips that a person spoke


@dataclass(frozen=True, kw_only=True, slots=True)
class Heard:
    """The clips of one name of a pair, and what the model heard of the other in them."""

    num_clips: int
    posterior_sum: float
    """Posterior of the other name, 0 in clips where it is not among the best, summed over the clips."""
    num_outranked: int
    """Clips in which the other name came before the one that was said."""

    @property
    def share(self) -> float | None:
        """Mean posterior of the other name; None without clips."""
        return self.posterior_sum / self.num_clips if self.num_clips else None


@dataclass(frozen=True, kw_only=True, slots=True)
class ConfusablePair:
    one: Drug
    other: Drug
    """After `one` in the alphabet."""
    one_as_other: Heard
    """`one` was said."""
    other_as_one: Heard
    spelling: float
    phonetic: float
    """Similarities from 0 to 1, as in `drugasr.lexicon.similarity`; of the two most similar forms where a drug has several."""
    listed: bool
    """Whether it is in the list of sound-alikes."""
    tall_man_one: str
    """Tall-man letters, or the name as the list of names writes it."""
    tall_man_other: str

    @property
    def confusability(self) -> float:
        """Mean posterior of the wrong name of the two over the clips of both."""
        one, other = self.one_as_other, self.other_as_one
        return (one.posterior_sum + other.posterior_sum) / (one.num_clips + other.num_clips)

    @property
    def similarity(self) -> float:
        return (self.spelling + self.phonetic) / 2


@dataclass(frozen=True, kw_only=True, slots=True)
class MissedName:
    """A drug that did not rank first in all of its clips."""

    drug: Drug
    tall_man: str
    num_clips: int
    num_first: int
    instead: str
    """What most often ranked first in its place, in tall-man letters; empty where nothing was ranked."""
    num_instead: int


@dataclass
class _Counts:
    """Sums over clips, by drug ids; (said, heard) for pairs."""

    clips: Counter[str] = field(default_factory=Counter)
    posterior: dict[tuple[str, str], float] = field(default_factory=lambda: defaultdict(float))
    outranked: Counter[tuple[str, str]] = field(default_factory=Counter)
    first: Counter[tuple[str, str]] = field(default_factory=Counter)
    voices: set[str] = field(default_factory=set)
    recorded_clips: int = 0

    def heard(self, said: str, other: str) -> Heard:
        pair = (said, other)
        return Heard(num_clips=self.clips[said], posterior_sum=self.posterior.get(pair, 0.0), num_outranked=self.outranked[pair])


def confusable_pairs(
    predictions: pa.Table | Iterable[Mapping[str, Any]], lexicon: Lexicon, num_pairs: int | None = None
) -> list[ConfusablePair]:
    """The `num_pairs` most confusable pairs (None: all above 0), most confusable first, equals by the alphabet.

    Clips of drugs that the list does not have are left out. Raises InputError for predictions that lack a column or
    were made with another list.
    """
    return _pairs(_count(predictions, lexicon), lexicon, read_sound_alikes())[:num_pairs]


def write_confusions(predictions: pa.Table | str, lexicon: Lexicon, out_uri: str) -> dict[str, Any]:
    """Writes `confusions.csv` (all pairs above 0) and the page `confusions.html` to folder `out_uri`; says where, and how many pairs.

    `predictions` is a table or the URI of a file or folder of Parquet. Raises InputError as `confusable_pairs`, StorageError.
    """
    table = _read(predictions) if isinstance(predictions, str) else predictions
    counts, sound_alikes = _count(table, lexicon), read_sound_alikes()
    pairs = _pairs(counts, lexicon, sound_alikes)
    missed = _missed(counts, lexicon, sound_alikes)
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["percent"] = _percent
    html = environment.get_template("confusions.html.j2").render(
        lexicon=lexicon,
        num_names=len(counts.clips),
        num_clips=counts.clips.total(),
        num_first=sum(counts.first[name, name] for name in counts.clips),
        num_voices=len(counts.voices),
        num_recorded=counts.recorded_clips,
        num_mixed_up=sum(pair.one_as_other.num_outranked + pair.other_as_one.num_outranked > 0 for pair in pairs),
        num_pairs=len(pairs),
        pairs=pairs[:NUM_SHOWN],
        num_missed=len(missed),
        missed=missed[:NUM_WORST],
    )
    csv_uri, html_uri = (storage.join(out_uri, f"confusions.{suffix}") for suffix in ("csv", "html"))
    storage.write_bytes(csv_uri, _csv(pairs).encode())
    storage.write_bytes(html_uri, html.encode())
    return {"report": html_uri, "csv": csv_uri, "pairs": len(pairs)}


def _read(uri: str) -> pa.Table:
    filesystem, path = storage.locate(uri)
    try:
        names = pq.ParquetDataset(path, filesystem=filesystem).schema.names
        if missing := [name for name in COLUMNS if name not in names]:
            raise InputError(f"{uri} lacks the columns {', '.join(missing)}: delete the folder that it is in and evaluate the model again")
        return pq.read_table(path, filesystem=filesystem, columns=[name for name in (*COLUMNS, _ERROR) if name in names])
    except (OSError, pa.ArrowException) as error:
        raise StorageError(f"cannot read the predictions in {uri}: {error}") from error


def _rows(predictions: pa.Table | Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    if not isinstance(predictions, pa.Table):
        yield from predictions
        return
    wanted = [name for name in (*COLUMNS, _ERROR) if name in predictions.column_names]
    for batch in predictions.select(wanted).to_batches(max_chunksize=10_000):
        yield from batch.to_pylist()


def _count(predictions: pa.Table | Iterable[Mapping[str, Any]], lexicon: Lexicon) -> _Counts:
    ids, counts = {drug.id for drug in lexicon.drugs}, _Counts()
    for row in _rows(predictions):
        if missing := [name for name in COLUMNS if name not in row]:
            raise InputError(f"the predictions lack the columns {', '.join(missing)}")
        said, ranked, posteriors = row["drug_id"], row["ranked"] or [], row["posteriors"] or []
        if len(ranked) != len(posteriors) or not ids.issuperset(ranked):
            raise InputError("the predictions were not made with this list of names: evaluate the model with it")
        if said not in ids or row.get(_ERROR) is not None:
            continue
        counts.clips[said] += 1
        counts.voices.add(row["voice"])
        counts.recorded_clips += row["engine"] == _RECORDED
        counts.first.update((said, first) for first in ranked[:1])
        place = ranked.index(said) if said in ranked else len(ranked)
        for i, (heard, posterior) in enumerate(zip(ranked, posteriors, strict=True)):
            if heard != said:
                counts.posterior[said, heard] += posterior
                counts.outranked[said, heard] += i < place
    return counts


def _pairs(counts: _Counts, lexicon: Lexicon, sound_alikes: SoundAlikes) -> list[ConfusablePair]:
    drugs = {drug.id: drug for drug in lexicon.drugs}
    # Spoken forms differ within a list, so they tell which name of a pair comes first.
    found = {tuple(sorted(pair, key=lambda drug_id: drugs[drug_id].spoken)) for pair, posterior in counts.posterior.items() if posterior > 0}
    pairs = [_pair(drugs[one], drugs[other], counts, sound_alikes) for one, other in found]
    return sorted(pairs, key=lambda pair: (-pair.confusability, pair.one.spoken, pair.other.spoken))


def _pair(one: Drug, other: Drug, counts: _Counts, sound_alikes: SoundAlikes) -> ConfusablePair:
    forms = [(a, b) for a in one.spoken_forms for b in other.spoken_forms]
    spelling, phonetic = max(((spelling_similarity(*pair), phonetic_similarity(*pair)) for pair in forms), key=sum)
    return ConfusablePair(
        one=one,
        other=other,
        one_as_other=counts.heard(one.id, other.id),
        other_as_one=counts.heard(other.id, one.id),
        spelling=spelling,
        phonetic=phonetic,
        listed=any(b in sound_alikes.of(a) for a, b in forms),
        tall_man_one=_tall_man(one, sound_alikes),
        tall_man_other=_tall_man(other, sound_alikes),
    )


def _missed(counts: _Counts, lexicon: Lexicon, sound_alikes: SoundAlikes) -> list[MissedName]:
    """Names that were missed, the lowest share of first ranks first."""
    drugs = {drug.id: drug for drug in lexicon.drugs}
    instead: dict[str, tuple[int, str]] = defaultdict(lambda: (0, ""))
    for (said, heard), num_clips in counts.first.items():
        if heard != said:
            instead[said] = min(instead[said], (-num_clips, _tall_man(drugs[heard], sound_alikes)))
    found = [
        MissedName(
            drug=drugs[said], tall_man=_tall_man(drugs[said], sound_alikes), num_clips=num_clips, num_first=counts.first[said, said],
            instead=instead[said][1], num_instead=-instead[said][0],
        )
        for said, num_clips in counts.clips.items()
        if counts.first[said, said] < num_clips
    ]  # fmt: skip
    return sorted(found, key=lambda name: (name.num_first / name.num_clips, -name.num_clips, name.drug.spoken))


def _tall_man(drug: Drug, sound_alikes: SoundAlikes) -> str:
    return sound_alikes.tall_man(drug.spoken) or drug.name


def _csv(pairs: Iterable[ConfusablePair]) -> str:
    """A row a pair; an empty share: the name has no clips."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(
        ("name_a", "id_a", "tall_man_a", "name_b", "id_b", "tall_man_b", "confusability", "a_heard_as_b", "clips_a", "b_before_a",
         "b_heard_as_a", "clips_b", "a_before_b", "similarity", "spelling", "phonetic", "listed")
    )  # fmt: skip
    for pair in pairs:
        a, b = pair.one_as_other, pair.other_as_one
        writer.writerow(
            (pair.one.name, pair.one.id, pair.tall_man_one, pair.other.name, pair.other.id, pair.tall_man_other, _digits(pair.confusability),
             _digits(a.share), a.num_clips, a.num_outranked, _digits(b.share), b.num_clips, b.num_outranked, _digits(pair.similarity),
             _digits(pair.spelling), _digits(pair.phonetic), "yes" if pair.listed else "no")
        )  # fmt: skip
    return text.getvalue()


def _digits(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _percent(value: float | None) -> str:
    if not value:
        return "–" if value is None else "0 %"
    return "below 0.1 %" if value < 0.0005 else f"{100 * value:.1f} %"
