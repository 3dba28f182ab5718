"""SimSiam on a folder of pictures, sized for two cores and minutes."""

from showtell.recipes.viewing import ViewingRecipe, short_training
from showtell.systems.simsiam import SimSiamConfig


def simsiam(num_pictures: int) -> ViewingRecipe:
    """For `num_pictures` to learn from, 30 times each; heads at half of the paper's width."""
    return ViewingRecipe(
        system=SimSiamConfig(
            backbone="resnet_mini", projection_width=1024, projector_layers=2, bottleneck_width=256
        ),
        train=short_training(num_pictures, 30),
    )
