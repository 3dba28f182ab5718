"""A pointer that follows a text: against its formula, step by step, and what it learns."""

import torch

from showtell.nn.pointer import Pointer, nowhere
from showtell.objectives.pointing import pointing


def test_against_the_formula() -> None:
    torch.manual_seed(0)
    pointer = Pointer(8)
    token, grid, stood = torch.randn(8), torch.randn(5, 8), torch.rand(5).softmax(0)
    place, key, value = (layer.weight for layer in (pointer.place, pointer.key, pointer.value))
    x = token + place @ (stood @ grid)
    query = pointer.query(pointer.norm(x))
    scores = [(query @ (key @ cell + pointer.key.bias)).item() / 8**0.5 for cell in grid]
    read = value @ (torch.tensor(scores).softmax(0) @ grid) + pointer.value.bias
    tokens, found = pointer(token[None, None], stood[None, None], pointer.prefill(grid[None]))
    torch.testing.assert_close(found[0, 0], torch.tensor(scores))
    torch.testing.assert_close(tokens[0, 0], x + read)


def test_following_is_to_stand_where_it_pointed() -> None:
    torch.manual_seed(0)
    pointer, tokens, grid = Pointer(8), torch.randn(2, 4, 8), torch.randn(2, 5, 8)
    memory = pointer.prefill(grid)
    read, scores = pointer.follow(tokens, memory)
    stood = torch.cat([nowhere(memory), scores[:, :-1].softmax(-1)], 1)
    for found, expected in zip((read, scores), pointer(tokens, stood, memory), strict=True):
        torch.testing.assert_close(found, expected)


def test_in_training_every_second_row_stands_where_it_pointed() -> None:
    torch.manual_seed(0)
    pointer, tokens, grid = Pointer(8), torch.randn(3, 4, 8), torch.randn(3, 5, 8)
    truth, memory = torch.rand(3, 4, 5).softmax(-1), pointer.prefill(grid)
    stood = pointer.followed(tokens, truth, memory)
    assert torch.equal(stood[::2], truth[::2])
    read, scores = pointer.follow(tokens, memory)
    for found, expected in zip((read, scores), pointer(tokens, stood, memory), strict=True):
        torch.testing.assert_close(found[1], expected[1])
        assert not torch.allclose(found[0], expected[0])


def test_it_learns_to_start_and_to_go_on_to_the_right() -> None:
    """Among equal tokens, so that only where the last one stood can tell it."""
    torch.manual_seed(0)
    pointer, grid, tokens = Pointer(16), torch.randn(1, 8, 16), torch.zeros(1, 8, 16)
    places = torch.eye(8)[None]
    stood = torch.cat([torch.zeros(1, 1, 8), places[:, :-1]], 1)
    optimiser = torch.optim.Adam(pointer.parameters(), 1e-2)
    for _ in range(200):
        _, scores = pointer(tokens, stood, pointer.prefill(grid))
        loss = pointing(scores[0], places[0])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    _, scores = pointer.follow(tokens, pointer.prefill(grid))
    assert scores[0].argmax(1).tolist() == [*range(8)]
