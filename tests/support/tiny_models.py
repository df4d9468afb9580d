"""Models small enough to enumerate all sentences, and a vocabulary for them."""

import torch

from mivae_cli.config.data import WordTokenizerConfig
from mivae_cli.config.model import ModelConfig
from mivae_cli.data.tokenizer import BOUNDARY, Tokenizer, train_tokenizer
from mivae_cli.models.vae import VAE, build_model

LATENT = 2


def tiny_model(vocab_size: int = 5, ending: float = 0.0, kind: str = "lstm") -> VAE:
    """Returns a model whose next word depends strongly on z and on the previous words."""
    sizes = {"width": 6, "heads": 2} if kind == "transformer" else {"hidden_size": 6}
    if kind != "transformer":
        sizes |= {"embedding_size": 4, "layers": 1 if kind == "lstm" else 2}
    network = {"kind": kind, **sizes, "dropout": 0.5}
    table = {"latent_size": LATENT, "encoder": network, "decoder": network}
    model = build_model(ModelConfig.model_validate(table), vocab_size)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "norm" not in name:
                parameter.normal_()
        latent_weight = "added.weight" if kind == "transformer" else "initial.weight"
        model.decoder.get_parameter(latent_weight).mul_(3)
        model.decoder.output.weight.mul_(1.5)
        model.decoder.output.bias[BOUNDARY] += ending
    return model.eval()


def word_tokenizer() -> Tokenizer:
    names = [f"w{number}" for number in range(18)]
    return train_tokenizer([" ".join(names)], WordTokenizerConfig(min_count=1))
