"""Where are a model's decoder blocks? Found by their number, not by their names, which differ from family to family.

`model.get_decoder()`, then the outermost ModuleList as long as the text configuration says, towers for pictures and
sound left out: a vision tower may have as many layers as the text stack.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from refusal_tui.errors import UnavailableError

if TYPE_CHECKING:
    from torch import Tensor, nn

_TOWERS = re.compile(r"vision|visual|image|audio|speech|vit\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Blocks:
    """`path` is the place of the ModuleList in the model, such as `model.layers`; `modules` in order."""

    path: str
    modules: tuple[nn.Module, ...]

    def __len__(self) -> int:
        return len(self.modules)


def find_blocks(model: Any) -> Blocks:
    """Raises UnavailableError when no list of the right length is there, or two that lie equally deep."""
    from torch import nn

    wanted = text_config(model).num_hidden_layers
    inside = {id(module) for module in model.get_decoder().modules()}
    lists = {
        path: module
        for path, module in model.named_modules()
        if isinstance(module, nn.ModuleList) and len(module) == wanted and not _TOWERS.search(path)
    }
    found = {path: module for path, module in lists.items() if id(module) in inside} or lists
    depths = sorted((path.count("."), path) for path in found)
    if not depths or (len(depths) > 1 and depths[0][0] == depths[1][0]):
        raise UnavailableError(
            f"The {wanted} decoder blocks of {type(model).__name__} cannot be told from its other parts "
            f"(lists of that length: {', '.join(found) or 'none'}).",
            "Use a model of another family; this one is laid out in a way that the workbench does not know.",
        )
    path = depths[0][1]
    return Blocks(path, tuple(found[path]))


def text_config(model: Any) -> Any:
    """The configuration of the text decoder (a vision-language model has several)."""
    return model.config.get_text_config(decoder=True)


def device_of(model: Any) -> Any:
    """Where inputs go. Offloaded weights are nowhere between two passes: accelerate's hooks know where they run."""
    import torch

    for module in model.modules():
        runs_on = getattr(getattr(module, "_hf_hook", None), "execution_device", None)
        if runs_on is not None:
            return torch.device(runs_on)
        for parameter in module.parameters(recurse=False):
            if parameter.device.type != "meta":
                return parameter.device
    return torch.device("cpu")


def hidden_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Tensor:
    """The residual stream among a block's arguments: the first one, or the one named `hidden_states`."""
    hidden: Tensor = args[0] if args else kwargs["hidden_states"]
    return hidden


def with_hidden(
    args: tuple[Any, ...], kwargs: dict[str, Any], hidden: Tensor
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The same arguments with another residual stream; nothing is changed in place."""
    if args:
        return (hidden, *args[1:]), kwargs
    return args, {**kwargs, "hidden_states": hidden}


def output_of(output: Any) -> Tensor:
    """The residual stream (or a part's contribution) in what a module returns: itself, or the first of a tuple."""
    hidden: Tensor = output[0] if isinstance(output, tuple) else output
    return hidden


def with_output(output: Any, hidden: Tensor) -> Any:
    """The same output with another first tensor."""
    return (hidden, *output[1:]) if isinstance(output, tuple) else hidden
