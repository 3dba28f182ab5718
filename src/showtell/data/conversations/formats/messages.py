"""`messages` of `role` and `content`, as OpenAI's and most templates of chats have them."""

from showtell.data.conversations.turns import Turns

LOOKED_FOR = 'JSON or JSON Lines of {"messages": [{"role", "content"}], "images": [...]}'
FORMATTING = "openai"
"""What a `dataset_info.json` calls it."""
LAYOUT = Turns("messages", "role", "content")
