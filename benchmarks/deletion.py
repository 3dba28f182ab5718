"""Do heat maps tell the truth? The deletion curves of integrated gradients over many photographs.

    python benchmarks/deletion.py PHOTOS [--model MODEL ...] [--count 20] [--baseline blur]

The area under the deletion curve of each photograph's heat map is compared with that of five random orders
(docs/explain.md). `share` is how many of the maps have the lower area, with its standard error;
`less` is by how many standard deviations of a random order's area it is lower, the mean with its standard
error.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from showtell.pipelines.explanation import BASELINES, explain_image
from showtell.pipelines.image_files import all_files
from showtell.pipelines.model import load_model
from table import command, table


def share_error(found: np.ndarray) -> float:
    """The standard error of a share, not 0 where all or none are found.

    Source: Agresti & Coull 1998, two more of either kind.
    """
    number = len(found) + 4
    share = (found.sum() + 2) / number
    return float((share * (1 - share) / number) ** 0.5)


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photos", type=Path)
    parser.add_argument("--model", action="append", default=[], dest="models")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--baseline", choices=BASELINES, default="blur")
    options = parser.parse_args()
    command()
    files = [path for path in all_files([options.photos]) if isinstance(path, Path)]
    chosen = [files[i] for i in np.linspace(0, len(files) - 1, min(options.count, len(files))).astype(int)]
    rows = []
    for name in options.models or [None]:
        model = load_model(name)
        found = [explain_image(path, None, model, baseline=options.baseline) for path in chosen]
        curves = [one.deletion for one in found]
        better = np.array([curve.area < curve.random_area for curve in curves], float)
        less = np.array([(curve.random_area - curve.area) / curve.random_deviation for curve in curves])
        errors = [one.completeness_error or 0.0 for one in found]
        share, count = better.mean(), len(curves)
        rows.append(
            [
                model.name,
                count,
                f"{share:.3f} ± {share_error(better):.3f}",
                f"{less.mean():.1f} ± {less.std(ddof=1) / count**0.5:.1f}",
                f"{max(errors):.2%}",
            ]
        )
    table(["model", "photographs", "share", "less", "largest completeness error"], rows)


if __name__ == "__main__":
    main()
