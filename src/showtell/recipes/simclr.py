"""SimCLR on a folder of pictures, sized for two cores and minutes."""

from showtell.recipes.epochs import epochs
from showtell.recipes.viewing import ViewingRecipe
from showtell.systems.simclr import SimCLRConfig
from showtell.train.config import TrainConfig


def simclr(num_pictures: int) -> ViewingRecipe:
    """For `num_pictures` to learn from, 30 times each; the paper's projector at a quarter of its width."""
    batch_size = min(128, max(num_pictures, 2))
    steps = epochs(30, num_pictures, batch_size, at_least=100)
    return ViewingRecipe(
        system=SimCLRConfig(backbone="resnet_mini", hidden_width=512, temperature=0.2),
        train=TrainConfig(
            steps=steps,
            batch_size=batch_size,
            learning_rate=1e-3,
            warmup_steps=steps // 10,
            validate_every=0,
            watch_every=20,
        ),
    )
