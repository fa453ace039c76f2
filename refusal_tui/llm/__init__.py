"""Language-model back ends: one request in, one reply or one classified failure out."""
