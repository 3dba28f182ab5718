"""Language-model runs: texts in, a vocabulary and a language model out."""

import json
import math
import random
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from showtell.checkpoint.load import load_checkpoint
from showtell.data.batch import Batch, TextBatch
from showtell.data.texts.corpus import tokenise
from showtell.data.tokenizers.subword import SubwordTokenizer
from showtell.datasets.texts import read_texts
from showtell.errors import UsageError, UserError
from showtell.pipelines.fill_mask import fill_mask
from showtell.pipelines.generate import generate
from showtell.pipelines.model import load_model
from showtell.recipes import bert, gpt, roberta
from showtell.recipes import launch as training
from showtell.runs.language_model import LanguageModelRun
from showtell.systems.bert import BERT
from showtell.systems.gpt import GPT

WHO = ["cat", "dog", "bird", "fish"]
WHERE = {"cat": "mat", "dog": "yard", "bird": "tree", "fish": "pond"}
SMALL = [
    "system.width=32",
    "system.depth=2",
    "system.num_heads=2",
    "system.mlp_dim=64",
    "system.max_length=32",
    "train.batch_size=8",
    "train.steps=12",
    "train.warmup_steps=4",
    "train.validate_every=6",
    "train.checkpoint_every=6",
]
CAUSAL = ["gpt_mini", "llama_mini"]
MINI = ["bert_mini", "roberta_mini", *CAUSAL]


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> Path:
    """Sixty documents whose sentences have one place per animal."""
    draw = random.Random(0)
    file = tmp_path_factory.mktemp("texts") / "animals.txt"
    documents = []
    for number in range(60):
        animals = [draw.choice(WHO) for _ in range(draw.randint(3, 6))]
        documents.append(
            " ".join(f"The {who} sat in the {WHERE[who]}." for who in animals) + f" End {number}."
        )
    file.write_text("\n".join(documents))
    return file


@pytest.fixture(scope="module", params=MINI)
def trained(request, texts, tmp_path_factory):
    output = tmp_path_factory.mktemp("run") / request.param
    reached = training.train_model(
        request.param, texts, output, SMALL + vocabulary(request.param), device="cpu"
    )
    return request.param, output, reached


def vocabulary(name: str) -> list[str]:
    return [f"system.vocab_size={60 if name == 'bert_mini' else 300}"]


def test_a_run_leaves_a_model_with_its_uses(trained):
    name, output, reached = trained
    model = load_model(output, "cpu")
    assert reached["steps"] == 12
    record = load_checkpoint(output).record
    assert model.name.startswith(name)
    assert record["validation"]["loss"] == pytest.approx(reached["loss"])
    vectors = model.text_vectors(["The cat sat.", "The dog sat in the yard.", ""][: 2 + (name not in CAUSAL)])
    assert vectors.isfinite().all()
    if name in CAUSAL:
        assert math.exp(reached["loss"]) == pytest.approx(record["validation"]["perplexity"])
        assert generate("The cat", model, 4).tokens <= 4
    else:
        assert len(fill_mask("The [MASK] sat.", model, top=3).predictions) == 3


def test_the_card_says_what_was_measured(trained):
    name, output, _ = trained
    card = (output / "model" / "README.md").read_text()
    figures = load_checkpoint(output).record["validation"]
    assert f"`{name}`" in card
    for value in figures.values():
        assert f"| {value:.4g} |" in card


def test_a_resumed_run_equals_an_uninterrupted_one(trained, texts, tmp_path, monkeypatch):
    name, output, _ = trained
    settings, cut, load = SMALL + vocabulary(name), tmp_path / "cut", LanguageModelRun.batch

    def stops(self, examples, items, seed, tokenizer):
        if seed == (0, 8):
            raise KeyboardInterrupt
        return load(self, examples, items, seed, tokenizer)

    with monkeypatch.context() as patch:
        patch.setattr(LanguageModelRun, "batch", stops)
        with pytest.raises(KeyboardInterrupt):
            training.train_model(name, texts, cut, settings, device="cpu")
    assert json.loads((cut / "state" / "progress.json").read_text())["progress"]["step"] == 6
    training.train_model(name, texts, cut, settings, resume=True, device="cpu")
    whole, resumed = (load_checkpoint(o).system.state_dict() for o in (output, cut))
    assert all(torch.equal(whole[key], resumed[key]) for key in whole)


