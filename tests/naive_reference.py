"""A slow and plain second implementation of the method, to check the fast one against.

Pure functions over a state dict with the official key names. Nothing is clever on purpose: every cube is embedded,
visible tokens are picked with boolean indexing, attention is written out, targets are made for all tokens.

Shape letters: B clips, C colours, T x H x W pixels, N tokens of the grid, V visible tokens, K tokens that the
decoder reconstructs, D width of whichever part is meant, P values of a cube.
"""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F


StateDict = dict[str, torch.Tensor]
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)


@dataclass(frozen=True)
class Arch:
    """Architecture under the field names of `VideoMAEv2Config`, so that `asdict` builds one."""

    image_size: int = 32
    patch_size: int = 8
    num_channels: int = 3
    num_frames: int = 16
    tubelet_size: int = 2
    hidden_size: int = 48
    num_hidden_layers: int = 2
    num_attention_heads: int = 4
    intermediate_size: int = 192
    decoder_hidden_size: int = 24
    decoder_num_hidden_layers: int = 2
    decoder_num_attention_heads: int = 2
    decoder_intermediate_size: int = 96
    qkv_bias: bool = True
    layer_norm_eps: float = 1e-6
    layer_scale_init_value: float = 0.0
    norm_pix_loss: bool = True
    use_mean_pooling: bool = True
    num_labels: int = 7

    @property
    def num_tokens(self) -> int:
        """Tokens of the whole grid."""
        return self.num_frames // self.tubelet_size * (self.image_size // self.patch_size) ** 2

    @property
    def cube_values(self) -> int:
        """Colour values in one cube."""
        return self.tubelet_size * self.patch_size**2 * self.num_channels

    @classmethod
    def from_reference(cls, config: dict) -> "Arch":
        """Read the metadata of a reference file, where one ratio gives the size of both MLPs."""
        known = {key: value for key, value in config.items() if key in cls.__dataclass_fields__}
        known["layer_scale_init_value"] = config["init_values"]
        known["intermediate_size"] = int(config["hidden_size"] * config["mlp_ratio"])
        if "decoder_hidden_size" in config:
            known["decoder_intermediate_size"] = int(config["decoder_hidden_size"] * config["mlp_ratio"])
        return cls(**known)


class _Weights:
    """Draws random weights into `self.drawn`: spread by fan-in, so that activations stay of order one."""

    def __init__(self, seed: int, dtype: torch.dtype) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.dtype = dtype
        self.drawn: StateDict = {}

    def normal(self, key: str, *shape: int, mean: float = 0.0, std: float = 1.0) -> None:
        noise = torch.randn(shape, generator=self.generator, dtype=torch.float64)
        self.drawn[key] = (mean + std * noise).to(self.dtype)

    def linear(self, key: str, outputs: int, *inputs: int, bias: bool = True) -> None:
        self.normal(f"{key}.weight", outputs, *inputs, std=math.prod(inputs) ** -0.5)
        if bias:
            self.normal(f"{key}.bias", outputs, std=0.1)

    def norm(self, key: str, width: int) -> None:
        self.normal(f"{key}.weight", width, mean=1.0, std=0.2)
        self.normal(f"{key}.bias", width, std=0.1)

    def blocks(self, key: str, depth: int, width: int, mlp: int, arch: Arch) -> None:
        for name in (f"{key}.{index}" for index in range(depth)):
            self.norm(f"{name}.norm1", width)
            self.linear(f"{name}.attn.qkv", 3 * width, width, bias=False)
            for part in ("q", "v") if arch.qkv_bias else ():
                self.normal(f"{name}.attn.{part}_bias", width, std=0.1)
            self.linear(f"{name}.attn.proj", width, width)
            self.norm(f"{name}.norm2", width)
            self.linear(f"{name}.mlp.fc1", mlp, width)
            self.linear(f"{name}.mlp.fc2", width, mlp)
            scale = arch.layer_scale_init_value
            for gamma in ("gamma_1", "gamma_2") if scale > 0 else ():
                self.normal(f"{name}.{gamma}", width, mean=scale, std=0.3 * scale)

    def encoder(self, prefix: str, arch: Arch) -> None:
        cube = (arch.num_channels, arch.tubelet_size, arch.patch_size, arch.patch_size)
        self.linear(f"{prefix}patch_embed.proj", arch.hidden_size, *cube)
        self.blocks(f"{prefix}blocks", arch.num_hidden_layers, arch.hidden_size, arch.intermediate_size, arch)


