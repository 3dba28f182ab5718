"""BLIP-2's first stage: a Q-Former learns to find, match and describe what a frozen image encoder sees.

    image -> frozen encoder -> c_1 .. c_N;  queries that look at c -> z_1 .. z_K;  u_k = W z_k / |W z_k|
    [CLS] w_1 .. w_L, alone        -> v = W' t_0 / |W' t_0|;  max_k u_k . v                             ITC
    [CLS] w_1 .. w_L, with queries -> mean over k of linear z_k: do they match                          ITM
    [Decode] w_1 .. w_t, after queries -> softmax(E g(W t_t) + b)                                       ITG

Source: Li et al. 2023, "BLIP-2: Bootstrapping Language-Image Pre-training with Frozen Image Encoders and
Large Language Models", figure 2, section 3.2. The second stage is `blip2_captioner.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from showtell.data.batch import Batch, TextBatch
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.data.tokenizers.training import Vocabulary
from showtell.fusion.pairs import FusedPairs
from showtell.fusion.q_former import QFormer
from showtell.fusion.visual.frozen import FrozenImages
from showtell.nn.decoder import CachedDecoder, of_rows
from showtell.nn.heads import MaskedLMHead
from showtell.nn.linear import Linear
from showtell.nn.transformer import initialise
from showtell.objectives.best_query import best_query
from showtell.objectives.causal_tokens import causal_tokens, next_tokens
from showtell.objectives.contrastive import symmetric_cross_entropy
from showtell.objectives.matching import hard_pairs, matching
from showtell.protocols import Encoded, Rate, State, Step
from showtell.systems.bert import BERTEncoder, BERTEncoderConfig
from showtell.systems.blip2_parts import BLIP2PartsConfig


@dataclass(frozen=True)
class BLIP2RetrieverConfig(BLIP2PartsConfig):
    """BLIP-2 with ViT-g/14, for retrieval."""

    vocab_size: int = 30523
    """With the token [Decode], which the tokenizer does not have."""
    max_length: int = 512
    shared_width: int = 256
    """Of the vectors that are compared."""

    def build(self) -> BLIP2Retriever:
        """The untrained system of this config."""
        return BLIP2Retriever(self)

    def with_tokenizer(self, tokenizer: SubwordTokenizer) -> Self:
        """With the vocabulary of `tokenizer` and one more token."""
        return replace(self, vocab_size=len(tokenizer) + 1)


@dataclass(frozen=True)
class BLIP2Config(BLIP2RetrieverConfig):
    """BLIP-2 with ViT-g/14, first stage."""

    start_id: int = 101
    """The tokenizer's first token of a text, [CLS]."""
    decode_id: int = 30522
    """What stands in its place for the decoder."""
    end_id: int = 102
    """Its last, [SEP], which ends what is written."""
    temperature: float = 0.07
    """At the start of training."""
    smoothing: float = 0.1
    """Label smoothing of the language model, as their code has it."""
    text_rate: float = 1.0
    """The learning rate of pretrained texts' parameters, as a multiple of that of the others."""

    def build(self) -> BLIP2:
        """The untrained system of this config."""
        return BLIP2(self)

    def with_tokenizer(self, tokenizer: SubwordTokenizer) -> Self:
        """With the vocabulary of `tokenizer` and one more token."""
        size, start, end = len(tokenizer), tokenizer.start, tokenizer.end
        return replace(self, vocab_size=size + 1, start_id=start, end_id=end, decode_id=size)

    def with_text_tower(self, text: BERTEncoderConfig) -> Self:
        """For a pretrained encoder of texts, which `begin_texts` loads."""
        sizes = {
            name: getattr(text, name)
            for name in ("width", "depth", "num_heads", "mlp_dim", "activation", "eps")
        }
        return replace(self, former=replace(self.former, **sizes), max_length=text.max_length)


