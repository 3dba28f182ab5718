"""Recipes: found by name, listed with what they say of themselves, explained setting by setting."""

import importlib
import inspect
import pkgutil

import pytest

from showtell import recipes
from showtell.errors import UsageError
from showtell.recipes.launch import explain_recipe, find_recipe, list_recipes
from showtell.runs.settings import apply

NAMES = {
    *("show_and_tell", "show_attend_and_tell", "clip_b32", "clip_mini", "siglip_b16", "siglip_mini", "vse"),
    *("simclr", "byol", "simsiam", "simmim", "vit_base", "vit_mini", "bert_base", "bert_mini"),
    *("roberta_base", "roberta_mini", "gpt", "gpt_mini", "llama_mini"),
    "default_search",
    *("vilt_base", "vilt_mini", "uniter_base", "uniter_mini", "pixel_bert_base", "pixel_bert_mini"),
    *("vilbert_base", "vilbert_mini", "blip_base", "blip_mini", "llava_base", "llava_mini"),
    *("blip2_base", "blip2_caption_base", "blip2_mini", "blip2_caption_mini"),
    *("albef_base", "albef_mini"),
    *("classify_bert", "classify_vlp", "entail_bert", "entail_vlp", "tag_bert", "tag_vlp"),
    *("answer_bert", "answer_vlp"),
    "extract_fields",
}

KINDS_OF_DATA = {
    *("images with captions", "labelled images", "images", "texts"),
    *("labelled texts", "premises and hypotheses", "tagged words", "questions on passages"),
    *("questions about images", "conversations"),
    "labelled documents",
}


def test_every_recipe_is_found_and_says_what_it_is() -> None:
    found = list_recipes()
    assert {recipe.name for recipe in found} >= NAMES
    for recipe in found:
        assert find_recipe(recipe.name).__name__ == recipe.name
        assert recipe.what
        assert recipe.trains_on in KINDS_OF_DATA
        assert any(character.isdigit() for character in recipe.paper), recipe
        doc = inspect.getdoc(find_recipe(recipe.name)) or ""
        assert sum(line.startswith("Paper: ") for line in doc.splitlines()) == 1, recipe
        assert sum(line.startswith("Time: ") for line in doc.splitlines()) == 1, recipe


def test_the_folder_holds_recipes_and_the_launcher_alone() -> None:
    for module in pkgutil.iter_modules(recipes.__path__):
        if module.name != "launch":
            found = importlib.import_module(f"{recipes.__name__}.{module.name}")
            own = [f for f in vars(found).values() if getattr(f, "__module__", "") == found.__name__]
            assert all(f.__name__.startswith((module.name, "_")) for f in own)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        *(("clip_mni", "clip_mini"), ("gpt_mini_", "gpt_mini"), ("clip_mini ", "clip_mini")),
        *(("launch", None), ("nosuch", None), ("", None)),
    ],
)
def test_an_unknown_name_is_answered_with_near_ones_and_what_lists_all(name, meant) -> None:
    with pytest.raises(UsageError, match="`showtell train --list` lists all") as error:
        find_recipe(name)
    assert (f"did you mean {meant}" if meant else f"is called {name!r}; `showtell") in str(error.value)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_every_setting_is_explained_and_can_be_set(name) -> None:
    settings = explain_recipe(name)
    assert {"train.steps", "train.seed"} <= {setting.name for setting in settings}
    bare = [setting.name for setting in settings if not setting.meaning]
    assert not bare, f"fields without a docstring: {bare}"
    for setting in settings:
        if isinstance(setting.default, int | float | str | bool | None):
            text = "none" if setting.default is None else str(setting.default)
            text = text.lower() if isinstance(setting.default, bool) else text
            assert apply(find_recipe(name)(1), [f"{setting.name}={text}"]) == find_recipe(name)(1)


def test_a_default_that_follows_from_the_data_is_marked() -> None:
    varies = {setting.name for setting in explain_recipe("clip_mini") if setting.varies}
    assert varies == {"train.steps", "train.validate_every", "train.checkpoint_every"}
