"""How well finished runs of language models know texts that they did not learn from.

    python benchmarks/language.py RUN... --data DATA/text/wikitext103_valid.txt.xz [--documents 500]

A RUN is the folder of `showtell train bert_mini|roberta_mini|gpt_mini ...`. The figures in the column
`validation` are those of its own documents kept apart, by which its weights were chosen; the others are
measured on `--data`: masked-token accuracy with 15 % hidden, perplexity a token and a word (as spaces part
words).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from showtell.checkpoint.load import load_checkpoint
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.datasets.texts import read_documents
from showtell.pipelines.model import load_model
from showtell.runs.language_model import LanguageModelRun
from showtell.train.config import TrainConfig
from table import command, table

NAMES = ("accuracy", "loss", "next_sentence", "perplexity", "perplexity_per_word")


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--documents", type=int, help="the first so many of the data; without it, all")
    options = parser.parse_args()
    documents = list(read_documents(options.data))[: options.documents]
    rows = []
    for run in options.runs:
        model = load_model(run, "cpu")
        assert isinstance(model.tokenizer, SubwordTokenizer)
        recipe = LanguageModelRun(system=model.system.config, train=TrainConfig())
        measured = recipe.measure(documents, model.tokenizer)(model.system)
        kept = load_checkpoint(run).record["validation"]
        rows += [
            [model.name, name, f"{kept[name]:.4g}", f"{measured[name]:.4g}"] for name in NAMES if name in kept
        ]
    command()
    print(f"{len(documents)} documents of {options.data.name}\n")
    table(["model", "figure", "validation", options.data.name], rows)


if __name__ == "__main__":
    main()
