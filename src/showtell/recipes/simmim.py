"""SimMIM on a folder of pictures, sized for two cores and minutes."""

from dataclasses import replace

from showtell.recipes.viewing import ViewingRecipe, short_training
from showtell.systems.simmim import SimMIMConfig


def simmim(num_pictures: int) -> ViewingRecipe:
    """For `num_pictures` to learn from, 60 times each: a step has one view and takes half the time."""
    return ViewingRecipe(
        system=SimMIMConfig(backbone="vit_mini"),
        train=replace(short_training(num_pictures, 60), weight_decay=0.05),
    )
