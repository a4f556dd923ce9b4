"""TCNCA and MEGA: size, reach, streams, padding, both directions, precision, and that they learn to recall."""

import copy
import pickle

import pytest
import torch
from torch.autograd import gradcheck
from torch.nn import functional

from tsrec.datasets import make_associative_recall
from tsrec.layers import sequence_model
from tsrec.layers.chunked_attention import _Layout
from tsrec.layers.gated_attention import GatedAttention, PlainAttention, make_norm
from tsrec.layers.pooling import Pooling
from tsrec.layers.random import Dropout
from tsrec.layers.residual import ResidualStack, Stack
from tsrec.layers.sequence_model import ChannelEmbedding, SequenceModel
from tsrec.layers.tcnca import TCNCA, TCNCAStack
from tsrec.training import Batch, train

D = 4
FORMS = {
    "gated": {},
    "simplified": {"gated": False},
    "MEGA": {"ema": True},
    "laplace": {"attention": "laplace", "bias": "rotary"},
    "relu2": {"attention": "relu2"},
    "post-norm": {"prenorm": False, "norm": "scale"},
    "no gain": {"gain": False, "norm": "rms"},
}
every_form = pytest.mark.parametrize("options", FORMS.values(), ids=FORMS)


def seeded(number=1):
    return torch.Generator().manual_seed(number)


pytestmark = pytest.mark.usefixtures("one_thread")


def noise(*shape, seed=0):
    return torch.randn(shape, dtype=torch.float64, generator=seeded(seed))


def lively(module):
    """In float64, with weights that are not small."""
    g = seeded(7)
    with torch.no_grad():
        for p in module.double().parameters():
            p += 0.3 * torch.randn(p.shape, generator=g, dtype=p.dtype)
    return module


def layer(**options):
    return lively(TCNCA(D, **{"chunk": 8, "reach": 27, "generator": seeded(), **options}))


def count(*modules):
    return sum(p.numel() for module in modules for p in module.parameters())


def test_weights_are_as_many_as_mega_publishes():
    mega = TCNCA(512, d_key=128, d_value=1024, d_hidden=1024, chunk=2048, ema=True, bias="rotary")
    assert count(mega) == 3_252_608
    assert count(mega.memory) + mega.mix.omega.numel() == 33_280
    assert count(mega.mix, mega.attention) - mega.mix.omega.numel() == 2_168_192
    assert count(mega.feed_forward) == 1_051_136
    # TCNCA has n m (K + 1) D in the place of 4 D h.
    network = TCNCA(512, chunk=8, reach=4096, kernel_size=8, base=8).memory
    assert (count(network), network.receptive_field) == (18_432, 4096)


@every_form
def test_a_stream_equals_the_sequence_across_chunks(options):
    module, x = layer(**options), noise(2, 37, D)
    y, last = module(x)
    state, steps = module.init_state(2), []
    for t in range(37):
        y_t, state = module.step(x[:, t], state)
        steps.append(y_t)
    assert (torch.stack(steps, 1) - y).abs().max() < 1e-12
    assert state.attention.position.tolist() == last.attention.position.tolist() == [5, 5]
    for mixer in (module, Stack([module])):
        assert torch.equal(mixer.step(x[:, 0])[0], mixer.step(x[:, 0], mixer.init_state(2))[0])
    single, x = copy.deepcopy(module).float(), x.float()
    state = single.init_state(2)
    for t in range(37):
        y_t, state = single.step(x[:, t], state)
        torch.testing.assert_close(y_t, single(x)[0][:, t], rtol=1e-5, atol=1e-5)


@every_form
def test_a_prefix_is_answered_as_in_the_whole(options):
    module, x = layer(**options), noise(2, 37, D)
    for length in (1, 5, 8, 9, 29):
        assert (module(x[:, :length])[0] - module(x)[0][:, :length]).abs().max() < 1e-12


@pytest.mark.parametrize("gated", [True, False])
def test_no_gradient_flows_from_the_future(gated):
    module = layer(gated=gated)
    x = noise(1, 40, D).requires_grad_()
    module(x)[0][0, 20].sum().backward()
    assert x.grad[0, 21:].abs().max() == 0
    # And all that lies within reach is read, in whatever chunk.
    assert x.grad[0, :21].abs().amax(1).min() > 0


