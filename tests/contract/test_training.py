"""What every trainable system must do, found and run by protocol."""

from contextlib import nullcontext

import pytest
import torch

from showtell.checkpoint.load import load_checkpoint
from showtell.checkpoint.save import save_checkpoint
from showtell.nn.chunked import ComputesInChunks
from showtell.protocols import Contrastive, HasAfterStep, Trainable
from showtell.train.gradient_cache import cached_backward
from showtell.train.precision import autocast
from support.tiny import batch, build, examples, found, keeping, seeded, tiny

STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
"""What batch norm notes of the batches it sees: the only thing that a forward pass may change."""


def total(step):
    return sum(step.losses.values())


@keeping(Trainable)
def test_losses_are_those_that_are_declared(name):
    system = build(found()[name])
    step = system(batch(), seeded())
    assert step.losses.keys() == system.loss_weights.keys()
    assert all(loss.ndim == 0 and loss.isfinite() for loss in step.losses.values())
    assert step.counts.keys() <= step.losses.keys()


@keeping(Trainable)
def test_the_gradient_reaches_every_parameter(name):
    system = build(found()[name])
    total(system(batch(), seeded())).backward()
    trained = [(n, p) for n, p in system.named_parameters() if p.requires_grad]
    assert [n for n, p in trained if p.grad is None or not p.grad.any()] == []


@keeping(Trainable)
def test_one_batch_is_overfitted(name):
    """Without a queue, in which the batch would be its own negative."""
    system = build(
        found()[name], **{"queue_size": 0} if hasattr(examples()[name].config, "queue_size") else {}
    )
    optimiser = torch.optim.Adam([p for p in system.parameters() if p.requires_grad], 0.01)
    first = total(system(batch(), seeded())).item()
    enough = first - max(0.3 * abs(first), 0.1)
    for _ in range(40):
        step = system(batch(), seeded())
        if total(step) < enough:
            return
        optimiser.zero_grad()
        total(step).backward()
        optimiser.step()
        if isinstance(system, HasAfterStep):
            with torch.no_grad():
                system.after_step(step)
    pytest.fail(f"40 updates took the loss from {first} to {total(step)}, not below {enough}")


@keeping(Trainable)
def test_a_forward_pass_changes_nothing(name):
    system = build(found()[name])
    before = {n: t.clone() for n, t in system.state_dict().items()}
    step = system(batch(), seeded())
    total(step).backward()
    after = system.state_dict()
    changed = [n for n in before if not torch.equal(before[n], after[n]) and not n.endswith(STATISTICS)]
    assert changed == []
    assert all(not tensor.requires_grad for tensor in step.carry.values())
    assert not step.carry or isinstance(system, HasAfterStep)


@keeping(Trainable)
def test_randomness_enters_as_a_generator(name):
    system = build(found()[name])
    torch.manual_seed(1)
    first = total(system(batch(), seeded()))
    torch.manual_seed(2)
    assert torch.equal(first, total(system(batch(), seeded())))


@pytest.mark.filterwarnings("error")
@keeping(Trainable)
def test_two_updates_in_bf16_are_near_those_in_float32(name):
    """The second sees what the first left behind: a queue, a teacher."""
    ends = []
    for precision in ("float32", "bf16"):
        system = build(found()[name])
        optimiser = torch.optim.SGD([p for p in system.parameters() if p.requires_grad], 1e-3)
        for _ in range(2):
            with autocast(precision, "cpu"):
                step = system(batch(), seeded())
            total(step).backward()
            optimiser.step()
            if isinstance(system, HasAfterStep):
                with torch.no_grad():
                    system.after_step(step)
        assert {p.dtype for p in system.parameters()} == {torch.float32}
        ends.append(total(step).item())
    assert ends[1] == pytest.approx(ends[0], rel=0.1, abs=0.05)


@keeping(Contrastive)
def test_chunks_have_the_loss_and_gradients_of_the_whole(name):
    system, given = build(found()[name]).double(), batch(torch.float64)
    whole = system(given, seeded())
    total(whole).backward()
    expected = {n: p.grad.clone() for n, p in system.named_parameters()}
    system.zero_grad()
    step = cached_backward(system, given, seeded(), total, chunk_size=2, autocast=nullcontext)
    torch.testing.assert_close(total(step), total(whole))
    for n, parameter in system.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[n], msg=n)


@pytest.mark.parametrize("size", [1, 2, 3])
@keeping(ComputesInChunks)
def test_computing_in_chunks_changes_neither_losses_nor_gradients(name, size):
    """Also of the update after it, when the queue of a teacher is filled."""
    system, given = build(found()[name]).double(), batch(torch.float64)
    system.after_step(system(given, seeded()))
    found_at = {}
    for chunk_size in (0, size):
        system.zero_grad()
        system.chunk_size = chunk_size
        step = system(given, seeded())
        total(step).backward()
        gradients = {n: p.grad for n, p in system.named_parameters() if p.grad is not None}
        found_at[chunk_size] = {**step.losses, **step.carry, **gradients}
    assert found_at[0].keys() == found_at[size].keys()
    for n, tensor in found_at[0].items():
        torch.testing.assert_close(found_at[size][n], tensor, msg=n)


@keeping(ComputesInChunks)
def test_chunks_keep_fewer_activations_for_the_gradient(name):
    kept = {}
    for chunk_size in (0, 1):
        system = build(found()[name])
        system.chunk_size, kept[chunk_size] = chunk_size, 0

        def pack(tensor, chunk_size=chunk_size):
            kept[chunk_size] += tensor.numel()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            system(batch(), seeded())
    assert kept[1] < kept[0] / 3


@pytest.mark.parametrize("name", found())
def test_a_config_builds_its_system_and_a_checkpoint_keeps_it(name, tmp_path):
    cls = found()[name]
    config = tiny(cls.Config())
    system = config.build()
    assert type(system) is cls
    assert system.config == config
    save_checkpoint(
        tmp_path / "model", system, record={"recipe": "tiny"}, tokenizer_json="", preprocess={}, card=""
    )
    again = load_checkpoint(tmp_path / "model").system
    assert type(again) is cls
    assert again.config == config
