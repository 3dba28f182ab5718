import os

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from showtell.errors import UserError
from showtell.library import rows
from showtell.library.search import Library
from showtell.library.text import CaptionIndex
from showtell.library.vectors import largest
from showtell.library.verify import verify
from support.library import SIZE, FakeEncoder, check, draw, index


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("search")
    rng = np.random.default_rng(0)
    for i in range(60):
        draw(folder / "photos" / f"{i:02}.png", tuple(rng.integers(0, 256, 3).tolist()))
    own = {folder / "photos" / "07.png": ["Two dogs are playing in the snow"]}
    index(folder / "photos", folder / "library", FakeEncoder(), own_captions=own)
    return folder


@pytest.fixture
def library(folder) -> Library:
    return Library.open(folder / "library")


def test_some_rows_and_the_row_of_a_file(library) -> None:
    everything = library.rows()
    assert library.rows([3, 0, 3]) == [everything[3], everything[0], everything[3]]
    assert library.rows([]) == []
    assert [library.row_of(one.hash) for one in everything] == [*range(60)]
    assert [library.row_of(other) for other in ("", "none", "ab", "0" * 64)] == [None] * 4


def test_similar_equals_a_full_sort(library) -> None:
    pooled = library.encoded(range(len(library))).pooled.numpy().astype(np.float64)
    query = np.array([0.9, 0.1, 0.4])
    cosine = pooled @ query / np.linalg.norm(pooled, axis=1) / np.linalg.norm(query)
    expected = np.argsort(-cosine)[:10]
    matches = library.similar(query, 10)
    assert [match.row for match in matches] == expected.tolist()
    np.testing.assert_allclose([match.score for match in matches], cosine[expected], atol=1e-6)
    assert [match.path for match in matches] == [library.rows()[row].path for row in expected]
    assert library.similar(torch.tensor(query), 1)[0].row == expected[0]
    assert len(library.similar(query, 1000)) == 60
    assert library.similar(query, 0) == []


def test_an_image_is_most_similar_to_itself(library) -> None:
    for row in (0, 31, 59):
        vector = library.encoded([row]).pooled[0]
        assert library.similar(vector, 1)[0].score == pytest.approx(1, abs=1e-6)
        assert row in [match.row for match in library.similar(vector, 3)]


def test_a_query_of_another_width_is_refused(library) -> None:
    with pytest.raises(ValueError, match="not"):
        library.similar(np.ones(4, np.float32))


def test_vectors_are_mapped_not_read(library) -> None:
    assert isinstance(library.vectors(), np.memmap)
    np.testing.assert_allclose(np.linalg.norm(library.vectors(), axis=1), 1, atol=1e-6)


def test_encoded_returns_what_the_model_returned(library) -> None:
    from PIL import Image

    rows = [5, 0, 5, 42]
    encoder = FakeEncoder()
    images = [encoder.prepare(np.asarray(Image.open(library.rows()[row].path))) for row in rows]
    said = encoder.encode(images)
    stored = library.encoded(rows)
    torch.testing.assert_close(stored.pooled, said.pooled)
    torch.testing.assert_close(stored.tokens, said.tokens.half().float())
    assert library.tokens(rows).shape == (4, SIZE, 3)
    assert library.encoded([]).pooled.shape == (0, 3)


def test_pooled_is_read_without_the_tokens(library, monkeypatch) -> None:
    said = library.encoded(range(len(library))).pooled
    monkeypatch.setattr("showtell.library.search.encoded_of", None)
    monkeypatch.setattr(Library, "_fetch", None)
    torch.testing.assert_close(library.pooled(), said, rtol=0, atol=0)


def test_a_model_with_pooled_vectors_alone_has_one_token(folder, tmp_path) -> None:
    index(folder / "photos", tmp_path / "library", FakeEncoder(grid=False))
    stored = Library.open(tmp_path / "library").encoded([3, 1])
    torch.testing.assert_close(stored.tokens[:, 0], stored.pooled)


def test_thumbnails_are_small_images(library) -> None:
    import io

    from PIL import Image

    (jpeg,) = library.thumbnails([0])
    assert Image.open(io.BytesIO(jpeg)).format == "JPEG"


