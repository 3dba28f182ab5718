"""Each loss of ALBEF and BLIP against the papers in plain loops, one number at a time, in float64."""

import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from showtell.data.batch import Batch
from showtell.objectives import matching
from showtell.systems.albef import ALBEF
from showtell.systems.albef_finetuned import ALBEFRetriever
from showtell.systems.blip import BLIP
from support.tiny import WIDTH, batch, build, seeded

QUEUED = 4


@pytest.fixture(params=[ALBEF, ALBEFRetriever, BLIP], ids=lambda cls: cls.__name__)
def system(request):
    """In float64, in the middle of training: a teacher of its own, queues with four vectors."""
    system = build(request.param, distillation=0.4, warm_updates=5).double()
    with torch.no_grad():
        for slow in system.teacher.parameters():
            slow.add_(torch.randn_like(slow) * 0.1)
        for queue in (system.image_queue, system.text_queue):
            queue[:QUEUED] = F.normalize(torch.randn(QUEUED, WIDTH).double(), dim=1)
    system.queued += QUEUED
    system.updates += 2
    return system


def log_softmax(row):
    """Of a list of numbers."""
    largest = max(row)
    norm = largest + math.log(sum(math.exp(x - largest) for x in row))
    return [x - norm for x in row]


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def one_of(given, text, image):
    """One text with one image, and nothing to its right."""
    length = int(given.texts.keep[text].sum())
    texts = replace(given.texts.part(slice(text, text + 1)), owner=None)
    texts = replace(texts, ids=texts.ids[:, :length], keep=texts.keep[:, :length], segments=None)
    return Batch(given.images.part(slice(image, image + 1)), texts)


def without_segments():
    given = batch(torch.float64)
    return replace(given, texts=replace(given.texts, segments=None))


def vectors(towers, given):
    """Of each image and of each text, alone."""
    owner = given.texts.owner.tolist()
    images = [towers.image_tokens(one_of(given, 0, i)).pooled[0].tolist() for i in range(4)]
    texts = [towers.text_tokens(one_of(given, t, o).texts).pooled[0].tolist() for t, o in enumerate(owner)]
    return images, texts


@torch.no_grad()
def test_the_contrast(system):
    """ALBEF's equations 1 and 6: each anchor against the teacher's vectors and those of the queue."""
    given, tau = without_segments(), math.exp(system.log_temperature.item())
    owner = given.texts.owner.tolist()
    (images, texts), (slow_images, slow_texts) = (
        vectors(towers, given) for towers in (system.towers, system.teacher.net)
    )
    alpha = 0.4 * 3 / 5  # the third of five updates over which it grows

    def mean(anchors, slow, candidates, own):
        total = 0.0
        for number, (anchor, taught) in enumerate(zip(anchors, slow, strict=True)):
            said = log_softmax([dot(anchor, one) / tau for one in candidates])
            believed = log_softmax([dot(taught, one) / tau for one in candidates])
            right = own(number)
            for place in range(len(candidates)):
                target = alpha * math.exp(believed[place]) + (1 - alpha) * (place in right) / len(right)
                total -= target * said[place]
        return total / len(anchors)

    of_images = mean(
        images,
        slow_images,
        slow_texts + system.text_queue[:QUEUED].tolist(),
        lambda image: [text for text, its in enumerate(owner) if its == image],
    )
    of_texts = mean(
        texts, slow_texts, slow_images + system.image_queue[:QUEUED].tolist(), lambda text: [owner[text]]
    )
    found = system(given, seeded()).losses["itc"].item()
    assert found == pytest.approx((of_images + of_texts) / 2, abs=1e-6)


@torch.no_grad()
def test_matching(system, monkeypatch):
    """ALBEF's equation 2: each pair, each text with another image, each image with another text."""
    drawn = []

    def recorded(*inputs):
        drawn.append(draw(*inputs))
        return drawn[-1]

    draw = matching.hard_negatives
    monkeypatch.setattr(matching, "hard_negatives", recorded)
    given = without_segments()
    owner = given.texts.owner.tolist()
    found = system(given, seeded()).losses["itm"].item()
    of_images, of_texts = (some.tolist() for some in drawn)
    assert all(owner[text] != image for image, text in enumerate(of_images))
    assert all(owner[text] != image for text, image in enumerate(of_texts))
    pairs = [(text, image, True) for text, image in enumerate(owner)]
    pairs += [(text, image, False) for text, image in enumerate(of_texts)]
    pairs += [(text, image, False) for image, text in enumerate(of_images)]
    total = 0.0
    for text, image, matches in pairs:
        fused = system.fuse(one_of(given, text, image))
        total -= log_softmax(system.itm_head(fused.pooled)[0].tolist())[int(matches)]
    assert found == pytest.approx(total / len(pairs), abs=1e-6)


@pytest.mark.parametrize("system", [ALBEF], indirect=True)
@torch.no_grad()
def test_masked_words(system):
    """ALBEF's equations 3 and 7: the word, and what the teacher makes of it."""
    given, alpha = without_segments(), 0.4 * 3 / 5
    found = system(given, seeded()).losses["mlm"].item()
    ids, masked = system.config.mask(given.texts, seeded())
    total, count = 0.0, 0
    for text, image in enumerate(given.texts.owner.tolist()):
        one = one_of(replace(given, texts=replace(given.texts, ids=ids)), text, image)
        where = masked[text : text + 1, : one.texts.ids.shape[1]]
        student, teacher = (
            net.masked_logits(one.texts, net.prefill(net.image_tokens(one)), where).tolist()
            for net in (system.towers, system.teacher.net)
        )
        words = given.texts.ids[text][masked[text]].tolist()
        for said, opinion, word in zip(student, teacher, words, strict=True):
            logs, believed = log_softmax(said), log_softmax(opinion)
            soft = -dot([math.exp(x) for x in believed], logs)
            total += (1 - alpha) * -logs[word] + alpha * soft
            count += 1
    assert count > 5
    assert found == pytest.approx(total / count, abs=1e-6)


@pytest.mark.parametrize("system", [BLIP], indirect=True)
@torch.no_grad()
def test_the_language_model(system):
    """BLIP's section 3.2: each next token, a tenth of whose target is spread over all."""
    given, smooth = without_segments(), system.config.smoothing
    found = system(given, seeded()).losses["lm"].item()
    assert smooth == 0.1
    total, count = 0.0, 0
    for text, image in enumerate(given.texts.owner.tolist()):
        one = one_of(given, text, image)
        memory, ids = system.prefill(system.encode_images(one)), one.texts.ids[0].tolist()
        for place in range(1, len(ids)):  # nothing of what comes after is there to be seen
            tokens = system.reader.decode(one.texts.ids[:, :place], memory)
            logs = log_softmax(system.logits(tokens[:, -1])[0].tolist())
            total -= (1 - smooth) * logs[ids[place]] + smooth * sum(logs) / len(logs)
            count += 1
    assert found == pytest.approx(total / count, abs=1e-6)
