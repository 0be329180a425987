from decimal import Decimal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_frames import VOCABULARY, oracle, random_frames, speech_frames

from drugasr.decoding.dose_grammar import _BOTH, _DOSE, _SUFFIX, DoseGrammar
from drugasr.decoding.likelihood import alone_and_followed
from drugasr.decoding.trie import build_trie
from drugasr.lexicon.dose import make_dose, spoken_variants
from drugasr.lexicon.reading import read_lexicon

NAMES = [drug.spoken for drug in read_lexicon("quick50").drugs]
STRENGTHS = ("5", "10", "20", "25", "40", "50", "100", "325", "500", "2.5", "0.5", "1500")
DOSES = {make_dose(Decimal(value), "MG"): 1 / len(STRENGTHS) for value in STRENGTHS}
FORMS = {form: (dose, len(spoken_variants(dose))) for dose in reversed(DOSES) for form in spoken_variants(dose)}


def brute_force(logp_TV: np.ndarray, names: list[str], forms: dict[str, float]) -> np.ndarray:
    """Every name with everything that may follow it, written out and scored one by one."""
    rows = np.array([oracle(logp_TV, [f"{name} {form}" for form in forms]) for name in names])
    with np.errstate(divide="ignore"):
        return np.logaddexp.reduce(rows + np.log(list(forms.values())), axis=1)


def shares(doses) -> dict[str, float]:
    """Form -> its probability, given that a dose follows; several doses may share a form."""
    found: dict[str, float] = {}
    for dose, prior in doses.items():
        for form in spoken_variants(dose):
            found[form] = found.get(form, 0.0) + prior / len(spoken_variants(dose))
    return found


@pytest.mark.parametrize(
    "logp_TV",
    [
        speech_frames("metformin five hundred milligrams"),
        speech_frames("warfarin"),
        speech_frames("atorvastatin forty", sureness=3.0),
        random_frames(90, 3),
        random_frames(70, 0),
    ],
    ids=["dose", "name", "doubtful", "noise", "uniform"],
)
def test_factoring_equals_brute_force_over_fifty_names_and_all_forms(kernels, logp_TV):
    forms = shares(DOSES)
    assert len(NAMES) == 50 and len(forms) >= 30
    grammar = DoseGrammar(VOCABULARY, DOSES, suffixes=())
    _, followed_N = alone_and_followed(logp_TV, build_trie(NAMES, VOCABULARY), grammar.log_rest(logp_TV))
    np.testing.assert_allclose(followed_N, brute_force(logp_TV, NAMES, forms), rtol=0, atol=1e-9)


@settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(1, 70), st.sampled_from([0.0, 1.0, 5.0]), st.sampled_from([-4, 0, 6]), st.integers(0, 99))
def test_factoring_equals_brute_force_with_release_suffixes(kernels, num_frames, spread, blank_bias, seed):
    doses = {make_dose(Decimal("1"), "MG"): 0.25, make_dose(Decimal("0.5"), "MG"): 0.75}
    suffixes = ("xr", "ee", "extended release")
    forms = {form: _DOSE * share for form, share in shares(doses).items()}
    for suffix in ("x r", "e e", "extended release"):
        forms[suffix] = _SUFFIX / 3
        forms |= {f"{suffix} {form}": _BOTH / 3 * share for form, share in shares(doses).items()}
    logp_TV = random_frames(num_frames, spread, blank_bias, seed)
    names = ["a", "bee", "abba b"]
    grammar = DoseGrammar(VOCABULARY, doses, suffixes)
    _, followed_N = alone_and_followed(logp_TV, build_trie(names, VOCABULARY), grammar.log_rest(logp_TV))
    np.testing.assert_allclose(followed_N, brute_force(logp_TV, names, forms), rtol=0, atol=1e-9)


def said(text: str, name: str, marketed=(), probability: float = 0.2, **options):
    logp_TV = speech_frames(text, **options)
    return DoseGrammar(VOCABULARY).said_dose(logp_TV, VOCABULARY.encode(name), [make_dose(Decimal(value), unit) for value, unit in marketed], probability)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("five hundred milligrams", "500 mg"),
        ("three twenty five milligrams", "325 mg"),
        ("fifteen hundred migs", "1500 mg"),
        ("one gram", "1000 mg"),
        ("x r seven hundred fifty milligrams", "750 mg"),
        ("extended release five hundred milligrams", "500 mg"),
        ("two and a half milligrams", "2.5 mg"),
        ("point five milligrams", "0.5 mg"),
        ("one hundred twelve micrograms", "112 mcg"),
        ("ten units", "10 units"),
        ("five milliliters", "5 mL"),
    ],
)
def test_a_dose_behind_a_name(kernels, text, written):
    found = said(f"metformin {text}", "metformin")
    assert found.dose.written == written and found.probability > 0.9
    assert found.spoken in text


@pytest.mark.parametrize("text", ["metformin", "metformin x r", "metformin extended release"])
def test_no_dose(text):
    assert said(text, "metformin") is None


def test_a_bare_number_is_the_strength_that_is_sold():
    assert said("levothyroxine fifty", "levothyroxine", [("50", "MCG"), ("75", "MCG")]).dose.written == "50 mcg"
    assert said("metoprolol fifty", "metoprolol", [("50", "MG"), ("100", "MG")]).dose.written == "50 mg"


def test_the_posterior_of_a_dose_equals_brute_force():
    marketed = [dose for dose in DOSES if dose.value in (25, 50)]
    logp_TV = speech_frames("warfarin fifty milligrams", sureness=1.5)
    found = DoseGrammar(VOCABULARY, DOSES, suffixes=()).said_dose(logp_TV, VOCABULARY.encode("warfarin"), marketed, 0.3)
    prior = {dose: 0.05 * share + 0.95 * (dose in marketed) / 2 for dose, share in DOSES.items()}
    alone = np.log(0.7) + oracle(logp_TV, ["warfarin"])[0]
    of_dose = {
        dose: np.log(0.3 * _DOSE * prior[dose] / len(spoken_variants(dose)))
        + np.logaddexp.reduce(oracle(logp_TV, [f"warfarin {form}" for form in spoken_variants(dose)]))
        for dose in DOSES
    }
    total = np.logaddexp(alone, np.logaddexp.reduce(list(of_dose.values())))
    best = max(of_dose, key=of_dose.__getitem__)
    assert found.dose == best
    assert found.probability == pytest.approx(np.exp(of_dose[best] - total), abs=1e-9)


def test_frames_that_can_hold_nothing():
    grammar = DoseGrammar(VOCABULARY)
    for num_frames in (1, 2, 8):
        assert grammar.said_dose(random_frames(num_frames, 1), VOCABULARY.encode("warfarin"), [], 0.2) is None
        assert np.isneginf(grammar.log_rest(random_frames(num_frames, 1))[-1])
