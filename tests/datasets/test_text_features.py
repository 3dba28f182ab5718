"""The vectors of captions from a frozen encoder: each caption once, and nothing twice between runs."""

import torch

from showtell.datasets.text_features import text_features

CAPTIONS = [[[2, 7, 3], [2, 8, 9, 3]], [[2, 7, 3]], [[2, 5, 6, 7, 8, 3]]]


class Encoder:
    """A vector that says which ids and how many real tokens were seen."""

    def __init__(self) -> None:
        self.rows = 0

    def __call__(self, batch):
        self.rows += len(batch.texts.ids)
        ids, keep = batch.texts.ids, batch.texts.keep
        return torch.stack([(ids * keep).sum(1), keep.sum(1)], 1).float()


def test_each_image_has_the_vectors_of_its_captions_in_their_order(tmp_path) -> None:
    encode = Encoder()
    found = text_features(CAPTIONS, encode, "hash", tmp_path)
    assert [one.tolist() for one in found] == [[[12, 3], [22, 4]], [[12, 3]], [[31, 6]]]
    assert encode.rows == 3  # an equal caption is not encoded twice


def test_a_second_run_encodes_nothing_and_another_encoder_everything(tmp_path) -> None:
    encode = Encoder()
    first = text_features(CAPTIONS, encode, "hash", tmp_path)
    again = text_features(CAPTIONS, encode, "hash", tmp_path)
    assert encode.rows == 3
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    text_features(CAPTIONS, encode, "other", tmp_path)
    assert encode.rows == 6
    text_features(CAPTIONS[:2], encode, "hash", tmp_path)
    assert encode.rows == 8
