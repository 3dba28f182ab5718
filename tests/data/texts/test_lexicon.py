from showtell.data.texts.lexicon import in_language, languages, lexicon


def test_every_word_has_an_entry_in_every_language():
    assert languages() == ("zh", "de", "fr")
    assert len(lexicon()) > 500
    for word, others in lexicon().items():
        assert word == word.strip().lower()
        assert word.isalpha()
        assert set(others) == set(languages())
        assert others["de"]  # Chinese has no articles
        assert others["fr"]


def test_inflected_words_are_found_by_their_base():
    assert in_language("puppies jumped", "de") == "Welpe springt"
    assert in_language("running", "zh") == "跑"
    assert in_language("he is riding bikes", "fr") == "il est monte vélo"


def test_a_form_of_its_own_comes_before_its_base():
    assert in_language("glasses", "de") == "Brille"
    assert in_language("glass", "de") == "Glas"


def test_chinese_words_stand_side_by_side_and_unknown_ones_apart():
    assert in_language("A dog on a unicycle in water", "zh") == "狗在 unicycle 在水"
    assert in_language("1 + 2 .", "zh") == ""
