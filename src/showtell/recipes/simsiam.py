"""SimSiam on a folder of pictures, sized for two cores and minutes."""

from showtell.recipes.epochs import epochs
from showtell.recipes.viewing import ViewingRecipe
from showtell.systems.simsiam import SimSiamConfig
from showtell.train.config import TrainConfig


def simsiam(num_pictures: int) -> ViewingRecipe:
    """For `num_pictures` to learn from, 30 times each; heads at half of the paper's width."""
    batch_size = min(128, max(num_pictures, 2))
    steps = epochs(30, num_pictures, batch_size, at_least=100)
    return ViewingRecipe(
        system=SimSiamConfig(
            backbone="resnet_mini", projection_width=1024, projector_layers=2, bottleneck_width=256
        ),
        train=TrainConfig(
            steps=steps,
            batch_size=batch_size,
            learning_rate=1e-3,
            warmup_steps=steps // 10,
            validate_every=0,
            watch_every=20,
        ),
    )
