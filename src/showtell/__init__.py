"""showtell: representations that images and words share.

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

from showtell.version import __version__

if TYPE_CHECKING:
    from showtell.data.check import check as check_data
    from showtell.evaluation.evaluate import evaluate
    from showtell.evaluation.probe import probe
    from showtell.pipelines import words
    from showtell.pipelines.caption import caption
    from showtell.pipelines.classify import classify
    from showtell.pipelines.environment import environment as env
    from showtell.pipelines.export_model import export_model
    from showtell.pipelines.fill_mask import fill
    from showtell.pipelines.generate import complete
    from showtell.pipelines.import_model import import_model
    from showtell.pipelines.index import index
    from showtell.pipelines.model import Model, load_model
    from showtell.pipelines.search import Searcher, search, similar
    from showtell.recipes.launch import run as train_model
    from showtell.reports import map
    from showtell.reports.demo import demo

__all__ = [
    "Model",
    "Searcher",
    "__version__",
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
    "Model": "pipelines.model.Model",
    "Searcher": "pipelines.search.Searcher",
    "caption": "pipelines.caption.caption",
    "check_data": "data.check.check",
    "classify": "pipelines.classify.classify",
    "complete": "pipelines.generate.complete",
    "demo": "reports.demo.demo",
    "env": "pipelines.environment.environment",
    "evaluate": "evaluation.evaluate.evaluate",
    "export_model": "pipelines.export_model.export_model",
    "fill": "pipelines.fill_mask.fill",
    "import_model": "pipelines.import_model.import_model",
    "index": "pipelines.index.index",
    "load_model": "pipelines.model.load_model",
    "map": "reports.map",
    "probe": "evaluation.probe.probe",
    "search": "pipelines.search.search",
    "similar": "pipelines.search.similar",
    "train_model": "recipes.launch.run",
    "words": "pipelines.words",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name in ("map", "words"):
        return import_module(f"{__name__}.{_HOMES[name]}")
    module, _, attribute = _HOMES[name].rpartition(".")
    return getattr(import_module(f"{__name__}.{module}"), attribute)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
