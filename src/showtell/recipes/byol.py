"""BYOL on a folder of pictures, sized for two cores and minutes."""

from showtell.recipes.viewing import ViewingRecipe, short_training
from showtell.systems.byol import BYOLConfig


def byol(num_pictures: int) -> ViewingRecipe:
    """For `num_pictures` to learn from, 30 times each; the paper's heads at a quarter of their width.

    So few steps want a teacher that follows sooner: it begins at 0.99, the paper's at 0.996.
    """
    return ViewingRecipe(
        system=BYOLConfig(backbone="resnet_mini", hidden_width=1024, momentum=0.99),
        train=short_training(num_pictures, 30),
    )