def test_a_run_is_resumed_with_its_own_texts_alone(trained, texts, tmp_path):
    name, output, _ = trained
    other = tmp_path / "other.txt"
    other.write_text(texts.read_text().replace("fish", "frog"))
    with pytest.raises(UsageError, match="data"):
        training.train_model(name, other, output, SMALL + vocabulary(name), resume=True, device="cpu")


def test_another_run_is_refused_before_its_texts_are_read(trained, texts, tmp_path):
    name, output, _ = trained
    settings = SMALL + vocabulary(name)
    for changed, said in (
        ({"settings": [*settings, "system.width=64"]}, "settings.system.width was 32 and is now 64"),
        ({"settings": [*settings, "train.steps=11"]}, "train.steps was 12 and is now 11"),
        ({"seed": 1}, "train.seed was 0 and is now 1"),
        ({"recipe": "bert_base"}, f"recipe was '{name}' and is now 'bert_base'"),
    ):
        given = {"recipe": name, "settings": settings, **changed}
        with pytest.raises(UsageError, match=said):
            training.train_model(
                data=tmp_path / "no texts", output=output, resume=True, device="cpu", **given
            )
    # What the texts have settled may be asked for as they settled it; and a finished run may grow.
    settled = load_checkpoint(output).record["settings"]["system"]["vocab_size"]
    more = [*settings, f"system.vocab_size={settled}", "train.steps=13"]
    training.train_model(name, texts, shutil.copytree(output, tmp_path / "copy"), more, True, device="cpu")


def test_the_vocabulary_is_of_the_training_documents(tmp_path):
    file = tmp_path / "texts.txt"
    file.write_text("\n".join(f"A plain sentence. Another, with word{n}x." for n in range(200)))
    found = read_texts(file)
    assert len(found.training) + len(found.validation) == 200
    assert 1 <= len(found.validation) <= 30
    training.train_model(
        "bert_mini", file, tmp_path / "run", [*SMALL, "system.vocab_size=2000"], device="cpu"
    )
    tokenizer = load_model(tmp_path / "run", "cpu").tokenizer
    seen = set(" ".join(found.training).lower())
    assert all(set(t.removeprefix("##")) <= seen for t in tokenizer.tokens if not t.startswith("["))


@pytest.fixture(scope="module")
def tokenizer(texts):
    return SubwordTokenizer.train(texts.read_text().splitlines(), "bpe", 300, "gpt2")


def test_perplexity_counts_every_token_once_and_spreads_it_over_words(texts, tokenizer):
    documents = texts.read_text().splitlines()[:12]
    recipe = gpt.gpt_mini(100)
    config = replace(recipe.system, width=16, num_heads=2, depth=1, mlp_dim=32, max_length=20, vocab_size=300)
    recipe = replace(recipe, system=config.with_tokenizer(tokenizer))
    torch.manual_seed(0)
    system = GPT(recipe.system).eval()
    for weight in system.parameters():
        weight.data.add_(torch.randn_like(weight) * 0.2)
    figures = recipe.measure(documents, tokenizer)(system)
    stream = [tokenizer.end]
    for document in documents:
        stream += [*tokenizer.pieces(document).ids, tokenizer.end]
    total = 0.0
    for first in range(0, len(stream) - 1, 19):
        row = torch.tensor([stream[first : first + 20]])
        logits = system.next_token_logits(system.encode_texts(Batch(texts=TextBatch(row, row >= 0))).tokens)[
            0
        ]
        for place in range(row.shape[1] - 1):
            total -= logits[place].log_softmax(0)[row[0, place + 1]].item()
    assert figures["loss"] == pytest.approx(total / (len(stream) - 1), abs=1e-4)
    words = sum(len(document.split()) for document in documents)
    assert figures["perplexity_per_word"] == pytest.approx(math.exp(total / words), rel=1e-3)


def test_validation_masks_the_same_15_percent_each_time(texts):
    documents = texts.read_text().splitlines()
    tokenizer = SubwordTokenizer.train(documents, "wordpiece", 60, "bert")
    recipe = bert.bert_mini(100)
    config = replace(recipe.system, width=16, num_heads=2, depth=1, mlp_dim=32, vocab_size=60)
    torch.manual_seed(0)
    system = BERT(config.with_tokenizer(tokenizer)).eval()
    figures = []
    for rate in (0.15, 0.9):
        chosen = replace(recipe, system=replace(config.with_tokenizer(tokenizer), mask_rate=rate))
        measure = chosen.measure(documents, tokenizer)
        figures += [measure(system), measure(system)]
    assert all(f == figures[0] for f in figures)
    assert figures[0].keys() == {"loss", "accuracy", "next_sentence"}