def random_pretrain_state_dict(arch: Arch, seed: int, dtype: torch.dtype = torch.float32) -> StateDict:
    """Random pre-training weights under official keys; no parameter is constant, none is zero or one."""
    weights = _Weights(seed, dtype)
    weights.encoder("encoder.", arch)
    weights.norm("encoder.norm", arch.hidden_size)
    width = arch.decoder_hidden_size
    weights.linear("encoder_to_decoder", width, arch.hidden_size, bias=False)
    weights.normal("mask_token", 1, 1, width)
    weights.blocks("decoder.blocks", arch.decoder_num_hidden_layers, width, arch.decoder_intermediate_size, arch)
    weights.norm("decoder.norm", width)
    weights.linear("decoder.head", arch.cube_values, width)
    return weights.drawn


def random_finetune_state_dict(arch: Arch, seed: int, dtype: torch.dtype = torch.float32) -> StateDict:
    """Random fine-tuning weights under official keys; the norm is `fc_norm` with mean pooling, else `norm`."""
    weights = _Weights(seed, dtype)
    weights.encoder("", arch)
    weights.norm("fc_norm" if arch.use_mean_pooling else "norm", arch.hidden_size)
    weights.linear("head", arch.num_labels, arch.hidden_size)
    return weights.drawn


def position_table(length: int, width: int) -> torch.Tensor:
    """Sine in even columns, cosine in odd ones, one row per flattened token index: float64 `(length, width)`."""
    column = torch.arange(width)
    wavelength = torch.tensor(10000.0, dtype=torch.float64) ** (2 * (column // 2) / width)
    angle = torch.arange(length, dtype=torch.float64)[:, None] / wavelength
    return torch.where(column % 2 == 0, angle.sin(), angle.cos())


def layer_norm(sd: StateDict, key: str, x_BND: torch.Tensor, arch: Arch) -> torch.Tensor:
    """Normalise the last axis with the weights under `key`."""
    return F.layer_norm(x_BND, x_BND.shape[-1:], sd[f"{key}.weight"], sd[f"{key}.bias"], arch.layer_norm_eps)


def attention(sd: StateDict, key: str, x_BND: torch.Tensor, heads: int) -> torch.Tensor:
    """Attention head by head; the bias of the fused projection is zero for keys."""
    width = x_BND.shape[-1]
    queries, keys, values = (x_BND @ sd[f"{key}.qkv.weight"].T).split(width, dim=-1)
    if f"{key}.q_bias" in sd:
        queries, values = queries + sd[f"{key}.q_bias"], values + sd[f"{key}.v_bias"]
    mixed = []
    for q, k, v in zip(*(x.chunk(heads, dim=-1) for x in (queries, keys, values)), strict=True):
        weights = (q @ k.transpose(1, 2) / math.sqrt(width // heads)).softmax(dim=-1)
        mixed.append(weights @ v)
    return F.linear(torch.cat(mixed, dim=-1), sd[f"{key}.proj.weight"], sd[f"{key}.proj.bias"])


def mlp(sd: StateDict, key: str, x_BND: torch.Tensor) -> torch.Tensor:
    """Two linear maps with the exact GELU in between."""
    inner = F.gelu(F.linear(x_BND, sd[f"{key}.fc1.weight"], sd[f"{key}.fc1.bias"]))
    return F.linear(inner, sd[f"{key}.fc2.weight"], sd[f"{key}.fc2.bias"])


def run_blocks(sd: StateDict, prefix: str, depth: int, heads: int, x_BND: torch.Tensor, arch: Arch) -> torch.Tensor:
    """Pre-norm blocks; `gamma_*` scale the two branches where the state dict has them."""
    for key in (f"{prefix}blocks.{index}" for index in range(depth)):
        branch = attention(sd, f"{key}.attn", layer_norm(sd, f"{key}.norm1", x_BND, arch), heads)
        x_BND = x_BND + branch * sd.get(f"{key}.gamma_1", 1.0)
        branch = mlp(sd, f"{key}.mlp", layer_norm(sd, f"{key}.norm2", x_BND, arch))
        x_BND = x_BND + branch * sd.get(f"{key}.gamma_2", 1.0)
    return x_BND


def embed(sd: StateDict, prefix: str, pixels_BCTHW: torch.Tensor, arch: Arch) -> torch.Tensor:
    """Every cube as a token with its position added, time first, then rows, then columns: `(B, N, D)`."""
    key, cube = f"{prefix}patch_embed.proj", (arch.tubelet_size, arch.patch_size, arch.patch_size)
    grid = F.conv3d(pixels_BCTHW, sd[f"{key}.weight"], sd[f"{key}.bias"], stride=cube)
    tokens_BND = grid.flatten(2).transpose(1, 2)
    return tokens_BND + position_table(arch.num_tokens, arch.hidden_size).to(tokens_BND)


def pick(x_BND: torch.Tensor, wanted_BN: torch.Tensor) -> torch.Tensor:
    """The tokens where `wanted_BN` is true; every clip must have the same number of them."""
    return x_BND[wanted_BN].reshape(len(x_BND), -1, x_BND.shape[-1])


def make_targets(pixels_BCTHW: torch.Tensor, arch: Arch) -> torch.Tensor:
    """What the decoder must predict for each token, values ordered (frame, row, column, channel): `(B, N, P)`."""
    mean, std = (torch.tensor(x).to(pixels_BCTHW).view(1, -1, 1, 1, 1) for x in (IMAGENET_MEAN, IMAGENET_STD))
    video = pixels_BCTHW * std + mean
    step_t, step_s, cubes = arch.tubelet_size, arch.patch_size, []
    for t in range(0, arch.num_frames, step_t):
        for row in range(0, arch.image_size, step_s):
            for column in range(0, arch.image_size, step_s):
                cube = video[:, :, t : t + step_t, row : row + step_s, column : column + step_s]
                cubes.append(cube.permute(0, 2, 3, 4, 1).flatten(1, 3))  # (B, places, C)
    values = torch.stack(cubes, dim=1)
    if arch.norm_pix_loss:
        values = (values - values.mean(2, keepdim=True)) / (values.std(2, correction=1, keepdim=True) + 1e-6)
    return values.flatten(2)


def pretrain(
    sd: StateDict,
    arch: Arch,
    pixels_BCTHW: torch.Tensor,
    encoder_mask_BN: torch.Tensor,
    decoder_mask_BN: torch.Tensor | None,
) -> dict[str, torch.Tensor]:
    """Masked autoencoding; masks are boolean, True = dropped. Without a decoder mask it is VideoMAE V1.

    Returns:
        `encoder_latent` (B, V, D), `decoder_prediction` and `targets` (B, K, P), `loss` over the reconstructed tokens
        that the encoder did not see, and `loss_over_all_decoder_tokens`.
    """
    seen_BN = ~encoder_mask_BN
    kept_BN = encoder_mask_BN if decoder_mask_BN is None else ~decoder_mask_BN
    x = pick(embed(sd, "encoder.", pixels_BCTHW, arch), seen_BN)
    x = run_blocks(sd, "encoder.", arch.num_hidden_layers, arch.num_attention_heads, x, arch)
    latent = layer_norm(sd, "encoder.norm", x, arch)

    table = position_table(arch.num_tokens, arch.decoder_hidden_size).to(latent)
    positions = table.expand(len(latent), -1, -1)
    visible = latent @ sd["encoder_to_decoder.weight"].T + pick(positions, seen_BN)
    x = torch.cat([visible, sd["mask_token"] + pick(positions, kept_BN)], dim=1)
    x = run_blocks(sd, "decoder.", arch.decoder_num_hidden_layers, arch.decoder_num_attention_heads, x, arch)
    x = layer_norm(sd, "decoder.norm", x[:, visible.shape[1] :], arch)
    prediction = F.linear(x, sd["decoder.head.weight"], sd["decoder.head.bias"])

    targets = pick(make_targets(pixels_BCTHW, arch), kept_BN)
    error_BK = (prediction - targets).square().mean(-1)
    unseen_BK = encoder_mask_BN[kept_BN].reshape(error_BK.shape)
    return {
        "encoder_latent": latent,
        "decoder_prediction": prediction,
        "targets": targets,
        "loss": error_BK[unseen_BK].mean(),
        "loss_over_all_decoder_tokens": error_BK.mean(),
    }


def finetune(sd: StateDict, arch: Arch, pixels_BCTHW: torch.Tensor) -> dict[str, torch.Tensor]:
    """Classification: `tokens` (B, N, D), `features` (B, D), which is the pooled clip, and `logits` (B, classes)."""
    x = embed(sd, "", pixels_BCTHW, arch)
    x = run_blocks(sd, "", arch.num_hidden_layers, arch.num_attention_heads, x, arch)
    if arch.use_mean_pooling:
        features = layer_norm(sd, "fc_norm", x.mean(dim=1), arch)
    else:
        x = layer_norm(sd, "norm", x, arch)
        features = x[:, 0]
    return {"tokens": x, "features": features, "logits": F.linear(features, sd["head.weight"], sd["head.bias"])}
