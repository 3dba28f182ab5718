"""SimMIM on a folder of pictures, sized for two cores and minutes."""

from showtell.recipes.epochs import epochs
from showtell.recipes.viewing import ViewingRecipe
from showtell.systems.simmim import SimMIMConfig
from showtell.train.config import TrainConfig


def simmim(num_pictures: int) -> ViewingRecipe:
    """For `num_pictures` to learn from, 60 times each: a step has one view and takes half the time."""
    batch_size = min(128, max(num_pictures, 2))
    steps = epochs(60, num_pictures, batch_size, at_least=100)
    return ViewingRecipe(
        system=SimMIMConfig(backbone="vit_mini"),
        train=TrainConfig(
            steps=steps,
            batch_size=batch_size,
            learning_rate=1e-3,
            warmup_steps=steps // 10,
            weight_decay=0.05,
            validate_every=0,
        ),
    )
