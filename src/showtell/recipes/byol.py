"""BYOL on a folder of pictures, sized for two cores and minutes."""

from showtell.recipes.epochs import epochs
from showtell.recipes.viewing import ViewingRecipe
from showtell.systems.byol import BYOLConfig
from showtell.train.config import TrainConfig


def byol(num_pictures: int) -> ViewingRecipe:
    """For `num_pictures` to learn from, 30 times each; the paper's heads at a quarter of their width.

    So few steps want a teacher that follows sooner: it begins at 0.99, the paper's at 0.996.
    """
    batch_size = min(128, max(num_pictures, 2))
    steps = epochs(30, num_pictures, batch_size, at_least=100)
    return ViewingRecipe(
        system=BYOLConfig(backbone="resnet_mini", hidden_width=1024, momentum=0.99),
        train=TrainConfig(
            steps=steps,
            batch_size=batch_size,
            learning_rate=1e-3,
            warmup_steps=steps // 10,
            validate_every=0,
            watch_every=20,
        ),
    )