@pytest.mark.parametrize("gated", [True, False])
def test_without_convolutions_nothing_passes_between_chunks(gated):
    module = layer(gated=gated, tcn={"residual": False})
    with torch.no_grad():
        module.memory.weight.zero_()
    for causal, seen in ((True, range(16, 21)), (False, range(16, 24))):
        module.attention.causal = causal
        x = noise(1, 40, D).requires_grad_()
        module(x, return_state=False)[0][0, 20].sum().backward()
        assert x.grad[0].abs().sum(1).nonzero().flatten().tolist() == list(seen)


@pytest.mark.parametrize("form", ["symmetric", "two-sided", "MEGA"])
@pytest.mark.parametrize("gated", [True, False])
def test_the_bidirectional_form_reads_both_sides(form, gated):
    options = {"ema": True} if form == "MEGA" else {"tcn": {"form": form}}
    module, x = layer(causal=False, gated=gated, **options), noise(1, 40, D).requires_grad_()
    y, state = module(x)
    y[0, 20].sum().backward()
    assert x.grad[0].abs().amax(1)[8:33].min() > 0
    assert state is None
    assert module.init_state(2) is None
    with pytest.raises(RuntimeError, match="cannot go step by step"):
        module.step(x[:, 0], None)


@pytest.mark.parametrize("form", ["symmetric", "two-sided"])
def test_the_bidirectional_form_reaches_as_far_to_either_side(form):
    module, x = layer(causal=False, chunk=1, reach=50, tcn={"form": form}), noise(1, 50, D)
    for at in (0, 49):
        x = x.detach().requires_grad_()
        module(x)[0][0, at].sum().backward()
        assert x.grad[0].abs().amax(1).min() > 0


@pytest.mark.parametrize("around", [lambda m: m, lambda m: ResidualStack([m]), lambda m: Stack([ResidualStack([m])])])
def test_what_reads_the_future_is_never_run_in_parts(around, monkeypatch):
    mixer, x = around(layer(causal=False)).double(), noise(2, 60, D)
    assert not mixer.causal
    assert not mixer.time_scale
    assert mixer.init_state(2) is None
    assert mixer(x)[1] is None
    with pytest.raises(ValueError, match="reads the future"):
        mixer(x, layer().init_state(2))
    with pytest.raises(RuntimeError, match="cannot go step by step"):
        mixer.step(x[:, 0], None)
    pooling, head = Pooling(D), torch.nn.Linear(D, 1)
    model = SequenceModel(ChannelEmbedding(D, D), mixer, pooling, head).double().eval()
    with torch.no_grad():
        whole = model(x)
        monkeypatch.setattr(sequence_model, "_PART_ELEMENTS", 1)
        assert torch.equal(model(x), whole)
    for ask in (model.advance, model.outputs, lambda x, state: model.step(x[:, 0], state)):
        with pytest.raises(RuntimeError, match="The mixer reads the future"):
            ask(x, model.init_state(2))


def test_padding_on_the_right_costs_no_mask_of_its_own():
    module, x = layer(), noise(3, 40, D)
    mask = torch.arange(40) < torch.tensor([[40], [23], [9]])
    y, state = module(x, mask=mask)
    layout = _Layout(0, 40, 8)
    assert module.attention._seen(layout, state.attention.seen, mask, x) is None
    holes = mask.clone()
    holes[0, 5] = False
    assert module.attention._seen(layout, state.attention.seen, holes, x) is not None
    found = module(x, mask=holes)[0][1:]
    torch.testing.assert_close(found[mask[1:]], y[1:][mask[1:]], rtol=1e-13, atol=1e-13)


@pytest.mark.parametrize("gated", [True, False])
def test_every_branch_drops_out(gated):
    module = layer(gated=gated, dropout=0.5)
    places = [part for part in module.modules() if isinstance(part, Dropout)]
    calls = []
    for place in places:
        place.generator = seeded(3)
        place.register_forward_hook(lambda *given: calls.append(given[0]))
    module.train()
    module(noise(1, 9, D))
    # The memory and what attention gives; inside and at the end of the feed-forward net.
    assert [places.index(place) for place in calls] == [0, 0, 1, 1]
    assert {place.p for place in places} == {0.5}


