"""ViLT equals the reference library, padded and not, and every gradient; modal types are added."""

from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from showtell.checkpoint.load import load_checkpoint
from showtell.checkpoint.save import save_checkpoint
from showtell.data.batch import Batch, ImageBatch, TextBatch, pad
from showtell.hub.huggingface.rename import linear, read_in, rename
from showtell.objectives.removed_pixels import removed_pixels
from showtell.pairing import PairScorer
from showtell.systems.uniter import UNITERConfig
from showtell.systems.vilbert import ViLBERTConfig
from showtell.systems.vilt import ViLT, ViLTConfig, ViLTEncoder
from support.hf import same_gradients

SMALL = ViLTConfig(
    vocab_size=31,
    width=12,
    depth=2,
    num_heads=3,
    mlp_dim=20,
    max_length=9,
    image_size=16,
    patch_size=4,
    mask_id=4,
    special=(0, 1, 2, 3, 4),
)
CLOSE = {"atol": 1e-5, "rtol": 1e-5}
SIZES = [(16, 16), (16, 24), (8, 20)]


def table(ours):
    """The names of the tensors of `ViltForMaskedLM`."""
    size, width = ours.patch_size, ours.width
    theirs = "vilt.embeddings"
    patches = f"{theirs}.patch_embeddings.projection"
    out = [
        rename("text.tokens.weight", f"{theirs}.text_embeddings.word_embeddings.weight"),
        rename("text.positions.weight", f"{theirs}.text_embeddings.position_embeddings.weight"),
        rename("text.segments.weight", f"{theirs}.text_embeddings.token_type_embeddings.weight"),
        *linear("text.norm", f"{theirs}.text_embeddings.LayerNorm"),
        rename("image.class_token", f"{theirs}.cls_token", shape=(1, 1, width)),
        rename("image.positions", f"{theirs}.position_embeddings", shape=(1, -1, width)),
        rename("image.patches.project.weight", f"{patches}.weight", shape=(width, 3, size, size)),
        rename("image.patches.project.bias", f"{patches}.bias"),
        rename("modal_types.weight", f"{theirs}.token_type_embeddings.weight"),
        *linear("transformer.norm", "vilt.layernorm"),
        *linear("pooler.project", "vilt.pooler.dense"),
        *linear("mlm_head.project", "mlm_score.transform.dense"),
        *linear("mlm_head.norm", "mlm_score.transform.LayerNorm"),
        rename("mlm_head.bias", "mlm_score.decoder.bias"),
    ]
    for i in range(ours.depth):
        block, layer = f"transformer.blocks.{i}", f"vilt.encoder.layer.{i}"
        qkv = (f"{layer}.attention.attention.{name}" for name in ("query", "key", "value"))
        out += [
            *linear(f"{block}.attention.qkv", *qkv),
            *linear(f"{block}.attention.output", f"{layer}.attention.output.dense"),
            *linear(f"{block}.attention_norm", f"{layer}.layernorm_before"),
            *linear(f"{block}.mlp.up", f"{layer}.intermediate.dense"),
            *linear(f"{block}.mlp.down", f"{layer}.output.dense"),
            *linear(f"{block}.mlp_norm", f"{layer}.layernorm_after"),
        ]
    return out


@pytest.fixture(scope="module")
def pair():
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    reference = transformers.ViltForMaskedLM(
        transformers.ViltConfig(
            vocab_size=31,
            hidden_size=12,
            num_hidden_layers=2,
            num_attention_heads=3,
            intermediate_size=20,
            max_position_embeddings=9,
            image_size=16,
            patch_size=4,
        )
    ).eval()
    ours = ViLT(SMALL).eval()
    with torch.no_grad():
        for weight in reference.parameters():
            weight.add_(torch.randn_like(weight) * 0.1)
    found = {n: t for n, t in reference.state_dict().items() if n != "mlm_score.decoder.weight"}
    mine = {n: t for n, t in ours.state_dict().items() if not n.startswith("itm_head.")}
    read_in(found, mine, table(SMALL), "the reference")
    return reference, ours


