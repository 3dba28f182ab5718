"""Chat templates: what they make of messages, and what they cannot do to a person."""

import pytest

from showtell.data.tokenizers.chat import answered_chat, render_chat
from showtell.errors import UserError
from support.chat import TEMPLATE as CHATML

TEMPLATE = """{% for message in messages %}
    {% if message['role'] == 'robot' %}{{ raise_exception('robots do not speak') }}{% endif %}
{{ bos_token }}{{ message['role'] }}: {{ message['content'] }}
{% endfor %}
{% if add_generation_prompt %}assistant:{% endif %}"""
ASKED = [{"role": "user", "content": "Hi"}]


def render(template, messages):
    return render_chat(template, messages, {"bos_token": "<s>"}, ["<s>", "</s>"])


def test_messages_become_one_text():
    answered = [*ASKED, {"role": "assistant", "content": "Ho"}]
    assert render(TEMPLATE, answered) == "<s>user: Hi\n<s>assistant: Ho\nassistant:"
    stopped = "{% for m in messages %}{{ m.content }}{% break %}{% endfor %}"
    assert render(stopped, answered) == "Hi"


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([], "a conversation needs a message"),
        ([{"role": "user"}], "a message has a role and a content"),
        ([{"role": "user", "content": 3}], "a message has a role and a content"),
        ([{"role": "robot", "content": "Hi"}], "robots do not speak"),
        ([*ASKED, {"role": "user", "content": "a </s> b"}], "spells the special token </s>"),
    ],
)
def test_messages_that_do_not_fit_are_refused(messages, message):
    with pytest.raises(UserError, match=message):
        render(TEMPLATE, messages)


@pytest.mark.parametrize(
    "template",
    [
        "{{ messages.__class__.__mro__[-1].__subclasses__() }}",
        "{{ raise_exception.__globals__['UserError'].mro() }}",
        "{{ messages.append(1) }}",
        "{% include '/etc/passwd' %}",
        "{% for i in range(10 ** 9) %}{% endfor %}",
        "{% if",
        "{{ messages[7].content }}",
        "{{ 1 / 0 }}",
    ],
)
def test_templates_run_in_a_sandbox(template):
    with pytest.raises(UserError, match="chat template does not take these messages"):
        render(template, ASKED)


def test_a_template_may_mark_the_answers():
    marked = "{% for m in messages %}[{% generation %}{{ m.content }}{% endgeneration %}]{% endfor %}"
    assert render(marked, [*ASKED, {"role": "assistant", "content": "Ho"}]) == "[Hi][Ho]"


def test_a_conversation_in_pieces_is_the_whole_text():
    """A piece is written by the model where it is an answer with the end token after it."""
    asked = [*ASKED, {"role": "assistant", "content": "Ho"}, *ASKED, {"role": "assistant", "content": "Hum"}]
    tokens = {}, ["<|im_start|>", "<|im_end|>"]
    pieces = answered_chat(CHATML, asked, *tokens, "<|im_end|>")
    assert [text for text, answer in pieces if answer] == ["Ho<|im_end|>", "Hum<|im_end|>"]
    assert "".join(text for text, _ in pieces) + "\n" == render_chat(CHATML, asked, *tokens, answered=True)
