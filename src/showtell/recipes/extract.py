"""Fields of documents, from the features of printed words."""

from showtell.runs.field_tagging import FieldTaggingRun
from showtell.systems.fast_text import FastTextConfig
from showtell.train.config import TrainConfig

BATCH, EPOCHS, WORDS = 256, 8, 100
"""Words per batch, how often each is read, and how many a document has, about."""


def extract_fields(num_documents: int) -> FieldTaggingRun:
    """The fields of receipts and licences, by a linear tagger of their printed words; no image is seen twice.

    Paper: Joulin et al. 2016, "Bag of Tricks for Efficient Text Classification"
    Time: 4 minutes of a shared core for 160 receipts and 288 drawn pages, after 5 in which text is read
    """
    steps = max(300, EPOCHS * WORDS * num_documents // BATCH)
    train = TrainConfig(
        steps=steps,
        batch_size=BATCH,
        learning_rate=2e-2,
        schedule="one_cycle",
        warmup_steps=steps // 10,
        weight_decay=1e-4,
        validate_every=0,
    )
    return FieldTaggingRun(system=FastTextConfig(vocab_size=32_768), train=train)
