"""BERT fine-tuned, against the reference library."""

import pytest
import torch

from showtell.data.batch import Batch, Targets, TextBatch, pad
from showtell.runs.finetuning import like
from showtell.systems.bert_finetuned import BERTClassifierConfig, BERTTaggerConfig
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
