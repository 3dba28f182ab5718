"""The momentum teacher: its average, its schedule, and that no gradient moves it."""

import math

import pytest
import torch
from torch import nn

from showtell.nn.momentum import Teacher, cosine_momentum


def net(seed: int) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2)).double()


def test_the_schedule_is_the_papers() -> None:
    values = [cosine_momentum(k, 40) for k in range(41)]
    assert values[0] == pytest.approx(0.996)
    assert values[40] == 1 == cosine_momentum(1000, 40)
    assert values == sorted(values)
    assert values[10] == pytest.approx(1 - 0.004 * (math.cos(math.pi / 4) + 1) / 2)


def test_the_teacher_is_the_moving_average_of_the_student() -> None:
    student = net(0)
    teacher = Teacher(student)
    expected = [p.detach().clone() for p in student.parameters()]
    for step in range(5):
        with torch.no_grad():
            for p in student.parameters():
                p += 0.1 * (step + 1)
        tau = cosine_momentum(step, 5, 0.9)
        teacher.follow(student, tau)
        expected = [
            tau * e + (1 - tau) * p.detach() for e, p in zip(expected, student.parameters(), strict=True)
        ]
        for slow, e in zip(teacher.parameters(), expected, strict=True):
            torch.testing.assert_close(slow, e)


def test_no_gradient_reaches_or_passes_the_teacher() -> None:
    student = net(0)
    teacher = Teacher(student)
    inputs = torch.randn(6, 4, dtype=torch.float64, requires_grad=True)
    assert not teacher(inputs).requires_grad
    (student(inputs) - teacher(inputs)).square().sum().backward()
    assert all(p.grad is None and not p.requires_grad for p in teacher.parameters())
    assert all(p.requires_grad for p in student.parameters())


def test_the_teacher_starts_as_a_copy_of_the_student() -> None:
    student = net(0)
    teacher = Teacher(student)
    for slow, fast in zip(teacher.parameters(), student.parameters(), strict=True):
        assert torch.equal(slow, fast)
        assert slow.data_ptr() != fast.data_ptr()
    teacher.follow(net(1), 1.0)
    assert all(torch.equal(a, b) for a, b in zip(teacher.parameters(), student.parameters(), strict=True))
    teacher.follow(other := net(1), 0.0)
    for slow, fast in zip(teacher.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(slow, fast.detach())


def test_running_statistics_are_the_teachers_own() -> None:
    student = net(0)
    teacher = Teacher(student)
    student(torch.randn(8, 4, dtype=torch.float64) + 5)
    teacher.follow(student, 0.5)
    assert torch.equal(teacher.net[1].running_mean, torch.zeros(3, dtype=torch.float64))
    teacher(torch.randn(8, 4, dtype=torch.float64))
    assert teacher.net[1].running_mean.any()
