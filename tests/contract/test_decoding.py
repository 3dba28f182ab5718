"""What every decoder must do, found and run by protocol: no future leak, cached = uncached."""

from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from showtell.protocols import Captioner, CausalLanguageModel
from showtell.tasks.likelihood import likelihood
from support.tiny import END, START, batch, build, found, keeping

CLOSE = {"atol": 1e-5, "rtol": 1e-5}
PLACE = 3
"""Of the token that is replaced by another."""


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def changed(ids):
    return ids.clone().index_fill_(1, torch.tensor([PLACE]), 20)


def by_row(logits, keep):
    """Logits `[T V]` of the real tokens after the first as `[R L-1 V]`."""
    spread = logits.new_zeros(*keep[:, 1:].shape, logits.shape[1])
    spread[keep[:, 1:]] = logits
    return spread


@keeping(CausalLanguageModel)
def test_no_token_of_a_text_sees_the_future(name):
    system, given = build(found()[name]).eval(), batch()
    before = system.encode_texts(given).tokens
    other = replace(given, texts=replace(given.texts, ids=changed(given.texts.ids)))
    after = system.encode_texts(other).tokens
    assert torch.equal(before[:, :PLACE], after[:, :PLACE])
    assert not torch.allclose(before[:, PLACE], after[:, PLACE])


@keeping(CausalLanguageModel)
@pytest.mark.parametrize("size", [1, 2, 3])
def test_pieces_of_a_text_through_the_cache_equal_the_whole(name, size):
    system, texts = build(found()[name]).eval(), batch().texts
    whole = system.encode_texts(batch()).tokens
    state, parts = system.empty_cache(len(texts)), []
    for first in range(0, texts.ids.shape[1], size):
        piece = slice(first, first + size)
        tokens, state = system.extend(state, texts.ids[:, piece], texts.keep[:, piece])
        parts.append(tokens)
    torch.testing.assert_close(torch.cat(parts, 1)[texts.keep], whole[texts.keep], **CLOSE)


@keeping(CausalLanguageModel)
def test_prompts_of_different_lengths_are_continued_as_if_alone(name):
    system, texts = build(found()[name]).eval(), batch().texts
    _, memory = system.extend(system.empty_cache(len(texts)), texts.ids, texts.keep)
    state = system.initial_state(memory)
    beams = {k: t.expand(-1, 2, *t.shape[2:]) for k, t in state.items()}
    together, _ = system.step(memory, beams, torch.tensor([[15, 16]]).expand(len(texts), 2))
    for row in range(len(texts)):
        prompt = texts.ids[row, texts.keep[row]]
        for beam, token in enumerate((15, 16)):
            ids = torch.cat([prompt, torch.tensor([token])])[None]
            keep = torch.ones_like(ids, dtype=torch.bool)
            tokens, _ = system.extend(system.empty_cache(1), ids, keep)
            expected = system.next_token_logits(tokens[0, -1])
            torch.testing.assert_close(together[row, beam], expected, **CLOSE)


@keeping(Captioner)
def test_no_token_of_a_caption_sees_the_future(name):
    system, texts = build(found()[name]).eval(), batch().texts
    memory = system.prefill(system.encode_images(batch()))
    before, after = (
        by_row(system.teacher_forced_logits(memory, texts.owner, ids, texts.keep), texts.keep)
        for ids in (texts.ids, changed(texts.ids))
    )
    torch.testing.assert_close(before[:, :PLACE], after[:, :PLACE], rtol=0, atol=1e-6)
    assert not torch.allclose(before[:, PLACE], after[:, PLACE])


@keeping(Captioner)
def test_captions_step_by_step_equal_teacher_forcing(name):
    system, texts = build(found()[name]).eval(), batch().texts
    memory = system.prefill(system.encode_images(batch()))
    forced = by_row(system.teacher_forced_logits(memory, texts.owner, texts.ids, texts.keep), texts.keep)
    for row in range(len(texts)):
        own = {k: t[texts.owner[row]][None] for k, t in memory.items()}
        state = system.initial_state(own)
        for t in range(int(texts.keep[row].sum()) - 1):
            logits, state = system.step(own, state, texts.ids[row : row + 1, t : t + 1])
            torch.testing.assert_close(logits[0, 0], forced[row, t], **CLOSE)


@keeping(Captioner)
def test_hypotheses_do_not_see_each_other(name):
    system = build(found()[name]).eval()
    memory = system.prefill(system.encode_images(batch()))
    state = system.initial_state(memory)
    beams = {k: t.expand(-1, 3, *t.shape[2:]) for k, t in state.items()}
    together, _ = system.step(memory, beams, torch.tensor([[4, 5, 6]] * 4))
    alone, _ = system.step(memory, state, torch.tensor([[5]] * 4))
    torch.testing.assert_close(together[:, 1:2], alone, **CLOSE)


@keeping(Captioner)
def test_a_copy_in_bfloat16_gives_nearly_the_same_log_probabilities(name):
    """As the search by likelihood makes one."""
    system = build(found()[name]).eval()
    encoded, rough = system.encode_images(batch()), deepcopy(system).bfloat16()
    exact = likelihood(system, [START, 5, 6, 7, END], system.prefill(encoded))
    encoded = replace(encoded, tokens=encoded.tokens.bfloat16(), pooled=encoded.pooled.bfloat16())
    close = likelihood(rough, [START, 5, 6, 7, END], rough.prefill(encoded))
    assert close.dtype == torch.float32
    torch.testing.assert_close(close, exact, rtol=0, atol=0.05)
    assert not torch.equal(close, exact)
