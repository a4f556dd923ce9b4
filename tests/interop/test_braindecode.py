"""The module with braindecode's conventions, in a training loop of one's own."""

import copy

import numpy as np
import pytest
import torch

from tsrec import LuMambaEncoder
from tsrec.interop.braindecode import LuMambaModule

CHANNELS = [{"ch_name": name} for name in ("EEG Fp1-REF", "Cz", "O2")]
SMALL = {"width": 16, "n_queries": 2, "n_layers": 1}


def windows(n=16):
    time = torch.arange(160) / 160
    pace = torch.where(torch.arange(n) % 2 == 0, 6.0, 24.0)[:, None, None]
    return torch.sin(2 * torch.pi * pace * (time + torch.rand(n, 3, 1, generator=torch.Generator().manual_seed(0))))


@pytest.mark.slow
def test_it_learns_in_a_plain_loop_and_survives_a_copy():
    module = LuMambaModule(2, CHANNELS, n_chans=3, n_times=160, sfreq=160, head="linear", **SMALL)
    x, y = windows(), torch.arange(16) % 2
    optimiser = torch.optim.Adam(module.parameters(), lr=3e-3)
    module.train()
    for step in range(40):
        if step == 5:
            twin = copy.deepcopy(module).train()
            assert twin(x).shape == (16, 2)
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(module(x), y).backward()
        optimiser.step()
    module.eval()
    assert (module(x).argmax(1) == y).all()


def test_it_begins_with_the_weights_of_an_encoder():
    X = windows(6).numpy()
    names = [one["ch_name"] for one in CHANNELS]
    encoder = LuMambaEncoder(ch_names=names, sfreq=160, max_epochs=1, random_state=0, **SMALL).fit(X)
    module = LuMambaModule(2, CHANNELS, sfreq=160, encoder=encoder, head="linear").eval()
    seen = []
    module.head.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0].mean(1)))
    module(torch.from_numpy(X))
    np.testing.assert_allclose(seen[0].detach().numpy(), encoder.transform(X), atol=1e-4)
    with torch.no_grad():
        module.encoder.hidden += 1
    assert not torch.equal(module.encoder.hidden, encoder.module_.encoder.hidden)
    with pytest.raises(ValueError, match="sfreq: found 128, the encoder learned at 160"):
        LuMambaModule(2, CHANNELS, sfreq=128, encoder=encoder)


def test_channels_that_do_not_fit_are_told():
    with pytest.raises(ValueError, match="n_chans: found 4, but chs_info has 3"):
        LuMambaModule(2, CHANNELS, n_chans=4, **SMALL)
    with pytest.raises(ValueError, match="chs_info: 1 of its 1 channels"):
        LuMambaModule(2, [{"ch_name": "MEG 0111"}], **SMALL)


def test_positions_of_the_encoder_hold():
    own = {"E0": (0, 0, 1), "E1": (0, 1, 0), "E2": (1, 0, 0), "E3": (0, -1, 0.2)}
    X = np.concatenate([windows(4).numpy()] * 2, 1)[:, :4]
    options = {"sfreq": 160, "max_epochs": 0, "random_state": 0, **SMALL}
    encoder = LuMambaEncoder(ch_names=list(own), positions=own, **options).fit(X)
    module = LuMambaModule(2, [{"ch_name": name} for name in own], encoder=encoder).eval()
    np.testing.assert_allclose(module.points, [encoder.positions_[name] for name in own], atol=1e-6)
    bare = LuMambaEncoder(**options).fit(X)
    with pytest.raises(ValueError, match="encoder: its channels are on no scalp"):
        LuMambaModule(2, CHANNELS, encoder=bare)
