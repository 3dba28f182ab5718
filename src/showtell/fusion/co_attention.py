"""Co-attention: two streams, each attending to the other, of different widths and depths.

    x, y -> co-block: x' = norm(x + attention(x, y)), y' = norm(y + attention(y, x)); each norm(. + mlp(.))
         -> block of x alone, block of y alone -> co-block -> ...

Source: Lu et al. 2019, "ViLBERT", figures 1 and 2b, section 2.1.
"""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor, nn

from showtell.nn.attention import Attention
from showtell.nn.blocks import PostNormBlock
from showtell.nn.feedforward import MLP, Activation
from showtell.nn.transformer import TransformerConfig

Mask = Bool[Tensor, "#B #H #N #M"] | None


class LookBlock(nn.Module):
    """`u = norm(x + attention(x, context))`, `z = norm(u + mlp(u))`: one stream looks at the other."""

    def __init__(
        self, width: int, num_heads: int, mlp_dim: int, context_width: int, activation: Activation, eps: float
    ) -> None:
        super().__init__()
        self.attention = Attention(width, num_heads, context_width)
        self.attention_norm = nn.LayerNorm(width, eps)
        self.mlp = MLP(width, mlp_dim, activation)
        self.mlp_norm = nn.LayerNorm(width, eps)

    def forward(
        self, x: Float[Tensor, "B N D"], context: Float[Tensor, "B M C"], mask: Mask
    ) -> Float[Tensor, "B N D"]:
        """`[B N D]` to `[B N D]`."""
        x = self.attention_norm(x + self.attention(x, context, mask))
        return self.mlp_norm(x + self.mlp(x))


class CoAttention(nn.Module):
    """A text stream and an image stream; before each of the image's blocks they look at each other once.

    The text's first blocks, as many as it has more, run before the streams meet.

    Raises `ValueError` for a text stream of fewer blocks.
    """

    def __init__(self, text: TransformerConfig, image: TransformerConfig) -> None:
        super().__init__()
        if text.depth < image.depth:
            raise ValueError(f"a text stream of {text.depth} blocks meets {image.depth} times at most")
        self.text = nn.ModuleList(_block(text) for _ in range(text.depth))
        self.image = nn.ModuleList(_block(image) for _ in range(image.depth))
        self.text_looks = nn.ModuleList(_look(text, image) for _ in range(image.depth))
        self.image_looks = nn.ModuleList(_look(image, text) for _ in range(image.depth))

    def forward(
        self,
        text: Float[Tensor, "B L D"],
        image: Float[Tensor, "B N E"],
        text_mask: Mask,
        image_mask: Mask,
    ) -> tuple[Float[Tensor, "B L D"], Float[Tensor, "B N E"]]:
        """Both streams; a mask says which tokens of its stream may be attended to, `[B 1 1 L]`."""
        alone = len(self.text) - len(self.image)
        for block in self.text[:alone]:
            text = block(text, text_mask)
        together = zip(self.text_looks, self.image_looks, self.text[alone:], self.image, strict=True)
        for text_looks, image_looks, text_block, image_block in together:
            text, image = text_looks(text, image, image_mask), image_looks(image, text, text_mask)
            text, image = text_block(text, text_mask), image_block(image, image_mask)
        return text, image


def _block(c: TransformerConfig) -> PostNormBlock:
    return PostNormBlock(c.width, c.num_heads, c.mlp_dim, c.activation, c.eps)


def _look(c: TransformerConfig, at: TransformerConfig) -> LookBlock:
    return LookBlock(c.width, c.num_heads, c.mlp_dim, at.width, c.activation, c.eps)
