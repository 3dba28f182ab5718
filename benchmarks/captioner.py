"""Every figure of a captioner beside its bar: captions, searches by three engines, words.

    python benchmarks/captioner.py --data DIR [--split val] [--model M] [--words DIR] [--queries 1000]

`DIR` is a data set with captions, such as Flickr8k. The word tests are `questions-words.txt` and
`wordsim353.tsv`.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from showtell.recipes.evaluate import ENGINES, evaluate
from showtell.recipes.model import load_model
from showtell.tasks.words import similar

NEIGHBOURS = {
    "boy": {"kid", "child", "girl"},
    "two": {"three"},
    "red": {"blue", "green", "yellow", "orange", "purple", "pink", "black", "white", "brown", "gray", "grey"},
}


def main() -> None:
    """Print the tables; the raw figures as JSON on request."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="val")
    parser.add_argument("--model", help="a checkpoint folder; the shipped model when left out")
    parser.add_argument("--words", type=Path)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--engines", nargs="+", default=list(ENGINES), choices=ENGINES)
    parser.add_argument("--json", type=Path, help="also write the raw figures here")
    options = parser.parse_args()
    model = load_model(options.model)

    def tell(what: str, done: int, total: int) -> None:
        print(f"\r{what} {done}/{total}   ", end="\n" if done == total else "", file=sys.stderr, flush=True)

    figures = evaluate(
        model,
        options.data,
        options.split,
        engines=options.engines,
        queries=options.queries,
        words=options.words,
        progress=tell,
    )
    print(f"$ python {' '.join(sys.argv)}")
    print(f"Model `{model.hash[:12]}`, {figures['pictures']} pictures of `{options.split}`.\n")
    print("| captions, beam 5 | BLEU-1 | BLEU-2 | BLEU-3 | BLEU-4 | ROUGE-L | CIDEr | perplexity |")
    print("|---|---|---|---|---|---|---|---|")
    print(
        f"| | {' | '.join(f'{v:.3f}' for v in figures['captions'].values())} | {figures['perplexity']:.2f} |\n"
    )
    print("| search by | R@1 | R@5 | R@10 | median rank | queries | pictures | ms a query |")
    print("|---|---|---|---|---|---|---|---|")
    for engine, f in figures["search"].items():
        print(
            f"| {engine} | {f['recall1']:.3f} | {f['recall5']:.3f} | {f['recall10']:.3f} | {f['median_rank']:.0f} | "
            f"{f['queries']} | {f['pictures']} | {f['milliseconds']:.0f} |"
        )
    print("\n| word | among its 10 nearest | wanted one of |")
    print("|---|---|---|")
    vectors = model.system.word_vectors()
    for word, wanted in NEIGHBOURS.items():
        near = [w.word for w in similar(vectors, model.tokenizer, word)]
        found = ", ".join(w for w in near if w in wanted) or "none"
        print(f"| {word} | {found} | {', '.join(sorted(wanted))} |")
    for test, score in figures.get("words", {}).items():
        print(
            f"\n{test}: {', '.join(f'{k} {v:.3f}' if isinstance(v, float) else f'{k} {v}' for k, v in score.items())}"
        )
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))


if __name__ == "__main__":
    main()
