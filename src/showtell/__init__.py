"""showtell: representations that images and text share.

The verbs of the command line are functions here, loaded when they are first used; `__init__.pyi` lists them::

    import showtell

    model = showtell.load_model()
    showtell.index("holiday", "library", model)
    for hit in showtell.search("a boy smiling", "library", model).hits:
        print(hit.score, hit.path)
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
