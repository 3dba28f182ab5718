"""`conversations` of `from` and `value`, as ShareGPT's collections and LLaVA's have them."""

from showtell.data.conversations.turns import Turns

LOOKED_FOR = 'JSON or JSON Lines of {"conversations": [{"from", "value"}], "images": [...]}'
FORMATTING = "sharegpt"
"""What a `dataset_info.json` calls it."""
LAYOUT = Turns(
    "conversations",
    "from",
    "value",
    {"user": "human", "assistant": "gpt", "tool": "observation", "function": "function_call"},
)
