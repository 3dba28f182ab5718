"""Tags of words, parts of speech or entities, fine-tuned: by a reader of pixels, and by one of tokens."""

from dataclasses import replace

from showtell.recipes.bert import bert_mini
from showtell.recipes.vlp import vlp_mini
from showtell.runs.finetuning import few_epochs, like
from showtell.runs.tagging import TaggingRun
from showtell.systems.bert_finetuned import BERTTaggerConfig
from showtell.systems.vlp_tagger import VLPTaggerConfig


def tag_vlp(num_sentences: int) -> TaggingRun:
    """A tag for each word of sentences that are drawn as images; starts from a VLP, or from scratch.

    It goes on reading while it is tagged, so it needs a VLP with a decoder.

    Paper: Basara 2023, "Visual Language Processing"
    Time: not measured
    """
    system = replace(like(VLPTaggerConfig(), vlp_mini(num_sentences).system), max_length=146)
    return TaggingRun(system=system, train=few_epochs(num_sentences))


def tag_bert(num_sentences: int) -> TaggingRun:
    """A tag for each word of sentences as tokens; starts from a BERT, or from scratch.

    Paper: Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers"
    Time: not measured
    """
    system = like(BERTTaggerConfig(), bert_mini(num_sentences).system)
    return TaggingRun(system=system, train=few_epochs(num_sentences))
