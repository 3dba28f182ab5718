"""Instruction runs: conversations in, an adapter out that answers as they do."""

import json
import math
import re
import shutil
from pathlib import Path

import pytest
import torch
from PIL import Image

from showtell.checkpoint.adapters import load_adapter
from showtell.checkpoint.load import load_checkpoint
from showtell.checkpoint.tensors import load_tensors
from showtell.cli.main import run
from showtell.data.batch import Batch, TextBatch
from showtell.datasets.conversation_input import ConversationInput, EncodedConversation
from showtell.errors import MissingError, UsageError, UserError
from showtell.hub.checkpoints import open_checkpoint
from showtell.pipelines.generate import generate
from showtell.pipelines.import_model import import_model
from showtell.pipelines.merge_adapter import merge_adapter
from showtell.pipelines.model import load_model
from showtell.recipes.launch import train_model
from showtell.runs.instruction import answering_tokenizer, measure
from support.chat import TEMPLATE, llama_folder

SETTINGS = [
    "held_out=0",
    "rank=8",
    "alpha=16",
    "train.batch_size=6",
    "train.learning_rate=1e-2",
    "train.warmup_steps=5",
    "train.checkpoint_every=20",
]
MEMORISE = [*SETTINGS, "train.steps=120"]
SHORT = [*SETTINGS, "train.steps=6", "train.checkpoint_every=2", "train.batch_size=4"]
KINDS = ("营业执照", "身份证")


def documents() -> list[list[dict[str, str]]]:
    """Six conversations of two answers each, the first a document as JSON."""
    return [
        [
            {"role": "system", "content": "你是助手"},
            {"role": "user", "content": f"提取信息 {number}"},
            {
                "role": "assistant",
                "content": json.dumps(
                    [{"文字材料类别": KINDS[number % 2], "名称": f"公司{number}"}], ensure_ascii=False
                ),
            },
            {"role": "user", "content": "确定吗"},
            {"role": "assistant", "content": "是"},
        ]
        for number in range(6)
    ]


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    texts = [message["content"] for one in documents() for message in one]
    sizes = {"width": 48, "mlp_dim": 96, "num_heads": 4, "num_kv_heads": 2, "max_length": 200}
    folder = llama_folder(
        tmp_path_factory.mktemp("base") / "theirs", "chatml", TEMPLATE, texts=texts, **sizes
    )
    return Path(import_model(str(folder), folder.parent / "ours")["model"])


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    file = tmp_path_factory.mktemp("data") / "资质.json"
    file.write_text(json.dumps([{"messages": one} for one in documents()], ensure_ascii=False), "utf-8")
    return file


@pytest.fixture(scope="module")
def memorised(base, data, tmp_path_factory) -> Path:
    before = load_tensors(base / "model.safetensors")
    output = tmp_path_factory.mktemp("run") / "tuned"
    train_model("tune", data, output, MEMORISE, model=str(base), device="cpu")
    after = load_tensors(base / "model.safetensors")
    assert all(torch.equal(before[name], after[name]) for name in before)
    return output


def tune(data: Path, output: Path, base: Path, *settings: str, **options) -> dict:
    return train_model("tune", data, output, [*SHORT, *settings], model=str(base), device="cpu", **options)


def test_it_memorises_six_documents(memorised, base) -> None:
    lines = map(json.loads, (memorised / "metrics.jsonl").read_text().splitlines())
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] < 0.05 * losses[0]
    model = load_model(base, "cpu", adapter=memorised)
    for asked in documents():
        assert generate(asked[:2], model, 60).completion == asked[2]["content"]
        answer = generate(asked[:4], model, 60)
        assert (answer.completion, answer.finish) == ("是", "stop")


def test_the_answers_alone_are_learned_after_what_generation_reads(base) -> None:
    tokenizer = answering_tokenizer(load_checkpoint(base), "base")
    for asked in documents():
        ids, answers = tokenizer.encode_answers(asked)
        first = tokenizer.encode_chat(asked[:2])
        assert (ids[: len(first)], any(answers[: len(first)])) == (first, False)
        second = tokenizer.encode_chat(asked[:4])
        assert ids[: len(second)] == second
        written = [token for token, answer in zip(ids, answers, strict=True) if answer]
        assert tokenizer.decode(written) == asked[2]["content"] + asked[4]["content"]
        assert written.count(tokenizer.end) == 2
        assert ids[-1] == tokenizer.end


@pytest.mark.parametrize(
    ("template", "says"),
    [
        (TEMPLATE.replace("<|im_end|>", ""), "followed by <|im_end|>"),
        (TEMPLATE.replace("m['content']", "m['content'] | upper"), "not write the answer 'Hello' as it is"),
        ("{{ messages | length }}" + TEMPLATE, "rewrites a conversation as it goes on"),
        ("{{ raise_exception('no') }}", "does not take these messages: no"),
    ],
)
def test_a_template_that_hides_its_answers_is_refused(base, template: str, says: str) -> None:
    tokenizer = answering_tokenizer(load_checkpoint(base), "base").reading({"chat_template": template})
    asked = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]
    with pytest.raises(UserError, match=re.escape(says)):
        tokenizer.encode_answers(asked)


