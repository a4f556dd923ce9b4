"""What the tests of layers share."""

import pytest
import torch


@pytest.fixture(scope="module")
def one_thread():
    """Loops over small steps crawl when torch's threads wait for a busy core at each of them."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
