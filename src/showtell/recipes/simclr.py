"""SimCLR on a folder of pictures, sized for two cores and minutes."""

from showtell.recipes.viewing import ViewingRecipe, short_training
from showtell.systems.simclr import SimCLRConfig


def simclr(num_pictures: int) -> ViewingRecipe:
    """For `num_pictures` to learn from, 30 times each; the paper's projector at a quarter of its width."""
    return ViewingRecipe(
        system=SimCLRConfig(backbone="resnet_mini", hidden_width=512, temperature=0.2),
        train=short_training(num_pictures, 30),
    )
