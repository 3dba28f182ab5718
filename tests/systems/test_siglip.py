"""SigLIP equals the reference library, attends to its padding, and overfits a batch."""

import pytest
import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from torch.nn import functional as F

from showtell.data.batch import Batch, ImageBatch, TextBatch, pad
from showtell.data.tokenizers.load import load_tokenizer
from showtell.errors import UserError
from showtell.hub.huggingface.families.siglip import config_from, table
from showtell.hub.huggingface.folder import import_folder
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


def test_import_and_export_keep_every_bit(pair, tmp_path):
    reference, ours, folder = pair
    same_bits(reference, ours, folder, tmp_path)
    assert import_folder(tmp_path).config == ours.config


def test_defaults_of_a_config_file_are_those_of_the_paper():
    bare = {"vision_config": {"model_type": "siglip_vision_model"}, "text_config": {}}
    assert config_from(bare, set()) == SigLIPConfig()


def test_a_text_does_not_depend_on_its_batch(batch):
    torch.manual_seed(0)
    system = SigLIP(SMALL)
    together = system.encode_texts(batch).pooled
    for i, words in enumerate(WORDS):
        alone = system.encode_texts(Batch(texts=TextBatch(*pad([words])))).pooled
        torch.testing.assert_close(alone, together[i : i + 1], atol=1e-6, rtol=1e-5)
    with pytest.raises(UserError, match="a text has 10 tokens"):
        system.encode_texts(Batch(texts=TextBatch(*pad([[0] * 10]))))


def test_its_tokenizer_is_read_from_the_references_file():
    """The most likely segmentation of a text (unigram), with an end token and no start token."""
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


def test_it_overfits_one_batch_with_every_parameter(batch):
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
