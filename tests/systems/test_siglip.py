"""SigLIP equals the reference library, judges each pair on its own, reads its padding, and learns."""

import math

import pytest
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from torch.nn import functional as F

from showtell.data.batch import Batch, ImageBatch, TextBatch, pad
from showtell.data.tokenizers.load import load_tokenizer
from showtell.errors import UserError
from showtell.hub.huggingface.families.siglip import config_from, table
from showtell.hub.huggingface.folder import import_folder
from showtell.objectives.sigmoid import pairwise_sigmoid
from showtell.protocols import Contrastive, HasTokenEmbeddings, ImageEncoder, TextEncoder, Trainable
from showtell.systems.clip import TowerConfig
from showtell.systems.siglip import SigLIP, SigLIPConfig
from support.hf import imported, same_bits, same_gradients

SMALL = SigLIPConfig(
    TowerConfig(12, 3, 20, 2, "gelu_tanh"), TowerConfig(8, 2, 16, 2, "gelu_tanh"), 12, 4, 31, 9
)
WORDS = [[5, 6, 7], [8], [9, 10, 11, 12]]


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (3, 3, 12, 12), dtype=torch.uint8, generator=generator)
    ids, keep = pad(WORDS)
    return Batch(ImageBatch(pixels=pixels), TextBatch(ids, keep, owner=torch.tensor([2, 0, 1])))


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    transformers = pytest.importorskip("transformers")
    sizes = {"num_hidden_layers": 2, "num_attention_heads": 3, "intermediate_size": 21}
    config = transformers.SiglipConfig(
        text_config={
            "hidden_size": 9,
            "vocab_size": 31,
            "max_position_embeddings": 9,
            "projection_size": 12,
            "bos_token_id": 0,
            "eos_token_id": 1,
            **sizes,
        },
        vision_config={"hidden_size": 12, "image_size": 12, "patch_size": 4, **sizes},
    )
    folder = tmp_path_factory.mktemp("siglip")
    reference = transformers.SiglipModel(config)
    return reference, imported(reference, folder), folder


@pytest.mark.parametrize("size", [(12, 12), (17, 22)])
@pytest.mark.parametrize("rows", [[[2, 3, 4], [5, 6, 7]], [[2, 3, 4, 5, 6], [7]]], ids=["full", "padded"])
def test_forward_and_every_gradient(pair, size, rows):
    reference, ours, _ = pair
    ids, keep = pad(rows)
    filled = F.pad(ids.masked_fill(~keep, 1), (0, 9 - ids.shape[1]), value=1)
    pixels = torch.randint(256, (2, 3, *size), dtype=torch.uint8)
    theirs = reference(
        input_ids=filled, pixel_values=pixels / 127.5 - 1, interpolate_pos_encoding=True, return_loss=True
    )
    batch = Batch(ImageBatch(pixels=pixels), TextBatch(ids, keep, owner=torch.arange(2)))
    close = {"atol": 1e-5, "rtol": 1e-5}
    torch.testing.assert_close(ours.encode_images(batch).pooled, theirs.image_embeds, **close)
    torch.testing.assert_close(ours.encode_texts(batch).pooled, theirs.text_embeds, **close)
    loss = ours(batch).losses["pairs"]
    torch.testing.assert_close(loss, theirs.loss, **close)
    ours.zero_grad()
    reference.zero_grad()
    loss.backward()
    theirs.loss.backward()
    same_gradients(ours, reference, table(ours.config))


def test_in_and_out_and_in_again_keeps_every_bit(pair, tmp_path):
    reference, ours, folder = pair
    same_bits(reference, ours, folder, tmp_path)
    assert import_folder(tmp_path).config == ours.config


def test_a_config_that_leaves_out_what_is_usual_is_that_of_the_paper():
    bare = {"vision_config": {"model_type": "siglip_vision_model"}, "text_config": {}}
    assert config_from(bare, set()) == SigLIPConfig()


