"""All figures of a captioner: captions, search with three engines, words.

    python benchmarks/captioner.py --data DIR [--split val] [--model M] [--words DIR] [--queries 1000]

`DIR` is a data set with captions, such as Flickr8k. The word tests are `questions-words.txt` and
`wordsim353.tsv`.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from showtell.evaluation.evaluate import evaluate
from showtell.evaluation.word_figures import NEIGHBOURS
from showtell.pipelines.model import load_model
from table import command, table


def main() -> None:
    """Print the tables; write the raw figures as JSON on request."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="val")
    parser.add_argument("--model", help="a checkpoint folder; default: the shipped model")
    parser.add_argument("--words", type=Path)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--engines", nargs="+")
    parser.add_argument("--json", type=Path, help="also write the raw figures here")
    options = parser.parse_args()
    model = load_model(options.model)

    figures = evaluate(
        model,
        options.data,
        options.split,
        engines=options.engines,
        queries=options.queries,
        words=options.words,
    )
    command()
    print(f"Model `{model.hash[:12]}`, {figures['images']} images of `{options.split}`.\n")
    captions = figures["captions"]
    table(
        ["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr", "perplexity"],
        [[*(f"{value:.3f}" for value in captions.values()), f"{figures['perplexity']:.2f}"]],
    )
    table(
        ["search by", "R@1", "R@5", "R@10", "median rank", "queries", "images", "ms per query"],
        [
            [
                engine,
                *(f"{f[f'recall{k}']:.3f}" for k in (1, 5, 10)),
                f"{f['median_rank']:.0f}",
                f["queries"],
                f["images"],
                f"{f['milliseconds']:.0f}",
            ]
            for engine, f in figures["search"].items()
        ],
    )
    table(
        ["word", "among its 10 nearest", "expected one of"],
        [
            [word, ", ".join(near) or "none", ", ".join(sorted(NEIGHBOURS[word]))]
            for word, near in figures["neighbours"].items()
        ],
    )
    table(
        ["analogy", "five best"],
        [[question, ", ".join(best)] for question, best in figures["relations"].items()],
    )
    for test, score in figures.get("words", {}).items():
        table([test, *score], [["", *(f"{v:.3f}" if isinstance(v, float) else v for v in score.values())]])
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
