"""Optimizers against torch's own on dense gradients."""

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from mivae_cli.config.training import AdamConfig, SGDConfig, SplitConfig
from mivae_cli.training.optimizers import build_optimizers, clip_gradients, sparsify_embeddings

WORDS, WIDTH, STEPS = 50, 4, 6
PLAIN: dict[str, Callable[[nn.Module], torch.optim.Optimizer]] = {
    "adam": lambda model: torch.optim.Adam(model.parameters(), lr=0.01),
    "sgd": lambda model: torch.optim.SGD(model.parameters(), lr=0.01),
}
OWN: dict[str, AdamConfig | SGDConfig] = {
    "adam": AdamConfig(learning_rate=0.01),
    "sgd": SGDConfig(learning_rate=0.01),
}


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(WORDS, WIDTH)
        self.tied = nn.Embedding(WORDS, WIDTH)
        self.output = nn.Linear(WIDTH, WORDS)
        self.output.weight = self.tied.weight

    def loss(self, words: Tensor) -> Tensor:
        loss: Tensor = (self.output(self.embedding(words) * self.tied(words)) ** 3).sum()
        return loss


@pytest.mark.parametrize("name", ["adam", "sgd"])
@pytest.mark.parametrize("max_norm", [0.5, 1e6])
def test_steps_are_those_of_torch_on_dense_gradients(name: str, max_norm: float) -> None:
    torch.manual_seed(1)
    plain, own = Model().double(), Model().double()
    own.load_state_dict(plain.state_dict())
    sparsify_embeddings(own)
    optimizers = PLAIN[name](plain), build_optimizers(OWN[name], own.parameters(), [])["model"]
    for _ in range(STEPS):
        words = torch.randint(WORDS, (3,)).repeat(2)  # rows twice in one batch, others never
        norms = []
        for model, optimizer in zip((plain, own), optimizers, strict=True):
            optimizer.zero_grad()
            model.loss(words).backward()
            if model is plain:
                norms.append(nn.utils.clip_grad_norm_(model.parameters(), max_norm))
            else:
                gradient = model.embedding.weight.grad
                assert gradient is not None
                assert gradient.is_sparse
                norms.append(clip_gradients(model.parameters(), max_norm))
            optimizer.step()
        torch.testing.assert_close(*norms)
    for expected, found in zip(plain.parameters(), own.parameters(), strict=True):
        torch.testing.assert_close(found, expected)


def test_what_belongs_to_words_is_moved_by_plain_descent_and_the_rest_by_adam() -> None:
    torch.manual_seed(3)
    plain, own = Model().double(), Model().double()
    own.load_state_dict(plain.state_dict())
    sparsify_embeddings(own)
    tables = [*own.embedding.parameters(), *own.tied.parameters(), *own.embedding.parameters()]
    settings = SplitConfig(learning_rate=0.01, word_learning_rate=1e-4)
    mine = build_optimizers(settings, own.parameters(), tables)
    theirs = [
        torch.optim.Adam([plain.output.bias], lr=0.01),
        torch.optim.SGD([plain.embedding.weight, plain.tied.weight], lr=1e-4),
    ]
    for _ in range(STEPS):
        batch = torch.randint(WORDS, (5,))
        for model, optimizers in ((plain, theirs), (own, [*mine.values()])):
            model.zero_grad()
            model.loss(batch).backward()
            for optimizer in optimizers:
                optimizer.step()
    for expected, found in zip(plain.parameters(), own.parameters(), strict=True):
        torch.testing.assert_close(found, expected)
    rates = {name: optimizer.param_groups[0]["initial_lr"] for name, optimizer in mine.items()}
    assert rates == {"model": 0.01, "words": 1e-4}


def test_an_embedding_that_is_the_output_layer_too_keeps_a_dense_gradient() -> None:
    model = Model()
    sparsify_embeddings(model)
    assert model.embedding.sparse
    assert not model.tied.sparse


def test_a_state_goes_on_in_another_optimizer() -> None:
    torch.manual_seed(2)
    models = [Model() for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    optimizers = [
        build_optimizers(OWN["adam"], model.parameters(), [])["model"] for model in models
    ]
    for model in models:
        sparsify_embeddings(model)
    batches = torch.randint(WORDS, (STEPS, 5))

    def step(place: int, words: Tensor) -> None:
        optimizers[place].zero_grad()
        models[place].loss(words).backward()
        optimizers[place].step()

    for words in batches[:3]:
        step(0, words)
    models[1].load_state_dict(models[0].state_dict())
    optimizers[1].load_state_dict(copy.deepcopy(optimizers[0].state_dict()))
    for words in batches[3:]:
        step(0, words)
        step(1, words)
    for one, other in zip(*(model.parameters() for model in models), strict=True):
        assert torch.equal(one, other)
