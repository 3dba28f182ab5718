"""Fields of scanned receipts (SROIE): the shipped tagger beside regular expressions on the same text.

    python benchmarks/receipts.py --data sroie --model run

All read the 40 held-out receipts; `--model` may add a run of `extract_fields` or of `tune`. The expressions:
company is the first line of capitals without digits, address the lines after it up to one with a telephone or
tax number, date the first that looks like one, total the largest amount in a row that says total.
"""

from __future__ import annotations

import argparse
import re
from pathlib import Path

from showtell.data.documents.materials import KIND, MATERIALS, RECEIPT
from showtell.datasets.documents import read_documents
from showtell.datasets.printed_text import read_pages
from showtell.evaluation.documents import document_evaluation
from showtell.pipelines.model import load_model
from showtell.tasks.document_figures import document_figures
from showtell.tasks.page_words import Page
from showtell.tasks.text_boxes import text_rows
from showtell.tasks.word_tagging import read_materials
from table import command, table

DATE = re.compile(
    r"\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}"
    r"|\d{1,2} ?(?:JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)\w* ?\d{2,4}"
)
AMOUNT = re.compile(r"\d+(?:,\d{3})*\.\d{2}")
AFTER_ADDRESS = re.compile(r"TEL|FAX|GST|INVOICE|RECEIPT|EMAIL|\bREG|CASH|DATE")


def by_expressions(page: Page) -> dict[str, str]:
    """The fields that regular expressions find in a page."""
    rows = ["  ".join(page.texts[i] for i in row) for row in text_rows(page.boxes)]
    upper = [row.upper() for row in rows]
    found = {KIND: RECEIPT}
    first = next((i for i, row in enumerate(rows) if len(row) > 5 and not re.search(r"\d{3}", row)), None)
    if first is not None:
        found["company"] = rows[first]
        address = []
        for i in range(first + 1, min(first + 7, len(rows))):
            if AFTER_ADDRESS.search(upper[i]):
                break
            if not re.fullmatch(r"\W*\(?[\dA-Z]+-[A-Z]\)?\W*", upper[i]):
                address.append(rows[i])
        if address:
            found["address"] = " ".join(address)
    dates = [match[0] for row in upper if (match := DATE.search(row))]
    totals = [a for row in upper if "TOTAL" in row and "SUB" not in row for a in AMOUNT.findall(row)]
    if dates:
        found["date"] = dates[0]
    if totals:
        found["total"] = max(totals, key=lambda amount: float(amount.replace(",", "")))
    return found


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", help="a further reader: a run of extract_fields or tune")
    options = parser.parse_args()
    documents = read_documents(options.data).validation
    pages = read_pages([one.path for one in documents])
    model = load_model("default_documents")
    said = {
        "shipped tagger": [read_materials(model.system, page) for page in pages],
        "regular expressions": [[by_expressions(page)] for page in pages],
    }
    truth = [one.materials for one in documents]
    figures_of = {name: document_figures(truth, found) for name, found in said.items()}
    if options.model:
        further = load_model(options.model)
        figures_of[further.name] = document_evaluation(further, options.data, "val")
    rows = []
    for name, figures in figures_of.items():
        fields = [figures["by_field"][f"{RECEIPT}/{field}"]["f1"] for field in MATERIALS[RECEIPT]]
        values = [*fields, figures["f1"], figures["normalised"], figures["exact"]]
        rows.append([name, *(f"{value:.3f}" for value in values)])
    command()
    table(["reader", *MATERIALS[RECEIPT], "mean F1", "normalised", "exact"], rows)
    if options.model:
        shares = ", ".join(f"{share} {figures[share]:.3f}" for share in ("valid", "truncated", "failed"))
        print(f"{further.name}: {shares}")


if __name__ == "__main__":
    main()
