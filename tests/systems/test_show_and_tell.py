"""Both captioners: the paper's equations, padding, overfitting, and torch's recurrent cells."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from showtell.data.batch import Batch, ImageBatch, TextBatch, pad
from showtell.nn.watch import watch_attention
from showtell.protocols import Captioner, Encoded, HasTokenEmbeddings, ImageEncoder, Trainable
from showtell.systems.show_and_tell import ShowAndTell, ShowAndTellConfig
from showtell.systems.show_attend_and_tell import ShowAttendAndTell, ShowAttendAndTellConfig

START, END, VOCAB = 1, 2, 11
SMALL = {
    "lstm": (ShowAndTell, ShowAndTellConfig(VOCAB, 6, 8, 2, "lstm", 0.0)),
    "gru": (ShowAndTell, ShowAndTellConfig(VOCAB, 6, 8, 3, "gru", 0.0)),
    "attend": (ShowAttendAndTell, ShowAttendAndTellConfig(VOCAB, 6, 7, 8, 9, 5, dropout=0.0)),
    "heads": (ShowAttendAndTell, ShowAttendAndTellConfig(VOCAB, 6, 8, 8, 9, 6, dropout=0.0, num_heads=2)),
}


@pytest.fixture(params=SMALL)
def system(request):
    torch.manual_seed(0)
    cls, config = SMALL[request.param]
    return cls(config)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    ids, keep = pad([[1, 4, 5, 6, 2], [1, 7, 2], [1, 8, 9, 2], [1, 10, 4, 4, 5, 9, 2]])
    return Batch(
        ImageBatch(features=torch.rand(3, 4, 6, generator=generator)),
        TextBatch(ids, keep, owner=torch.tensor([0, 2, 1, 1])),
    )


def test_they_keep_their_protocols(system):
    for protocol in (Trainable, ImageEncoder, Captioner, HasTokenEmbeddings):
        assert isinstance(system, protocol)
    assert system.token_embeddings().shape[0] == VOCAB


def test_token_by_token_equals_teacher_forcing(system, batch):
    memory = system.prefill(system.encode_images(batch))
    at_once = system.teacher_forced_logits(memory, batch.texts.owner, batch.texts.ids, batch.texts.keep)
    one_by_one = []
    for image, ids, keep in zip(batch.texts.owner.tolist(), batch.texts.ids, batch.texts.keep, strict=True):
        mine = {k: v[image : image + 1] for k, v in memory.items()}
        state = system.initial_state(mine)
        for word in ids[keep][:-1]:
            logits, state = system.step(mine, state, word.view(1, 1))
            one_by_one.append(logits[0, 0])
    torch.testing.assert_close(at_once, torch.stack(one_by_one), atol=1e-5, rtol=1e-5)


def test_hypotheses_of_an_image_do_not_mix(system, batch):
    memory = system.prefill(system.encode_images(batch))
    state = {k: v.repeat_interleave(3, 1) for k, v in system.initial_state(memory).items()}
    together, _ = system.step(memory, state, torch.tensor([[4, 5, 6]] * 3))
    alone, _ = system.step(memory, system.initial_state(memory), torch.tensor([[5]] * 3))
    torch.testing.assert_close(together[:, 1:2], alone, atol=1e-5, rtol=1e-5)


def test_padding_does_not_change_the_loss(system, batch):
    longer = replace(
        batch,
        texts=replace(
            batch.texts, ids=F.pad(batch.texts.ids, (0, 3), value=7), keep=F.pad(batch.texts.keep, (0, 3))
        ),
    )
    for name, loss in system(batch).losses.items():
        torch.testing.assert_close(loss, system(longer).losses[name])


def test_no_token_sees_the_future(system, batch):
    memory = system.prefill(system.encode_images(batch))
    ids = batch.texts.ids.clone()
    before = system.teacher_forced_logits(memory, batch.texts.owner, ids, batch.texts.keep)
    ids[0, 3] = 10  # the third token of the first row: predictions 0..2 must not change
    after = system.teacher_forced_logits(memory, batch.texts.owner, ids, batch.texts.keep)
    assert torch.equal(before[:3], after[:3])
    assert not torch.allclose(before[3], after[3])


def test_the_gradient_reaches_every_parameter(system, batch):
    step = system(batch)
    assert step.losses.keys() == system.loss_weights.keys()
    sum(step.losses.values()).backward()
    assert [n for n, p in system.named_parameters() if p.grad is None or not p.grad.any()] == []


def test_it_overfits_one_batch(system, batch):
    optimiser = torch.optim.Adam(system.parameters(), 0.02)
    for _ in range(150):
        loss = system(batch).losses["lm"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    # Two captions of image 1 start differently, so its first token keeps the entropy of a coin.
    assert loss < 0.15


@pytest.mark.parametrize("cell", [nn.LSTM, nn.GRU])
def test_later_layers_add_to_what_they_read(cell):
    torch.manual_seed(0)
    system = ShowAndTell(ShowAndTellConfig(VOCAB, 6, 8, 3, cell.__name__.lower(), 0.22)).eval()
    grid, ids = torch.rand(2, 4, 6), torch.tensor([[1, 4, 5, 2], [1, 6, 7, 2]])
    ours = system.teacher_forced_logits(
        system.prefill(system.encode_images(Batch(ImageBatch(features=grid)))),
        torch.arange(2),
        ids,
        torch.ones_like(ids, dtype=torch.bool),
    )
    # The image is the first input; the output after it alone is not used.
    words = system.word_embedding.weight
    image = system.image(F.layer_norm(grid.mean(1), (6,)))
    tokens = torch.cat([image[:, None], words[ids[:, :-1]] * 8**0.5], 1)
    for place, layer in enumerate(system.recurrent.layers):
        theirs = cell(8, 8, batch_first=True)
        theirs.load_state_dict(layer.layers.state_dict())
        tokens = theirs(tokens)[0] + (tokens if place else 0)
    expected = (tokens[:, 1:] @ words.T + system.bias).flatten(0, 1)
    torch.testing.assert_close(ours, expected, atol=1e-5, rtol=1e-5)


def test_attention_follows_the_paper():
    """Equations 4 to 6, 9, 13 and the deep output of Xu et al. 2015, one step, written out by hand."""
    torch.manual_seed(0)
    system = ShowAttendAndTell(SMALL["attend"][1]).double()
    grid = torch.rand(1, 4, 6, dtype=torch.float64)
    a = grid[0] @ system.image.weight.T + system.image.bias
    h, c = torch.tanh(a.mean(0) @ system.first.weight.T + system.first.bias).chunk(2)
    word = system.word_embedding.weight[START]
    scores = torch.stack(
        [
            (
                system.attention.score.weight[0]
                * torch.tanh(system.attention.key(x) + system.attention.query(h))
            ).sum()
            for x in a
        ]
    )
    alpha = torch.exp(scores) / torch.exp(scores).sum()
    beta = torch.sigmoid(system.gate(h))
    z = beta * (alpha[:, None] * a).sum(0)
    x = torch.cat([word, z])
    gates = system.cell.weight_ih @ x + system.cell.bias_ih + system.cell.weight_hh @ h + system.cell.bias_hh
    i, f, g, o = gates.chunk(4)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    h = torch.sigmoid(o) * torch.tanh(c)
    deep = word + system.from_state(h) + system.from_image.weight @ z
    expected = system.word_embedding.weight @ deep + system.bias
    memory = system.prefill(system.encode_images(Batch(ImageBatch(features=grid))))
    with watch_attention() as maps:
        logits, _ = system.step(memory, system.initial_state(memory), torch.tensor([[START]]))
    torch.testing.assert_close(logits[0, 0], expected)
    torch.testing.assert_close(maps[0].flatten(), alpha.detach())


def test_a_sharp_attention_selects_one_token():
    system = ShowAttendAndTell(SMALL["attend"][1])
    tokens = torch.rand(1, 5, 7)
    keys = torch.full((1, 5, 5), -1.0)
    keys[0, 3] = 1.0
    with torch.no_grad():
        system.attention.score.weight.fill_(30.0)
        system.attention.query.weight.zero_()
    context, weights = system.attention(torch.zeros(1, 1, 9), {"keys": keys, "values": tokens})
    torch.testing.assert_close(context[:, 0], tokens[:, 3])
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, 1))


def test_the_articles_sizes_are_the_defaults():
    config = ShowAndTellConfig()
    assert (config.width, config.depth, config.dropout, config.cell) == (300, 3, 0.22, "lstm")
    lstm = 3 * (4 * 300 * (300 + 300) + 2 * 4 * 300)
    image = 2 * 1280 + 1280 * 300 + 300
    expected = image + 8004 * 300 + lstm + 8004  # one matrix reads and writes words
    assert sum(p.numel() for p in ShowAndTell(config).parameters()) == expected


def test_dropout_is_off_in_evaluation(batch):
    system = ShowAttendAndTell(replace(SMALL["attend"][1], dropout=0.5)).eval()
    encoded = system.encode_images(batch)
    assert isinstance(encoded, Encoded)
    assert torch.equal(system(batch).losses["lm"], system(batch).losses["lm"])
    system.train()
    assert not torch.equal(system(batch).losses["lm"], system(batch).losses["lm"])
