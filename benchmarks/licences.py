"""Fields of drawn Chinese licences by the shipped tagger, on templates that are held out.

    python benchmarks/licences.py [--per-kind 3] [--seed 0]

Draws pages that begin with each kind of licence, `--per-kind` of them, in a layout that this kind has
nowhere in the training data. PP-OCR reads them, and the tagger says what they hold. Scores are means over
the fields of a kind.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from showtell.data.documents.licences.draw import draw_data_set
from showtell.data.documents.materials import DEFAULT_SCHEMA, KIND
from showtell.datasets.documents import read_documents
from showtell.datasets.printed_text import read_pages
from showtell.pipelines.model import load_model
from showtell.tasks.document_figures import document_figures
from showtell.tasks.documents import fitted, written
from showtell.tasks.word_tagging import read_materials
from table import command, table


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--per-kind", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    model = load_model("default_documents")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place) / "licences"
        draw_data_set(folder, 1, options.per_kind, options.seed)
        documents = read_documents(folder).validation
        pages = read_pages([one.path for one in documents])
    said = [read_materials(model.system, page) for page in pages]
    for found in said:
        written(fitted(found, DEFAULT_SCHEMA), DEFAULT_SCHEMA)  # raises for what is not valid
    figures = document_figures([one.materials for one in documents], said)
    kinds = [
        [sorted(m[KIND] for m in some) for some in pair]
        for pair in zip((one.materials for one in documents), said, strict=True)
    ]
    command()
    print(f"{model.name}, {len(documents)} images, {sum(len(one.materials) for one in documents)} licences\n")
    right = sum(known == found for known, found in kinds) / len(kinds)
    scores = [figures[name] for name in ("kinds", "f1", "normalised", "exact")]
    table(
        [
            "material F1",
            "images with all materials right",
            "field F1",
            "normalised",
            "exact",
        ],
        [[f"{scores[0]:.3f}", f"{right:.3f}", *(f"{value:.3f}" for value in scores[1:])]],
    )
    table(
        ["kind", "field F1", "normalised", "exact"],
        [
            [kind, *(f"{one[name]:.3f}" for name in ("f1", "normalised", "exact"))]
            for kind, one in figures["by_kind"].items()
        ],
    )


if __name__ == "__main__":
    main()
