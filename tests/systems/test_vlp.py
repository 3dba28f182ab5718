"""VLP: the published sizes, the losses against loops, and what each part may see."""

import math
from dataclasses import replace

import pytest
import torch

from showtell.data.batch import Batch, ImageBatch, Targets, TextBatch, pad
from showtell.errors import UserError
from showtell.objectives.pointing import beginnings, cell_shares, middles
from showtell.recipes import vlp as recipes
from showtell.systems.vlp import VLPConfig
from showtell.systems.vlp_encoder import VLPClassifierConfig, VLPEncoderConfig
from showtell.tasks.decoding import beam_search
from support.tiny import batch, build, found, tiny

WEIGHTS = {"pointing_weight": 0.5, "letters_weight": 0.7, "masked_weight": 0.3, "pixel_weight": 2.0}


def small(**changes):
    torch.manual_seed(0)
    return replace(tiny(VLPConfig()), dec_div=1, **changes).build()


def count(config) -> int:
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in config.build().parameters())


def drawn() -> Batch:
    """Three texts of different lengths; two tokens are masked."""
    generator = torch.Generator().manual_seed(3)
    ids, keep = pad([[2, 5, 6, 7, 3], [2, 8, 9, 3], [2, 10, 3]])
    originals = torch.randint(256, (3, 3, 16, 16), generator=generator, dtype=torch.uint8)
    pixels = originals.clone()
    pixels[0, :, :4, 8:] = 0
    masked = torch.zeros(ids.shape, dtype=torch.bool)
    masked[0, 2] = masked[1, 1] = True
    boxes = torch.full((*ids.shape, 4), math.nan)
    for row, length in enumerate((3, 2, 1)):
        for place in range(length):
            boxes[row, 1 + place] = torch.tensor([5.0 * place, 2.0, 5.0 * place + 4, 12.0])
    letters = torch.tensor([[4, 5, 6], [7, 8, 0], [9, 0, 0]])
    letter_boxes = torch.full((3, 3, 4), math.nan)
    for row, length in enumerate((3, 2, 1)):
        for place in range(length):
            letter_boxes[row, place] = torch.tensor([4.0 * place, 5.0, 4.0 * place + 3, 11.0])
    targets = Targets(masked=masked, boxes=boxes, letters=letters, letter_boxes=letter_boxes)
    return Batch(ImageBatch(pixels=pixels, originals=originals), TextBatch(ids, keep), targets)


def test_the_published_sizes() -> None:
    """129.0 M up to the encoder, 220.9 M with the decoder."""
    lg = VLPConfig()
    encoder = VLPEncoderConfig(**{name: getattr(lg, name) for name in VLPEncoderConfig.__dataclass_fields__})
    assert round(count(encoder) / 1e6, 1) == 129.0
    assert round(count(lg) / 1e6, 1) == 220.9


@pytest.mark.parametrize(
    ("name", "sizes"),
    [
        ("sm", (256, 1024, 8, 6, 1)),
        ("base", (512, 2048, 16, 12, 1)),
        ("lg", (768, 4096, 16, 12, 2)),
        ("xlg", (768, 4096, 24, 24, 4)),
    ],
)
def test_the_recipes_have_the_published_sizes(name, sizes) -> None:
    system = getattr(recipes, f"vlp_{name}")(1000).system
    assert (system.width, system.mlp_dim, system.num_heads, system.depth, system.dec_div) == sizes


@torch.no_grad()
def test_an_image_of_512_pixels_has_256_tokens() -> None:
    config = VLPEncoderConfig(backbone="resnet_mini", width=8, depth=1, num_heads=2, mlp_dim=8)
    encoded = (
        config.build().eval().encode_images(Batch(ImageBatch(pixels=torch.zeros(1, 3, 512, 512).byte())))
    )
    assert encoded.tokens.shape == (1, 256, 8)


def test_dec_div_divides_layers_heads_and_mlp() -> None:
    config = VLPConfig(
        backbone="resnet_mini", width=16, depth=4, num_heads=4, mlp_dim=24, dec_div=2, vocab_size=9
    )
    system = config.build()
    block = system.decoder.blocks[0]
    assert (len(system.encoder.blocks), len(system.decoder.blocks)) == (4, 2)
    assert (block.attention.num_heads, block.cross_attention.num_heads, block.mlp.up.out_features) == (
        2,
        2,
        12,
    )
    for wrong in ({"dec_div": 3}, {"dec_div": 0}, {"dec_div": 8}):
        with pytest.raises(ValueError, match="dec_div"):
            replace(config, **wrong)