def test_whole_words_are_masked_on_request(texts):
    documents = texts.read_text().splitlines()
    recipe = roberta.roberta_mini(100)
    tokenizer = SubwordTokenizer.train(documents, "bpe", 262, "roberta")
    examples = recipe.examples(tokenise(documents, tokenizer), tokenizer)
    assert recipe.batch(examples, [0, 1], (0, 0), tokenizer).texts.groups is None
    batch = replace(recipe, whole_words=True).batch(examples, [0, 1], (0, 0), tokenizer)
    assert batch.texts.groups is not None
    assert int(batch.texts.groups.max()) < int(batch.texts.keep.sum(1).max()) - 1


def test_bert_learns_which_animal_sits_where(texts, tmp_path):
    settings = [*SMALL, "system.vocab_size=60", "train.steps=300", "train.learning_rate=0.004"]
    settings += ["train.warmup_steps=50", "train.validate_every=300", "train.checkpoint_every=300"]
    training.train_model("bert_mini", texts, tmp_path / "run", settings, device="cpu")
    accuracy = load_checkpoint(tmp_path / "run").record["validation"]["accuracy"]
    assert accuracy > 0.5, "frequencies alone reach a third"


def test_sentence_pairs_that_are_cut_are_said_counted_and_refused(texts, tmp_path, caplog):
    long = tmp_path / "long.txt"
    cats = [f"A first cat. The {'cat ' * (50 + n)}sat." for n in range(30)]
    long.write_text("\n".join([texts.read_text(), *cats]))
    settings = [*SMALL, *vocabulary("bert_mini")]
    reached = training.train_model("bert_mini", long, tmp_path / "run", settings, device="cpu")
    assert 20 <= reached["cut"] <= 30
    said = [message for message in caplog.messages if "sentence pairs cut" in message]
    assert len(said) == 1
    assert f"tokens that an example holds ({reached['cut']} of" in said[0]
    with pytest.raises(UserError, match="sentence pair that begins with 'a first cat"):
        training.train_model("bert_mini", long, tmp_path / "two", settings, device="cpu", strict=True)


def test_mistakes_are_named(tmp_path):
    one = tmp_path / "one.txt"
    one.write_text("A single document. Of two sentences.")
    with pytest.raises(UserError, match="fewer than two different documents"):
        training.train_model("gpt_mini", one, tmp_path / "run", SMALL, device="cpu")
    with pytest.raises(UsageError, match="--format coco is for captions"):
        read_texts(one, "coco")
    one.write_text("\n".join(f"Sentence number {n}." for n in range(30)))
    with pytest.raises(UserError, match="two sentences"):
        training.train_model("bert_mini", one, tmp_path / "run", SMALL, device="cpu")
    with pytest.raises(UserError, match="vocabulary of 20 is too small"):
        training.train_model(
            "gpt_mini", one, tmp_path / "run", [*SMALL, "system.vocab_size=20"], device="cpu"
        )
    settings = [*SMALL, "system.num_heads=5", "system.vocab_size=300"]
    with pytest.raises(UsageError, match="cannot be divided among 5 heads"):
        training.train_model("gpt_mini", one, tmp_path / "run", settings, device="cpu")


@pytest.mark.parametrize(
    ("build", "steps", "batch", "rate"),
    [
        (bert.bert_base, 1_000_000, 256, 1e-4),
        (roberta.roberta_base, 500_000, 8192, 6e-4),
        (gpt.gpt, 572_000, 512, 6e-4),
    ],
)
def test_the_base_recipes_are_the_papers(build, steps, batch, rate):
    recipe = build(10**9)
    train = recipe.train
    assert (train.steps, train.batch_size * train.accumulate, train.learning_rate) == (steps, batch, rate)
    defaults = type(recipe.system)()
    assert replace(recipe.system, dropout=defaults.dropout) == defaults


def test_too_few_documents_are_counted_on_each_side(tmp_path) -> None:
    (tmp_path / "three.txt").write_text("\n\n".join(f"One {n}. Two {n}. Three {n}." for n in range(3)))
    with pytest.raises(
        UserError, match=r"here is 1 document.*after the split 2 documents to train on, 1 docu"
    ):
        training.train_model("bert_mini", tmp_path / "three.txt", tmp_path / "run", device="cpu")
    (tmp_path / "one.txt").write_text("Only one.\n")
    with pytest.raises(UserError, match=r"fewer than two different documents \(1 document, 1 different\)"):
        training.train_model("bert_mini", tmp_path / "one.txt", tmp_path / "run", device="cpu")
