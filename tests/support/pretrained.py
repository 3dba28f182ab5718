"""Tiny random models of the reference library as folders in its layout, and what it computes with them."""

import pytest
import torch
from PIL import Image

from showtell.data.tokenizers.subword import SubwordTokenizer
from support.checkpoints import CAPTIONS

transformers = pytest.importorskip("transformers")
TEXTS = ["a dog running", "Two men riding a motorcycle", "", "women"]
SIZES = {
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 3,
    "intermediate_size": 21,
}
IMAGE = {"image_size": 12, "patch_size": 4}
TOWERS = {"num_hidden_layers": 1, "num_attention_heads": 3, "intermediate_size": 20}
SQUARE = {"size": {"height": 12, "width": 12}}
CUT = {"size": {"shortest_edge": 16}, "crop_size": {"height": 12, "width": 12}, "image_mean": [0.4, 0.5, 0.6]}


def subwords(kind, family, vocab_size=540):
    return SubwordTokenizer.train(CAPTIONS, kind, vocab_size, family)


def bert(tokenizer, **extra):
    return transformers.BertConfig(vocab_size=len(tokenizer), max_position_embeddings=32, **SIZES, **extra)


def roberta(tokenizer):
    return transformers.RobertaConfig(
        vocab_size=len(tokenizer),
        max_position_embeddings=34,
        pad_token_id=tokenizer.pad,
        type_vocab_size=1,
        **SIZES,
    )


def clip_config(tokenizer, name, end):
    tower = {"hidden_size": 12, **TOWERS}
    text = {"vocab_size": len(tokenizer), "max_position_embeddings": 32, "projection_size": 12, **tower}
    text |= {"bos_token_id": tokenizer.start, "eos_token_id": tokenizer.end, "pad_token_id": end}
    shared = {"projection_dim": 8} if name == "CLIPConfig" else {}
    return getattr(transformers, name)(text_config=text, vision_config=IMAGE | tower, **shared)


# The kind and family of the tokenizer, the reference's model, its image processor: None where it has none.
MODELS = {
    "bert": (("wordpiece", "bert"), lambda w: transformers.BertForPreTraining(bert(w)), None),
    "encoder": (("wordpiece", "bert"), lambda w: transformers.BertModel(bert(w)), None),
    "no-pooler": (
        ("wordpiece", "bert"),
        lambda w: transformers.BertModel(bert(w), add_pooling_layer=False),
        None,
    ),
    "distilbert": (
        ("wordpiece", "bert"),
        lambda w: transformers.DistilBertForMaskedLM(
            transformers.DistilBertConfig(
                vocab_size=len(w), max_position_embeddings=32, n_layers=2, n_heads=3, dim=12, hidden_dim=21
            )
        ),
        None,
    ),
    "roberta": (("bpe", "roberta"), lambda w: transformers.RobertaForMaskedLM(roberta(w)), None),
    "roberta-encoder": (
        ("bpe", "roberta"),
        lambda w: transformers.RobertaModel(roberta(w), add_pooling_layer=False),
        None,
    ),
    "gpt2": (
        ("bpe", "gpt2"),
        lambda w: transformers.GPT2LMHeadModel(
            transformers.GPT2Config(vocab_size=len(w), n_embd=12, n_layer=2, n_head=3, n_positions=32)
        ),
        None,
    ),
    "vit": (
        None,
        lambda w: transformers.ViTForImageClassification(
            transformers.ViTConfig(num_labels=3, **SIZES, **IMAGE)
        ),
        ("ViTImageProcessorPil", SQUARE),
    ),
    "dinov2": (
        None,
        lambda w: transformers.Dinov2Model(
            transformers.Dinov2Config(
                hidden_size=12, num_hidden_layers=2, num_attention_heads=3, mlp_ratio=2, **IMAGE
            )
        ),
        ("BitImageProcessorPil", CUT),
    ),
    "resnet": (
        None,
        lambda w: transformers.ResNetForImageClassification(
            transformers.ResNetConfig(embedding_size=8, depths=[1, 2], hidden_sizes=[8, 12], num_labels=3)
        ),
        ("BitImageProcessorPil", CUT),
    ),
    "clip": (
        ("bpe", "clip"),
        lambda w: transformers.CLIPModel(clip_config(w, "CLIPConfig", w.pad)),
        ("CLIPImageProcessorPil", CUT),
    ),
    "siglip": (
        ("bpe", "siglip"),
        lambda w: transformers.SiglipModel(clip_config(w, "SiglipConfig", w.pad)),
        ("SiglipImageProcessorPil", SQUARE),
    ),
}


