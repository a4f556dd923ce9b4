"""TEMPO's module: the identities of the paper, and the faults of its code that must not be here."""

import pytest
import torch
from torch import nn

from tsrec import STL
from tsrec.layers.beside import Told
from tsrec.layers.decomposition import FixedDecomposition, LearnedDecomposition
from tsrec.layers.lssl import LSSLStack
from tsrec.layers.prompt_pool import FixedPrompt, PromptPool, SoftPrompt
from tsrec.layers.tempo import COMPONENTS, TEMPO, TEMPOBranch
from tsrec.layers.transformer import CausalTransformer
from tsrec.training import Batch, make_generator, train
from tsrec.training.windows import WindowBatches

L, H, E = 96, 12, 8
MATRICES = torch.from_numpy(STL(24).fit([[0.0] * 48]).matrices(L)).float()


def seeded(number=0):
    return torch.Generator().manual_seed(number)


def branch(backbone="transformer", prompt="pool", decomposition="stl", context=L, **options):
    generator = seeded()
    fixed = FixedDecomposition(MATRICES)
    kinds = {
        "stl": {"decomposition": fixed},
        "learned": {"decomposition": LearnedDecomposition(L, generator=generator), "targets": fixed},
        None: {},
    }
    count = 1 if decomposition is None else 3
    prompts = {
        "pool": lambda: [PromptPool(E, size=10, generator=generator)] * count,
        "soft": lambda: [SoftPrompt(E, generator=generator) for _ in range(count)],
        "hard": lambda: [FixedPrompt(torch.randn(9, E, generator=generator)) for _ in range(count)],
        None: lambda: None,
    }[prompt]()
    given = {"context": context, "d_model": E, "prompts": prompts, "generator": generator, **kinds[decomposition]}
    made = TEMPOBranch(None, **{**given, **options})
    if backbone == "transformer":
        made.backbone = CausalTransformer(E, 1, length=made.n_tokens, n_heads=2, generator=generator)
    elif backbone == "lssl":
        made.backbone = LSSLStack(E, 1, d_state=4, generator=generator)
    return made.eval()


@torch.no_grad()
def network(wild=0.3, normalisation="mean", **options):
    """With a head and a map that say something."""
    made = branch(**options)
    net = TEMPO(made, context=L, horizon=H, normalisation=normalisation, floor=0.0, dropout=0.0, generator=seeded())
    for tensor in (net.head.weight, net.head.bias, net.spread.weight, net.linear):
        tensor += wild * torch.randn(tensor.shape, generator=seeded(1))
    return net.eval()


def windows(batch=5, seed=2):
    return torch.randn(batch, L, generator=seeded(seed)).cumsum(1)


def test_the_sequence_of_the_paper_has_153_tokens():
    matrices = torch.from_numpy(STL(24).fit([[0.0] * 48]).matrices(336)).float()
    made = branch(None, context=336, decomposition=None, prompts=None)
    assert made.n_patches == 42
    made = branch(None, context=336, decomposition=None, prompt=None)
    whole = TEMPOBranch(
        None,
        context=336,
        d_model=E,
        decomposition=FixedDecomposition(matrices),
        prompts=[PromptPool(E)] * 3,
    )
    assert (made.n_tokens, whole.n_tokens, whole.n_features) == (42, 153, 3 * 42 * E)


