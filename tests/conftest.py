"""Settings for all tests."""

import torch

torch.set_num_threads(1)  # tests run side by side: threads of theirs would wait for each other
