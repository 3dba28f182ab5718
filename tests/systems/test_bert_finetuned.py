"""BERT fine-tuned, against the reference library."""

import pytest
import torch

from showtell.data.batch import Batch, Targets, TextBatch, pad
from showtell.runs.finetuning import like
from showtell.systems.bert_finetuned import BERTAnswererConfig, BERTClassifierConfig, BERTTaggerConfig
from support.hf import imported

transformers = pytest.importorskip("transformers")
SIZES = {
    "vocab_size": 40,
    "hidden_size": 24,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 50,
    "max_position_embeddings": 12,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
    "num_labels": 4,
}


@pytest.mark.parametrize(
    ("theirs", "config", "head"),
    [
        ("BertForSequenceClassification", BERTClassifierConfig(num_classes=4), "classifier"),
        ("BertForTokenClassification", BERTTaggerConfig(num_classes=4), "tagger"),
    ],
)
def test_logits_loss_and_gradients_are_those_of_the_reference(theirs, config, head, tmp_path) -> None:
    reference = getattr(transformers, theirs)(transformers.BertConfig(**SIZES))
    encoder = imported(reference.bert, tmp_path)
    ours = like(config, encoder.config).build()
    known = {name: tensor for name, tensor in encoder.state_dict().items() if name in ours.state_dict()}
    missing, unexpected = ours.load_state_dict(known, strict=False)
    assert not unexpected
    assert {name.partition(".")[0] for name in missing} == {head}
    getattr(ours, head).load_state_dict(reference.classifier.state_dict())
    reference.train()
    ids, keep = pad([[2, 5, 3, 8, 9, 3], [2, 7, 3, 10, 3]])
    segments = (torch.arange(6) > 2).long().expand_as(ids).contiguous()
    tags = torch.where(keep, ids % 4, -1)
    targets = Targets(classes=torch.tensor([3, 1]), tags=tags)
    batch = Batch(texts=TextBatch(ids, keep, segments=segments), targets=targets)
    labels = targets.classes if head == "classifier" else tags.masked_fill(tags < 0, -100)
    said = reference(ids, keep.long(), segments, labels=labels)
    logits = ours.classify(ours.encode_texts(batch)) if head == "classifier" else ours.token_tags(batch)
    real = keep if head == "tagger" else torch.ones(2, dtype=torch.bool)
    torch.testing.assert_close(logits[real], said.logits[real], atol=1e-5, rtol=1e-4)
    (loss,) = ours(batch).losses.values()
    torch.testing.assert_close(loss, said.loss, atol=1e-5, rtol=1e-4)
    loss.backward()
    said.loss.backward()
    pairs = [
        (getattr(ours, head).weight, reference.classifier.weight),
        (ours.embed.tokens.weight, reference.bert.embeddings.word_embeddings.weight),
    ]
    for one, other in pairs:
        torch.testing.assert_close(one.grad, other.grad, atol=1e-5, rtol=1e-4)


def test_the_spans_loss_and_gradients_are_those_of_the_reference(tmp_path) -> None:
    reference = transformers.BertForQuestionAnswering(transformers.BertConfig(**{**SIZES, "num_labels": 2}))
    encoder = imported(reference.bert, tmp_path)
    ours = like(BERTAnswererConfig(), encoder.config).build()
    missing, unexpected = ours.load_state_dict(encoder.state_dict(), strict=False)
    assert {name.partition(".")[0] for name in missing} == {"answerer"}
    assert not unexpected
    ours.answerer.load_state_dict(reference.qa_outputs.state_dict())
    reference.train()
    ids, keep = pad([[2, 5, 3, 8, 9, 3], [2, 7, 3, 10, 3]], 1)  # the reference's 0 has no gradient
    segments = (torch.arange(6) > 2).long().expand_as(ids).contiguous()
    with torch.no_grad():  # the reference points at padding too, so its loss is compared without any
        said = reference(ids, keep.long(), segments)
        logits = ours.span_logits(Batch(texts=TextBatch(ids, keep, segments=segments)))
    theirs = torch.stack([said.start_logits, said.end_logits], 2)
    torch.testing.assert_close(logits[keep], theirs[keep], atol=1e-5, rtol=1e-4)
    assert logits[~keep].isneginf().all()
    spans = torch.tensor([[3, 4], [0, 0]])
    targets, full = Targets(spans=spans), torch.ones_like(keep)
    (loss,) = ours(Batch(texts=TextBatch(ids, full, segments=segments), targets=targets)).losses.values()
    said = reference(ids, full.long(), segments, start_positions=spans[:, 0], end_positions=spans[:, 1])
    torch.testing.assert_close(loss, said.loss, atol=1e-5, rtol=1e-4)
    loss.backward()
    said.loss.backward()
    pairs = [
        (ours.answerer.weight, reference.qa_outputs.weight),
        (ours.embed.tokens.weight, reference.bert.embeddings.word_embeddings.weight),
    ]
    for one, other in pairs:
        torch.testing.assert_close(one.grad, other.grad, atol=1e-5, rtol=1e-4)