def test_the_loss_against_loops_over_tokens_that_are_no_padding() -> None:
    system, given = small().eval(), drawn()
    losses = []
    for row in range(3):
        length = int(given.texts.keep[row].sum())
        alone = Batch(ImageBatch(pixels=given.images.pixels[row : row + 1]))
        memory = system.prefill(system.encode_images(alone))
        for place in range(1, length):
            ids = given.texts.ids[row : row + 1, :place]
            logits = system.inspect(memory, torch.tensor([0]), ids, (2, 2)).logits[0, -1]
            losses.append(-logits.log_softmax(0)[given.texts.ids[row, place]].item())
    assert system(given).losses["text"].item() == pytest.approx(sum(losses) / len(losses), abs=1e-5)


def test_what_stands_in_the_padding_makes_no_difference() -> None:
    system, given = small(**WEIGHTS).eval(), drawn()
    before = system(given).losses
    ids = torch.where(given.texts.keep, given.texts.ids, 17)
    boxes = torch.where(given.texts.keep[..., None], given.targets.boxes, 3.0)
    masked = given.targets.masked | ~given.texts.keep
    places = given.targets["letter_boxes"]
    letters = torch.where(places.isnan().any(2), 17, given.targets["letters"])
    targets = Targets(masked=masked, boxes=boxes, letters=letters, letter_boxes=places)
    other = Batch(given.images, TextBatch(ids, given.texts.keep), targets)
    after = system(other).losses
    for name in before:
        torch.testing.assert_close(after[name], before[name])


def test_the_other_losses_against_loops() -> None:
    system, given = small(**WEIGHTS).eval(), drawn()
    step = system(given)
    assert (
        step.losses.keys()
        == system.loss_weights.keys()
        == {*("text", "pointing", "extents", "letters", "masked", "pixels")}
    )
    encoded = system.encode_images(given)
    pointing, extents, masked = [], [], []
    for row in range(3):
        stands = torch.zeros(1, 4)
        places = [stands]
        for box in given.targets.boxes[row, 1:]:
            if not box.isnan().any():
                stands = cell_shares(beginnings(box, 8)[None], (16, 16), (2, 2))
            places.append(stands)
        stood = torch.stack(places, 1)
        one = replace(encoded, tokens=encoded.tokens[row : row + 1])
        ids = given.texts.ids[row : row + 1]
        known = None if row % 2 else stood  # every second row follows its own pointer
        memory = system.prefill(one)
        hidden, scores = system.decode(memory, ids, known)
        offsets = system.extent(hidden)
        for place in range(1, int(given.texts.keep[row].sum())):
            where = scores[0, place - 1].softmax(0)
            pointing.append(-(stood[0, place] * where.log()).sum().item())
            box = given.targets.boxes[row, place]
            if not box.isnan().any():
                row_of, column_of = divmod(int(stood[0, place].argmax()), 2)
                for edge, corner in zip(range(4), (column_of, row_of) * 2, strict=True):
                    off = abs(offsets[0, place - 1, edge].item() - (box[edge].item() / 8 - corner))
                    extents.append(off**2 / 2 if off < 1 else off - 0.5)
            p = system.is_masked(hidden)[0, place - 1, 0].sigmoid().item()
            masked.append(-math.log(p if given.targets.masked[row, place] else 1 - p))
    assert step.losses["pointing"].item() == pytest.approx(sum(pointing) / len(pointing), abs=1e-5)
    assert step.losses["extents"].item() == pytest.approx(sum(extents) / len(extents), abs=1e-5)
    assert step.losses["masked"].item() == pytest.approx(sum(masked) / len(masked), abs=1e-5)
    assert step.counts["pointing"] == len(pointing)
    log_probs = system.letters(encoded.tokens).view(3, 4 * 2, -1).log_softmax(-1)
    letters = []
    for row, length in enumerate((3, 2, 1)):
        for place in range(length):
            box = middles(given.targets["letter_boxes"][row, place])
            shares = cell_shares(box[None], (16, 16), (2, 4))[0]
            letters.append(-(shares * log_probs[row, :, given.targets["letters"][row, place]]).sum().item())
    assert step.losses["letters"].item() == pytest.approx(sum(letters) / len(letters), abs=1e-5)
    assert step.counts["letters"] == len(letters)
    error = []
    drawing = system.draw(encoded.tokens)[0, 1].view(3, 8, 8)
    target = given.images.originals[0, :, :8, 8:] / 255
    error = (drawing - target).square().mean().item()
    assert step.losses["pixels"].item() == pytest.approx(error, abs=1e-5)


def test_a_weight_of_zero_has_no_loss_and_no_parameters() -> None:
    assert small().loss_weights == {"text": 1.0}
    names = {name.split(".")[0] for name, _ in small(**WEIGHTS).named_parameters()}
    assert names - {name.split(".")[0] for name, _ in small().named_parameters()} == {
        *("pointer", "extent", "letters", "is_masked", "draw")
    }


