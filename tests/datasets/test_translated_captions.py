from pathlib import Path
from types import SimpleNamespace

import torch

from showtell.data.batch import ImageBatch
from showtell.datasets.encoded_captions import Split
from showtell.datasets.translated_captions import TranslatedPairs, in_languages

CACHE = SimpleNamespace(images=lambda rows: ImageBatch(features=torch.tensor(rows)))
OWN = Split(CACHE, [0, 1, 2], [[[1, 1, 1], [2]], [[3], [4]], [[5], [6]]], [Path("a"), Path("b"), Path("c")])
OTHERS = Split(CACHE, [0, 1, 2], [[[11], [12]], [[13], [14]], [[15], [16]]], OWN.paths)


def test_each_caption_is_in_one_language_and_they_take_turns():
    captions = dict.fromkeys(OWN.paths, ("a dog", "a cat"))
    said: list[str] = []
    found = in_languages(OWN, captions, ["de", "fr"], lambda text: [said.append(text) or len(said)])
    assert said == ["ein Hund", "un chat", "un chien", "ein Katze", "ein Hund", "un chat"]
    assert found.captions == [[[1], [2]], [[3], [4]], [[5], [6]]]
    assert found.rows == OWN.rows


def test_a_share_of_the_images_has_a_caption_of_another_sentence():
    batch = TranslatedPairs(OWN, OTHERS, 1.0, 0).pairs([2, 0], 0)
    assert batch.texts.owner.tolist() == [0, 1, 0, 1]
    # Image 0 gives its first caption in turn 0, and the second in another language.
    assert batch.texts.ids.tolist() == [[5, 0, 0], [1, 1, 1], [16, 0, 0], [12, 0, 0]]
    assert batch.texts.keep.sum(1).tolist() == [1, 3, 1, 1]
    alone = TranslatedPairs(OWN, OTHERS, 0.0, 0).pairs([2, 0], 0)
    assert alone.texts.owner.tolist() == [0, 1]
    half = [len(TranslatedPairs(OWN, OTHERS, 0.5, 0).pairs([0, 1, 2], turn).texts) - 3 for turn in range(200)]
    assert 240 < sum(half) < 360


def test_the_vectors_are_those_of_the_captions():
    vectors = [torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [4.0]]), torch.tensor([[5.0], [6.0]])]
    own = Split(CACHE, OWN.rows, OWN.captions, OWN.paths, text_features=vectors)
    others = Split(CACHE, OWN.rows, OTHERS.captions, OWN.paths, text_features=[10 + each for each in vectors])
    batch = TranslatedPairs(own, others, 1.0, 0).pairs([1, 2], 1)
    assert batch.texts.features.tolist() == [[3.0], [6.0], [14.0], [15.0]]