def pairs(sizes=SIZES):
    """Images of several sizes padded to the largest, a text each; and what the reference reads."""
    generator = torch.Generator().manual_seed(1)
    high, wide = (max(side) for side in zip(*sizes, strict=True))
    pixels = torch.randint(256, (len(sizes), 3, high, wide), generator=generator, dtype=torch.uint8)
    seen = torch.zeros(len(sizes), high, wide, dtype=torch.long)
    for mask, (rows, columns) in zip(seen, sizes, strict=True):
        mask[:rows, :columns] = 1
    ids, keep = pad([[2, 5, 6, 7, 3], [2, 8, 9, 10, 11, 12, 3], [2, 13, 3]][: len(sizes)])
    segments = (torch.arange(ids.shape[1]) > 2).long().expand_as(ids)
    batch = Batch(
        ImageBatch(pixels=pixels, sizes=torch.tensor(sizes)), TextBatch(ids, keep, segments=segments)
    )
    theirs = {
        "input_ids": ids,
        "attention_mask": keep.long(),
        "token_type_ids": segments,
        "pixel_values": pixels / 127.5 - 1,
        "pixel_mask": seen,
    }
    return batch, theirs


@pytest.fixture
def in_order(monkeypatch):
    """The reference shuffles the patches of the largest image, and pads with random ones; not here."""
    monkeypatch.setattr(torch, "multinomial", lambda weights, num, **_: torch.arange(num) % len(weights))


@pytest.mark.parametrize("sizes", [SIZES, SIZES[:1], SIZES[1:2], [(8, 20), (20, 8)]])
def test_forward_and_every_gradient(pair, in_order, sizes):
    reference, ours = pair
    batch, theirs = pairs(sizes)
    length = batch.texts.ids.shape[1]
    expected = reference.vilt(**theirs)
    fused = ours.fuse(batch)
    torch.testing.assert_close(fused.pooled, expected.pooler_output, **CLOSE)
    keep = batch.texts.keep
    words = expected.last_hidden_state[:, :length]
    torch.testing.assert_close(fused.tokens[:, :length][keep], words[keep], **CLOSE)
    for row, (rows, columns) in enumerate(sizes):
        real = 1 + rows * columns // 16
        patches = fused.tokens[row, length:][fused.keep[row, length:]]
        assert len(patches) == real
        torch.testing.assert_close(patches, expected.last_hidden_state[row, length:][:real], **CLOSE)
    logits, scores = (
        ours.masked_token_logits(fused.tokens[:, :length][keep]),
        reference.mlm_score(words[keep]),
    )
    torch.testing.assert_close(logits, scores, **CLOSE)
    weights = torch.randn(SMALL.width, generator=torch.Generator().manual_seed(2))
    ours.zero_grad()
    reference.zero_grad()
    ids = batch.texts.ids[keep]
    (F.cross_entropy(logits, ids) + (fused.pooled @ weights).sum()).backward()
    (F.cross_entropy(scores, ids) + (expected.pooler_output @ weights).sum()).backward()
    same_gradients(ours, reference, table(SMALL))


def test_a_second_image_has_another_modal_type(pair, in_order):
    transformers = pytest.importorskip("transformers")
    reference, ours = pair
    three = ViLTEncoder(replace(encoder_config(), num_modal_types=3)).eval()
    state = {n: t for n, t in ours.state_dict().items() if n in three.state_dict()}
    types = torch.cat([state["modal_types.weight"], torch.randn(1, SMALL.width)])
    three.load_state_dict(state | {"modal_types.weight": types})
    model = transformers.ViltModel(replace_config(reference.config, 3)).eval()
    given = dict(reference.vilt.state_dict()) | {"embeddings.token_type_embeddings.weight": types}
    model.load_state_dict(given)
    batch, theirs = pairs()
    for place in (0, 1):
        fused = three.fuse(batch, three.embed_images(batch, place=place))
        expected = model(**theirs, image_token_type_idx=1 + place).pooler_output
        torch.testing.assert_close(fused.pooled, expected, **CLOSE)


def encoder_config():
    return ViLTEncoder.Config(
        **{name: getattr(SMALL, name) for name in ViLTEncoder.Config.__dataclass_fields__}
    )


def replace_config(config, types):
    return type(config)(**config.to_dict() | {"modality_type_vocab_size": types})


