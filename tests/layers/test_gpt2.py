"""GPT-2 as a backbone: read from a folder, kept as it is, adapted by few numbers. Weights here are random and small."""

import pytest
import torch

from tsrec.layers.gpt2 import GPT2Backbone, load_gpt2

transformers = pytest.importorskip("transformers")
SMALL = {"n_embd": 16, "n_head": 2, "n_layer": 3, "n_positions": 64, "vocab_size": 50}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    place = tmp_path_factory.mktemp("gpt2")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = transformers.GPT2Model(transformers.GPT2Config(**SMALL))
    model.save_pretrained(place)
    return place


def seeded(number=0):
    return torch.Generator().manual_seed(number)


def sequences(steps=10):
    return torch.randn(3, steps, 16, generator=seeded(1))


@torch.no_grad()
def test_before_training_it_is_the_first_layers_of_what_was_read(folder):
    found = load_gpt2(str(folder), ["some words"])
    assert found.words is None
    whole = transformers.GPT2Model.from_pretrained(folder).eval()
    x = sequences()
    net = GPT2Backbone(found.config, 3, weights=found.weights).eval()
    torch.testing.assert_close(net(x)[0], whole(inputs_embeds=x).last_hidden_state)
    two = GPT2Backbone(found.config, 2, weights=found.weights).eval()
    whole.h = whole.h[:2]
    torch.testing.assert_close(two(x)[0], whole(inputs_embeds=x).last_hidden_state)


def test_what_is_trained_is_low_rank(folder):
    found = load_gpt2(str(folder), [])
    net = GPT2Backbone(found.config, 2, weights=found.weights, lora_rank=4)
    learned = {name for name, p in net.named_parameters() if p.requires_grad}
    assert all(any(part in name for part in ("down", "up", "wpe", "ln_", "c_attn.base.bias")) for name in learned)
    assert sum("down" in name for name in learned) == sum("up" in name for name in learned) == 2
    assert not any("mlp" in name or "wte" in name or name.endswith("base.weight") for name in learned)
    for submodule in net.modules():
        if hasattr(submodule, "generator"):
            submodule.generator = seeded(3)
    before = net.eval()(sequences())[0]
    optimizer = torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1)
    net.train()(sequences())[0].square().sum().backward()
    optimizer.step()
    assert not torch.allclose(net.eval()(sequences())[0], before)
    everything = GPT2Backbone(found.config, 2, weights=found.weights, lora_rank=0)
    assert all(p.requires_grad for p in everything.parameters())


@torch.no_grad()
def test_it_sees_neither_what_comes_later_nor_what_is_masked():
    net, x = GPT2Backbone(SMALL, 2, generator=seeded()).eval(), sequences()
    other = x.clone()
    other[:, 6:] += 1
    torch.testing.assert_close(net(other)[0][:, :6], net(x)[0][:, :6])
    mask = torch.ones(3, 10, dtype=torch.bool)
    mask[:, 4] = False
    other = x.clone()
    other[:, 4] += 1
    torch.testing.assert_close(net(other, None, mask)[0][:, 5:], net(x, None, mask)[0][:, 5:])


def test_random_weights_come_from_the_generator_alone():
    torch.manual_seed(5)
    state = torch.get_rng_state()
    first = GPT2Backbone(SMALL, 1, generator=seeded()).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    again = GPT2Backbone(SMALL, 1, generator=seeded()).state_dict()
    assert all(torch.equal(first[name], again[name]) for name in first)
    other = GPT2Backbone(SMALL, 1, generator=seeded(1)).state_dict()
    assert not torch.equal(first["model.wpe.weight"], other["model.wpe.weight"])


def test_a_model_with_a_head_is_read(tmp_path):
    config = transformers.GPT2Config(**SMALL)
    transformers.GPT2LMHeadModel(config).save_pretrained(tmp_path)
    assert set(load_gpt2(str(tmp_path), []).weights) == set(transformers.GPT2Model(config).state_dict())


def test_another_model_is_not_taken_for_gpt2(tmp_path):
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    transformers.BertModel(transformers.BertConfig(**small, vocab_size=50)).save_pretrained(tmp_path)
    state = torch.get_rng_state()
    with pytest.raises(OSError, match=r"weights: GPT-2 cannot be read from .* weights are missing, the first is h\.0"):
        load_gpt2(str(tmp_path), [])
    assert torch.equal(torch.get_rng_state(), state)


def test_weights_that_lack_a_tensor_are_refused(folder, tmp_path):
    model = transformers.GPT2Model.from_pretrained(folder)
    kept = {name: tensor for name, tensor in model.state_dict().items() if name != "ln_f.bias"}
    model.save_pretrained(tmp_path, state_dict=kept)
    with pytest.raises(OSError, match=r"1 weights are missing, the first is ln_f\.bias"):
        load_gpt2(str(tmp_path), [])


def test_what_is_refused(tmp_path):
    with pytest.raises(OSError, match=r"weights: GPT-2 cannot be read from .*other backbones need neither"):
        load_gpt2(str(tmp_path / "nothing"), [])
    with pytest.raises(ValueError, match="n_layers: found 4, the weights have 3"):
        GPT2Backbone(SMALL, 4)