class BLIP2Retriever(FusedPairs):
    """The Q-Former over a frozen image encoder, the space of both, and the matching head."""

    Config: ClassVar = BLIP2RetrieverConfig
    vocabulary: ClassVar = Vocabulary("wordpiece", "bert")

    def __init__(self, config: BLIP2RetrieverConfig) -> None:
        super().__init__()
        self.config = c = config
        self.image = FrozenImages(c)
        self.reads, self.num_class_tokens = self.image.reads, self.image.num_class_tokens
        self.former = QFormer(c.former, self.image.width, c.vocab_size, c.max_length)
        self.fused_width = c.former.width
        self.project_image = Linear(c.former.width, c.shared_width)
        self.project_text = Linear(c.former.width, c.shared_width)
        self.itm_head = Linear(c.former.width, 2)
        self.apply(initialise)

    def encode_images(self, batch: Batch) -> Encoded:
        """The frozen encoder's tokens `[B N C]`; pooled `[B D]`, the mean of the queries' vectors."""
        seen = self.embed_images(batch)
        return replace(seen, pooled=F.normalize(seen.pooled.mean(1), dim=-1))

    def query_vectors(self, encoded: Encoded) -> Float[Tensor, "B K D"]:
        """What the queries say of encoded images, each of length 1."""
        return self._vectors(self.former.see(self.former.prefill(encoded.tokens, encoded.keep))[0])

    def encode_texts(self, batch: Batch) -> Encoded:
        """Tokens `[R L W]` of the texts alone; pooled `[R D]`, [CLS] projected, of length 1."""
        tokens = self.former.read(batch.texts.ids, batch.texts.keep)
        return Encoded(tokens, F.normalize(self.project_text(tokens[:, 0]), dim=-1), batch.texts.keep)

    def token_embeddings(self) -> Float[Tensor, "V W"]:
        """The token embedding, [Decode] last."""
        return self.former.embed.tokens.weight.detach()

    def embed_images(
        self, batch: Batch, generator: torch.Generator | None = None, *, place: int = 0
    ) -> Encoded:
        """The frozen encoder's tokens `[B N C]`, and what each query says of them `[B K D]`."""
        encoded: Encoded = self.image(batch.images)
        return replace(encoded, pooled=self.query_vectors(encoded))

    def embed_texts(self, texts: TextBatch) -> Float[Tensor, "R L W"]:
        """The tokens of the texts before they meet an image."""
        return self.former.norm(self.former.embed(texts.ids))

    def fuse(self, batch: Batch, images: Encoded | None = None) -> Encoded:
        """Each text with the queries of its image, which see it; pooled, the mean of the queries."""
        images = self.image(batch.images) if images is None else images
        memory, texts = self.former.prefill(images.tokens, images.keep), batch.texts
        own = memory if texts.owner is None else of_rows(memory, texts.owner)
        queries, tokens = self.former.ground(texts.ids, texts.keep, own)
        keep = F.pad(texts.keep, (0, queries.shape[1]), value=True)
        return Encoded(torch.cat([tokens, queries], 1), queries.mean(1), keep)

    def match(self, vectors: Float[Tensor, "R F"]) -> Float[Tensor, " R"]:
        """The log-odds that a pair belongs together: the mean of those that each query gives."""
        no, yes = self.itm_head(vectors).unbind(1)
        return yes - no

    def contrast(self, texts: TextBatch, images: Encoded) -> Float[Tensor, "R B"]:
        """The cosine of each text with the most alike query of each image; over the temperature, if known."""
        alike = best_query(images.pooled, self.encode_texts(Batch(texts=texts)).pooled)
        return alike * getattr(self, "logit_scale", 1.0)

    def _vectors(self, queries: Tensor) -> Tensor:
        return F.normalize(self.project_image(queries), dim=-1)


