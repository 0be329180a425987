import pytest

from drugasr.decoding import backward, forward


@pytest.fixture(params=["numba", "numpy"])
def kernels(request, monkeypatch):
    """Runs a test with the compiled recursions, and with those that stand in for them."""
    if request.param == "numpy":
        monkeypatch.setattr("drugasr.decoding.likelihood.compiled_forward", lambda: forward.forward_numpy)
        monkeypatch.setattr("drugasr.decoding.dose_grammar.compiled_backward", lambda: backward.backward_numpy)