def test_what_is_no_weight_does_not_decay():
    module = layer(norm="scale")
    without = {id(p) for group in module.parameter_groups() if group.get("weight_decay") == 0 for p in group["params"]}
    names = {name for name, p in module.named_parameters() if id(p) in without}
    wanted = {"memory.bias", "attention.bias.weight", "mix.omega", "mix.scale", "mix.shift", "mix.norm.scale"}
    wanted |= {f"{part}.bias" for part in ("mix.value", "mix.mixed", "mix.hidden")}
    wanted |= {"feed_forward.norm.scale", "feed_forward.inner.bias", "feed_forward.outer.bias"}
    assert names == wanted


def test_linear_maps_start_as_megas_do_at_its_width():
    module = TCNCA(512, d_value=1024, d_hidden=1024)
    for part, width in ((module.mix.value, 512), (module.mix.mixed, 512), (module.mix.hidden, 1024)):
        assert part.weight.std().item() == pytest.approx(0.02 * (512 / width) ** 0.5, rel=0.02)
        assert part.bias.abs().max() == 0
    assert TCNCA(32).mix.value.weight.std().item() == pytest.approx(0.08, rel=0.1)
    assert module.mix.scale.mean().item() == pytest.approx(1, abs=0.01)
    assert module.mix.scale.std().item() == pytest.approx(0.02, rel=0.1)
    assert module.mix.omega.std().item() == pytest.approx(1.0, rel=0.1)


@every_form
@pytest.mark.parametrize("causal", [True, False])
def test_padding_changes_no_answer_and_no_mean(options, causal):
    stack = lively(TCNCAStack(D, 2, chunk=8, reach=27, causal=causal, generator=seeded(), **options))
    x = noise(3, 40, D)
    mask = torch.arange(40) < torch.tensor([[40], [23], [1]])
    y, _ = stack(x.masked_fill(~mask[..., None], torch.nan), mask=mask, return_state=False)
    for row, length in enumerate((40, 23, 1)):
        alone = stack(x[row : row + 1, :length], return_state=False)[0][0]
        torch.testing.assert_close(y[row, :length], alone, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(y[row][mask[row]].mean(0), alone.mean(0), rtol=1e-12, atol=1e-12)


@every_form
@pytest.mark.parametrize("causal", [True, False])
def test_gradients_are_right(options, causal):
    module = lively(TCNCA(2, d_key=2, chunk=3, reach=4, causal=causal, generator=seeded(), **options))
    names = [name for name, _ in module.named_parameters()]

    def call(x, *values):
        return torch.func.functional_call(module, dict(zip(names, values, strict=True)), (x,))[0]

    values = [p.detach().clone().requires_grad_() for p in module.parameters()]
    assert gradcheck(call, (noise(1, 7, 2).requires_grad_(), *values), fast_mode=True)


@every_form
def test_half_precision_is_close(options):
    stack = TCNCAStack(16, 2, chunk=8, reach=27, generator=seeded(), **options)
    x = noise(2, 40, 16).float()
    wanted = stack(x)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = stack(x)[0]
    assert (found.float() - wanted).abs().max() < 0.1
    assert (found.float() - wanted).abs().mean() < 0.01


def test_chunks_counted_from_the_end_fill_the_last_one():
    module, x = layer(anchor=21, tcn={"residual": False}), noise(1, 21, D).requires_grad_()
    with torch.no_grad():
        module.memory.weight.zero_()
    module(x)[0][0, -1].sum().backward()
    assert x.grad[0].abs().sum(1).nonzero().flatten().tolist() == list(range(13, 21))


@every_form
def test_what_is_pickled_and_copied_answers_the_same(options):
    module, x = layer(**options), noise(2, 20, D)
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.equal(twin(x)[0], module(x)[0])


def test_the_forms_differ_where_they_say():
    assert isinstance(TCNCA(D).mix, GatedAttention)
    assert isinstance(TCNCA(D, gated=False).mix, PlainAttention)
    assert TCNCA(D, gain=False).mix.omega is None
    x = noise(1, 20, D)
    answers = [layer(**options)(x)[0] for options in FORMS.values()]
    assert all(not torch.allclose(a, b) for i, a in enumerate(answers) for b in answers[:i])


def test_norms():
    x = noise(5, 6)
    torch.testing.assert_close(make_norm("rms", 6).double()(x), x / (x.square().mean(-1, keepdim=True) + 1e-5).sqrt())
    torch.testing.assert_close(make_norm("scale", 6).double()(x), make_norm("rms", 6).double()(x))
    assert make_norm("scale", 6).scale.shape == ()
    torch.testing.assert_close(make_norm("layer", 6).double()(x), functional.layer_norm(x, (6,)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"norm": "batch"}, "norm='batch' is not known"),
        ({"reach": 5}, "reach=5 is less than chunk=8"),
        ({"tcn": {"stages": 1}}, "1 stages reach over 4 steps, but reach=27"),
        ({"tcn": {"form": "symmetric"}}, "form='symmetric' with causal=True"),
        ({"causal": False, "tcn": {"form": "causal"}}, "form='causal' with causal=False"),
        ({"kernel_size": 2, "base": 4}, "nothing reaches"),
        ({"attention": "relu"}, "function='relu' is not known"),
        ({"d_key": 3, "bias": "rotary"}, "d_key must be even, got 3"),
        ({"base": 0}, "base must be a whole number of at least 1, got 0"),
        ({"tcn": {"convolutions": 0}}, "convolutions must be a whole number"),
        ({"tcn": {"d_model": 7}}, "tcn: .*'d_model'.* are not known"),
        ({"ema": True, "tcn": {"dense": True}}, "with ema=True there are no convolutions"),
        ({"causal": "no"}, "causal must be True or False, got 'no'"),
        ({"gated": 1}, "gated must be True or False, got 1"),
        ({"chunk": 2.5}, "chunk must be a whole number"),
        ({"anchor": 0}, "anchor must be a whole number of at least 1, got 0"),
        ({"d_key": 0}, "d_key must be a whole number"),
        ({"d_value": -1}, "d_value must be a whole number"),
        ({"causal": False, "tcn": {"form": "two-sided", "stages": 2}}, "2 stages reach over 16 steps, but reach=27"),
    ],
)
def test_bad_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        layer(**options)
    with pytest.raises(ValueError, match="at least one layer"):
        TCNCAStack(D, 0)


