"""One thread for all that trains here."""

import pytest
import torch


@pytest.fixture(autouse=True, scope="package")
def one_thread():
    """Two threads on busy cores are several times slower than one."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
