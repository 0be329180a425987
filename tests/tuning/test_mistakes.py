import math

import pytest
import torch

from drugasr import audio
from drugasr.acoustic.folder import make_processor, save_model
from drugasr.acoustic.model import AcousticModel
from drugasr.acoustic.small import build_small
from drugasr.acoustic.vocabulary import LIBRISPEECH, Vocabulary
from drugasr.corpus.reading import read_split
from drugasr.decoding.frames import mask_dead
from drugasr.tuning.mistakes import find_mistakes


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("model")
    vocabulary = Vocabulary(LIBRISPEECH)
    save_model(folder, build_small(vocabulary, seed=1), make_processor(vocabulary), {})
    return str(folder)


def test_the_margins_are_those_of_ctc_and_the_worst_come_first(model, tiny_corpus, six_names):
    """torch's own CTC loss of each name, clip by clip, says what is wrong and by how much."""
    heard = AcousticModel.from_dir(model)
    expected = {}
    for clip in read_split(str(tiny_corpus), "validation", ["audio", "drug_id", "voice"]).to_pylist():
        (logp_TV,) = heard.log_probs([audio.decode(clip["audio"]["bytes"])])
        logp_TV = torch.from_numpy(mask_dead(logp_TV, heard.vocabulary)).double()
        loglik = {}
        for drug in six_names.drugs:
            target = torch.tensor([heard.vocabulary.encode(drug.spoken)])
            lengths = torch.tensor([len(logp_TV)]), torch.tensor([target.shape[1]])
            loglik[drug.id] = -torch.nn.functional.ctc_loss(logp_TV[:, None], target, *lengths, blank=heard.vocabulary.blank, reduction="sum").item()
        right = loglik.pop(clip["drug_id"])
        best = max(loglik, key=loglik.get)
        expected[clip["audio"]["bytes"]] = (right - loglik[best], clip["drug_id"], clip["drug_id"] if right > loglik[best] else best)
    mistakes = find_mistakes(model, str(tiny_corpus), six_names)
    ids = {drug.name: drug.id for drug in six_names.drugs}
    assert mistakes.num_clips == len(expected) == 6
    for clip in mistakes.worst:
        margin, said, other = expected[clip.flac]
        assert (ids[clip.said], ids[clip.heard]) == (said, other)
        assert clip.margin == pytest.approx(margin, abs=1e-3)  # a batch of clips against one
    assert [clip.margin for clip in mistakes.worst] == pytest.approx(sorted(margin for margin, _, _ in expected.values()), abs=1e-3)
    assert mistakes.num_wrong == sum(margin < 0 for margin, _, _ in expected.values()) > 0
    assert {(ids[said], ids[other]) for said, other, _ in mistakes.pairs} == {(said, other) for margin, said, other in expected.values() if margin < 0}
    assert sum(count for _, _, count in mistakes.pairs) == mistakes.num_wrong
    assert all(math.isfinite(clip.margin) and clip.voice for clip in mistakes.worst)