class Recall(torch.nn.Module):
    """A stack between an embedding and its transpose, trained on all next symbols."""

    def __init__(self, vocab, stack):
        super().__init__()
        self.embedding = torch.nn.Parameter(torch.randn(vocab, stack.d_model, generator=seeded()) / stack.d_model**0.5)
        self.stack = stack

    def forward(self, symbols):
        x = self.embedding[symbols] * self.stack.d_model**0.5
        return self.stack(x, return_state=False)[0] @ self.embedding.T

    def losses(self, batch):
        return {"next": functional.cross_entropy(self(batch.context).flatten(0, 1), batch.target.flatten())}


class Sequences:
    def __init__(self, split):
        self.X, self.y = (torch.from_numpy(part) for part in split[:2])

    def __len__(self):
        return -(-len(self.X) // 32)

    def first(self, n):
        return self.X[:n], self.y[:n]

    def epoch(self, generator):
        for chosen in torch.randperm(len(self.X), generator=generator).split(32):
            yield Batch(context=self.X[chosen], target=self.y[chosen])


def recalled(options, vocab, length):
    """Share of last symbols that are found, on the test part and over all steps of the training part.

    Rounding decides in which epoch recall comes about, so that training goes on until it has.
    """
    known, test = make_associative_recall(vocab_size=vocab, length=length, random_state=0)
    model = Recall(vocab, TCNCAStack(32, 2, chunk=length + 2, reach=length + 2, generator=seeded(0), **options))
    (X_known, y_known), (X, y) = (Sequences(split).first(500) for split in (known, test))

    @torch.no_grad()
    def learned(_):
        return bool((model(X_known)[:, -1].argmax(-1) == y_known[:, -1]).double().mean() >= 0.99)

    options = {"learning_rate": 4e-3, "weight_decay": 0.1, "on_epoch_end": learned}
    train(model, Sequences(known), max_epochs=30, generator=seeded(0), **options)
    with torch.no_grad():
        on_test = (model(X)[:, -1].argmax(-1) == y[:, -1]).double().mean()
        everywhere = (model(X_known).argmax(-1) == y_known).double().mean()
    return on_test, everywhere


@pytest.mark.slow
@pytest.mark.parametrize("options", [{}, {"gated": False}], ids=["gated", "simplified"])
def test_two_layers_of_width_32_learn_to_recall(options):
    on_test, everywhere = recalled(options, 20, 40)
    assert on_test > 0.97
    # Keys are drawn at random: who knew all symbols beforehand would have seen the future.
    assert everywhere < 0.8