def test_the_gradient_of_every_loss_reaches_the_cnn() -> None:
    for name in ("text", "pointing", "letters", "masked", "pixels"):
        system = small(**WEIGHTS)
        with torch.no_grad():
            for parameter in system.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.1)
        system(drawn()).losses[name].backward()
        assert system.tower.net.stem[0][0].weight.grad.any(), name


@torch.no_grad()
@pytest.mark.parametrize("structure", ["encoder_decoder", "decoder"])
@pytest.mark.parametrize("beam", [1, 3])
@pytest.mark.parametrize("weight", [0.0, 1.0])
def test_decoding_with_a_cache_equals_decoding_without(structure, beam, weight) -> None:
    system = small(structure=structure, pointing_weight=weight).eval()
    memory = system.prefill(system.encode_images(batch()))

    class Uncached:
        """Reads the whole text again for each token."""

        def initial_state(self, memory):
            return {"ids": torch.zeros(4, 1, 0, dtype=torch.int64)}

        def step(self, memory, state, ids):
            ids = torch.cat([state["ids"], ids[..., None]], 2)
            rows, owner = ids.flatten(0, 1), torch.arange(4).repeat_interleave(ids.shape[1])
            logits = system.inspect(memory, owner, rows, (2, 2)).logits[:, -1]
            return logits.unflatten(0, ids.shape[:2]), {"ids": ids}

    found = [
        beam_search(decoder, memory, start=2, end=3, beam=beam, max_tokens=7)
        for decoder in (system, Uncached())
    ]
    assert [one[0].ids for one in found[0]] == [one[0].ids for one in found[1]]
    for one, other in zip(*found, strict=True):
        assert one[0].logprob == pytest.approx(other[0].logprob, abs=1e-4)


@torch.no_grad()
def test_2d_positions_tell_rows_apart_that_1d_ones_number_through() -> None:
    given = Batch(ImageBatch(pixels=torch.zeros(1, 3, 32, 48).byte()))
    flat, grid = (small(positions=positions).eval() for positions in ("sine", "sine_2d"))
    grid.load_state_dict(flat.state_dict())
    assert not torch.allclose(flat.encode_images(given).tokens, grid.encode_images(given).tokens)
    moved = torch.zeros(1, 3, 32, 48).byte()
    moved[:, :, 8:16, 8:16] = 255
    assert not torch.allclose(
        grid.encode_images(Batch(ImageBatch(pixels=moved))).tokens, grid.encode_images(given).tokens
    )


def test_without_an_encoder_the_decoder_attends_to_the_cnn() -> None:
    with_encoder, without = small(), small(structure="decoder")
    assert not [name for name, _ in without.named_parameters() if name.startswith("encoder.")]
    assert sum(p.numel() for p in without.parameters()) < sum(p.numel() for p in with_encoder.parameters())


def test_a_text_that_grows_too_long_is_refused() -> None:
    system = small(max_length=3).eval()
    with pytest.raises(UserError, match="3 tokens"):
        system(drawn())


def test_a_classifier_begins_with_the_encoder_of_a_reader() -> None:
    reader = small()
    fields = VLPEncoderConfig.__dataclass_fields__
    config = VLPClassifierConfig(**{name: getattr(reader.config, name) for name in fields})
    classifier = config.with_classes(("no", "yes")).build()
    missing, unexpected = classifier.load_state_dict(reader.state_dict(), strict=False)
    assert missing == ["classifier.weight", "classifier.bias"]
    assert {name.split(".")[0] for name in unexpected} == {"decoder", "embedding", "output"}
    given = batch()
    expected = reader.eval().encode_images(given).tokens.mean(1)
    torch.testing.assert_close(classifier.eval().encode_images(given).pooled, expected)
    assert classifier.classify(classifier.encode_images(given)).shape == (4, 2)


def test_a_tagger_has_a_tag_per_token_and_leaves_out_those_without() -> None:
    system, given = build(found()["VLPTagger"]).eval(), batch()
    step = system(given)
    logits = system.tag_logits(system.encode_images(given), given.texts.owner, given.texts.ids)
    losses = [
        -logits[row, place].log_softmax(0)[given.targets.tags[row, place]].item()
        for row in range(5)
        for place in range(int(given.texts.keep[row].sum()))
    ]
    assert step.losses["tags"].item() == pytest.approx(sum(losses) / len(losses), abs=1e-5)
    none = replace(given, targets=Targets(tags=torch.full_like(given.targets.tags, -1)))
    assert system(none).losses["tags"].item() == 0
