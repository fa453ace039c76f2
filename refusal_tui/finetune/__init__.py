"""Does refusal survive fine-tuning? Adapters, directions in weight space, and the robustness experiment."""
