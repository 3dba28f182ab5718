"""`showtell data check`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from showtell.cli.options import Format, Json
from showtell.cli.output import print_json, print_note, print_text
from showtell.cli.problems import check_regions, exit_for, print_problems
from showtell.errors import UserError
from showtell.wording import counted, one_line

PANEL = "Training and evaluation"


def check(
    folder: Annotated[
        Path,
        typer.Argument(
            help="Images with captions (a folder or a caption file), images in one folder per class (or a "
            "tar of such), questions about images, conversations, regions of images, texts, or pairs, "
            "questions or tags of texts (a folder, a file, or how files begin)."
        ),
    ],
    format: Format = None,
    regions: Annotated[
        Path | None,
        typer.Option(
            help="Check this file of regions alone, against the images of the data.", show_default=False
        ),
    ] = None,
    json: Json = False,
) -> None:
    """Check a data set: what it holds, what is wrong and how to fix it; exit status 1 if anything is."""
    from showtell.data.captions.read import read_captions
    from showtell.data.check import check_source
    from showtell.data.conversations import read as conversations
    from showtell.data.images.files import is_image_name
    from showtell.data.qa.read import found_format, known_formats
    from showtell.data.regions.read import region_format
    from showtell.datasets.unknown import unknown_words

    if folder.is_file() and is_image_name(folder.name):
        raise UserError(f"{folder} is an image; name the folder that holds it")
    if regions or (format is None and region_format(folder)):
        check_regions(regions or folder, folder if regions else None, format, json)
        return
    if format in conversations.known_formats() or (
        format is None and conversations.conversation_files(folder)
    ):
        _check_conversations(folder, format, json)
        return
    if format in known_formats() or (format is None and found_format(folder)):
        _check_examples(folder, format, json)
        return
    try:
        source = read_captions(folder, format)
    except UserError as error:
        if format or not (_check_labelled(folder, json) or _check_texts(folder, json)):
            raise _also_looked_for(error) from error
        return
    captioned = any(entry.captions for entry in source.entries)
    sorted_in = not source.unused and any(one.path.parent != folder.absolute() for one in source.entries)
    if format is None and not captioned and not source.problems and _check_labelled(folder, json, sorted_in):
        return
    report = check_source(folder, source)
    unknown = unknown_words(report.entries)
    splits = {name or "unnamed": count for name, count in report.splits.items()}
    if json:
        counts = unknown and {**vars(unknown), "share": unknown.share}
        facts = {name: value for name, value in vars(report).items() if name != "entries"}
        print_json({**facts, "splits": splits, "unknown": counts})
    else:
        print_text(
            f"{report.path}: {report.format}, {counted(report.images, 'image')}, "
            f"{counted(report.captions, 'caption')}"
        )
        for count, images in report.captions_per_image.items():
            print_text(f"  {counted(images, 'image')} with {counted(count, 'caption')}")
        for name, images in report.splits.items():
            print_text(f"  {counted(images, 'image')} {_in_split(name)}")
        if unknown:
            print_text(f"  {unknown}")
        print_problems(report.problems)
        print_problems(report.unused, "not used: ")
        for name, count in report.passed_over.items():
            print_text(f"passed over: {one_line(name)}" + (f" ({count} times)" if count > 1 else ""))
    if unknown and unknown.advice:
        print_note(f"{unknown.share:.1%} of the validation tokens are unknown: {unknown.advice}")
    exit_for(report.problems)


def _check_labelled(path: Path, json: bool, say: bool = False) -> bool:
    """Check images in one folder per class, or a tar archive of such; False where a run would refuse them.

    With `say` the reason is printed.
    """
    from showtell.datasets.check_labelled import check_labelled

    try:
        report = check_labelled(path)
    except UserError as error:
        if say:
            print_note(f"not read as labelled images: {error}")
        return False
    if json:
        print_json(report)
    else:
        images = counted(sum(report.splits.values()), "image")
        print_text(f"{path}: {report.format}, {images} of {counted(len(report.classes), 'class')}")
        for name, number in report.classes.items():
            print_text(f"  {counted(number, 'image')} of {one_line(name)}")
        for name, number in report.splits.items():
            print_text(f"  {counted(number, 'image')} in the split {name}")
        print_text("  none has a caption, which a captioner needs")
        print_problems(report.problems)
    exit_for(report.problems)
    return True


def _check_texts(path: Path, json: bool) -> bool:
    """Check texts, labelled or not; False where there are none."""
    from showtell.datasets.check_texts import check_texts

    report = check_texts(path)
    if report is None:
        return False
    if json:
        print_json({**vars(report), "problems": []})
        return True
    classes = f" of {counted(len(report.classes), 'class')}" if report.classes else ""
    print_text(f"{path}: {report.format}, {counted(sum(report.splits.values()), 'text')}{classes}")
    for name, texts in report.splits.items():
        print_text(f"  {counted(texts, 'text')} {'to train on' if name == 'train' else name}")
    if report.empty:
        print_text(f"  {counted(report.empty, 'blank text')} dropped")
    return True


def _also_looked_for(error: UserError) -> UserError:
    """The list of what was looked for, with the kinds of data that are no images with captions."""
    from showtell.data.conversations.read import known_formats as known_conversations
    from showtell.data.qa.read import known_formats
    from showtell.datasets.check_texts import LOOKED_FOR

    if "Looked for:" not in str(error):
        return error
    others = [f"{name}: {one.LOOKED_FOR}" for name, one in known_formats().items()]
    others += [f"{name}: {one.LOOKED_FOR}" for name, one in known_conversations().items()]
    return UserError("\n  ".join([str(error), *others, LOOKED_FOR]))


def _check_examples(path: Path, format: str | None, json: bool) -> None:
    """Check questions about images, or pairs, questions or tags of texts."""
    from showtell.data.check import unreadable_images
    from showtell.data.qa.examples import images_of, unknown_answers
    from showtell.data.qa.read import read_examples

    source = read_examples(path, format)
    rows = (one for examples in source.splits.values() for one in examples)
    images = dict.fromkeys(image for one in rows for image in images_of(one))
    problems = [*source.problems, *unreadable_images(images, "questions")]
    unknown = unknown_answers(source)
    splits = {name or "unnamed": len(examples) for name, examples in source.splits.items()}
    if json:
        facts = {"files": source.files, "unlabelled": source.unlabelled, "problems": problems}
        about = {"images": len(images), "unknown_answers": unknown} if images else {}
        print_json({"path": path, "format": source.format, "splits": splits, **about, **facts})
    else:
        about_images = f" about {counted(len(images), 'image')}" if images else ""
        print_text(f"{path}: {source.format}, {counted(sum(splits.values()), 'example')}{about_images}")
        for name, examples in source.splits.items():
            print_text(f"  {counted(len(examples), 'example')} {_in_split(name)}")
        if source.unlabelled:
            print_text(f"  {counted(source.unlabelled, 'example')} without a label, skipped")
        if unknown:
            print_text(f"  {counted(unknown, 'example')} with an answer that no training example has")
        print_problems(problems)
    exit_for(problems)


def _check_conversations(path: Path, format: str | None, json: bool) -> None:
    """Check conversations and the images that they show."""
    from collections import Counter

    from showtell.data.check import unreadable_images
    from showtell.data.conversations.read import read_conversations

    source = read_conversations(path, format)
    found = source.conversations
    images = dict.fromkeys(image for one in found for image in one.images)
    answers = sum(message.answers for one in found for message in one.messages)
    problems = [*source.problems, *unreadable_images(images, "conversations")]
    counts = Counter(one.split for one in found)
    splits = {name or "unnamed": count for name, count in counts.items()}
    if json:
        facts = {"conversations": len(found), "answers": answers, "images": len(images), "splits": splits}
        print_json({"path": path, "format": source.format, **facts, "problems": problems})
    else:
        print_text(
            f"{path}: {source.format}, {counted(len(found), 'conversation')} with "
            f"{counted(answers, 'answer')}, {counted(len(images), 'image')}"
        )
        for name, count in counts.items():
            print_text(f"  {counted(count, 'conversation')} {_in_split(name)}")
        print_problems(problems)
    exit_for(problems)


def _in_split(name: str | None) -> str:
    """Where items are; data may leave the division to the run."""
    return f"in the split {name}" if name else "in no named split"