def test_the_last_patch_continues_the_window_by_its_last_value():
    made, x = branch(None, decomposition=None, prompt=None), windows()
    patches = made._patches(x)
    assert patches.shape == (5, (L - 16) // 8 + 2, 16)
    torch.testing.assert_close(patches[:, -1], torch.cat([x[:, -8:], x[:, -1:].expand(-1, 8)], 1))
    torch.testing.assert_close(patches[:, 0], x[:, :16])


@pytest.mark.parametrize("decomposition", ["stl", "learned", None])
@torch.no_grad()
def test_components_sum_up_to_the_window_and_to_the_forecast(decomposition):
    net, x = network(decomposition=decomposition), windows()
    torch.testing.assert_close(net.branch.apart(x).sum(0), x, atol=1e-5, rtol=1e-5)
    parts = net.components(x)
    assert tuple(parts) == (COMPONENTS if decomposition else ("whole",))
    torch.testing.assert_close(sum(parts.values()), net(x)[0], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("backbone", ["transformer", "lssl", None])
@pytest.mark.parametrize("own_scale", [False, True])
@torch.no_grad()
def test_windows_do_not_see_each_other_and_units_pass_through(backbone, own_scale):
    net, x = network(backbone=backbone, own_scale=own_scale), windows()
    point, quantiles = net(x)
    assert point.shape == (5, H)
    order = torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(net(x[order])[0], point[order], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(net(7 * x - 30)[0], 7 * point - 30, atol=2e-3, rtol=1e-4)
    torch.testing.assert_close(net(7 * x - 30)[1], 7 * quantiles - 30, atol=2e-3, rtol=1e-4)


def test_nothing_is_kept_between_calls():
    net, x = network(), windows()
    first = net(x)[0]
    net(1e3 * windows(seed=9))
    torch.testing.assert_close(net(x)[0], first)


@pytest.mark.parametrize("prompt", ["pool", "soft", "hard"])
@torch.no_grad()
def test_prompts_are_seen_by_what_follows(prompt):
    made, x = branch(prompt=prompt), windows()
    before = made(x)[0]
    for tensor in [made.prompts[0].words] if prompt == "hard" else made.prompts.parameters():
        tensor.zero_()
    assert not torch.allclose(made(x)[0], before, atol=1e-4)


def test_l_dec_is_added_and_is_0_only_where_components_are_those_of_stl():
    x = windows()
    made = branch(decomposition="learned", decomposition_weight=0.5)
    losses = made(x)[1]
    parts = made.apart(x)
    expected = sum(((part - target) ** 2).mean() for part, target in zip(parts, made.targets(x), strict=True))
    torch.testing.assert_close(losses["decomposition"], 0.5 * expected)
    assert losses["decomposition"] > 0
    losses["decomposition"].backward()
    assert all(p.grad is not None for p in made.decomposition.parameters())
    same = TEMPOBranch(
        None,
        context=L,
        d_model=E,
        decomposition=LearnedDecomposition(L, matrices=MATRICES),
        targets=FixedDecomposition(MATRICES),
    )
    assert same(x)[1]["decomposition"] < 1e-9
    assert "decomposition" not in branch()(x)[1]


def test_the_loss_of_a_batch_holds_forecast_components_and_keys():
    net = network(decomposition="learned")
    batch = Batch(context=windows(), target=torch.randn(5, H, generator=seeded(5)))
    losses = net.losses(batch)
    assert set(losses) == {"point", "quantile", "decomposition", "pull"}
    losses["pull"].backward()
    keys, taken = (
        net.branch.prompts[0].keys,
        torch.cat(list(net.branch.chosen(net.window(windows(), None, None).z).values())),
    )
    moved = keys.grad.abs().sum(1) > 0
    assert set(moved.nonzero()[:, 0].tolist()) == set(taken.unique().tolist())


@pytest.mark.slow
def test_training_draws_keys_to_their_queries():
    x = torch.sin(torch.arange(3000.0) * 2 * torch.pi / 24) + 0.1 * torch.randn(3000, generator=seeded(3))
    batches = WindowBatches(x, torch.arange(L, 3000 - H, 5), context=L, horizon=H, batch_size=64)
    net = network(wild=0.0)
    state = train(net, batches, max_epochs=4, learning_rate=0.01, generator=make_generator(0))
    first, last = state.history[0]["losses"], state.history[-1]["losses"]
    assert last["pull"] < first["pull"] - 0.05
    assert last["point"] < 0.5 * first["point"]


@torch.no_grad()
def test_patches_that_nobody_saw_do_not_count():
    net, x = branch(backbone="transformer", prompt="soft", decomposition=None), windows()
    mask = torch.ones(5, L, dtype=torch.bool)
    mask[:, 24:48] = False
    y = net(x, mask)[0].unflatten(1, (net.n_patches, -1))
    other = x.clone()
    other[:, 32:40] += 5
    z = net(other, mask)[0].unflatten(1, (net.n_patches, -1))
    hidden = [3, 4]
    seen = [n for n in range(net.n_patches) if n not in hidden]
    torch.testing.assert_close(y[:, seen], z[:, seen])
    assert not torch.allclose(y[:, hidden], z[:, hidden])


@torch.no_grad()
def test_a_text_stands_before_everything():
    made = branch(n_text=3)
    plain = branch()
    assert made.n_tokens == plain.n_tokens + 1
    x, text = windows(), torch.randn(5, 3, generator=seeded(4))
    assert made(x, None, Told(text))[0].shape == made(x)[0].shape
    assert not torch.allclose(made(x, None, Told(text))[0], made(x, None, Told(2 * text))[0])
    torch.testing.assert_close(made(x, None, Told(torch.zeros(5, 3)))[0], made(x)[0])


def test_tokens_may_be_brought_down():
    made = branch(d_head=2)
    assert made.n_features == 3 * made.n_patches * 2
    assert made(windows())[0].shape == (5, made.n_features)
    assert made.embed(windows()).shape == (5, E)


@torch.no_grad()
def test_own_scale_makes_each_component_alike():
    made, x = branch(own_scale=True, prompt=None, backbone=None), windows()
    parts = made.apart(x)
    tokens = made._tokens(parts)
    scaled = (parts - parts.mean(-1, keepdim=True)) / (parts.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
    for one, part, embedding in zip(tokens, scaled, made.embeddings, strict=True):
        torch.testing.assert_close(one, embedding(made._patches(part)))


@torch.no_grad()
def test_own_scale_comes_back_into_the_features():
    made, x = branch(own_scale=True, prompt=None, backbone=None), windows()
    parts = made.apart(x)
    scale = (parts.var(-1, correction=0) + 1e-5).sqrt()
    tokens = torch.stack(made._tokens(parts), 1)
    torch.testing.assert_close(made(x)[0], (tokens * scale.T[:, :, None, None]).flatten(1))


@torch.no_grad()
def test_components_have_the_map_of_their_variable_and_the_share_of_the_branch():
    made = branch()
    net = TEMPO(made, context=L, horizon=H, maps=2, apart=True, dropout=0.0, generator=seeded()).eval()
    for tensor in (net.head.weight, net.head.bias, net.linear):
        tensor += 0.3 * torch.randn(tensor.shape, generator=seeded(1))
    net.shrink.copy_(torch.tensor([0.25, 0.75]))
    x, variable = windows(), torch.tensor([0, 1, 1, 0, 1])
    before = net.components(x, variable=variable)
    torch.testing.assert_close(sum(before.values()), net(x, variable=variable)[0], atol=1e-4, rtol=1e-4)
    # The level, and what the head says of any window, go with the trend.
    net.head.bias += 1
    scale = net.window(x, None, None).scale
    after = net.components(x + 30, variable=variable)
    expected = {**before, "trend": before["trend"] + 30 + scale * net.shrink[variable][:, None]}
    for name, part in after.items():
        torch.testing.assert_close(part, expected[name], atol=1e-3, rtol=1e-3)


@torch.no_grad()
def test_the_pull_is_the_mean_over_components_times_its_weight():
    made, x = branch(pull_weight=0.5), windows()
    pulls = [made.prompts[0](tokens).pull for tokens in made._tokens(made.apart(x))]
    torch.testing.assert_close(made(x)[1]["pull"], 0.5 * torch.stack(pulls).mean())


class _Watched(nn.Module):
    """Keeps what it is given."""

    def forward(self, x, state=None, mask=None, *, return_state=True):
        self.given = x, mask
        return x, state


@torch.no_grad()
def test_each_prompt_stands_before_its_component_and_is_always_seen():
    made, x = branch(None, prompt="soft"), windows()
    made.backbone = _Watched()
    mask = torch.ones(5, L, dtype=torch.bool)
    mask[:, 24:48] = False
    made(x, mask)
    found, seen = made.backbone.given
    tokens = made._tokens(made.apart(x))
    pieces = [(prompt(one).vectors, one) for prompt, one in zip(made.prompts, tokens, strict=True)]
    torch.testing.assert_close(found, torch.cat([one for pair in pieces for one in pair], 1))
    of_one = [True] * 9 + [number not in (3, 4) for number in range(made.n_patches)]
    assert seen.tolist() == [of_one * 3] * 5


def test_what_is_refused():
    with pytest.raises(ValueError, match="found 1, there are 3 components"):
        TEMPOBranch(None, context=L, d_model=E, decomposition=FixedDecomposition(MATRICES), prompts=[PromptPool(E)])
    with pytest.raises(ValueError, match="stride"):
        TEMPOBranch(None, context=L, d_model=E, stride=0)


def test_without_a_branch_components_are_those_of_the_map():
    net = TEMPO(None, context=L, horizon=H)
    assert list(net.components(windows())) == ["linear"]
    assert isinstance(net, nn.Module)
