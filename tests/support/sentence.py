"""Folders of `sentence-transformers`, and its poolings in plain loops."""

import json
import math

import torch
from safetensors.torch import save_file

OLD = "sentence_transformers.models."


def pooled(mode, tokens):
    """One text's tokens pooled as `sentence-transformers` does, in plain loops."""
    rows, width = tokens.tolist(), range(tokens.shape[1])
    match mode:
        case "cls":
            return rows[0]
        case "lasttoken":
            return rows[-1]
        case "max":
            return [max(row[d] for row in rows) for d in width]
        case "mean":
            return [sum(row[d] for row in rows) / len(rows) for d in width]
        case "mean_sqrt_len_tokens":
            return [sum(row[d] for row in rows) / math.sqrt(len(rows)) for d in width]
        case "weightedmean":
            weights = range(1, len(rows) + 1)
            return [
                sum(w * row[d] for w, row in zip(weights, rows, strict=True)) / sum(weights) for d in width
            ]


def put(folder, name, content):
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_text(json.dumps(content))


def made(source, folder, pooling=None, *after, prefix=OLD):
    """A copy of a folder with a `modules.json` that lists a pooling and what follows it."""
    folder.mkdir()
    for file in source.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    kinds = ["Transformer", "Pooling", *after]
    paths = ["", *(f"{i}_{kind}" for i, kind in enumerate(kinds[1:], 1))]
    listed = [
        {"idx": i, "name": str(i), "path": path, "type": prefix + kind}
        for i, (path, kind) in enumerate(zip(paths, kinds, strict=True))
    ]
    put(folder, "modules.json", listed)
    put(folder, "1_Pooling/config.json", pooling or {"embedding_dimension": 12, "pooling_mode": "mean"})
    return folder


def dense(folder, name="2_Dense", width=12, out=5, **settings):
    said = {"in_features": width, "out_features": out, "bias": True}
    put(
        folder,
        f"{name}/config.json",
        said | {"activation_function": "torch.nn.modules.activation.Tanh"} | settings,
    )
    generator = torch.Generator().manual_seed(5)
    weights = {
        "linear.weight": torch.randn(out, width, generator=generator),
        "linear.bias": torch.arange(out) / 9,
    }
    save_file(weights, folder / name / "model.safetensors")
    return weights


@torch.no_grad()
def tokens_of(reference, model, text, longest=None):
    base = reference.base_model
    return base(torch.tensor([model.tokenizer.encode(text, longest)])).last_hidden_state[0]


def broken(folder, name, change):
    value = json.loads((folder / name).read_text()) if (folder / name).is_file() else {}
    change(value)
    put(folder, name, value)
