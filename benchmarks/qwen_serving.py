"""Tokens per second of a random model of Qwen2-VL-2B's shape: our batches beside plain `generate`.

    python benchmarks/qwen_serving.py [--device auto] [--new 128] [--rounds 3] [--tiny]

The same questions, each a text and an image of 840 x 840 pixels (900 tokens), are answered with so many
tokens, alone and eight at once. The peer is `generate` of `transformers` on the same model, prompts and
batch: greedy, with no other end than the number of tokens. Ours chooses each token by the pen: greedy,
sampled, and under a JSON schema. Both read the prompt with its images in the time that is counted; decoding
and resizing images is not in it. Rounds alternate; the ratio is that of the medians. `--tiny` is a model of
a few layers and images of 84 x 84, to see the script run.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from functools import partial

import numpy as np
import torch
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.device import choose_device, processor
from showtell.hub.qwen_vl import QwenVL
from showtell.nn.bfloat16 import has_fast_bfloat16
from showtell.pipelines.image_chat import ImageChat
from showtell.tasks.pen import Piece, Sampling
from table import command, table

SPECIAL = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
]
TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for part in m['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part['text'] }}"
    "{% endif %}{% endfor %}<|im_end|>\n{% endfor %}<|im_start|>assistant\n"
)
VOCABULARY, TOKENS = 151_936, 151_643
"""Rows of the embedding, and tokens that are not special."""
SIDE = 840
"""Pixels of an image, across and down."""
"""Pixels of an image, across and down."""
SCHEMA = {
    "type": "array",
    "items": {
        "type": "object",
        "properties": {"文字材料类别": {"enum": ["营业执照", "身份证", "收据"]}, "名称": {"type": "string"}},
        "required": ["文字材料类别", "名称"],
        "additionalProperties": False,
    },
    "minItems": 1,
}


def tokenizer() -> SubwordTokenizer:
    """Byte-level, of Qwen2-VL's size, its longer tokens made up."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocab = {letter: i for i, letter in enumerate(letters)}
    generator = np.random.default_rng(0)
    while len(vocab) < TOKENS:
        word = "".join(letters[i] for i in generator.integers(0, len(letters), generator.integers(2, 9)))
        vocab.setdefault(word, len(vocab))
    made = Tokenizer(models.BPE(vocab, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in SPECIAL])
    return SubwordTokenizer(made).reading({"chat_template": TEMPLATE})


def random_model(device: str, tiny: bool) -> QwenVL:
    """Qwen2-VL-2B with random parameters, made on the device."""
    spelled = tokenizer()
    ids = {name: spelled.tokens.index(name) for name in SPECIAL}
    text = {
        "vocab_size": VOCABULARY,
        "hidden_size": 128 if tiny else 1536,
        "intermediate_size": 256 if tiny else 8960,
        "num_hidden_layers": 2 if tiny else 28,
        "num_attention_heads": 12 if not tiny else 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 32_768,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 1e6,
            "mrope_section": [8, 4, 4] if tiny else [16, 24, 24],
        },
    }
    config = transformers.Qwen2VLConfig(
        text_config=text,
        vision_config={"depth": 2 if tiny else 32, "embed_dim": 1280, "hidden_size": text["hidden_size"]},
        image_token_id=ids["<|image_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )
    torch.manual_seed(0)
    dtype = torch.bfloat16 if has_fast_bfloat16(device) else torch.float32
    with torch.device(device):
        model = transformers.AutoModelForImageTextToText.from_config(
            config, dtype=dtype, attn_implementation="sdpa"
        )
    model = model.to(device).eval().requires_grad_(False)
    model.generation_config = transformers.GenerationConfig(pad_token_id=spelled.pad)
    images = transformers.Qwen2VLImageProcessorPil(size={"shortest_edge": 3136, "longest_edge": 12_845_056})
    return QwenVL(model, spelled, images, SIDE**2, (spelled.end,), "random")


class Contest:
    """The same questions answered by both."""

    def __init__(self, loaded: QwenVL, batch: int, new: int, side: int) -> None:
        self._loaded, self._chat, self._new = loaded, ImageChat(loaded, "random"), new
        generator = np.random.default_rng(0)
        self._images = [generator.integers(0, 256, (side, side, 3), np.uint8) for _ in range(batch)]
        parts = [{"type": "image"}, {"type": "text", "text": "List what the text of this image says."}]
        self._messages = [{"role": "user", "content": parts}]
        self._batch = loaded.collate([loaded.read(self._messages, [image]) for image in self._images])
        self.prompt = self._batch["input_ids"].shape[1]

    @torch.inference_mode()
    def theirs(self) -> float:
        """Tokens per second of plain `generate`."""
        begun = clock()
        found = self._loaded.model.generate(**self._batch, do_sample=False, max_new_tokens=self._new)
        return float((found.shape[1] - self.prompt) * len(found) / (clock() - begun))

    def ours(self, schema: object = None, **drawn: float) -> float:
        """Tokens per second of the pen; of documents it counts those that they have."""
        questions = [
            self._chat.question(self._messages, [image], Sampling(self._new, **drawn, seed=i), schema)
            for i, image in enumerate(self._images)
        ]
        answers: list[list[Piece]] = [[] for _ in questions]
        begun = clock()
        self._chat.answer(questions, [partial(taken, answer) for answer in answers])
        seconds = clock() - begun
        for answer in answers if schema is not None else ():
            json.loads("".join(piece.text for piece in answer))
        return sum(answer[-1].tokens for answer in answers) / seconds


def taken(answer: list[Piece], piece: Piece | Exception) -> bool:
    """Keep a piece, and ask for more."""
    if isinstance(piece, Exception):
        raise piece
    answer.append(piece)
    return True


def clock() -> float:
    """Seconds, when the device has done its work."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="auto")
    parser.add_argument("--new", type=int, default=128, help="tokens per answer")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--tiny", action="store_true")
    options = parser.parse_args()
    device = choose_device(options.device)
    begun = time.perf_counter()
    loaded = random_model(device, options.tiny)
    count = sum(p.numel() for p in loaded.model.parameters())
    name = torch.cuda.get_device_name() if device.startswith("cuda") else processor()
    command()
    made = time.perf_counter() - begun
    print(f"{name}, {loaded.model.dtype}, {count / 1e6:.0f} M parameters, made in {made:.0f} s")
    print(f"torch {torch.__version__}, transformers {transformers.__version__}\n")
    for batch in (1, 8):
        contest = Contest(loaded, batch, options.new, 84 if options.tiny else SIDE)
        ways = {
            "transformers generate, greedy": contest.theirs,
            "showtell, greedy": contest.ours,
            "showtell, sampled, top_p 0.9": partial(contest.ours, temperature=1.0, top_p=0.9),
            "showtell, JSON schema, sampled": partial(contest.ours, SCHEMA, temperature=1.0),
        }
        for write in ways.values():  # warm up
            write()
        found: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(options.rounds):
            for way, write in ways.items():
                found[way].append(write())
        middle = {way: statistics.median(speeds) for way, speeds in found.items()}
        peer = middle["transformers generate, greedy"]
        rows = [[way, f"{speed:.1f}", f"{speed / peer:.2f}"] for way, speed in middle.items()]
        table(
            [f"batch of {batch}, {contest.prompt} + {options.new} tokens", "tokens per second", "ratio"], rows
        )
    if device.startswith("cuda"):
        print(f"peak memory {torch.cuda.max_memory_allocated() / 2**30:.2f} GiB")


if __name__ == "__main__":
    main()