def test_images_that_came_after_opening_hide_none_of_those_before(tmp_path) -> None:
    photos, folder = tmp_path / "photos", tmp_path / "library"
    own = {draw(photos / "first.png", (0, 0, 99)): ["a long text of a blue boat that scores less"]}
    index(photos, folder, FakeEncoder(), own_captions=own)
    opened = Library.open(folder)
    for i in range(30):
        draw(photos / f"{i:02}.png", (i, 0, 99))
    index(photos, folder, FakeEncoder(), own_captions=own)
    assert [hit.path.name for hit in opened.full_text("blue", 2)] == ["first.png"]
    found = Library.open(folder).full_text("blue", 100)
    assert [hit.path.name for hit in found].index("first.png") == 30, "words count alike, whenever they came"


def test_full_text_finds_words_and_accepts_any_query(library) -> None:
    assert [match.path.name for match in library.full_text("dog")] == ["07.png"]
    blue = library.full_text("blue", 100)
    assert {m.row for m in blue} == {r for r, p in enumerate(library.rows()) if "blue" in (p.caption or "")}
    assert len(library.full_text("something", 5)) == 5
    assert library.full_text('"the dog"') == library.full_text("the dog") != []
    assert len(library.full_text("blue", 10**12)) == len(blue)
    for query in ("", "  ", '"', '"a b"', "a:b AND (", "狗", "caf\udce9", "*", "'; DROP TABLE"):
        library.full_text(query)


def test_caption_scores_read_a_quoted_query_as_words() -> None:
    captions = ["a small boy runs", "a red boat"]
    index = CaptionIndex(captions)
    plain, quoted = index.scores("a boy"), index.scores('"a boy"')
    assert quoted.tolist() == plain.tolist()
    assert plain[0] > plain[1]


def test_additions_are_found_at_once(folder, tmp_path) -> None:
    photos = tmp_path / "photos"
    draw(photos / "a.png", (255, 0, 0))
    index(photos, tmp_path / "library", FakeEncoder())
    Library.open(tmp_path / "library")
    draw(photos / "b.png", (0, 255, 0))
    index(photos, tmp_path / "library", FakeEncoder())
    opened = Library.open(tmp_path / "library")
    assert opened.similar(np.array([0, 1, 0]), 1)[0].path.name == "b.png"
    assert [m.path.name for m in opened.full_text("green")] == ["b.png"]
    assert len(list((tmp_path / "library").glob("*.npy"))) == 1, "stale vectors stay on disk"


def test_rows_that_are_gone_are_an_error(tmp_path) -> None:
    photos = tmp_path / "photos"
    for i in range(3):
        draw(photos / f"{i}.png", (i, 0, 0))
    index(photos, tmp_path / "library", FakeEncoder())
    opened = Library.open(tmp_path / "library")
    (photos / "1.png").unlink()
    index(photos, tmp_path / "library", FakeEncoder())
    assert opened.tokens([0, 2]).shape == (2, SIZE, 3)
    with pytest.raises(UserError, match="in the meantime"):
        opened.tokens([0, 1])
    with pytest.raises(UserError, match="in the meantime"):
        opened.pooled()
    assert len(opened.similar(np.ones(3))) == 3


def test_a_read_only_library_can_be_searched(folder, tmp_path, monkeypatch) -> None:
    index(folder / "photos", tmp_path / "library", FakeEncoder())
    (sidecar,) = (tmp_path / "library").glob("*.npy")
    sidecar.unlink()

    def refuse(path: object) -> None:
        raise PermissionError(path)

    monkeypatch.setattr("showtell.library.vectors.replacing", refuse)
    assert len(Library.open(tmp_path / "library").similar(np.ones(3))) == 10


