"""SimMIM on a folder of pictures, sized for two cores and minutes."""

from dataclasses import replace

from showtell.recipes.viewing import ViewingRecipe, short_training
from showtell.systems.simmim import SimMIMConfig


def simmim(num_pictures: int) -> ViewingRecipe:
    """For `num_pictures` to learn from, 60 times each: a step has one view and takes half the time.

    More is hidden than in the paper and pixels are normalised, which made better neighbours in trials; small
    batches suffice, as each picture has many pixels to predict.
    """
    return ViewingRecipe(
        system=SimMIMConfig(backbone="vit_mini", mask_ratio=0.75, normalised=True),
        train=replace(short_training(num_pictures, 60, batch_size=32), weight_decay=0.05, betas=(0.9, 0.95)),
    )
