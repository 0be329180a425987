"""How often the name that was said is first, or among the first five: counts of clips, as tables and as comparisons.

The peer is the answer without a lexicon in the search: the names nearest to the greedy transcript by Levenshtein distance.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from benchmarks.base_corpus import Clip
from benchmarks.harness import Comparison
from drugasr.decoding.answer import Recognition
from drugasr.decoding.levenshtein import rank_by_levenshtein
from drugasr.lexicon.drug import Lexicon

NUM_BEST = 5
TOTAL = "all voices"
_KINDS = {True: "trained names", False: "names never trained"}


@dataclass
class Count:
    """Clips of a group."""

    num_clips: int = 0
    ours: dict[int, int] = field(default_factory=lambda: {1: 0, NUM_BEST: 0})
    """k -> clips whose name is among the first k by CTC likelihood."""
    peer: dict[int, int] = field(default_factory=lambda: {1: 0, NUM_BEST: 0})
    """The same by Levenshtein distance."""

    def top(self, k: int) -> str:
        return f"{100 * self.ours[k] / self.num_clips:.1f}" if self.num_clips else "-"


class Accuracy:
    """The counts of one condition and one list, by group of clips and by whether the base was trained on the name."""

    def __init__(self, condition: str, lexicon: Lexicon) -> None:
        self.title = f"{condition}, {lexicon.name}"
        self._names, self._forms = [drug.name for drug in lexicon.drugs], [drug.spoken for drug in lexicon.drugs]
        self._counts: dict[tuple[str, bool], Count] = defaultdict(Count)
        self._engines: set[str] = set()

    def add(self, clip: Clip, answer: Recognition, groups: Sequence[str]) -> None:
        """Counts a clip in the total, for its engine, its voice and further groups."""
        ours = [alternative.drug for alternative in answer.alternatives[:NUM_BEST]]
        # An empty transcript is equally far from every name.
        peer = [self._names[i] for i in rank_by_levenshtein(answer.text, self._forms, NUM_BEST).index_K] if answer.text else []
        self._engines.add(clip.engine)
        for group in (TOTAL, clip.engine, clip.voice, *groups):
            count = self._counts[group, clip.is_trained]
            count.num_clips += 1
            for k in count.ours:
                count.ours[k] += clip.drug in ours[:k]
                count.peer[k] += clip.drug in peer[:k]

    @property
    def engines(self) -> list[str]:
        """The total, then the engines."""
        return [TOTAL, *sorted(self._engines)]

    @property
    def groups(self) -> list[str]:
        """The total, then engines (whose names stand before their voices') and other groups."""
        return sorted({group for group, _ in self._counts}, key=lambda group: (group != TOTAL, group))

    def table(self) -> str:
        """Shares in per cent."""
        rows = [[self.title, *(cell for kind in _KINDS.values() for cell in (kind, "top-1", f"top-{NUM_BEST}"))]]
        for group in self.groups:
            counts = [self._counts[group, is_trained] for is_trained in _KINDS]
            rows.append([group, *(cell for count in counts for cell in (f"{count.num_clips:,} clips", count.top(1), count.top(NUM_BEST)))])
        return _aligned(rows)

    def comparisons(self, groups: Iterable[str], ranks: Iterable[int] = (1, NUM_BEST)) -> list[Comparison]:
        """Shares of the groups in per cent beside those by Levenshtein distance; groups without a clip are left out."""
        found, ranks = [], tuple(ranks)
        for group in groups:
            for is_trained, kind in _KINDS.items():
                count = self._counts[group, is_trained]
                for k in ranks if count.num_clips else ():
                    share = 100 / count.num_clips
                    found.append(
                        Comparison(
                            name=f"{self.title}: {group}, {kind}, top-{k}",
                            ours=share * count.ours[k],
                            peer=share * count.peer[k],
                            ratio=count.ours[k] / max(count.peer[k], 1),  # a peer that is never right counts as once
                            unit="%",
                            runs=count.num_clips,
                        )
                    )
        return found


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows)]
    return "\n".join("  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows)