class BLIP2(BLIP2Retriever, CachedDecoder):
    """The first stage: contrast, matching and captions over one Q-Former."""

    Config: ClassVar = BLIP2Config
    config: BLIP2Config
    loss_weights: ClassVar = {"itc": 1.0, "itm": 1.0, "lm": 1.0}

    def __init__(self, config: BLIP2Config) -> None:
        super().__init__(config)
        c = config
        self.lm_head = MaskedLMHead(c.former.width, c.vocab_size, c.former.eps, c.former.activation)
        self.lm_head.apply(initialise)
        self.log_temperature = nn.Parameter(torch.tensor(math.log(c.temperature)))
        looking = range(0, c.former.depth, c.former.cross_every)
        new = [f"former.blocks.{i}.cross_attention" for i in looking]
        self.rates = {"former.": Rate(c.text_rate), "former.queries": Rate(), **dict.fromkeys(new, Rate())}

    @property
    def logit_scale(self) -> Float[Tensor, ""]:
        """`1 / temperature`, a scalar."""
        return (-self.log_temperature).exp()

    @torch.no_grad()
    def begin_texts(self, encoder: BERTEncoder) -> None:
        """Begin with the parameters of a pretrained encoder of texts; the queries' MLPs begin as the texts'.

        The queries and what looks at the image have none to take over; [Decode] begins as the start token.
        """
        own, given = self.former.embed, encoder.embed
        start = given.tokens.weight[self.config.start_id]
        own.tokens.weight.copy_(torch.cat([given.tokens.weight, start[None]]))
        own.positions.weight.copy_(given.positions.weight)
        if given.segments is not None:  # a caption has one
            own.positions.weight.add_(given.segments.weight[0])
        self.former.norm.load_state_dict(given.norm.state_dict())
        pairs = cast(Any, zip(self.former.blocks, encoder.transformer.blocks, strict=True))
        for block, source in pairs:
            block.load_state_dict(source.state_dict(), strict=False)
            block.query_mlp.load_state_dict(source.mlp.state_dict())
            block.query_mlp_norm.load_state_dict(source.mlp_norm.state_dict())

    def prefill(self, encoded: Encoded) -> State:
        """The keys and values of each image's queries, to which the tokens of its caption attend."""
        return self.former.see(self.former.prefill(encoded.tokens, encoded.keep))[1]

    def extend(self, state: State, ids: Int[Tensor, "B L"], keep: Tensor) -> tuple[Tensor, State]:
        """Append `ids [B L]`, of which `keep` are real; return tokens `[B L W]` and the longer cache.

        Raises `UserError` when the text grows longer than `max_length`.
        """
        c = self.config
        return self.former.extend(state, ids.masked_fill(ids == c.start_id, c.decode_id), keep)

    def next_token_logits(self, tokens: Float[Tensor, "T W"]) -> Float[Tensor, "T V"]:
        """Logits of the token after each of `tokens`."""
        return self.lm_head(tokens, self.former.embed.tokens.weight)

    def forward(self, batch: Batch, generator: torch.Generator | None = None) -> Step:
        """All three losses of a batch."""
        texts, seen = batch.texts, self.image(batch.images)
        owner = torch.arange(len(texts), device=texts.ids.device) if texts.owner is None else texts.owner
        memory = self.former.prefill(seen.tokens, seen.keep)
        queries, prompt = self.former.see(memory)
        alike = best_query(self._vectors(queries), self.encode_texts(batch).pooled)
        scaled = alike * self.logit_scale

        which, where = hard_pairs(scaled, owner, generator)
        fused, _ = self.former.ground(texts.ids[which], texts.keep[which], of_rows(memory, where))
        matched = torch.arange(len(which), device=which.device) < len(texts)

        logits = self.teacher_forced_logits(prompt, owner, texts.ids, texts.keep)
        targets = next_tokens(texts.ids, texts.keep)
        return Step(
            {
                "itc": symmetric_cross_entropy(scaled, owner),
                "itm": matching(self.match(fused.mean(1)), matched),
                "lm": causal_tokens(logits, targets, self.config.smoothing),
            },
            counts={"itc": len(texts), "itm": len(texts), "lm": len(logits)},
        )

    @torch.no_grad()
    def after_step(self, step: Step) -> None:
        """Keep the temperature in its range."""
        self.log_temperature.clamp_(math.log(0.001), math.log(0.5))
