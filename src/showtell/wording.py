"""How numbers of things are said."""


def counted(count: int, noun: str) -> str:
    """A number and what it counts, in the plural where it is not one.

    >>> counted(1, "image"), counted(3, "image"), counted(0, "class")
    ('1 image', '3 images', '0 classes')
    """
    plural = "es" if noun.endswith("s") else "s"
    return f"{count} {noun}{'' if count == 1 else plural}"
