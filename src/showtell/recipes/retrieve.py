"""Images and captions that find each other, ranked pair by pair: fine-tuned from an encoder of pairs."""

from dataclasses import replace

from showtell.recipes.vilt import vilt_mini
from showtell.runs.finetuning import like
from showtell.runs.pair_ranking import PairRankingRun
from showtell.systems.vilt_finetuned import ViLTRankerConfig


def retrieve_vilt(num_images: int) -> PairRankingRun:
    """How well a caption fits an image, for `showtell search --engine rerank`; starts from a ViLT, or from
    scratch.

    Paper: Kim et al. 2021, "ViLT: Vision-and-Language Transformer Without Convolution or Region Supervision"
    Time: not measured
    """
    mini = vilt_mini(num_images)
    train = replace(mini.train, learning_rate=1e-4)
    return PairRankingRun(like(ViLTRankerConfig(), mini.system), train, mini.vocabulary)
