"""ALBEF as published: one `.pth` that holds the state of the model beside that of its training.

Pretrained checkpoints have the head of masked words, those for retrieval and grounding do not. All hold the
momentum teacher and its queues too, which are training's alone.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from showtell.checkpoint.tensors import named_tensors
from showtell.data.images.preprocess import Preprocessing
from showtell.errors import UsageError, UserError
from showtell.hub.albef_names import HEAD_WIDTH, IMAGE_EPS, TEXT_EPS, config_from, table, text_prefix, tied
from showtell.hub.huggingface.names import untie
from showtell.hub.huggingface.pickled import read_pickled
from showtell.hub.huggingface.pretrained import fitting_tokenizer, with_special_tokens
from showtell.hub.huggingface.rename import read_in, write_out
from showtell.hub.pretrained import Pretrained
from showtell.nn.momentum import Teacher
from showtell.nn.unfilled import Unfilled
from showtell.systems.albef import ALBEF
from showtell.systems.albef_finetuned import ALBEFRetriever
from showtell.wording import counted, listed

logger = logging.getLogger(__name__)
FOR = {
    "text_decoder": "answers in words (VQA)",
    "cls_head": "entailment (SNLI-VE) or pairs of images (NLVR2)",
    "ta_head": "pretraining on pairs of images (NLVR2)",
}
"""What checkpoints with these modules are for, of which no system of ours is."""
TAUGHT = ("visual_encoder_m.", "vision_proj_m.", "text_encoder_m.", "text_proj_m.")
QUEUES = ("image_queue", "text_queue", "idx_queue", "queue_ptr")
POSITION_IDS = "embeddings.position_ids"


def read_albef(file: Path) -> Pretrained:
    """The model of a `.pth`, with the tokenizer of BERT that lies beside it.

    The teacher and its queues belong to training and are left out; how many tensors those are is logged.

    Raises `UserError` naming the file, and what is missing, unknown, unfit or damaged in it; `UsageError` for
    a checkpoint of a task that showtell's ALBEF does not have.
    """
    found = read_pickled(file)
    if unknown := [what for module, what in FOR.items() if any(n.startswith(f"{module}.") for n in found)]:
        raise UsageError(
            f"{file} is an ALBEF for {listed(unknown)}; showtell reads those that are "
            "pretrained, or fine-tuned for retrieval or grounding"
        )
    spare = {n for n in found if n.startswith(TAUGHT) or n in QUEUES or n.endswith(POSITION_IDS)}
    if spare:
        logger.info(
            "%s: %s of the momentum teacher and its queues belong to training and are not imported",
            file,
            counted(len(spare), "tensor"),
        )
    try:
        config: Any = config_from(found)
        found = untie({name: found[name] for name in found.keys() - spare}, tied(config))
        with Unfilled():
            system = config.build()
        found["temp"] = found["temp"].log()
    except (KeyError, IndexError) as error:
        raise UserError(f"{file} lacks {error}: it is no checkpoint of ALBEF as published") from error
    except (ValueError, RuntimeError) as error:
        raise UserError(f"{file} is no checkpoint of ALBEF as published: {error}") from error
    read_in(
        found,
        named_tensors(system, without=system.training_only),
        table(config),
        str(file),
        "the layout of ALBEF",
    )
    system.teacher = Teacher(system.towers)
    tokenizer = fitting_tokenizer(system, file.parent)
    system.config = with_special_tokens(config, tokenizer)
    side = config.image_size
    card = file.with_name("README.md")
    return Pretrained(
        system.eval(),
        tokenizer.to_json(),
        Preprocessing("squash", side, side, "bicubic").version,
        card.read_text("utf-8", "replace") if card.is_file() else "The file has no card of its own.",
    )


def albef_state(system: ALBEF | ALBEFRetriever) -> dict[str, Tensor]:
    """All tensors of the published layout, which their code loads strictly.

    The teacher begins as the student and the queues as random vectors of length 1, as they do there.

    Raises `UsageError` for a system that their code cannot express.
    """
    c = system.config
    heads = [(c.image.width, c.image.num_heads), (c.width, c.num_heads)]
    if c.feature_width:
        raise UsageError("ALBEF as published reads pixels, and this one the features of a frozen encoder")
    fixed = (c.image.activation, c.activation, c.image.eps, c.eps)
    if fixed != ("gelu", "gelu", IMAGE_EPS, TEXT_EPS) or any(w != n * HEAD_WIDTH for w, n in heads):
        raise UsageError(
            f"ALBEF as published has heads of {HEAD_WIDTH}, GELU, and norms with {IMAGE_EPS} for images and "
            f"{TEXT_EPS} for texts; this one differs"
        )
    out = write_out(named_tensors(system, without=system.training_only), table(c))
    out["temp"] = out["temp"].exp()
    out |= {copy: out[name] for copy, name in tied(c).items()}
    out[f"{text_prefix(c)}{POSITION_IDS}"] = torch.arange(c.max_length)[None]
    for name in list(out):
        module, _, rest = name.partition(".")
        if f"{module}_m." in TAUGHT:
            out[f"{module}_m.{rest}"] = out[name]
    drawn = torch.randn(2, c.shared_width, c.queue_size, generator=torch.Generator().manual_seed(0))
    out["image_queue"], out["text_queue"] = F.normalize(drawn, dim=1)
    out["queue_ptr"] = torch.zeros(1, dtype=torch.long)
    if isinstance(system, ALBEFRetriever):
        out["idx_queue"] = torch.full((1, c.queue_size), -100)
    return out
