"""WordPiece trained by likelihood, against the trainer of the `tokenizers` library, which counts pairs.

Both read the same words of the same training documents, one after the other in one run. A vocabulary is
evaluated on held-out documents: tokens per word, and nats per word under a unigram model with the tokens'
frequencies in the training documents. Then the time to turn all training documents into a corpus.

    python benchmarks/vocabulary.py DATA/text/imdb_unlabelled.txt.xz [--size 8192] [--documents 50000]
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer, models, trainers

from showtell.data.texts.corpus import tokenise
from showtell.data.texts.files import documents, layout_of
from showtell.data.tokenizers import families
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.datasets.texts import divide_texts
from table import command, table


def by_frequency(texts: Sequence[str], size: int) -> SubwordTokenizer:
    """The library's own WordPiece trainer, with BERT's normalisation."""
    tokenizer: Tokenizer = families.uncased()
    tokenizer.model = models.WordPiece(unk_token="[UNK]")
    special = families.FAMILIES["bert"].tokens
    tokenizer.train_from_iterator(
        texts, trainers.WordPieceTrainer(vocab_size=size, special_tokens=special, show_progress=False)
    )
    families.add_special_tokens(tokenizer, "bert")
    return SubwordTokenizer(tokenizer)


def unigram_figures(
    tokenizer: SubwordTokenizer, training: Sequence[str], validation: Sequence[str]
) -> list[str]:
    """Tokens per word and unigram nats per word of the validation documents."""
    counts: Counter[int] = Counter()
    for ids in tokenizer.encode_batch(training):
        counts.update(ids[1:-1])
    seen = np.array([counts[i] + 1 for i in range(len(tokenizer))], np.float64)
    nats = -np.log(seen / seen.sum())
    ids = np.array([i for row in tokenizer.encode_batch(validation) for i in row[1:-1]])
    words = sum(len(text.split()) for text in validation)
    return [f"{len(ids) / words:.4f}", f"{nats[ids].sum() / words:.4f}"]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path)
    parser.add_argument("--size", type=int, default=8192)
    parser.add_argument("--documents", type=int, default=50_000)
    options = parser.parse_args()
    command()
    read = islice(documents(options.file, layout_of(options.file)), options.documents)
    texts = divide_texts(list(read))
    training, validation = texts.training, texts.validation
    sample = training[: max(len(training) // 10, 1)]
    makers: dict[str, Callable[[], SubwordTokenizer]] = {
        "likelihood (showtell)": lambda: SubwordTokenizer.train(training, "wordpiece", options.size),
        "frequency (tokenizers)": lambda: by_frequency(training, options.size),
    }
    rows = []
    for name, make in makers.items():
        start, cpu = time.perf_counter(), time.process_time()
        tokenizer = make()
        took = [f"{time.perf_counter() - start:.1f}", f"{time.process_time() - cpu:.1f}"]
        rows.append([name, len(tokenizer), *took, *unigram_figures(tokenizer, sample, validation)])
    table(["merges by", "tokens", "seconds", "CPU seconds", "tokens per word", "nats per word"], rows)
    start, cpu = time.perf_counter(), time.process_time()
    corpus = tokenise(training, tokenizer)
    words = sum(len(text.split()) for text in training)
    took = [f"{time.perf_counter() - start:.1f}", f"{time.process_time() - cpu:.1f}"]
    table(["words", "tokens", "seconds", "CPU seconds"], [[words, len(corpus.ids), *took]])


if __name__ == "__main__":
    main()