def test_the_loss_is_that_of_the_answers_tokens(base) -> None:
    checkpoint = load_checkpoint(base)
    tokenizer = answering_tokenizer(checkpoint, "base")
    asked = (documents()[0], documents()[1][:3])
    rows = [EncodedConversation(*tokenizer.encode_answers(one), ()) for one in asked]
    given = ConversationInput(tokenizer)
    step = checkpoint.system(given.batch(rows))
    nlls = []
    for row in rows:
        ids = torch.tensor([row.ids])
        alone = Batch(texts=TextBatch(ids, torch.ones_like(ids, dtype=torch.bool)))
        logits = checkpoint.system.next_token_logits(checkpoint.system.encode_texts(alone).tokens)[0]
        found = logits.log_softmax(-1)
        nlls += [-found[at - 1, token] for at, token in enumerate(row.ids) if row.answers[at]]
    assert step.counts["lm"] == len(nlls) == sum(map(sum, (row.answers for row in rows)))
    mean = torch.stack(nlls).mean().detach()
    torch.testing.assert_close(step.losses["lm"], mean)
    assert measure(checkpoint.system, rows, given, "cpu")["loss"] == pytest.approx(float(mean))


def test_what_was_saved_is_loaded_to_the_same_bits(memorised, base) -> None:
    trained = load_checkpoint(base)
    load_adapter(memorised, trained)
    state = load_tensors(memorised / "state" / "state.safetensors")
    weights = {n.removeprefix("weights."): t for n, t in state.items() if n.startswith("weights.")}
    own = dict(trained.system.named_parameters())
    assert weights.keys() == {name for name in own if ".parametrizations.weight.0." in name}
    assert all(torch.equal(own[name], tensor) for name, tensor in weights.items())
    opened = open_checkpoint(memorised)
    ids = torch.arange(20)[None]
    batch = Batch(texts=TextBatch(ids, ids >= 0))
    assert torch.equal(opened.system.encode_texts(batch).tokens, trained.system.encode_texts(batch).tokens)
    assert (memorised / "model" / "adapter.safetensors").stat().st_size < 200_000


