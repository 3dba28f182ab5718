"""Questions about images as a language model that reads images is asked them, and as it is tuned on them."""

from __future__ import annotations

from collections.abc import Sequence

from showtell.data.conversations.conversation import Conversation, Message
from showtell.data.qa.examples import ImageQuestion
from showtell.data.tokenizers.chat import IMAGE

SHORTLY = "Answer the question using a single word or phrase."
"""Tells a question of such data from one that is answered at length.

Source: Liu et al. 2023, "Improved Baselines with Visual Instruction Tuning", section 3.2.
"""


def asked_shortly(question: str, num_images: int = 1) -> str:
    """The content of the message that asks a question about images.

    >>> asked_shortly("is it red?")
    '<image>\\nis it red?\\nAnswer the question using a single word or phrase.'
    """
    return "\n".join([*[IMAGE] * num_images, question, SHORTLY])


def as_conversations(questions: Sequence[ImageQuestion], split: str | None = None) -> list[Conversation]:
    """A conversation per question, with the best of its answers.

    A departure: the paper makes one conversation of all questions about an image, in which an answer can be
    told from those before it. Here they share the image alone (`ConversationInput.batch`).
    """
    return [
        Conversation(
            (
                Message("user", asked_shortly(one.text, len(one.images))),
                Message("assistant", max(one.answers, key=lambda answer: answer[1])[0]),
            ),
            one.images,
            split,
            f"question {number}, {one.text[:40]!r}",
        )
        for number, one in enumerate(questions, 1)
    ]
