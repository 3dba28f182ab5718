"""showtell: representations that pictures and words share.

The verbs of the command line are functions here; each loads what it needs when it is first used::

    import showtell

    model = showtell.load_model()
    showtell.index("holiday", "library", model)
    for hit in showtell.search("a boy smiling", "library", model).hits:
        print(hit.score, hit.path)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from showtell.data.check import check as check_data
    from showtell.recipes import map, words
    from showtell.recipes.caption import caption
    from showtell.recipes.classify import classify
    from showtell.recipes.complete import complete
    from showtell.recipes.demo import demo
    from showtell.recipes.environment import environment as env
    from showtell.recipes.evaluate import evaluate
    from showtell.recipes.export_model import export_model
    from showtell.recipes.fill import fill
    from showtell.recipes.import_model import import_model
    from showtell.recipes.library import index
    from showtell.recipes.model import Model, load_model
    from showtell.recipes.probe import probe
    from showtell.recipes.search import Searcher, search, similar
    from showtell.recipes.training import run as train_model

__version__ = "0.1.0"
__all__ = [
    "Model",
    "Searcher",
    "caption",
    "check_data",
    "classify",
    "complete",
    "demo",
    "env",
    "evaluate",
    "export_model",
    "fill",
    "import_model",
    "index",
    "load_model",
    "map",
    "probe",
    "search",
    "similar",
    "train_model",
    "words",
]

# `train` and `data` are rooms of the package, so those two verbs carry an object.
_HOMES = {
    "Model": "recipes.model.Model",
    "Searcher": "recipes.search.Searcher",
    "caption": "recipes.caption.caption",
    "check_data": "data.check.check",
    "classify": "recipes.classify.classify",
    "complete": "recipes.complete.complete",
    "demo": "recipes.demo.demo",
    "env": "recipes.environment.environment",
    "evaluate": "recipes.evaluate.evaluate",
    "export_model": "recipes.export_model.export_model",
    "fill": "recipes.fill.fill",
    "import_model": "recipes.import_model.import_model",
    "index": "recipes.library.index",
    "load_model": "recipes.model.load_model",
    "map": "recipes.map",
    "probe": "recipes.probe.probe",
    "search": "recipes.search.search",
    "similar": "recipes.search.similar",
    "train_model": "recipes.training.run",
    "words": "recipes.words",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _HOMES[name].rpartition(".")
    if module == "recipes":
        return import_module(f"{__name__}.{_HOMES[name]}")
    return getattr(import_module(f"{__name__}.{module}"), attribute)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
