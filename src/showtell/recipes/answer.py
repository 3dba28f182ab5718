"""Answers to questions on passages, fine-tuned: by a reader of pixels, and by one of tokens."""

from dataclasses import replace

from showtell.recipes.bert import bert_mini
from showtell.recipes.vlp import vlp_mini
from showtell.runs.finetuning import few_epochs, like
from showtell.runs.passage_answering import PassageAnsweringRun
from showtell.systems.bert_finetuned import BERTAnswererConfig
from showtell.systems.vlp_answerer import VLPAnswererConfig
from showtell.train.config import TrainConfig


def answer_vlp(num_questions: int) -> PassageAnsweringRun:
    """The answer to a question on a passage, both drawn as blocks of an image, written by the decoder; starts
    from a VLP, or from scratch.

    Paper: Basara 2023, "Visual Language Processing"
    Time: not measured
    """
    system = like(VLPAnswererConfig(drawn_tokens=100), vlp_mini(num_questions).system)
    return PassageAnsweringRun(system=system, train=_train(num_questions))


def answer_bert(num_questions: int) -> PassageAnsweringRun:
    """The span of a passage that answers a question, both as tokens; starts from a BERT, or from scratch.

    Paper: Devlin et al. 2019, "BERT: Pre-training of Deep Bidirectional Transformers"
    Time: not measured
    """
    system = like(BERTAnswererConfig(), bert_mini(num_questions).system)
    return PassageAnsweringRun(system=system, train=_train(num_questions))


def _train(num_questions: int) -> TrainConfig:
    return replace(few_epochs(num_questions), metric="f1")
