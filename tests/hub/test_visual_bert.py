"""VisualBERT and its heads equal the reference library: forward, gradients, import, export."""

import pytest
import torch

from showtell.data.batch import Batch, ImageBatch, TextBatch, pad
from showtell.hub.huggingface.families import visual_bert
from showtell.hub.huggingface.folder import import_folder
from showtell.systems.visual_bert import VisualBERT, VisualBERTAnswerer, VisualBERTEncoder
from support.hf import imported, same_bits, same_outputs_and_gradients

SIZES = {
    "vocab_size": 31,
    "hidden_size": 12,
    "visual_embedding_dim": 7,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 20,
    "max_position_embeddings": 9,
}
HEADS = {
    "VisualBertModel": (VisualBERTEncoder, {}),
    "VisualBertForPreTraining": (VisualBERT, {}),
    "VisualBertForQuestionAnswering": (VisualBERTAnswerer, {"num_labels": 4}),
    "VisualBertForVisualReasoning": (VisualBERTAnswerer, {"num_labels": 3}),
}


@pytest.fixture(scope="module", params=HEADS)
def pair(request, tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    cls, more = HEADS[request.param]
    folder = tmp_path_factory.mktemp("visual_bert")
    reference = getattr(transformers, request.param)(transformers.VisualBertConfig(**SIZES, **more))
    ours = imported(reference, folder)
    assert type(ours) is cls
    return reference, ours, folder


def outputs(reference, ours, padded):
    """What both say of the same pairs, as pairs of tensors."""
    rows = [[2, 5, 6, 7, 3], [2, 13, 3]] if padded else [[2, 5, 6, 3], [2, 13, 8, 3]]
    ids, keep = pad(rows)
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(2, 4, 7, generator=generator)
    seen = torch.ones(2, 4, dtype=torch.bool)
    seen[1, 2:] = not padded
    segments = (torch.arange(ids.shape[1]) > 2).long().expand_as(ids)
    theirs = reference(
        input_ids=ids,
        attention_mask=keep.long(),
        token_type_ids=segments,
        visual_embeds=features,
        visual_attention_mask=seen.long(),
    )
    images = ImageBatch(features=features, keep=seen if padded else None)
    batch = Batch(images, TextBatch(ids, keep, segments=segments))
    if isinstance(ours, VisualBERTAnswerer):
        return [(ours.answer(batch), theirs.logits)]
    fused = ours.fuse(batch)
    if isinstance(ours, VisualBERTEncoder) and not isinstance(ours, VisualBERT):
        tokens, expected = fused.tokens[fused.keep], theirs.last_hidden_state[fused.keep]
        return [(fused.pooled, theirs.pooler_output), (tokens, expected)]
    words = fused.tokens[:, : ids.shape[1]][keep]
    matching = theirs.seq_relationship_logits
    return [
        (ours.masked_token_logits(words), theirs.prediction_logits[:, : ids.shape[1]][keep]),
        (ours.match(fused.pooled), matching[:, 0] - matching[:, 1]),
    ]


@pytest.mark.parametrize("padded", [False, True], ids=["full", "padded"])
def test_forward_and_every_gradient(pair, padded):
    reference, ours, _ = pair
    found = outputs(reference, ours, padded)
    unread = same_outputs_and_gradients(found, ours, reference, visual_bert.table(ours.config))
    assert all("pooler" in name for name in unread)


def test_export_and_import_keep_every_bit(pair, tmp_path):
    reference, ours, folder = pair
    same_bits(reference, ours, folder, tmp_path)
    assert import_folder(tmp_path).config == ours.config
