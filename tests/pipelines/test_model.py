"""A loaded model is its checkpoint, tokenizer and backbone together, or a clear error."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import showtell
from showtell.data.images.decode import load_image
from showtell.data.images.samples import sample_photographs
from showtell.device import has_int8
from showtell.errors import UsageError, UserError
from showtell.pipelines.model import SHIPPED, Model, load_model
from showtell.pipelines.precision import laid_out
from showtell.tasks.caption import BEAM
from support.checkpoints import tiny_checkpoint


@pytest.fixture(scope="module")
def model(checkpoint: Path) -> Model:
    return load_model(checkpoint, "cpu")


def images(model: Model, count: int = 3) -> list[np.ndarray]:
    return [model.prepare(pixels) for pixels in noise(count)]


def noise(count: int) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (40 + 7 * i, 60, 3), np.uint8) for i in range(count)]


def test_an_image_is_encoded_the_same_alone_and_in_a_batch(model: Model) -> None:
    together = model.encode(images(model))
    alone = [model.encode([image]) for image in images(model)]
    assert together.pooled.dtype == torch.float32
    assert together.pooled.shape == (3, 16)
    torch.testing.assert_close(
        together.pooled, torch.cat([one.pooled for one in alone]), atol=1e-5, rtol=1e-4
    )
    assert (together.pooled[0] - together.pooled[1]).norm() > 1e-3


def test_captions_are_those_of_beam_search(model: Model) -> None:
    encoded = model.encode(images(model))
    found = model.caption_encoded(encoded, num=3)
    assert model.best_captions(encoded) == [row[0].text for row in found]
    for row in found:
        assert len({c.text for c in row}) == 3
        assert set(row[0].text.split()) <= set(model.tokenizer.words)


def test_no_images_are_no_error(model: Model) -> None:
    encoded = model.encode([])
    assert encoded.pooled.shape == (0, 16)
    assert model.best_captions(encoded) == []


def test_another_network_has_another_hash(checkpoint: Path, model: Model, tmp_path: Path) -> None:
    other = load_model(tiny_checkpoint(tmp_path / "other", seed=1), "cpu")
    again = load_model(shutil.copytree(checkpoint, tmp_path / "copy"), "cpu")
    assert other.hash != model.hash
    assert again.hash == model.hash
    assert model.name == f"show_and_tell@{model.hash[:12]}"


def test_a_training_runs_folder_loads(checkpoint: Path, model: Model, tmp_path: Path) -> None:
    shutil.copytree(checkpoint, tmp_path / "run" / "model")
    assert load_model(tmp_path / "run", "cpu").hash == model.hash


def test_a_grid_system_keeps_its_grid(tmp_path: Path) -> None:
    model = load_model(tiny_checkpoint(tmp_path / "grid", "show_attend_and_tell"), "cpu")
    encoded = model.encode(images(model, 2))
    assert encoded.tokens.shape[:2] == (2, 49)
    assert encoded.pooled.shape == (2, encoded.tokens.shape[2])


@pytest.mark.parametrize(
    ("file", "change", "word"),
    [
        ("preprocess.json", {"backbone": "efficientnet_lite0", "version": "squash224-v0"}, "squash224-v0"),
        ("preprocess.json", {"backbone": "resnet9000", "version": "squash224-v1"}, "resnet9000"),
        ("preprocess.json", {}, "says nothing of images"),
        ("preprocess.json", {"size": 224, "version": "crop224-v9"}, "crop224-v9"),
        ("tokenizer.json", {"no": "tokenizer"}, "tokenizer.json"),
    ],
)
def test_files_that_do_not_fit_together_are_refused(
    checkpoint: Path, tmp_path: Path, file: str, change: dict, word: str
) -> None:
    folder = shutil.copytree(checkpoint, tmp_path / "model")
    (folder / file).write_text(json.dumps(change))
    with pytest.raises(UserError, match=word):
        load_model(folder, "cpu")


def test_a_tokenizer_of_another_model_is_refused(checkpoint: Path, tmp_path: Path) -> None:
    from showtell.data.tokenizers.words import WordTokenizer

    folder = shutil.copytree(checkpoint, tmp_path / "model")
    (folder / "tokenizer.json").write_text(WordTokenizer.train(["a dog"]).to_json())
    with pytest.raises(UserError, match=r"tokenizer\.json belongs to another model"):
        load_model(folder, "cpu")


def test_a_device_that_is_not_here_is_a_usage_error(checkpoint: Path) -> None:
    with pytest.raises(UsageError, match="quantum"):
        load_model(checkpoint, "quantum")


def test_nowhere_is_a_user_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nowhere"):
        load_model(tmp_path / "nowhere")


def test_importing_showtell_imports_no_torch() -> None:
    probe = "import showtell, sys; showtell.load_model; print('torch' in sys.modules)"
    imported = "import showtell, sys; dir(showtell); print('torch' in sys.modules)"
    for code, expected in ((imported, "False"), (probe, "True")):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == expected


def test_every_public_name_is_there() -> None:
    verbs = {"caption", "classify", "embed", "index", "search", "similar", "fill_mask", "generate", "models"}
    assert verbs | {"Model", "Searcher", "load_model", "train_model", "check_data"} <= set(showtell.__all__)
    for name in showtell.__all__:
        assert getattr(showtell, name) is not None
    assert set(showtell.__all__) <= set(dir(showtell))
    with pytest.raises(AttributeError, match="serch"):
        showtell.serch  # noqa: B018


def test_python_captions_folders_and_files_in_order(model: Model, tmp_path: Path) -> None:
    photographs = sample_photographs()[:3]
    for place, path in enumerate(photographs):
        shutil.copyfile(path, tmp_path / f"{place}{path.suffix}")
    found = list(showtell.caption([photographs[2], tmp_path], model, num=2))
    assert [Path(one.path).stem for one in found] == [photographs[2].stem, "0", "1", "2"]
    assert found[0].captions == found[-1].captions
    assert all(len(one.captions) == 2 for one in found)


def test_a_folder_without_images_is_an_input_that_failed(model: Model, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no image")
    skipped: list[Exception] = []
    assert list(showtell.caption(tmp_path, model, skip=skipped.append)) == []
    assert f"there are no images in {tmp_path}" in str(skipped[0])
    with pytest.raises(UserError, match="holds texts, no images: name its files"):
        list(showtell.embed(tmp_path, model))


def test_python_raises_for_a_bad_image_unless_there_is_skip(model: Model, tmp_path: Path) -> None:
    (tmp_path / "bad.jpg").write_bytes(b"nothing")
    skipped: list[Exception] = []
    assert list(showtell.caption(tmp_path / "bad.jpg", model, skip=skipped.append)) == []
    assert "bad.jpg" in str(skipped[0])
    with pytest.raises(UserError, match=r"bad\.jpg"):
        list(showtell.caption(str(tmp_path / "bad.jpg"), model))


def test_sampling_follows_its_seed_image_by_image(model: Model) -> None:
    several = sample_photographs()[:2]

    def sampled(seed: int) -> list[str]:
        found = showtell.caption(several, model, sample="nucleus", seed=seed, num=2)
        return [caption.text for one in found for caption in one.captions]

    assert sampled(3) == sampled(3)
    assert sampled(3) != sampled(4)


@pytest.fixture(scope="module")
def shipped() -> Model:
    return load_model(device="cpu")


def test_the_shipped_model_captions_by_beam_search(shipped: Model) -> None:
    photographs = [shipped.prepare(load_image(path)) for path in sample_photographs()]
    encoded = shipped.encode(photographs)
    best, greedy = (
        [row[0].text for row in shipped.caption_encoded(encoded, beam=beam)] for beam in (BEAM, 1)
    )
    assert shipped.best_captions(encoded) == best
    assert best != greedy
    assert len(set(best)) > len(best) / 2  # it looks at the images


def test_the_shipped_model_knows_words_and_is_small(shipped: Model) -> None:
    def near(word: str) -> set[str]:
        return {found.word for found in showtell.similar_words(word, shipped)}

    assert near("boy") & {"kid", "child", "girl"}
    assert "three" in near("two")
    assert near("red") & {"blue", "green", "yellow", "orange", "purple", "pink", "black", "white"}
    assert sum(file.stat().st_size for file in SHIPPED.iterdir()) <= 16e6


def test_no_texts_have_the_width_of_some(clip) -> None:
    model = load_model(clip, "cpu")
    assert model.encode_texts([]).shape == (0, model.encode_texts(["red"]).shape[1])


@pytest.mark.parametrize("wrong", [None, b"cat.jpg", 3, [None]])
def test_what_is_no_image_is_named(clip, wrong) -> None:
    with pytest.raises(TypeError, match="a file, a PIL image or an array"):
        load_model(clip, "cpu").encode_images(wrong)


@pytest.mark.skipif(not has_int8(), reason="this processor has no VNNI")
def test_a_model_in_int8_is_another_that_says_much_the_same() -> None:
    exact, rounded = (load_model(None, "cpu", precision=precision) for precision in ("float32", "int8"))
    assert exact.hash != rounded.hash
    photographs = sample_photographs()[:4]
    encoded = exact.encode([exact.prepare(load_image(path)) for path in photographs])
    scores = [model.caption_encoded(encoded, beam=3, consensus=False) for model in (exact, rounded)]
    for ours, theirs in zip(*scores, strict=True):
        assert ours[0].logprob != theirs[0].logprob
        assert abs(ours[0].logprob_per_token - theirs[0].logprob_per_token) < 0.1


def test_int8_is_for_processors() -> None:
    with pytest.raises(UsageError, match="is for a CPU"):
        laid_out(torch.nn.Linear(80, 80), "cuda", "int8")


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(UsageError, match="float32 or int8"):
        load_model(None, "cpu", precision="int4")  # type: ignore[arg-type]
