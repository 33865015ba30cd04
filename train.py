"""Fine-tune a token classifier on annotated documents: config -> models/<run>/.

Examples:
    python train.py --config configs/conflict-minilm.yaml
    python train.py --config configs/conflict-minilm.yaml --seed 2 --output_dir models/conflict-minilm-2
    python train.py --config configs/conflict-minilm.yaml --resume_from_checkpoint true
    torchrun --nproc_per_node 2 train.py --config configs/conflict-minilm.yaml
    accelerate launch train.py --config configs/conflict-minilm.yaml
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence

from conflict_ner.config import parse_arguments
from conflict_ner.errors import exit_2_on_bad_input
from conflict_ner.experiment import run_experiment


@exit_2_on_bad_input
def main(argv: Sequence[str] | None = None) -> int:
    """Run one experiment; exit code 0, or 2 for input that cannot be used."""
    arguments, config = parse_arguments(sys.argv[1:] if argv is None else argv)
    training = arguments[2]
    logging.basicConfig(format="%(message)s", level=logging.INFO if training.process_index == 0 else logging.WARNING)
    folder = run_experiment(arguments, config)
    if training.process_index == 0:
        print(f"\nnext: python evaluate.py --model {folder} --data <corpus>")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