def test_modal_types_are_added_not_concatenated():
    system = ViLT(SMALL).eval()
    batch, _ = pairs([(16, 24), (16, 24), (16, 24)])
    before = system.embed_images(batch).tokens, system.embed_texts(batch.texts)
    with torch.no_grad():
        system.modal_types.weight += torch.tensor([[1.0], [2.0]])
    after = system.embed_images(batch).tokens, system.embed_texts(batch.texts)
    torch.testing.assert_close(after[0], before[0] + 2)
    torch.testing.assert_close(after[1], before[1] + 1)
    # N patches, [class], and the L tokens of the text, [CLS] and [SEP] among them: one width.
    assert system.fuse(batch).tokens.shape == (3, 24 + 1 + batch.texts.ids.shape[1], SMALL.width)


def test_what_an_image_is_padded_with_is_not_seen():
    system = ViLT(SMALL).eval()
    batch, _ = pairs()
    fused = system.fuse(batch)
    for row, (rows, columns) in enumerate(SIZES):
        text = batch.texts.keep[row]
        alone = Batch(
            ImageBatch(pixels=batch.images.pixels[row : row + 1, :, :rows, :columns]),
            TextBatch(
                batch.texts.ids[row : row + 1, text],
                batch.texts.keep[row : row + 1, text],
                segments=batch.texts.segments[row : row + 1, text],
            ),
        )
        one = system.fuse(alone)
        torch.testing.assert_close(one.pooled[0], fused.pooled[row], **CLOSE)
        torch.testing.assert_close(one.tokens[0], fused.tokens[row, fused.keep[row]], **CLOSE)


def test_some_patches_are_read_in_training_all_otherwise():
    system = ViLT(replace(SMALL, num_sampled=7)).train()
    batch, _ = pairs()
    whole = system.eval().embed_images(batch)
    assert whole.keep.sum(1).tolist() == [17, 25, 11]
    assert whole.tokens.shape[1] == 25
    some = system.train().embed_images(batch, torch.Generator().manual_seed(3))
    assert some.tokens.shape[1] == 8
    assert some.keep.all()
    for row in range(3):  # each is one of the image's own, in their order, none twice
        real = whole.tokens[row, whole.keep[row]]
        places = torch.cdist(some.tokens[row], real).argmin(1)
        torch.testing.assert_close(some.tokens[row], real[places])
        assert (places.diff() > 0).all()
    other = system.embed_images(batch, torch.Generator().manual_seed(4))
    assert not torch.allclose(some.tokens, other.tokens)


def test_whole_words_are_masked_and_the_loss_is_of_them_alone():
    system = ViLT(replace(SMALL, mask_rate=0.5))
    batch, _ = pairs()
    groups = torch.tensor([[0, 1, 1, 1, 2, 0, 0], [0, 1, 1, 2, 2, 2, 3], [0, 1, 2, 0, 0, 0, 0]])
    texts = replace(batch.texts, groups=groups)
    counts = [
        int(system(replace(batch, texts=texts), torch.Generator().manual_seed(s)).counts["mlm"])
        for s in range(12)
    ]
    assert set(counts) <= {a + b + c + d for a in (0, 3) for b in (0, 2) for c in (0, 3) for d in (0, 1)}
    assert len(set(counts)) > 2


def test_scores_are_the_log_odds_of_two_classes():
    system = ViLT(SMALL).eval()
    assert isinstance(system, PairScorer)
    fused = system.fuse(pairs()[0])
    expected = system.itm_head(fused.pooled).softmax(1)[:, 1]
    torch.testing.assert_close(system.match(fused.pooled).sigmoid(), expected)


def test_the_papers_sizes_are_the_defaults():
    with torch.device("meta"):
        system = ViLTEncoder(ViLTEncoder.Config())
    assert system.image.positions.shape == (145, 768)
    assert sum(p.numel() for p in system.parameters()) == 111_595_008


