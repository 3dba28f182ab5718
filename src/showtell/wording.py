"""How numbers of things are said."""


def counted(count: int, noun: str) -> str:
    """A number and what it counts, in the plural where it is not one.

    >>> counted(1, "picture"), counted(3, "picture"), counted(0, "class")
    ('1 picture', '3 pictures', '0 classes')
    """
    plural = "es" if noun.endswith("s") else "s"
    return f"{count} {noun}{'' if count == 1 else plural}"
