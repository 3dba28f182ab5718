"""Linear layers by either library: the same numbers and gradients, and torch's bits where it is chosen."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from showtell.data.batch import Batch, TextBatch, pad
from showtell.errors import UsageError
from showtell.nn import fastest
from showtell.nn.fastest import PRODUCTS, by_onednn, faster, has_onednn, multiply_onednn
from showtell.nn.linear import SMALL, Linear, linear
from showtell.systems.bert import BERTEncoder, BERTEncoderConfig

pytestmark = pytest.mark.skipif(not has_onednn(), reason="this build of torch has no oneDNN")


@pytest.fixture
def onednn(monkeypatch):
    """The setting, and the number of products that oneDNN has computed."""
    calls = []

    def counted(*operands):
        calls.append(operands)
        return multiply_onednn(*operands)

    monkeypatch.setenv("SHOWTELL_LINEAR", "onednn")
    monkeypatch.setattr("showtell.nn.linear.multiply_onednn", counted)
    return calls


def inputs(shape=(2, 50, 70), outputs=96, dtype=torch.float32):
    torch.manual_seed(0)
    sizes = (shape, (outputs, shape[-1]), (outputs,))
    return [torch.randn(size, dtype=dtype, requires_grad=True) for size in sizes]


def gradients(product, operands, weigh):
    result = product(*operands)
    return result, *torch.autograd.grad((result * weigh).sum(), [o for o in operands if o is not None])


@pytest.mark.parametrize("shape", [(100, 70), (2, 50, 70), (3, 1, 40, 64), (64, 64)])
@pytest.mark.parametrize("bias", [True, False])
def test_outputs_and_gradients_equal_those_of_torch(onednn, shape, bias):
    x, weight, b = inputs(shape)
    operands = (x, weight, b if bias else None)
    weigh = torch.randn(*shape[:-1], 96)
    for mine, theirs in zip(
        gradients(linear, operands, weigh), gradients(F.linear, operands, weigh), strict=True
    ):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-5)
    assert len(onednn) == len(PRODUCTS)


def test_operands_may_be_views(onednn):
    x, weight, bias = inputs((70, 100), 192)
    operands = (x.t(), weight[:96, :70], bias[:96])
    expanded = torch.ones(1, 1).expand(100, 96)  # the gradient of a sum
    for mine, theirs in zip(
        gradients(linear, operands, expanded), gradients(F.linear, operands, expanded), strict=True
    ):
        torch.testing.assert_close(mine, theirs, atol=1e-4, rtol=1e-5)
    assert len(onednn) == len(PRODUCTS)


def test_gradients_are_numerically_right(onednn):
    """In float64 against finite differences; in float32, where oneDNN computes, along random directions."""
    assert torch.autograd.gradcheck(linear, inputs((4, 5), 3, torch.float64), fast_mode=True)
    assert not onednn
    operands = inputs()
    weigh = torch.randn(2, 50, 96)
    _, *grads = gradients(linear, operands, weigh)
    for place, gradient in enumerate(grads):
        direction = torch.randn_like(gradient)
        moved = [o.detach().double() for o in operands]
        values = []
        for sign in (-1, 1):
            there = [*moved]
            there[place] = moved[place] + sign * 1e-3 * direction.double()
            values.append((F.linear(*there) * weigh).sum())
        numeric = (values[1] - values[0]) / 2e-3
        torch.testing.assert_close((gradient * direction).sum().double(), numeric, atol=1e-2, rtol=1e-4)
    assert len(onednn) == len(PRODUCTS)


def test_only_the_gradients_asked_for_are_computed(onednn):
    x, weight, bias = inputs()
    linear(x.detach(), weight, bias).sum().backward()
    assert len(onednn) == 2  # no gradient of the input
    assert x.grad is None
    onednn.clear()
    linear(x, weight.detach(), None).sum().backward()
    assert len(onednn) == 2  # none of the weight
    assert x.grad is not None


def test_gradients_of_gradients_are_torchs(onednn):
    def second(product):
        x, weight, bias = inputs()
        (first,) = torch.autograd.grad(product(x, weight, bias).square().sum(), x, create_graph=True)
        return torch.autograd.grad(first.square().sum(), weight)[0]

    torch.testing.assert_close(second(linear), second(F.linear), atol=1e-2, rtol=1e-4)


@pytest.mark.parametrize("few", ["rows", "inputs", "outputs"])
def test_small_products_are_torchs(onednn, few):
    sizes = {"rows": SMALL, "inputs": SMALL, "outputs": SMALL} | {few: SMALL - 1}
    x, weight, bias = inputs((sizes["rows"], sizes["inputs"]), sizes["outputs"])
    assert torch.equal(linear(x, weight, bias), F.linear(x, weight, bias))
    assert not onednn


def test_other_precisions_are_torchs(onednn):
    x, weight, bias = (tensor.bfloat16() for tensor in inputs())
    assert torch.equal(linear(x, weight, bias), F.linear(x, weight, bias))
    x, weight, bias = inputs()
    with torch.autocast("cpu", torch.bfloat16):
        assert linear(x, weight, bias).dtype == torch.bfloat16
    assert not onednn


def encode(system):
    ids, keep = pad([[1 + (7 * i) % 30 for i in range(40)], [3] * 30])
    pooled = system.encode_texts(Batch(texts=TextBatch(ids, keep))).tokens.sum((1, 2))
    pooled.square().sum().backward()
    return pooled.detach(), {name: p.grad for name, p in system.named_parameters() if p.grad is not None}


def test_a_transformer_keeps_its_vectors_and_gradients(onednn, monkeypatch):
    torch.manual_seed(0)
    system = BERTEncoder(BERTEncoderConfig(31, 64, 2, 2, 128, 48))
    pooled, grads = encode(copy.deepcopy(system))
    assert len(onednn) > 20  # 2 layers of 4 products, each with two gradients
    monkeypatch.setenv("SHOWTELL_LINEAR", "torch")
    expected, theirs = encode(copy.deepcopy(system))
    torch.testing.assert_close(pooled, expected, atol=1e-3, rtol=1e-5)
    assert grads.keys() == theirs.keys()
    for name, gradient in grads.items():
        scale = theirs[name].abs().max()
        torch.testing.assert_close(gradient / scale, theirs[name] / scale, atol=1e-4, rtol=0, msg=name)


def test_without_the_setting_the_layer_is_torchs_bit_by_bit(monkeypatch):
    monkeypatch.delenv("SHOWTELL_LINEAR", raising=False)
    torch.manual_seed(0)
    mine = Linear(70, 96)
    torch.manual_seed(0)
    theirs = nn.Linear(70, 96)
    theirs.load_state_dict(mine.state_dict())
    x = torch.randn(100, 70)
    results = []
    for layer in (mine, theirs):
        own = x.clone().requires_grad_()
        layer(own).square().sum().backward()
        results.append((own.grad, layer.weight.grad, layer.bias.grad))
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def test_the_faster_library_is_chosen_for_each_product_and_remembered(monkeypatch, tmp_path):
    rate = {
        "forward": {"torch": 200.0, "onednn": 430.0},
        "input": {"torch": 200.0, "onednn": 205.0},  # within the margin
        "weight": {"torch": 200.0, "onednn": 150.0},
    }
    measured = []
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("SHOWTELL_LINEAR", "auto")
    monkeypatch.setattr(fastest, "measure", lambda: measured.append(1) or rate)
    fastest._chosen.cache_clear()
    assert by_onednn() == {"forward"} == faster(rate)
    fastest._chosen.cache_clear()  # as in another process
    assert by_onednn() == {"forward"}
    assert len(measured) == 1
    fastest.rates(threads=99)
    assert len(measured) == 2  # another number of threads is measured, and forgets no other
    file = tmp_path / "showtell" / "products.json"
    assert file.read_text().count("forward") == 2
    file.write_text("damaged")
    fastest._chosen.cache_clear()
    assert by_onednn() == {"forward"}
    assert len(measured) == 3
    fastest._chosen.cache_clear()


def test_a_cache_that_cannot_be_written_is_no_failure(monkeypatch, tmp_path):
    (tmp_path / "showtell").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert fastest.rates(torch.get_num_threads()).keys() == set(PRODUCTS)


def test_a_measurement_gives_rates_and_leaves_the_random_state_alone():
    state = torch.get_rng_state()
    measured = fastest.measure()
    assert torch.equal(state, torch.get_rng_state())
    assert all(rate > 0 for product in measured.values() for rate in product.values())


def test_an_unknown_setting_is_named(monkeypatch):
    monkeypatch.setenv("SHOWTELL_LINEAR", "mkl")
    with pytest.raises(UsageError, match="SHOWTELL_LINEAR=mkl"):
        by_onednn()