def test_masked_patches_are_predicted_from_the_rest_and_their_loss_is_a_loop():
    system = ViLT(replace(SMALL, masked_images=1.0, mask_rate=0.3)).eval()
    batch, _ = pairs()
    step = system(batch, torch.Generator().manual_seed(0))
    assert set(step.losses) == {"itm", "mlm", "wpa", "mim"}
    images, masked, target = system.mask_images(batch, torch.Generator().manual_seed(1))
    found = system.mim_head(system.join(batch.texts, images).tokens[:, batch.texts.ids.shape[1] + 1 :])
    total, count = 0.0, 0
    pixels = batch.images.pixels / 127.5 - 1
    for row, (rows, columns) in enumerate(SIZES):
        for place in masked[row].nonzero()[:, 0].tolist():
            top, left = 4 * (place // 6), 4 * (place % 6)  # in the grid of the widest image
            assert top < rows
            assert left < columns
            colour = pixels[row, :, top : top + 4, left : left + 4].mean((1, 2))
            total += (found[row, place] - colour).square().sum().item()
            count += 3
    assert removed_pixels(found, target, masked).item() == pytest.approx(total / count, rel=1e-5)
    other = batch.images.pixels.clone()  # what is masked is not seen
    place = masked[0].nonzero()[0, 0].item()
    other[0, :, 4 * (place // 6) : 4 * (place // 6) + 4, 4 * (place % 6) : 4 * (place % 6) + 4] ^= 255
    again = replace(batch, images=ImageBatch(pixels=other, sizes=batch.images.sizes))
    unseen, _, moved = system.mask_images(again, torch.Generator().manual_seed(1))
    assert torch.equal(unseen.tokens, images.tokens)
    assert not torch.equal(moved, target)


def test_the_head_of_masked_patches_stays_with_the_training(tmp_path):
    system = ViLT(replace(SMALL, masked_images=0.5))
    save_checkpoint(tmp_path / "m", system, record={}, tokenizer_json="", preprocess={}, card="")
    loaded = load_checkpoint(tmp_path / "m").system
    assert not hasattr(loaded, "mim_head")
    assert torch.equal(loaded.itm_head.weight, system.itm_head.weight)
    batch, _ = pairs()
    torch.testing.assert_close(
        loaded.match(loaded.pair_vectors(batch)), system.eval().match(system.pair_vectors(batch))
    )


def test_masked_regions_keep_their_boxes_and_lose_their_features():
    sizes = {"width": 12, "depth": 1, "num_heads": 2, "mlp_dim": 8, "max_length": 9, "feature_width": 5}
    masks = {"vocab_size": 31, "mask_id": 4, "special": (0, 1, 2, 3, 4), "mask_rate": 0.4}
    system = UNITERConfig(**sizes, **masks, masked_images=1.0).build().eval()
    features, corners = torch.randn(3, 6, 5), torch.rand(3, 6, 2)
    boxes, keep = (
        torch.cat([corners * 0.5, 0.5 + corners * 0.5], 2),
        torch.arange(6) < torch.tensor([[6], [4], [1]]),
    )
    images = ImageBatch(features=features, boxes=boxes, keep=keep)
    shown, masked, target = system.mask_images(Batch(images), torch.Generator().manual_seed(0))
    assert not (masked & ~keep).any()
    assert masked.any(1).all()
    assert torch.equal(target, features)
    whole = system.embed_images(Batch(images))
    same = torch.isclose(shown.tokens, whole.tokens).all(2)
    assert same.equal(~masked)
    moved = Batch(ImageBatch(features=features + masked[..., None], boxes=boxes, keep=keep))
    assert torch.equal(
        system.mask_images(moved, torch.Generator().manual_seed(0)).images.tokens, shown.tokens
    )
    step = system(Batch(images, pairs()[0].texts), torch.Generator().manual_seed(1))
    assert int(step.counts["mim"]) >= 3
    step.losses["mim"].backward()
    assert system.image.features.weight.grad.any()


def test_other_systems_refuse_masked_images():
    with torch.device("meta"), pytest.raises(ValueError, match="ViLBERT masks no images; leave out masked"):
        ViLBERTConfig(masked_images=1.0).build()


def test_the_last_block_computes_one_token_where_only_the_pair_is_read():
    system = ViLT(SMALL).eval()
    batch, _ = pairs()
    seen = []
    system.transformer.blocks[-1].mlp.register_forward_hook(lambda _, __, output: seen.append(output.shape))
    with torch.no_grad():
        system.pair_vectors(batch), system.fuse(batch)
    alone, among_all = (shape[1] for shape in seen)
    assert alone == 1 < among_all
