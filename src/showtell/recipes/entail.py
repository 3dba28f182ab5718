"""Whether a premise entails a hypothesis, fine-tuned: by readers of pixels, of tokens, and of photographs."""

from dataclasses import replace

from showtell.recipes.bert import bert_mini
from showtell.recipes.vlp import vlp_mini
from showtell.recipes.vqa import MINI
from showtell.runs.finetuning import few_epochs, like
from showtell.runs.image_answering import ImageAnsweringRun, answering_training
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


def entail_vilt(num_pairs: int) -> ImageAnsweringRun:
    """Whether a photograph entails a sentence (SNLI-VE); starts from a ViLT, or from scratch.

    Paper: Xie et al. 2019, "Visual Entailment: A Novel Task for Fine-Grained Image Understanding"
    Time: not measured
    """
    system = replace(MINI, image_size=128, patch_size=16)
    return ImageAnsweringRun(system=system, train=answering_training(num_pairs))