def test_a_resumed_run_equals_an_uninterrupted_one(base, data, tmp_path, monkeypatch) -> None:
    tune(data, tmp_path / "whole", base)
    made = ConversationInput.batch

    def stops(self, rows):
        stops.count += 1
        if stops.count == 4:
            raise KeyboardInterrupt
        return made(self, rows)

    stops.count = 0
    with monkeypatch.context() as patch:
        patch.setattr(ConversationInput, "batch", stops)
        with pytest.raises(KeyboardInterrupt):
            tune(data, tmp_path / "cut", base, "train.prefetch=1")
    progress = json.loads((tmp_path / "cut" / "state" / "progress.json").read_text())
    assert progress["progress"]["step"] == 2
    tune(data, tmp_path / "cut", base, resume=True)
    whole, cut = (load_tensors(tmp_path / name / "model/adapter.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(whole[name], cut[name]) for name in whole)


def test_it_is_resumed_on_its_own_base_alone(base, data, tmp_path) -> None:
    tune(data, tmp_path / "run", base)
    folder = llama_folder(tmp_path / "theirs", "chatml", TEMPLATE, max_length=300)
    other = import_model(str(folder), tmp_path / "other")
    with pytest.raises(UsageError, match=r"holds another run: settings\.model was .* and is now"):
        tune(data, tmp_path / "run", other["model"], resume=True)


def test_an_adapter_of_another_base_is_refused(memorised, tmp_path, capsys) -> None:
    folder = llama_folder(tmp_path / "theirs", "chatml", TEMPLATE)
    other = import_model(str(folder), tmp_path / "other")["model"]
    with pytest.raises(MissingError, match="load it with its own base"):
        load_model(other, "cpu", adapter=memorised)
    assert run(["generate", "Hi", "--chat", "-m", other, "--adapter", str(memorised)]) == 4
    assert "adapts" in capsys.readouterr().err
    with pytest.raises(UserError, match="there is no adapter in"):
        load_model(other, "cpu", adapter=other)


def test_it_answers_with_its_base_alone_and_merged(memorised, base, tmp_path, capsys) -> None:
    asked = ["generate", "提取信息 3", "--chat", "--max-tokens", "60"]
    assert run([*asked, "-m", str(base), "--adapter", str(memorised)]) == 0
    assert run([*asked, "-m", str(memorised)]) == 0
    assert run(["merge", str(memorised), "-o", str(tmp_path / "merged")]) == 0
    assert run([*asked, "-m", str(tmp_path / "merged")]) == 0
    first, alone, _, merged = capsys.readouterr().out.splitlines()
    assert first == alone == merged
    merge_adapter(memorised / "model", tmp_path / "again", model=base)
    assert load_model(tmp_path / "again").hash == load_model(tmp_path / "merged").hash
    assert load_model(memorised).hash not in (load_model(base).hash, load_model(tmp_path / "merged").hash)
    with pytest.raises(UserError, match="there is no adapter in"):
        merge_adapter(base, tmp_path / "none")


def test_a_run_folder_that_moved_with_its_base_finds_it(memorised, base, tmp_path) -> None:
    shutil.copytree(base, tmp_path / "models" / "moved")
    shutil.copytree(memorised, tmp_path / "tuned")
    file = tmp_path / "tuned" / "model" / "adapter.json"
    said = json.loads(file.read_text())
    file.write_text(json.dumps(said | {"base": "/gone/models/moved"}))
    assert load_model(tmp_path / "tuned").hash == load_model(memorised).hash
    shutil.rmtree(tmp_path / "models")
    with pytest.raises(UserError, match="/gone/"):
        load_model(tmp_path / "tuned")


def test_conversations_that_are_too_long_are_left_out_whole(base, data, tmp_path, caplog) -> None:
    lengths = {
        len(answering_tokenizer(load_checkpoint(base), "base").encode_answers(one)[0]) for one in documents()
    }
    limit = sorted(lengths)[0]
    with caplog.at_level("WARNING"):
        reached = tune(data, tmp_path / "run", base, f"max_length={limit}", "train.steps=1")
    assert 0 < reached["left_out"] < 6
    assert f"left out, longer than the {limit} tokens that" in caplog.text
    assert "of 资质.json (line 1)" in caplog.text
    with pytest.raises(UserError, match=r"record \d of 资质.json \(line 1\) is \d+ tokens? longer than the"):
        tune(data, tmp_path / "strict", base, f"max_length={limit}", strict=True)
    with pytest.raises(UserError, match="no conversation fits into 10 tokens; raise max_length"):
        tune(data, tmp_path / "none", base, "max_length=10")


def test_a_run_that_validates_nothing_is_not_said_to_have_been_stopped(base, data, tmp_path) -> None:
    tune(data, tmp_path / "run", base)
    assert "stopped" not in (tmp_path / "run" / "model" / "README.md").read_text()


def test_some_are_held_out_or_a_file_called_val(base, data, tmp_path) -> None:
    reached = tune(data, tmp_path / "share", base, "held_out=0.4")
    said = recorded(tmp_path / "share")
    assert said["data"]["val"] > 0
    assert said["data"]["train"] + said["data"]["val"] == 6
    assert math.exp(reached["loss"]) == pytest.approx(said["validation"]["perplexity"])
    folder = tmp_path / "files"
    folder.mkdir()
    for name in ("train", "val"):
        shutil.copy(data, folder / f"{name}.json")
    tune(folder, tmp_path / "split", base)
    said = recorded(tmp_path / "split")
    assert (said["data"]["train"], said["data"]["val"]) == (6, 6)


def recorded(output: Path) -> dict:
    return json.loads((output / "model" / "adapter.json").read_text())["record"]


def test_what_cannot_be_tuned_is_refused(base, data, tmp_path, checkpoint) -> None:
    with pytest.raises(UsageError, match="name the model to adapt with --model"):
        train_model("tune", data, tmp_path / "a", [], device="cpu")
    with pytest.raises(UsageError, match="has no chat template"):
        tune(data, tmp_path / "b", checkpoint)
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter.json").write_text("{}")
    with pytest.raises(UsageError, match=r"adapter is an adapter itself; `showtell merge`"):
        tune(data, tmp_path / "c", tmp_path / "adapter")
    for wrong in ("rank=0", "alpha=0", "held_out=1", "max_length=-1"):
        with pytest.raises(UsageError, match=wrong.partition("=")[0]):
            tune(data, tmp_path / "c", base, wrong)
    seen = tmp_path / "seen.json"
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    asked = [{"role": "user", "content": "<image>?"}, {"role": "assistant", "content": "a"}]
    seen.write_text(json.dumps([{"messages": asked, "images": ["a.png"]}]))
    with pytest.raises(UserError, match=r"record 1 of seen.json \(line 1\) shows images"):
        tune(seen, tmp_path / "d", base)
    spelled = [{"role": "user", "content": "<|im_end|>"}, {"role": "assistant", "content": "a"}]
    seen.write_text(json.dumps([{"messages": spelled}]))
    with pytest.raises(UserError, match=r"record 1 of seen.json .*: a message spells the special"):
        tune(seen, tmp_path / "e", base)