def test_a_large_library_is_searched_by_its_index(folder, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("showtell.library.store.APPROXIMATE_FROM", 50)
    index(folder / "photos", tmp_path / "library", FakeEncoder())
    opened = Library.open(tmp_path / "library")
    query = np.array([0.9, 0.1, 0.4])
    found = opened.similar(query, 10)
    monkeypatch.setattr("showtell.library.store.APPROXIMATE_FROM", 1000)
    exact = opened.similar(query, 10)
    assert len(found) == 10
    with monkeypatch.context() as patched:
        patched.setattr("showtell.library.store.APPROXIMATE_FROM", 50)
        patched.setattr("showtell.library.search.largest", None)
        assert len(opened.similar(query, 10**12)) == 60
    assert len({m.row for m in found} & {m.row for m in exact}) >= 9
    both = {m.row: m.score for m in exact}
    assert all(m.score == pytest.approx(both[m.row], abs=1e-5) for m in found if m.row in both)

    with monkeypatch.context() as patched:
        patched.setattr("showtell.library.search.largest", None)
        patched.setattr("showtell.library.store.APPROXIMATE_FROM", 50)
        assert opened.similar(query, 10) == found, "the exact product was used"


@pytest.mark.slow
def test_many_small_additions_leave_few_files(tmp_path) -> None:
    """Eighty runs, each of which adds an image and some of which remove one."""
    photos, library = tmp_path / "photos", tmp_path / "library"
    most = 0
    for i in range(80):
        draw(photos / f"{i}.png", (i, 0, 200), size=(4, 4))
        if i % 10 == 9:
            (photos / f"{i - 5}.png").unlink()
        index(photos, library, FakeEncoder())
        most = max(most, sum(len(files) for _, _, files in os.walk(library)))
    assert len(Library.open(library)) == 72
    assert most < 250, most


@given(
    arrays(np.float32, st.integers(0, 30), elements=st.floats(-1, 1, width=16, allow_subnormal=False)),
    st.integers(0, 40),
)
@settings(deadline=None, max_examples=50)
def test_largest_equals_a_stable_sort_of_scores(scores, top) -> None:
    rows = largest(scores, top)
    assert len(set(rows)) == len(rows) == min(top, len(scores))
    np.testing.assert_array_equal(scores[rows], np.sort(scores)[::-1][:top])


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("黑猫", 0),
        ("草地", 0),
        ("白狗", 1),
        ("ベッド", 2),
        ("ﾍﾞｯﾄﾞ", 2),
        ("แมวดำ", 3),
        ("iPhone手机", 4),
        ("running", 5),
        ("T恤", 4),
    ],
)
def test_a_script_without_spaces_is_found_by_its_words(tmp_path, query, first) -> None:
    captions = [
        "一只黑猫在草地上玩耍",
        "一只白狗在黑沙发上, 猫不在",
        "猫がベッドで寝ている",
        "แมวดำอยู่บนหญ้า",
        "穿T恤的人拿着iPhone手机",
        "a dog runs",
    ]
    assert CaptionIndex(captions).scores(query).argmax() == first
    own = {}
    for number, caption in enumerate(captions):
        own[tmp_path / "images" / f"{number}.png"] = (caption,)
        draw(tmp_path / "images" / f"{number}.png", (number, 0, 0))
    index(tmp_path / "images", tmp_path / "library", FakeEncoder(), captions=False, own_captions=own)
    found = Library.open(tmp_path / "library")
    assert found.full_text(query)[0].path.name == f"{first}.png"
    assert found.rows()[first].captions == (captions[first],)


def test_captions_stored_before_words_were_set_apart_are_found_after_the_next_index(
    tmp_path, monkeypatch, caplog
) -> None:
    caplog.set_level("INFO")
    photos, library = tmp_path / "photos", tmp_path / "library"
    own = {draw(photos / f"{n}.png", (n, 0, 0)): [text] for n, text in enumerate(("一只黑猫", "ein Hüne"))}
    with monkeypatch.context() as older:
        older.setattr(rows, "spaced", lambda text: text)
        index(photos, library, FakeEncoder(), own_captions=own)
    assert Library.open(library).full_text("黑猫") == []
    check(index(photos, library, FakeEncoder(), own_captions=own), unchanged=2)
    assert [hit.path.name for hit in Library.open(library).full_text("黑猫")] == ["0.png"]
    assert [hit.path.name for hit in Library.open(library).full_text("hüne")] == ["1.png"]
    assert verify(library) == []
    said = [message for message in caplog.messages if "can now be searched" in message]
    check(index(photos, library, FakeEncoder(), own_captions=own), unchanged=2)
    assert len(said) == sum("can now be searched" in message for message in caplog.messages) == 1
    assert ": captions of 1 image in scripts" in said[0]
