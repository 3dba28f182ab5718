"""The models of a server, by the names that requests use: those named at its start, no others."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

from showtell.device import Precision
from showtell.errors import UsageError
from showtell.hub.qwen_vl_system import is_tuned_qwen_vl
from showtell.pairing import AnswerWriter, ImageReader, PairAnswerer
from showtell.pipelines.image_chat import ImageChat, load_image_chat
from showtell.pipelines.model import Model, load_model
from showtell.protocols import Captioner, CausalLanguageModel, ImageEncoder, TextEncoder
from showtell.serve.errors import APIError, invalid
from showtell.serve.worker import AnswersTogether


@dataclass(frozen=True)
class Served:
    """Loaded models by name."""

    models: Mapping[str, Model | ImageChat]
    others: Sequence[str] = ()
    """Names of models that another engine answers messages with."""
    since: int = field(default_factory=lambda: int(time.time()))

    @property
    def names(self) -> list[str]:
        """All of them."""
        return [*self.models, *self.others]

    def named(self, name: str) -> tuple[str, Any]:
        """A model. Raises `APIError` naming those that there are."""
        if name in self.others:
            raise invalid(f"the model {name} is another engine's, and answers messages alone", "model")
        if name not in self.models:
            message = f"there is no model {name!r} here; there are {', '.join(self.names)}"
            raise APIError(HTTPStatus.NOT_FOUND, "model_not_found", message, param="model")
        return name, self.models[name]

    def able(self, name: str | None, what: str, *protocols: type) -> tuple[str, Any]:
        """A model that keeps protocols, by default the first that does.

        Raises `APIError` for one that does not, naming those that do `what`.
        """
        fit = [known for known, model in self.models.items() if all(map(model.can, protocols))]
        if name is None and not fit:
            raise invalid(f"no model here can {what}; start the server with a --model that can", "model")
        found, model = self.named(name or fit[0])
        if found not in fit:
            others = f"; {', '.join(fit)} can" if fit else "; start the server with a --model that can"
            raise invalid(f"the model {found} cannot {what}{others}", "model")
        return found, model

    def listed(self) -> list[dict[str, Any]]:
        """All models as `GET /v1/models` lists them, with what each can do."""
        return [self.described(name) for name in self.names]

    def described(self, name: str) -> dict[str, Any]:
        """One model. Raises `APIError` for an unknown name."""
        said = {"id": name, "object": "model", "created": self.since}
        if name in self.others:
            return {**said, "owned_by": "engine", "can": ["chat"]}
        _, model = self.named(name)
        able = {
            "captions": model.can(Captioner) and model.can(ImageEncoder),
            "chat": chats(model)
            or knows_answers(model)
            or model.can(Captioner)
            or model.can(AnswersTogether),
            "answers_about_images": (chats(model) and model.can(ImageReader))
            or knows_answers(model)
            or model.can(AnswersTogether),
            "embeds_texts": embeds_texts(model),
            "embeds_images": model.can(ImageEncoder),
        }
        can = [what for what, yes in able.items() if yes]
        return {**said, "owned_by": "showtell", "hash": model.hash, "can": can}


def load_served(
    source: str, device: str, max_image_tokens: int | None = None, precision: Precision = "float32"
) -> Model | ImageChat:
    """What `load_model` loads, or a Qwen-VL folder as published, which has no int8. Raises as the two."""
    if not is_tuned_qwen_vl(source):
        return load_model(source, device, precision=precision)
    if precision != "float32":
        raise UsageError(f"{source} is a Qwen-VL, which has no {precision}; leave out --precision")
    return load_image_chat(source, device, max_image_tokens)


def chats(model: Model) -> bool:
    """Whether a model answers messages: a language model with a chat template."""
    return model.can(CausalLanguageModel) and bool(getattr(model.vocabulary, "chat_template", ""))


def knows_answers(model: Model) -> bool:
    """Whether a model answers a question about images: in few words, or by an answer of its training."""
    return model.can(AnswerWriter) or (model.can(PairAnswerer) and bool(model.system.class_names))


def embeds_texts(model: Model) -> bool:
    """Whether a model makes vectors of texts to compare; those of a language model's tokens are none."""
    return model.can(TextEncoder) and not model.can(CausalLanguageModel)
