"""ALBEF's published `.pth`: names and sizes, outputs and gradients of their network, in and out again."""

import json
from copy import deepcopy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from showtell.cli.main import run
from showtell.data.batch import Batch, ImageBatch, TextBatch, pad
from showtell.errors import UsageError, UserError
from showtell.hub.albef import albef_state, read_albef
from showtell.hub.albef_names import table
from showtell.nn.pixels import CLIP_MEAN, CLIP_STD
from showtell.pipelines.model import load_model
from showtell.systems.albef import ALBEF
from showtell.systems.albef_finetuned import ALBEFRetriever
from support.hf import same_outputs_and_gradients
from support.pretrained import subwords
from support.tiny import build

IMAGE, TEXT, SHARED, QUEUE = 128, 64, 6, 10
LOWER, UPPER = 1, 2


class Block(nn.Module):
    """A layer of timm's ViT as their `vit.py` has it: the product of attention row by row."""

    def __init__(self, width):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, 1e-6), nn.LayerNorm(width, 1e-6)
        self.attn = nn.Module()
        self.attn.qkv, self.attn.proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp = nn.Module()
        self.mlp.fc1, self.mlp.fc2 = nn.Linear(width, 40), nn.Linear(40, width)

    def forward(self, x):
        heads = []
        for q, k, v in zip(*(p.split(64, 2) for p in self.attn.qkv(self.norm1(x)).chunk(3, 2)), strict=True):
            heads.append((q @ k.transpose(1, 2) / 8).softmax(2) @ v)
        x = x + self.attn.proj(torch.cat(heads, 2))
        return x + self.mlp.fc2(F.gelu(self.mlp.fc1(self.norm2(x))))


class ViT(nn.Module):
    def __init__(self):
        super().__init__()
        self.patch_embed = nn.Module()
        self.patch_embed.proj = nn.Conv2d(3, IMAGE, 4, 4)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, IMAGE))
        self.pos_embed = nn.Parameter(torch.zeros(1, 10, IMAGE))
        self.blocks = nn.ModuleList(Block(IMAGE) for _ in range(2))
        self.norm = nn.LayerNorm(IMAGE, 1e-6)

    def forward(self, pixels):
        patches = self.patch_embed.proj(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(len(pixels), -1, -1), patches], 1) + self.pos_embed
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class Reference(nn.Module):
    """Their network of the layers of `transformers`' BERT; keys of fusing layers are as wide as images."""

    def __init__(self, vocab_size, words):
        super().__init__()
        modeling = pytest.importorskip("transformers.models.bert.modeling_bert")
        sizes = {"hidden_size": TEXT, "num_attention_heads": 1, "intermediate_size": 50}
        config = modeling.BertConfig(
            vocab_size=vocab_size,
            max_position_embeddings=16,
            hidden_dropout_prob=0.0,
            attention_probs_dropout_prob=0.0,
            attn_implementation="eager",
            **sizes,
        )
        fusing = type(config)(**(config.to_dict() | {"is_decoder": True, "add_cross_attention": True}))
        fusing._attn_implementation = "eager"
        layers = [modeling.BertLayer(config) for _ in range(LOWER)]
        layers += [modeling.BertLayer(fusing, layer_idx=i) for i in range(UPPER)]
        for layer in layers[LOWER:]:
            own = layer.crossattention.self
            own.key, own.value = nn.Linear(IMAGE, TEXT), nn.Linear(IMAGE, TEXT)
        bert = nn.Module()
        bert.embeddings = modeling.BertEmbeddings(config)
        bert.embeddings.register_buffer("position_ids", torch.arange(16)[None], persistent=True)
        bert.encoder = nn.Module()
        bert.encoder.layer = nn.ModuleList(layers)
        self.visual_encoder = ViT()
        self.text_encoder = nn.Module() if words else bert
        if words:
            self.text_encoder.bert = bert
            self.text_encoder.cls = modeling.BertOnlyMLMHead(config)
            head = self.text_encoder.cls.predictions
            head.decoder.weight, head.decoder.bias = bert.embeddings.word_embeddings.weight, head.bias
        self.vision_proj, self.text_proj = nn.Linear(IMAGE, SHARED), nn.Linear(TEXT, SHARED)
        self.itm_head, self.temp = nn.Linear(TEXT, 2), nn.Parameter(torch.tensor(0.07))
        torch.manual_seed(0)
        with torch.no_grad():
            for name, weight in self.named_parameters():
                if name != "temp":
                    weight.add_(torch.randn_like(weight) * 0.05)

    def forward(self, pixels, ids, keep):
        """Both vectors, the log-odds of a match, and the logits of every real token."""
        bert = getattr(self.text_encoder, "bert", self.text_encoder)
        mask = (~keep)[:, None, None] * torch.finfo(torch.float32).min
        images, tokens = self.visual_encoder(pixels), bert.embeddings(ids)
        for layer in bert.encoder.layer[:LOWER]:
            tokens = layer(tokens, mask)
        alone = tokens[:, 0]
        for layer in bert.encoder.layer[LOWER:]:
            tokens = layer(tokens, mask, encoder_hidden_states=images)
        no, yes = self.itm_head(tokens[:, 0]).unbind(1)
        vectors = self.vision_proj(images[:, 0]), self.text_proj(alone)
        out = [*(F.normalize(vector, dim=1) for vector in vectors), yes - no]
        return [*out, self.text_encoder.cls(tokens[keep])] if hasattr(self.text_encoder, "cls") else out

    def published(self):
        """What their training saves: a teacher that has moved, queues that are full."""
        state = self.state_dict()
        taught = ("visual_encoder.", "text_encoder.", "vision_proj.", "text_proj.")
        for name in [name for name in state if name.startswith(taught)]:
            state[name.replace(".", "_m.", 1)] = state[name] + 1
        queue = F.normalize(torch.randn(SHARED, QUEUE), dim=0)
        state |= {"image_queue": queue, "text_queue": queue, "queue_ptr": torch.tensor([4])}
        if not hasattr(self.text_encoder, "cls"):
            state["idx_queue"] = torch.full((1, QUEUE), 7)
        return {"model": state, "optimizer": {"state": {}}, "config": {"alpha": 0.4}, "epoch": 3}


