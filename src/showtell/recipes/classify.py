"""Classes of texts, fine-tuned: by a reader of pixels, and by one of tokens on the same data."""

from showtell.recipes.bert import bert_mini
from showtell.recipes.vlp import vlp_mini
from showtell.runs.finetuning import few_epochs, like
from showtell.runs.text_classification import TextClassificationRun
from showtell.systems.bert_finetuned import BERTClassifierConfig
from showtell.systems.vlp_encoder import VLPClassifierConfig


def classify_vlp(num_texts: int) -> TextClassificationRun:
    """Classes of texts that are drawn as images; starts from a VLP, or from scratch at the size of vlp_mini.

    A text of more than a page is trained on page by page; its class is that of the mean over its pages.

    Paper: Basara 2023, "Visual Language Processing"
    Time: not measured
    """
    system = like(VLPClassifierConfig(drawn_tokens=100, drawn_pages=8), vlp_mini(num_texts).system)
    return TextClassificationRun(system=system, train=few_epochs(num_texts))


def classify_bert(num_texts: int) -> TextClassificationRun:
    """Classes of texts as tokens; starts from a BERT, or from scratch at the size of bert_mini.

    Paper: Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers"
    Time: not measured
    """
    system = like(BERTClassifierConfig(), bert_mini(num_texts).system)
    return TextClassificationRun(system=system, train=few_epochs(num_texts))
