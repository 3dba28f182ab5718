"""Whether a premise entails a hypothesis, fine-tuned: by a reader of pixels, and by one of tokens."""

from showtell.recipes.bert import bert_mini
from showtell.recipes.vlp import vlp_mini
from showtell.runs.finetuning import few_epochs, like
from showtell.runs.text_classification import EntailmentRun
from showtell.systems.bert_finetuned import BERTClassifierConfig
from showtell.systems.vlp_encoder import VLPClassifierConfig


def entail_vlp(num_pairs: int) -> EntailmentRun:
    """How two texts, drawn as two blocks of an image, relate; starts from a VLP, or from scratch.

    Paper: Basara 2023, "Visual Language Processing"
    Time: not measured
    """
    system = like(VLPClassifierConfig(drawn_tokens=100), vlp_mini(num_pairs).system)
    return EntailmentRun(system=system, train=few_epochs(num_pairs))


def entail_bert(num_pairs: int) -> EntailmentRun:
    """How two texts, as two segments of tokens, relate; starts from a BERT, or from scratch.

    Paper: Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers"
    Time: not measured
    """
    system = like(BERTClassifierConfig(), bert_mini(num_pairs).system)
    return EntailmentRun(system=system, train=few_epochs(num_pairs))
