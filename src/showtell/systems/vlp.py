"""VLP: language from raw pixels. An image of a text goes in, the whole text comes out, masked words too.

    H x W x 3 -> CNN H/32 x W/32 x 2048 -> 1 x 1 conv -> flatten + sine positions -> encoder (pre-norm)
    [start] y_1 .. y_t -> token embedding * sqrt(D) + sine positions -> decoder, attends to the encoder
    -> linear -> y_t+1, also where the image shows [MASK]

`dec_div` divides the decoder's layers, heads and MLP: the encoder must know the language. The sizes are those
of `encoder_decoder_lg` with BERT's vocabulary, cased: 129.0 M parameters up to the encoder, 220.9 M in all.

Ours, each with a weight of 0 in the paper: before the decoder, a pointer follows the text through the grid
and reads from where the next token begins; each cell of the grid predicts the characters that are drawn
there; a bit per token says whether the image shows a mask; the encoder draws the pixels that a mask removed.

Source: Basara 2023, "Visual Language Processing", and its repository visual-language-processing. A departure:
the loss ignores padding, which the original predicts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch
from showtell.data.tokenizers.training import Vocabulary
from showtell.errors import UserError
from showtell.nn.backbones.patches import cut, joined
from showtell.nn.cross_decoder import CrossDecoder
from showtell.nn.decoder import of_rows
from showtell.nn.fitted import FitsTokenizer
from showtell.nn.mask import attention_mask
from showtell.nn.pointer import Pointer, nowhere
from showtell.nn.positions import sine_1d
from showtell.nn.transformer import initialise
from showtell.objectives.causal_tokens import causal_tokens, next_tokens
from showtell.objectives.pointing import on_image, pointing
from showtell.objectives.removed_pixels import removed, removed_pixels
from showtell.protocols import Encoded, State, Step
from showtell.systems.vlp_encoder import VLPEncoder, VLPEncoderConfig
from showtell.systems.vlp_places import HALVES, Inspected, extents, letters, tokens_begin


@dataclass(frozen=True)
class VLPConfig(VLPEncoderConfig, FitsTokenizer):
    """`encoder_decoder_lg`, 220.9 M parameters."""

    vocab_size: int = 28998
    """Tokens of the vocabulary; where the texts decide, at most so many. Default: BERT's, cased."""
    max_length: int = 146
    """Tokens of a text, with start and end."""
    dec_div: int = 2
    """What divides the decoder's depth, heads and MLP."""
    structure: Literal["encoder_decoder", "decoder"] = "encoder_decoder"
    """Without the encoder, the decoder attends to the CNN; without the decoder, it is `VLPEncoder`."""
    smoothing: float = 0.0
    pointing_weight: float = 0.0
    """Weight of the losses that teach a pointer where the next token begins, and how far it extends."""
    letters_weight: float = 0.0
    """Weight of the loss that lets each cell of the encoder's grid predict the characters drawn there."""
    masked_weight: float = 0.0
    """Weight of the loss that says which tokens the image shows as a mask."""
    pixel_weight: float = 0.0
    """Weight of the reconstruction of what masks removed, pixels in 0..1."""

    def __post_init__(self) -> None:
        for name in ("depth", "num_heads", "mlp_dim"):
            if self.dec_div < 1 or getattr(self, name) % self.dec_div:
                raise ValueError(f"dec_div={self.dec_div} does not divide {name}={getattr(self, name)}")

    def build(self) -> VLP:
        """The untrained system of this config."""
        return VLP(self)


