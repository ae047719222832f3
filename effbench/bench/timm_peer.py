"""timm's networks on torch, doing what effbench's programs do; it needs torch, timm and numpy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import timm
import torch

# T is Ross Wightman's own network; the others are ports of the reference's.
NAMES = {name: f"tf_efficientnetv2_{name.lower()}" for name in ("B0", "B1", "B2", "B3")}
NAMES |= {name: f"tf_efficientnetv2_{name.lower()}" for name in ("S", "M", "L", "XL")}
NAMES |= {f"V1-{name}": f"tf_efficientnet_{name.lower()}" for name in ("B0", "B1", "B2", "B3")}
NAMES |= {
    f"V1-{name}": f"tf_efficientnet_{name.lower()}" for name in ("B4", "B5", "B6", "B7", "L2")
}
NAMES["T"] = "efficientnetv2_rw_t"
CLASSES = 10
_MEAN = [0.485 * 255, 0.456 * 255, 0.406 * 255]
_STD = [0.229 * 255, 0.224 * 255, 0.225 * 255]

# Starts the work of one call, and gives what it computes.
Call = Callable[[], torch.Tensor]


def versions() -> str:
    """Of what does the work."""
    return f"timm {timm.__version__}, torch {torch.__version__}"


def features(
    variant: str,
    size: int,
    batch: int,
    precision: str,
    way: str,
    device: str,
    source: Source | None = None,
) -> Call:
    """Features of images of 32 pixels that lie on the device.

    Args:
        variant: effbench's name of the network; its weights are random.
        size: pixels that the network sees.
        batch: images of a call.
        precision: "float32" or "mixed_bfloat16".
        way: a key of `WAYS`.
        device: "cpu" or "cuda".
        source: `of_timm` or `of_torchvision`; None for timm.
    """
    network = _placed((source or of_timm)(variant), device)
    _settle(network, size, device)
    network.eval()
    images = _images(batch, device)
    mean, std = (torch.tensor(row, device=device).view(1, 3, 1, 1) for row in (_MEAN, _STD))

    def forward(images: torch.Tensor) -> torch.Tensor:
        with torch.no_grad(), _autocast(precision, device):
            return network(_prepared(images, size, mean, std)).float()

    return WAYS[way](forward, images)


def step(variant: str, size: int, batch: int, precision: str, way: str, device: str) -> Call:
    """Training steps as `finetune` does them, without augmentation: RMSprop, average, smoothing."""
    network = _placed(_created(variant, num_classes=CLASSES, drop_path_rate=0.2), device)
    network.train()
    images, labels = _images(batch, device), torch.arange(batch, device=device) % CLASSES
    mean, std = (torch.tensor(row, device=device).view(1, 3, 1, 1) for row in (_MEAN, _STD))
    optimizer = torch.optim.RMSprop(
        network.parameters(), 1e-3, 0.9, 1e-3, weight_decay=1e-5, momentum=0.9, foreach=True
    )
    loss_of = torch.nn.CrossEntropyLoss(label_smoothing=0.1)
    averages = [tensor.detach().clone() for tensor in _floats(network)]

    def losses(images: torch.Tensor) -> torch.Tensor:
        with _autocast(precision, device):
            logits = network(_prepared(images, size, mean, std))
        return loss_of(logits.float(), labels)

    compiled = torch.compile(losses) if way == "compiled" else losses

    def run() -> torch.Tensor:
        optimizer.zero_grad(set_to_none=True)
        loss = compiled(images)
        loss.backward()
        optimizer.step()
        torch._foreach_lerp_(averages, list(_floats(network)), 4e-4)
        return loss

    return run


def _eager(forward: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor) -> Call:
    return lambda: forward(images)


def _graph(forward: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor) -> Call:
    """Recorded once as a CUDA graph, then replayed."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            forward(images)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = forward(images)

    def run() -> torch.Tensor:
        graph.replay()
        return result

    return run


def _compiled(forward: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor) -> Call:
    mode = "reduce-overhead" if images.is_cuda else "default"
    compiled = torch.compile(forward, mode=mode)
    return lambda: compiled(images)


# How torch runs a network.
WAYS = {"eager": _eager, "graph": _graph, "compiled": _compiled}


def _created(variant: str, **arguments: float) -> torch.nn.Module:
    torch.manual_seed(0)
    return timm.create_model(NAMES[variant], pretrained=False, **arguments)


def _placed(network: torch.nn.Module, device: str) -> torch.nn.Module:
    torch.backends.cudnn.benchmark = True
    return network.to(device, memory_format=torch.channels_last)


# Makes a network that ends with features, by effbench's name of it.
Source = Callable[[str], torch.nn.Module]


def of_timm(variant: str) -> torch.nn.Module:
    """A network of timm."""
    return _created(variant, num_classes=0)


def of_torchvision(variant: str) -> torch.nn.Module:
    """A network of torchvision, which has not all of them.

    Raises:
        ImportError: it is not installed, or has no such network.
    """
    from torchvision import models

    v1 = variant.removeprefix("V1-").lower()
    name = f"efficientnet_{v1 if v1 != variant.lower() else f'v2_{v1}'}"
    if not hasattr(models, name):
        raise ImportError(f"torchvision has no {variant}")
    torch.manual_seed(0)
    network = getattr(models, name)(weights=None)
    network.classifier = torch.nn.Identity()
    return network


def _settle(network: torch.nn.Module, size: int, device: str) -> None:
    """Gives BatchNorm the statistics of some images, so that numbers neither grow nor vanish."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    network.train()
    with torch.no_grad():
        network(torch.randn(8, 3, size, size, device=device))


def _images(batch: int, device: str) -> torch.Tensor:
    drawn = np.random.default_rng(0).integers(0, 256, (batch, 3, 32, 32), np.uint8)
    return torch.from_numpy(drawn).to(device)


def _prepared(
    images: torch.Tensor, size: int, mean: torch.Tensor, std: torch.Tensor
) -> torch.Tensor:
    resized = torch.nn.functional.interpolate(images.float(), (size, size), mode="bilinear")
    return ((resized - mean) / std).contiguous(memory_format=torch.channels_last)


def _autocast(precision: str, device: str) -> torch.autocast:
    return torch.autocast(device, torch.bfloat16, enabled=precision == "mixed_bfloat16")


def _floats(network: torch.nn.Module) -> list[torch.Tensor]:
    return [tensor for tensor in network.state_dict().values() if tensor.is_floating_point()]