def loops(images, texts, scale, bias, owner):
    total = 0.0
    for r, text in enumerate(texts):
        for i, image in enumerate(images):
            z = 1 if owner[r] == i else -1
            total -= math.log(1 / (1 + math.exp(-z * (scale * float(text @ image) + bias))))
    return total / len(texts)


@pytest.mark.parametrize("owner", [[0, 1, 2], [2, 2, 0, 1, 2], [1]])
def test_the_loss_is_the_papers(owner):
    generator = torch.Generator().manual_seed(0)
    images = F.normalize(torch.randn(3, 5, generator=generator, dtype=torch.float64), dim=-1)
    texts = F.normalize(torch.randn(len(owner), 5, generator=generator, dtype=torch.float64), dim=-1)
    found = pairwise_sigmoid(images, texts, 10.0, -3.0, torch.tensor(owner))
    assert found.item() == pytest.approx(loops(images, texts, 10.0, -3.0, owner))
    if owner == [0, 1, 2]:
        assert torch.equal(found, pairwise_sigmoid(images, texts, 10.0, -3.0))
    scale, bias = (torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (2.0, -1.0))
    inputs = (images.requires_grad_(), texts.requires_grad_(), scale, bias)
    assert torch.autograd.gradcheck(lambda *x: pairwise_sigmoid(*x, torch.tensor(owner)), inputs)


def test_the_batch_around_a_text_changes_nothing(batch):
    torch.manual_seed(0)
    system = SigLIP(SMALL)
    together = system.encode_texts(batch).pooled
    for i, words in enumerate(WORDS):
        alone = system.encode_texts(Batch(texts=TextBatch(*pad([words])))).pooled
        torch.testing.assert_close(alone, together[i : i + 1], atol=1e-6, rtol=1e-5)
    with pytest.raises(UserError, match="a text has 10 tokens"):
        system.encode_texts(Batch(texts=TextBatch(*pad([[0] * 10]))))


def test_its_words_are_read_from_the_references_file():
    """The likeliest of all ways to cut a text into pieces; the end stands behind them, nothing before."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), *((letter, -3.0) for letter in "▁abcd")]
    written = Tokenizer(models.Unigram([*pieces, ("▁ab", -1.0), ("cd", -1.0)], 2, False))
    written.normalizer, written.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Metaspace()
    written.decoder = decoders.Metaspace()
    written.add_special_tokens([AddedToken(name, special=True) for name in ("</s>", "<unk>")])
    written.post_processor = processors.TemplateProcessing("$A </s>", special_tokens=[("</s>", 1)])
    tokenizer = load_tokenizer(written.to_str())
    assert (tokenizer.family, tokenizer.end, tokenizer.pad) == ("siglip", 1, 1)
    assert tokenizer.encode("AB cd") == written.encode("AB cd").ids == [8, 3, 9, 1]
    assert tokenizer.encode("ab cd ab", 3) == [8, 3, 1]
    assert tokenizer.encode("") == [1]
    assert tokenizer.decode([8, 3, 9, 1]) == "ab cd"


def test_it_learns_one_batch_with_every_weight(batch):
    torch.manual_seed(0)
    system = SigLIP(SMALL)
    for protocol in (Trainable, Contrastive, ImageEncoder, TextEncoder, HasTokenEmbeddings):
        assert isinstance(system, protocol)
    optimiser = torch.optim.Adam(system.parameters(), 0.01)
    for _ in range(150):
        loss = system(batch).losses["pairs"]
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.1
    assert [n for n, p in system.named_parameters() if not p.grad.any()] == []
    similarity = system.encode_texts(batch).pooled @ system.encode_images(batch).pooled.T
    assert similarity.argmax(1).tolist() == [2, 0, 1]


def test_the_papers_sizes_are_the_defaults():
    with torch.device("meta"):
        system = SigLIP(SigLIPConfig())
    assert sum(p.numel() for p in system.parameters()) == 203_155_970
