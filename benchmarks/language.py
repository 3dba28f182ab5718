"""Finished runs of language models on texts outside their training data.

    python benchmarks/language.py RUN... --data DATA/text/wikitext103_valid.txt.xz [--documents 500]

A RUN is the output folder of `showtell train bert_mini|roberta_mini|gpt_mini ...`. The column `validation`
is measured on its own held-out documents, by which its checkpoint was chosen; the other on `--data`:
masked-token accuracy with 15 % masked, perplexity per token and per word (words as separated by spaces).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from showtell.checkpoint.load import load_checkpoint
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.datasets.texts import training_documents
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
    parser.add_argument("--documents", type=int, help="only the first so many; default: all")
    options = parser.parse_args()
    documents = list(training_documents(options.data))[: options.documents]
    rows = []
    for run in options.runs:
        model = load_model(run, "cpu")
        assert isinstance(model.tokenizer, SubwordTokenizer)
        recipe = LanguageModelRun(system=model.system.config, train=TrainConfig())
        measured = recipe.measure(documents, model.tokenizer)(model.system)
        held_out = load_checkpoint(run).record["validation"]
        rows += [
            [model.name, name, f"{held_out[name]:.4g}", f"{measured[name]:.4g}"]
            for name in NAMES
            if name in held_out
        ]
    command()
    print(f"{len(documents)} documents of {options.data.name}\n")
    table(["model", "figure", "validation", options.data.name], rows)


if __name__ == "__main__":
    main()
