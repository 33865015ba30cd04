"""Logits by torch: float32 on a CPU, bfloat16 on a GPU; the weights as trained."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from transformers import AutoModelForTokenClassification
from transformers.utils import logging as transformers_logging

from conflict_ner.errors import InputError
from conflict_ner.model_folder import ModelFolder


class TorchBackend:
    """A model on a torch device. On a CPU torch itself uses all cores; on a GPU two workers overlap copies and kernels."""

    name = "torch"
    pads = True  # few large batches rather than many small ones

    def __init__(self, folder: ModelFolder, device: str | None = None, cores: int | None = None) -> None:
        """Load the weights; `device` None takes a GPU when there is one, `cores` None leaves the number of CPU threads to torch.

        Raises InputError for weights or a device that cannot be used.
        """
        if cores:
            torch.set_num_threads(cores)
        try:
            self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
            torch.empty(1, device=self.device)
        except (RuntimeError, AssertionError) as error:
            raise InputError(f"device {device!r} cannot be used here ({str(error).splitlines()[0]}); name cpu or cuda") from None
        on_gpu = self.device.type == "cuda"
        self.workers, self.tokens_per_batch = (2, 65_536) if on_gpu else (1, 4096)
        bars = transformers_logging.is_progress_bar_enabled()
        transformers_logging.disable_progress_bar()  # loading takes less time than reading its bar
        try:
            dtype = torch.bfloat16 if on_gpu else torch.float32
            model = AutoModelForTokenClassification.from_pretrained(folder.path, dtype=dtype)
        except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
            raise InputError(
                f"{folder.name}: no token classifier could be loaded from there ({str(error).strip().splitlines()[0]}); "
                "name a folder that train.py finished"
            ) from error
        finally:
            if bars:
                transformers_logging.enable_progress_bar()
        self.model = model.to(self.device).eval()

    def logits(self, input_ids: NDArray[np.int64], attention_mask: NDArray[np.int64]) -> NDArray[np.float32]:
        """Return the logits of a padded batch: (batch, seq) and (batch, seq) -> (batch, seq, num_tags)."""
        with torch.inference_mode():
            output = self.model(input_ids=self._there(input_ids), attention_mask=self._there(attention_mask)).logits
            scores: NDArray[np.float32] = output.float().cpu().numpy()
        return scores

    def _there(self, batch: NDArray[np.int64]) -> torch.Tensor:
        """Copy a batch to the device, from pinned memory when that is a GPU."""
        tensor = torch.from_numpy(batch)
        return tensor.pin_memory().to(self.device, non_blocking=True) if self.device.type == "cuda" else tensor.to(self.device)
