"""A pretrained language model: its perplexity on a text, and how fast it continues one beside `transformers`.

    python benchmarks/language_models.py [MODEL] --data DATA/text/wikitext103_valid.txt.xz [--tokens 20000]

The first `--tokens` of the text are read in rows of `--length`, each by itself; every token but the first of
its row is predicted. Then both libraries continue the same `--prompt` tokens by the same parameters, one
token at a time with a cache, alternately; the ratio is that of the medians. `bandwidth` is the share that
reading all parameters once per token takes, at the rate at which this machine sums them up.
"""

from __future__ import annotations

import argparse
import lzma
import math
import statistics
import tempfile
import time
from itertools import islice
from pathlib import Path

import torch

from showtell.data.batch import Batch, TextBatch, pad
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.hub.huggingface.folder import export_folder
from showtell.pipelines.model import Model, load_model
from showtell.tasks.decoding import stream_tokens
from showtell.tasks.language import predict_next
from table import command, table


def perplexity(model: Model, ids: list[int], length: int) -> tuple[float, int]:
    """Per token, and over how many."""
    rows = (pad([ids[first : first + length]]) for first in range(0, len(ids), length))
    score = predict_next(model.system, (Batch(texts=TextBatch(*row)) for row in rows))
    return math.exp(score.nll / score.count), score.count


@torch.inference_mode()
def seconds(call, ids: torch.Tensor, count: int) -> tuple[float, list[int]]:
    """Per generated token, the prompt's included, and the tokens."""
    begin = time.perf_counter()
    found = call(ids, count)
    return (time.perf_counter() - begin) / count, found


def decoding(model: Model, ids: list[int], count: int, rounds: int) -> list[list[str]]:
    """A line for each library."""
    from transformers import AutoModelForCausalLM

    with tempfile.TemporaryDirectory() as folder:
        export_folder(model.system, folder)
        reference = AutoModelForCausalLM.from_pretrained(folder).eval()
    system, prompt = model.system, torch.tensor([ids])
    never = model.tokenizer.special[-1]

    def ours(ids: torch.Tensor, count: int) -> list[int]:
        keep = torch.ones_like(ids[:, :-1], dtype=torch.bool)
        _, state = system.extend(system.empty_cache(1), ids[:, :-1], keep)
        found = stream_tokens(system, state, start=int(ids[0, -1]), end=never, generator=torch.Generator())
        return list(islice(found, count))

    def theirs(ids: torch.Tensor, count: int) -> list[int]:
        keep = torch.ones_like(ids)
        out = reference.generate(
            ids, attention_mask=keep, max_new_tokens=count, do_sample=False, eos_token_id=None, pad_token_id=0
        )
        return out[0, ids.shape[1] :].tolist()

    times: dict[str, list[float]] = {"showtell": [], "transformers": []}
    for _ in range(rounds):
        mine, found = seconds(ours, prompt, count)
        other, expected = seconds(theirs, prompt, count)
        assert found == expected, "both continue alike"
        times["showtell"].append(mine)
        times["transformers"].append(other)
    whole = torch.cat([p.flatten() for p in reference.parameters()])
    reading = min(seconds(lambda *_: [whole.sum()], prompt, 1)[0] for _ in range(5))
    middle = {name: statistics.median(found) for name, found in times.items()}
    return [
        [name, f"{1e3 * t:.1f}", f"{middle['transformers'] / t:.2f}", f"{reading / t:.0%}"]
        for name, t in middle.items()
    ]


def main() -> None:
    """Print two tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", default="SmolLM2-135M-Instruct")
    parser.add_argument("--data", type=Path, required=True, help="a text, packed by xz")
    parser.add_argument("--tokens", type=int, default=20_000)
    parser.add_argument("--length", type=int, default=1024)
    parser.add_argument("--prompt", type=int, default=64)
    parser.add_argument("--new", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    model = load_model(options.model, "cpu")
    assert isinstance(model.tokenizer, SubwordTokenizer)
    with lzma.open(options.data, "rt", encoding="utf-8") as file:
        text = file.read(8 * options.tokens)
    ids = model.tokenizer.pieces(text).ids[: options.tokens]
    command()
    print(f"{model.name}, {torch.get_num_threads()} threads, torch {torch.__version__}\n")
    found, count = perplexity(model, ids, options.length)
    table(["text", "predicted tokens", "perplexity per token"], [[options.data.name, count, f"{found:.2f}"]])
    rows = decoding(model, ids[: options.prompt], options.new, options.rounds)
    table([f"{options.new} tokens after {options.prompt}", "ms per token", "ratio", "bandwidth"], rows)


if __name__ == "__main__":
    main()