class VLP(VLPEncoder):
    """Reads an image of text, and fills what is masked in it."""

    Config: ClassVar = VLPConfig
    config: VLPConfig
    vocabulary: ClassVar = Vocabulary("bpe", "roberta")
    uses: ClassVar = (
        "reads drawn texts and fills what is masked in them (`showtell read`), and is a start for what reads "
        "texts as images (`showtell train classify_vlp`, `entail_vlp`, `tag_vlp`, `answer_vlp`)",
        "It reads texts like those that it was trained on, in their language, and in fonts and sizes like "
        "theirs; others, and photographs, it reads wrong, of most of which `showtell read` says that it is "
        "unsure.",
    )
    """What it does and cannot do, for the model card."""

    def __init__(self, config: VLPConfig) -> None:
        super().__init__(config)
        c = config
        if c.structure == "decoder":
            self.encoder = nn.Identity()
        weights = {
            "pointing": c.pointing_weight,
            "extents": c.pointing_weight,
            "letters": c.letters_weight,
            "masked": c.masked_weight,
            "pixels": c.pixel_weight,
        }
        self.loss_weights = {"text": 1.0} | {name: weight for name, weight in weights.items() if weight}
        self.embedding = nn.Embedding(c.vocab_size, c.width)
        self.pointer = Pointer(c.width) if c.pointing_weight else None
        self.extent = nn.Linear(c.width, 4) if c.pointing_weight else None
        sizes = (c.depth // c.dec_div, c.num_heads // c.dec_div, c.mlp_dim // c.dec_div)
        self.decoder = CrossDecoder(
            c.width, *sizes, c.width, activation=c.activation, eps=c.eps, dropout=c.dropout
        )
        self.output = nn.Linear(c.width, c.vocab_size)
        self.letters = nn.Linear(c.width, HALVES * c.vocab_size) if c.letters_weight else None
        self.is_masked = nn.Linear(c.width, 1) if c.masked_weight else None
        rows, columns = self.tower.stride
        self.draw = nn.Linear(c.width, rows * columns * 3) if c.pixel_weight else None
        self.token_positions: Tensor
        self.register_buffer("token_positions", sine_1d(c.max_length, c.width), persistent=False)
        heads = (self.extent, self.output, self.letters, self.is_masked, self.draw)
        for module in (self.pointer, self.decoder, *heads):
            if module is not None:
                module.apply(initialise)
        if self.extent is not None:  # a cell, until it is learned
            self.extent.bias.data = torch.tensor([0.0, 0.0, 1.0, 1.0])
        nn.init.normal_(self.embedding.weight, std=c.width**-0.5)

    def token_embeddings(self) -> Tensor:
        """The decoder's token embedding `[V D]`."""
        return self.embedding.weight.detach()

    def prefill(self, encoded: Encoded) -> State:
        """The keys and values of each image for every block of the decoder, `[B H N D/H]`."""
        memory = self.decoder.prefill(encoded.tokens)
        return memory if self.pointer is None else memory | self.pointer.prefill(encoded.tokens)

    def rows(self, memory: State, owner: Tensor) -> State:
        """The memory of the image `owner[r]` of each text `r`; itself where each has its own."""
        in_order = torch.arange(len(next(iter(memory.values()))), device=owner.device)
        return memory if torch.equal(owner, in_order) else of_rows(memory, owner)

    def initial_state(self, memory: State) -> State:
        """No tokens yet, one hypothesis per image: keys and values `[B 1 H 0 D/H]`, and the place of none."""
        some = next(iter(memory.values()))
        state = {name: value[:, None] for name, value in self.decoder.empty_cache(len(some)).items()}
        return state if self.pointer is None else state | {"stood": nowhere(memory)}

    def step(self, memory: State, state: State, ids: Tensor) -> tuple[Tensor, State]:
        """Append one token per hypothesis, `ids [B K]`; return logits `[B K V]` and the new state."""
        before = next(iter(state.values())).shape[3]
        tokens, pointed = self._embed(ids[..., None], before)[:, :, 0], {}
        if self.pointer is not None:
            tokens, scores = self.pointer(tokens, state["stood"], memory)
            pointed = {"stood": scores.softmax(-1)}
        hidden, state = self.decoder.step(tokens, memory, state)
        return self.output(hidden), state | pointed

    def decode(self, memory: State, ids: Tensor, stood: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """The decoder over whole texts `ids [R L]`, row `r` with row `r` of the memory: `[R L D]`.

        And the pointer's scores of where the next token begins, `[R L N]`, if there is a pointer. `stood
        [R L N]` are the shares of the grid's cells in which each token begins, where they are known.
        """
        mask = attention_mask(None, queries=ids.shape[1], causal=True, device=ids.device)
        tokens, scores = self._embed(ids, 0), None
        if self.pointer is not None and stood is not None:
            tokens, scores = self.pointer(tokens, self.pointer.followed(tokens, stood, memory), memory)
        elif self.pointer is not None:
            tokens, scores = self.pointer.follow(tokens, memory)
        return self.decoder.decode(tokens, memory, mask), scores

    def inspect(self, memory: State, owner: Tensor, ids: Tensor, grid: tuple[int, int]) -> Inspected:
        """What is said of the tokens after each of `ids [R L]`, row `r` with the image `owner[r]`, over which
        lies a grid of rows and columns.
        """
        hidden, scores = self.decode(self.rows(memory, owner), ids)
        masked = None if self.is_masked is None else self.is_masked(hidden)[..., 0].sigmoid()
        boxes = None
        if self.extent is not None and scores is not None:
            boxes = on_image(self.extent(hidden), scores.argmax(-1), grid)
        return Inspected(self.output(hidden), masked, boxes)

    def reconstructed(self, encoded: Encoded, sides: tuple[int, int]) -> Tensor | None:
        """What the encoder draws in place of masks, `[B 3 H W]` in 0..1; None where it did not learn to draw.

        `sides` are the images' height and width. Only where a mask was is the drawing meant.
        """
        if self.draw is None:
            return None
        return joined(self.draw(encoded.tokens), self.tower.stride, sides).clamp(0, 1)

    def teacher_forced_logits(self, memory: State, owner: Tensor, ids: Tensor, keep: Tensor) -> Tensor:
        """Logits `[T V]` of the real tokens after the first, row by row."""
        return self.output(self.decode(self.rows(memory, owner), ids[:, :-1])[0][keep[:, 1:]])

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """Cross-entropy of each next token that is no padding, and the losses that have a weight."""
        return self.read(batch, self.encode_images(batch))[1]

    def read(self, batch: Batch, encoded: Encoded) -> tuple[Tensor, Step]:
        """The decoder over the texts of encoded images, `[R L D]`, and the losses of reading them."""
        texts, real = batch.texts, batch.texts.keep[:, 1:]
        owner, grid = self.owner(batch), self.grid(*batch.images.pixels.shape[2:])
        begins = None if self.pointer is None else tokens_begin(batch, grid)
        memory = self.rows(self.prefill(encoded), owner)
        read, scores = self.decode(memory, texts.ids, begins)
        hidden = read[:, :-1][real]
        targets = next_tokens(texts.ids, texts.keep)
        losses = {"text": causal_tokens(self.output(hidden), targets, self.config.smoothing)}
        counts: dict[str, Tensor | int] = {"text": len(hidden)}
        if self.extent is not None and begins is not None and scores is not None:
            after = begins[:, 1:][real]
            losses["pointing"] = pointing(scores[:, :-1][real], after)
            counts["pointing"] = (after.sum(1) > 0).sum()
            # How far a token extends is asked of what was read, which does not learn of it.
            offsets = self.extent(hidden.detach())
            losses["extents"], counts["extents"] = extents(batch, offsets, after.argmax(1), grid)
        if self.letters is not None:
            losses["letters"], counts["letters"] = letters(batch, self.letters(encoded.tokens), owner, grid)
        if self.is_masked is not None:
            masked = batch.targets.masked[:, 1:][real].to(hidden)
            losses["masked"] = F.binary_cross_entropy_with_logits(self.is_masked(hidden)[:, 0], masked)
            counts["masked"] = len(masked)
        if self.draw is not None:
            both = (batch.images.pixels, batch.images.originals)
            seen, original = (cut(pixels.float() / 255, self.tower.stride) for pixels in both)
            chosen = removed(seen, original)
            losses["pixels"] = removed_pixels(self.draw(encoded.tokens), original, chosen)
            counts["pixels"] = chosen.sum()
        return read, Step(losses, counts=counts)

    def owner(self, batch: Batch) -> Tensor:
        """The image of each text, one text per image unless the batch says otherwise."""
        owner = batch.texts.owner
        return torch.arange(len(batch.texts), device=batch.texts.ids.device) if owner is None else owner

    def _embed(self, ids: Tensor, before: int) -> Tensor:
        """`ids [... L]` after `before` tokens to `[... L D]`. Raises `UserError` for a text too long."""
        if before + ids.shape[-1] > self.config.max_length:
            raise UserError(f"the text grew longer than the model's {self.config.max_length} tokens")
        positions = self.token_positions[before : before + ids.shape[-1]]
        return self.embedding(ids) * self.config.width**0.5 + positions
