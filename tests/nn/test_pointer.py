"""A pointer that follows a text: against its formula, step by step, and what it learns."""

import torch

from showtell.nn.pointer import AHEAD, WINDOW, Pointer, nowhere
from showtell.objectives.pointing import pointing


def test_against_the_formula() -> None:
    torch.manual_seed(0)
    pointer, cells = Pointer(8), 30
    token, grid, stood = torch.randn(8), torch.randn(cells, 8), torch.rand(cells).softmax(0)
    place, key = pointer.place.weight, pointer.key
    x = token + place @ (stood @ grid)
    at = pointer.norm(x)
    query, ahead = pointer.query(at), pointer.ahead(at)
    scores = [
        (query @ key(grid[n]) / 8**0.5 + sum(ahead[AHEAD - 1 - k] * stood[n - k] for k in near(n))).item()
        for n in range(cells)
    ]
    beyond = torch.zeros(WINDOW - 1, 8)
    windows = [torch.cat([grid, beyond])[n : n + WINDOW].T.flatten() for n in range(cells)]
    read = pointer.value(torch.tensor(scores).softmax(0) @ torch.stack(windows))
    tokens, found = pointer(token[None, None], stood[None, None], pointer.prefill(grid[None]))
    torch.testing.assert_close(found[0, 0], torch.tensor(scores))
    torch.testing.assert_close(tokens[0, 0], x + read)


def near(cell: int) -> range:
    """How far behind a cell the last token may have begun."""
    return range(min(cell + 1, AHEAD))


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
