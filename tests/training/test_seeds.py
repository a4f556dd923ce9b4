import numpy as np
import pytest
import torch

from tsrec.training import make_generator


def draw(random_state):
    return torch.rand(3, generator=make_generator(random_state))


def test_an_int_gives_the_same_numbers_whatever_its_type():
    assert torch.equal(draw(5), draw(np.int64(5)))
    assert not torch.equal(draw(5), draw(6))


@pytest.mark.parametrize("kind", [np.random.RandomState, np.random.default_rng])
def test_a_numpy_generator_is_drawn_from(kind):
    assert torch.equal(draw(kind(1)), draw(kind(1)))
    one = kind(1)
    assert not torch.equal(draw(one), draw(one))


def test_none_differs_from_call_to_call_and_touches_no_global_state():
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002 - it is what we watch
    assert not torch.equal(draw(None), draw(None))
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)  # noqa: NPY002


def test_a_torch_generator_is_used_itself():
    generator = torch.Generator()
    assert make_generator(generator) is generator


@pytest.mark.parametrize(("bad", "error"), [(-1, ValueError), ("3", TypeError), (2.0, TypeError), (True, TypeError)])
def test_anything_else_is_refused(bad, error):
    with pytest.raises(error, match="random_state"):
        make_generator(bad)