def text_vectors(reference, ids):
    """The reference's vector of one text `[1 D]`, pooled as showtell does."""
    ids = torch.tensor([ids])
    match type(reference).__name__:
        case "BertForPreTraining":
            return reference.bert(ids).pooler_output
        case "BertModel":
            found = reference(ids)
            return found.last_hidden_state.mean(1) if reference.pooler is None else found.pooler_output
        case "DistilBertForMaskedLM":
            return reference.distilbert(ids).last_hidden_state.mean(1)
        case "RobertaModel":
            return reference(ids).last_hidden_state.mean(1)
        case "RobertaForMaskedLM":
            return reference.roberta(ids).last_hidden_state[:, 0]
        case "GPT2LMHeadModel":
            return reference.transformer(ids).last_hidden_state[:, -1]
        case "SiglipModel":
            config = reference.config.text_config
            room = (0, config.max_position_embeddings - ids.shape[1])
            ids = torch.nn.functional.pad(ids, room, value=config.pad_token_id)
    features = reference.get_text_features(ids)
    return torch.nn.functional.normalize(getattr(features, "pooler_output", features), dim=-1)


def image_vector(reference, pixels):
    """The reference's vector of images `[B D]`, pooled as showtell does."""
    if hasattr(reference, "get_image_features"):
        features = reference.get_image_features(pixels)
        return torch.nn.functional.normalize(getattr(features, "pooler_output", features), dim=-1)
    encoded = reference.base_model(pixels)
    if type(reference).__name__.startswith("ResNet"):
        return encoded.pooler_output.flatten(1)
    return encoded.last_hidden_state[:, 0]


def write_source(name, folder):
    """A folder as the reference writes it: random parameters everywhere, a tokenizer, an image processor.

    Returns it, and the reference's model.
    """
    vocabulary, make, processor = MODELS[name]
    tokenizer = subwords(*vocabulary) if vocabulary else None
    torch.manual_seed(0)
    reference = make(tokenizer).eval()
    with torch.no_grad():
        for parameter in reference.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    reference.save_pretrained(folder)
    if tokenizer:
        (folder / "tokenizer.json").write_text(tokenizer.to_json())
    if processor:
        getattr(transformers, processor[0])(**processor[1]).save_pretrained(folder)
    return folder, reference


@torch.no_grad()
def same_vectors(model, reference, folder, image, tokenizer=None):
    """Vectors of texts and of an image file equal the reference's, whose files are in `folder`."""
    if model.vocabulary is not None:
        ids = [
            model.tokenizer.encode(text) if tokenizer is None else tokenizer(text).input_ids for text in TEXTS
        ]
        kept = [i for i, row in enumerate(ids) if row]
        expected = torch.cat([text_vectors(reference, ids[i]) for i in kept])
        found = model.text_vectors([TEXTS[i] for i in kept])
        torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    if model.image_input is not None:
        prepare = transformers.AutoImageProcessor.from_pretrained(folder)
        pixels = prepare(Image.open(image), return_tensors="pt")["pixel_values"]
        found = model.encode([model.read(image)]).pooled
        torch.testing.assert_close(found, image_vector(reference, pixels), atol=1e-5, rtol=1e-5)
