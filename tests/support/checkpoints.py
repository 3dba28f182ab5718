"""Small checkpoints with random parameters, and captions for their vocabulary."""

from pathlib import Path

CAPTIONS = [
    "a woman smiling in a red shirt",
    "a man with a camera on the grass",
    "two men riding a motorcycle under a blue sky",
    "a dog running through the green grass",
    "a boy sitting and three women walking",
]


def tiny_checkpoint(folder: Path, system: str = "show_and_tell", seed: int = 0) -> Path:
    """A captioner with random parameters and a few dozen words, over the real backbone."""
    import torch

    from showtell.checkpoint.save import save_checkpoint
    from showtell.data.tokenizers.words import WordTokenizer
    from showtell.systems.show_and_tell import ShowAndTell, ShowAndTellConfig
    from showtell.systems.show_attend_and_tell import ShowAttendAndTell, ShowAttendAndTellConfig

    tokenizer = WordTokenizer.train(CAPTIONS)
    torch.manual_seed(seed)
    if system == "show_and_tell":
        built = ShowAndTell(ShowAndTellConfig(vocab_size=len(tokenizer), width=16, depth=1))
    else:
        built = ShowAttendAndTell(ShowAttendAndTellConfig(vocab_size=len(tokenizer), width=16))
    save_checkpoint(
        folder,
        built,
        record={"recipe": system},
        tokenizer_json=tokenizer.to_json(),
        preprocess={"backbone": "efficientnet_lite0", "version": "squash224-v1"},
        card="# random weights\n",
    )
    return folder
