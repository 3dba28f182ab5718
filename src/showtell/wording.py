"""Phrases that messages share."""

import difflib
import re
import shlex
from collections.abc import Sequence

THESE_CHAT = (
    "name one with --model, of `showtell train llava_mini --data CAPTIONS --output RUN`, an imported LLaVA "
    "or a Qwen-VL folder"
)
"""The models that `chat` takes."""
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def counted(count: int, noun: str) -> str:
    """A number with its noun, in the plural unless the number is one.

    >>> counted(1, "image"), counted(3, "image"), counted(0, "class"), counted(2, "query")
    ('1 image', '3 images', '0 classes', '2 queries')
    """
    plural = re.sub("y$", "ie", noun) + ("es" if noun.endswith("s") else "s")
    return f"{count} {noun if count == 1 else plural}"


def lacks(protocol: type) -> str:
    """What is wrong with a system that does not keep a protocol, from the protocol's name and first line.

    >>> from showtell.protocols import Captioner, HasTokenEmbeddings
    >>> lacks(Captioner), lacks(HasTokenEmbeddings)
    ('is not a captioner: it does not describe images in words', 'has no token embeddings')
    """
    first, *rest = (word.lower() for word in re.findall("[A-Z][a-z]*", protocol.__name__))
    if first == "has":
        return f"has no {' '.join(rest)}"
    noun = " ".join([first, *rest])
    article = "an" if noun[0] in "aeiou" else "a"
    is_not = f"is not {article} {noun}" if noun.endswith(("er", "model")) else f"has no {noun}"
    verb, _, what = re.split(r"[.;:\n]", protocol.__doc__ or "")[0].partition(" ")
    return f"{is_not}: it does not {verb.lower().removesuffix('s')} {what}"


def one_line(name: object) -> str:
    """A name, such as a file's, as one line: control characters and line breaks as escapes.

    >>> one_line("a\\nb \\x1b[31m.jpg")
    'a\\\\nb \\\\x1b[31m.jpg'
    """
    return _CONTROL.sub(lambda found: found[0].encode("unicode_escape").decode(), str(name))


def did_you_mean(name: str, known: Sequence[str]) -> str:
    """A question that names what is spelled almost so, with a space after it; empty where nothing is.

    >>> did_you_mean("clip_mimi", ["clip_mini", "bert_mini"]), did_you_mean("x", ["clip_mini"])
    ('did you mean clip_mini? ', '')
    """
    near = difflib.get_close_matches(name, known)
    return f"did you mean {' or '.join(near)}? " if near else ""


def index_command(library: object, model: str = "") -> str:
    """What indexes a folder of images into a library, with a model that is not the default.

    >>> index_command("my library"), index_command("library", "MODEL")
    ("showtell index FOLDER --library 'my library'", 'showtell index FOLDER --library library --model MODEL')
    """
    named = f" --model {model}" if model else ""
    return f"showtell index FOLDER --library {shlex.quote(str(library))}{named}"


def listed(items: Sequence[str], most: int = 10, sep: str = ", ") -> str:
    """Items in a row: all, or the first `most` and how many more there are.

    >>> listed(["a", "b"]), listed(["a", "b", "c"], most=2)
    ('a, b', 'a, b and 1 more')
    """
    more = len(items) - most
    return sep.join(items[:most]) + (f" and {more} more" if more > 0 else "")
