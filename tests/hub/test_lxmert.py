"""LXMERT and its heads equal the reference library: forward, gradients, import, export."""

import pytest
import torch

from showtell.data.batch import Batch, ImageBatch, TextBatch, pad
from showtell.hub.huggingface.families import lxmert
from showtell.hub.huggingface.folder import import_folder
from showtell.systems.lxmert import LXMERT, LXMERTAnswerer, LXMERTEncoder
from support.hf import imported, same_bits, same_outputs_and_gradients

SIZES = {
    "vocab_size": 31,
    "hidden_size": 12,
    "visual_feat_dim": 7,
    "l_layers": 2,
    "r_layers": 1,
    "x_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 20,
    "max_position_embeddings": 9,
}
HEADS = {
    "LxmertModel": (LXMERTEncoder, {}),
    "LxmertForPreTraining": (LXMERT, {"task_obj_predict": False, "task_qa": False}),
    "LxmertForQuestionAnswering": (LXMERTAnswerer, {"num_qa_labels": 4}),
}


@pytest.fixture(scope="module", params=HEADS)
def pair(request, tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    cls, more = HEADS[request.param]
    folder = tmp_path_factory.mktemp("lxmert")
    reference = getattr(transformers, request.param)(transformers.LxmertConfig(**SIZES, **more))
    ours = imported(reference, folder)
    assert type(ours) is cls
    for module in reference.modules():
        if isinstance(module, torch.nn.Embedding):
            module.padding_idx = None  # or it trains neither the first position nor the first segment
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
    boxes = torch.rand(2, 4, 4, generator=generator)
    theirs = reference(
        input_ids=ids,
        attention_mask=keep.long(),
        token_type_ids=segments,
        visual_feats=features,
        visual_pos=boxes,
        visual_attention_mask=seen.long(),
    )
    images = ImageBatch(features=features, boxes=boxes, keep=seen if padded else None)
    batch = Batch(images, TextBatch(ids, keep, segments=segments))
    if isinstance(ours, LXMERTAnswerer):
        return [(ours.answer(batch), theirs.question_answering_score)]
    fused, length = ours.fuse(batch), ids.shape[1]
    words, found = fused.tokens[:, :length][keep], fused.tokens[:, length:][seen]
    if isinstance(ours, LXMERT):
        matching = theirs.cross_relationship_score
        return [
            (ours.masked_token_logits(words), theirs.prediction_logits[keep]),
            (ours.match(fused.pooled), matching[:, 1] - matching[:, 0]),
        ]
    return [
        (fused.pooled, theirs.pooled_output),
        (words, theirs.language_output[keep]),
        (found, theirs.vision_output[seen]),
    ]


@pytest.mark.parametrize("padded", [False, True], ids=["full", "padded"])
def test_forward_and_every_gradient(pair, padded):
    reference, ours, _ = pair
    found = outputs(reference, ours, padded)
    unread = same_outputs_and_gradients(found, ours, reference, lxmert.table(ours.config))
    assert all(".x_layers.1.visn_" in name for name in unread)


def test_export_and_import_keep_every_bit(pair, tmp_path):
    reference, ours, folder = pair
    same_bits(reference, ours, folder, tmp_path)
    assert import_folder(tmp_path).config == ours.config