@pytest.fixture(scope="module", params=[ALBEF, ALBEFRetriever])
def pair(request, tmp_path_factory):
    """Theirs, ours, and the file between them."""
    folder = tmp_path_factory.mktemp("albef")
    tokenizer = subwords("wordpiece", "bert")
    reference = Reference(len(tokenizer), request.param is ALBEF).eval()
    torch.save(reference.published(), folder / "ALBEF.pth")
    (folder / "vocab.txt").write_text("\n".join(tokenizer.tokens) + "\n")
    ours = read_albef(folder / "ALBEF.pth").system
    assert type(ours) is request.param
    return reference, ours, folder / "ALBEF.pth"


def given(padded):
    rows = [[5, 6, 7, 8], [9, 10]] if padded else [[5, 6, 7], [9, 10, 11]]
    ids, keep = pad([[2, *row, 3] for row in rows])
    pixels = torch.randint(256, (2, 3, 12, 12), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    mean, std = (torch.tensor(value)[:, None, None] for value in (CLIP_MEAN, CLIP_STD))
    return Batch(ImageBatch(pixels=pixels), TextBatch(ids, keep)), (pixels / 255 - mean) / std


@pytest.mark.parametrize("padded", [False, True], ids=["full", "padded"])
def test_forward_and_every_gradient(pair, padded):
    """In float64, which tells a difference from the noise of 500 logits."""
    reference, ours = (deepcopy(model).double() for model in pair[:2])
    batch, pixels = given(padded)
    images = ours.encode_images(batch)
    fused = ours.fuse(batch, images)
    found = [images.pooled, ours.text_vectors(batch), ours.match(fused.pooled)]
    if isinstance(ours, ALBEF):
        said = ours.towers.masked_logits(batch.texts, ours.towers.prefill(images), batch.texts.keep)
        found.append(said)
    expected = reference(pixels.double(), batch.texts.ids, batch.texts.keep)
    both = list(zip(found, expected, strict=True))
    without_temperature = [rule for rule in table(ours.config) if rule.ours != "log_temperature"]
    unread = same_outputs_and_gradients(both, ours, reference, without_temperature)
    assert unread == ["temp"]


def test_the_state_that_goes_out_is_theirs_name_by_name_and_bit_by_bit(pair):
    reference, ours, file = pair
    theirs, state = torch.load(file, weights_only=True)["model"], albef_state(ours)
    assert state.keys() == theirs.keys()
    assert {n: t.shape for n, t in state.items()} == {n: t.shape for n, t in theirs.items()}
    for name, tensor in reference.state_dict().items():
        assert torch.equal(state[name], tensor) or (name == "temp" and abs(state[name] - tensor) < 1e-8), name
    reference.load_state_dict({name: state[name] for name in reference.state_dict()}, strict=True)
    for name, tensor in state.items():
        if name.partition(".")[0].endswith("_m"):
            assert torch.equal(tensor, state[name.replace("_m.", ".", 1)]), name
    for name in ("image_queue", "text_queue"):
        torch.testing.assert_close(state[name].norm(dim=0), torch.ones(QUEUE))


def test_import_export_and_import_again_by_the_command_line(pair, tmp_path, capsys, caplog):
    _, ours, file = pair
    with caplog.at_level("INFO"):
        assert run(["import", str(file), "--output", str(tmp_path / "ours"), "--json"]) == 0
    assert "of the momentum teacher and its queues" in caplog.text
    assert json.loads(capsys.readouterr().out)["system"] == type(ours).__name__
    model = load_model(tmp_path / "ours")
    batch, _ = given(True)
    torch.testing.assert_close(
        model.system.match(model.system.pair_vectors(batch)), ours.match(ours.pair_vectors(batch))
    )
    out = tmp_path / "theirs"
    assert run(["export", str(tmp_path / "ours"), "--format", "albef", "--output", str(out)]) == 0
    assert run(["import", str(out / "albef.pth"), "--output", str(tmp_path / "again")]) == 0
    assert load_model(tmp_path / "again").hash == model.hash


def test_the_teacher_begins_as_the_student(pair):
    _, ours, _ = pair
    for slow, fast in zip(ours.teacher.net.parameters(), ours.towers.parameters(), strict=True):
        assert torch.equal(slow, fast)
        assert not slow.requires_grad


@pytest.mark.parametrize(
    ("spoil", "error", "said"),
    [
        (lambda s: s.update({"text_decoder.bert.x": torch.ones(1)}), UsageError, r"answers in words \(VQA\)"),
        (lambda s: s.update({"cls_head.0.weight": torch.ones(1)}), UsageError, "entailment"),
        (lambda s: s.update({"visual_encoder.extra": torch.ones(1)}), UserError, "extra is unknown"),
        (lambda s: s.pop("itm_head.bias"), UserError, "itm_head.bias is missing"),
        (lambda s: s.pop("visual_encoder.pos_embed"), UserError, "lacks 'visual_encoder.pos_embed'"),
        (
            lambda s: s.update({"itm_head.weight": torch.ones(2, 3)}),
            UserError,
            r"itm_head.weight is \[2, 3\] instead of \[2, 64\]",
        ),
    ],
)
def test_what_does_not_fit_is_named(pair, tmp_path, spoil, error, said):
    *_, file = pair
    whole = torch.load(file, weights_only=True)
    spoil(whole["model"])
    torch.save(whole, tmp_path / "bad.pth")
    with pytest.raises(error, match=said):
        read_albef(tmp_path / "bad.pth")


def test_a_file_without_its_vocabulary_and_one_with_code_are_refused(pair, tmp_path):
    *_, file = pair
    (tmp_path / "alone.pth").write_bytes(file.read_bytes())
    with pytest.raises(UserError, match="holds no tokenizer"):
        read_albef(tmp_path / "alone.pth")
    torch.save({"model": {"itm_head.weight": print}}, tmp_path / "code.pth")
    with pytest.raises(UserError, match="may run any code"):
        read_albef(tmp_path / "code.pth")


def test_what_their_code_cannot_express_is_refused():
    with pytest.raises(UsageError, match="heads of 64"):
        albef_state(build(ALBEF))
