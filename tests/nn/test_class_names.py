from dataclasses import dataclass

import pytest

from showtell.nn.class_names import ClassNames


@dataclass(frozen=True)
class Sized:
    width: int = 4

    def __post_init__(self) -> None:
        if self.width < 1:
            raise ValueError(f"width={self.width}")


@dataclass(frozen=True)
class Classifier(ClassNames, Sized):
    num_classes: int = 3


def test_names_set_the_number_and_must_be_as_many() -> None:
    assert Classifier().class_names == ()
    named = Classifier(width=7).with_classes(("cat", "dog"))
    assert (named.num_classes, named.class_names, named.width) == (2, ("cat", "dog"), 7)
    assert type(named) is Classifier
    with pytest.raises(ValueError, match="1 names for 3 classes"):
        Classifier(class_names=("cat",))


def test_what_the_rest_of_the_config_demands_is_still_demanded() -> None:
    with pytest.raises(ValueError, match="width=0"):
        Classifier(width=0)
