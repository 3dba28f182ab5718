"""Parity with tiny random models of the reference library."""

import torch
from safetensors.torch import load_file
from torch import nn

from showtell.hub.huggingface.folder import export_folder, import_folder
from showtell.hub.huggingface.rename import write_out

VISION = {
    "hidden_size": 12,
    "intermediate_size": 20,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "image_size": 16,
    "patch_size": 4,
}
"""A tiny image encoder of BLIP and BLIP-2, as the reference configures it."""


def imported(reference, folder):
    """Our system with the reference's parameters, all random (norms and biases too), through a folder."""
    torch.manual_seed(0)
    with torch.no_grad():
        for weight in reference.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    reference.eval().save_pretrained(folder)
    return import_folder(folder)


def untied(reference, prefix=""):
    """A T5 of the reference, or a model with one at `prefix`, whose head is no copy of the token embedding.

    The reference has it so where the file has a head; T5 1.1 and Flan-T5 have.
    """
    t5 = reference.get_submodule(prefix)
    t5.lm_head.weight = nn.Parameter(torch.zeros_like(t5.shared.weight))
    del reference.all_tied_weights_keys[f"{prefix}.lm_head.weight".removeprefix(".")]
    return reference


def same_gradients(ours, reference, table, skip=()):
    """Every gradient of ours equals the reference's of the renamed parameter."""
    grads = {n: p.grad if p.grad is not None else torch.zeros_like(p) for n, p in ours.named_parameters()}
    theirs = dict(reference.named_parameters())
    compared = 0
    for name, grad in write_out(grads, table).items():
        if name not in skip:
            torch.testing.assert_close(
                grad, theirs[name].grad, atol=1e-5, rtol=1e-4, msg=lambda m, n=name: f"{n}: {m}"
            )
            compared += 1
    assert compared > 10


def same_bits(reference, ours, folder, exported):
    """An export holds the tensors of the reference's folder, and the reference reads them back."""
    export_folder(ours, exported)
    before, after = load_file(folder / "model.safetensors"), load_file(exported / "model.safetensors")
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    theirs = type(reference).from_pretrained(exported)
    for name, weight in theirs.state_dict().items():
        assert torch.equal(weight, reference.state_dict()[name]), name


def same_outputs_and_gradients(found, ours, reference, table):
    """Each pair of ours and the reference's outputs is equal, and so is every gradient of all of them.

    Returns the names of the reference's parameters that no output depends on.
    """
    ours.zero_grad()
    reference.zero_grad()
    total = torch.zeros(2)
    for number, both in enumerate(found):
        torch.testing.assert_close(*both, atol=1e-5, rtol=1e-5)
        weights = torch.randn(both[0].shape, generator=torch.Generator().manual_seed(number))
        total = total + torch.stack([(one * weights).sum() for one in both])
    total.sum().backward()
    unread = [name for name, parameter in reference.named_parameters() if parameter.grad is None]
    same_gradients(ours, reference, table, skip=unread)
    return unread
