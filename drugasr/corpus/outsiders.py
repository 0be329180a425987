"""Names that are not in the list: on their clips "none of these" is fitted (validation) and measured (test)."""

from collections.abc import Mapping

from drugasr.config import CorpusConfig
from drugasr.fingerprint import seed_of
from drugasr.lexicon.drug import Drug, Lexicon
from drugasr.lexicon.reading import read_lexicon
from drugasr.progress import say

_SPLITS = ("validation", "test")


def choose_outsiders(lexicon: Lexicon, config: CorpusConfig) -> Mapping[str, tuple[Drug, ...]]:
    """Split -> at most `num_outsiders` names of the shipped full list, as drugs without an id; fewer, or none, where it has no more.

    None of them shares a word with the list, which would be a drug of the list with another salt or suffix, or is one
    of its names written together or apart. Each split has names of its own, and those that begin with the same word are
    in the same one. A name is chosen by itself alone: one more in the list replaces those that share a word with it.
    """
    if not config.num_outsiders:
        return {}
    listed = {part for drug in lexicon.drugs for form in drug.spoken_forms for part in _parts(form)}
    found: dict[str, list[Drug]] = {split: [] for split in _SPLITS}
    for drug in read_lexicon("full").drugs:
        if not any(part in listed for form in drug.spoken_forms for part in _parts(form)):
            split = _SPLITS[seed_of("outsider split", config.seed, drug.spoken.split()[0]) % 2]
            found[split].append(Drug(id="", name=drug.name, spoken=drug.spoken))
    chosen = {
        split: tuple(sorted(drugs, key=lambda drug: (seed_of("outsider", config.seed, drug.spoken), drug.spoken))[: config.num_outsiders])
        for split, drugs in found.items()
    }
    if any(len(drugs) < config.num_outsiders for drugs in chosen.values()):
        numbers = ", ".join(f"{len(drugs)} for {split}" for split, drugs in chosen.items())
        say(f"names outside the list: {numbers}, not {config.num_outsiders}: the shipped full list has no more that share no word with it")
    return chosen


def _parts(form: str) -> list[str]:
    return [*form.split(), form.replace(" ", "")]
