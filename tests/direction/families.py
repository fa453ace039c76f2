"""Tiny random models of many families, made from their configuration classes: nothing is downloaded."""

from __future__ import annotations

from typing import Any

VOCABULARY = 96
LAYERS = 4

_COMMON: dict[str, Any] = {
    "vocab_size": VOCABULARY, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": LAYERS,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 128,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
_MOE = {"num_experts": 4, "num_local_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}

# configuration class -> what it needs beyond _COMMON
TEXT: dict[str, dict[str, Any]] = {
    "LlamaConfig": {},
    "MistralConfig": {},
    "Qwen2Config": {},
    "Qwen3Config": {},
    "GemmaConfig": {},
    "Gemma2Config": {"query_pre_attn_scalar": 8, "sliding_window": 16},
    "Gemma3TextConfig": {"query_pre_attn_scalar": 8, "sliding_window": 16},
    "Phi3Config": {"head_dim": None},
    "PhiConfig": {"head_dim": None, "num_key_value_heads": 4},
    "GPTNeoXConfig": {"head_dim": None},
    "GPT2Config": {"head_dim": None, "n_embd": 32, "n_layer": LAYERS, "n_head": 4, "n_positions": 128},
    "GPTJConfig": {"head_dim": None, "n_embd": 32, "n_layer": LAYERS, "n_head": 4, "n_positions": 128, "rotary_dim": 4},
    "OPTConfig": {"head_dim": None, "ffn_dim": 64, "word_embed_proj_dim": 32},
    "Olmo2Config": {"head_dim": None},
    "FalconConfig": {"head_dim": None},
    "StableLmConfig": {"head_dim": None},
    "GraniteConfig": {"head_dim": None, "residual_multiplier": 0.22, "attention_multiplier": 0.3},
    "CohereConfig": {"head_dim": None},
    "Starcoder2Config": {"head_dim": None},
    "GlmConfig": {},
    "Glm4Config": {},
    "MixtralConfig": {"num_local_experts": 4, "num_experts_per_tok": 2},
    "Qwen3MoeConfig": _MOE,
    "OlmoeConfig": {**_MOE, "head_dim": None},
    "BloomConfig": {"head_dim": None, "n_layer": LAYERS, "n_head": 4},
    "MptConfig": {"head_dim": None, "d_model": 32, "n_heads": 4, "n_layers": LAYERS, "max_seq_len": 128},
}

_MAMBA = {"mamba_n_heads": 4, "mamba_d_state": 8, "mamba_n_groups": 1}
_OLD = {"head_dim": None, "num_key_value_heads": None}
_EMBD = {**_OLD, "n_embd": 32, "n_layer": LAYERS, "n_head": 4, "n_positions": 128}
_ROUTED = {"n_routed_experts": 4, "n_shared_experts": 1, "n_group": 1, "topk_group": 1, "first_k_dense_replace": 1}
_LINEAR = {"linear_num_key_heads": 2, "linear_num_value_heads": 2, "linear_key_head_dim": 8, "linear_value_head_dim": 8}

# For the nightly sweep.
MORE_TEXT: dict[str, dict[str, Any]] = {
    "Gemma4TextConfig": {},
    "GptOssConfig": _MOE,
    "Qwen3NextConfig": {**_MOE, **_LINEAR, "shared_expert_intermediate_size": 32},
    "Lfm2Config": {},
    "JambaConfig": {"head_dim": None, "use_mamba_kernels": False, "mamba_d_state": 8},
    "SmolLM3Config": {"head_dim": None},
    "Exaone4Config": {"sliding_window": 16, "sliding_window_pattern": 4},
    "OlmoConfig": {"head_dim": None},
    "Olmo3Config": {"head_dim": None},
    "Ernie4_5Config": {},
    "Cohere2Config": {"head_dim": None},
    "PersimmonConfig": _OLD,
    "NemotronConfig": {"head_dim": None},
    "ArceeConfig": {},
    "SeedOssConfig": {},
    "HunYuanDenseV1Config": {},
    "GPTBigCodeConfig": _EMBD,
    "GPTNeoConfig": {**_OLD, "num_layers": LAYERS, "num_heads": 4, "attention_types": [[["global", "local"], 2]]},
    "CodeGenConfig": {**_EMBD, "rotary_dim": 4},
    "XGLMConfig": {"head_dim": None, "d_model": 32, "num_layers": LAYERS, "attention_heads": 4, "ffn_dim": 64},
    "BioGptConfig": {"head_dim": None},
    "MambaConfig": {**_OLD, "num_attention_heads": None},
    "FalconH1Config": {**_MAMBA, "mamba_d_ssm": 32, "mamba_d_head": 8},
    "BambaConfig": {**_MAMBA, "head_dim": None, "mamba_d_head": 16, "attn_layer_indices": [1, 3]},
    "Glm4MoeConfig": {**_MOE, **_ROUTED},
    "Llama4TextConfig": {**_MOE, "intermediate_size_mlp": 64},
    "Dots1Config": {**_MOE, **_ROUTED},
    "ApertusConfig": {},
    "HeliumConfig": {},
    "DiffLlamaConfig": {"head_dim": None},
    "Qwen2MoeConfig": {**_MOE, "head_dim": None, "shared_expert_intermediate_size": 32},
    "GraniteMoeConfig": {**_MOE, "head_dim": None, "residual_multiplier": 0.22},
    "PhimoeConfig": {**_MOE, "head_dim": None},
    "MiniMaxConfig": _MOE,  # scales what it passes on: its writers are not found
}


def text_model(name: str, *, seed: int = 0, **changes: Any) -> Any:
    """A random model in float32; its residual stream is large enough for differences to be seen."""
    import torch
    import transformers

    settings = {**_COMMON, **(TEXT | MORE_TEXT)[name], **changes}
    config = getattr(transformers, name)(**{key: value for key, value in settings.items() if value is not None})
    torch.manual_seed(seed)
    model = transformers.AutoModelForCausalLM.from_config(config).eval()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.normal_(0, 0.15, generator=generator)
    return model


def prompt_ids(count: int = 1, length: int = 12, *, seed: int = 0) -> Any:
    """[count, length] token ids that are no special tokens."""
    import torch

    return torch.randint(3, VOCABULARY, (count, length), generator=torch.Generator().manual_seed(seed))


def vision_model(name: str) -> Any:
    """A random vision-language model whose tower is as deep as its text stack."""
    import torch
    import transformers

    text: dict[str, Any] = {key: value for key, value in _COMMON.items() if key != "head_dim"}
    tower = {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": LAYERS, "num_attention_heads": 4,
        "image_size": 28, "patch_size": 14,
    }  # fmt: skip
    wide = {**text, "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]}}
    settings: dict[str, dict[str, Any]] = {
        "LlavaConfig": {
            "text_config": {"model_type": "llama", **text},
            "vision_config": {"model_type": "clip_vision_model", **tower},
            "image_token_index": 90,
        },
        "PaliGemmaConfig": {
            "text_config": {"model_type": "gemma", **text, "head_dim": 8},
            "vision_config": {"model_type": "siglip_vision_model", **tower},
            "image_token_index": 90,
            "projection_dim": 32,
        },
        "Qwen2VLConfig": {
            "text_config": wide,
            "image_token_id": 90,
            "video_token_id": 91,
            "vision_start_token_id": 92,
            "vision_end_token_id": 93,
            "vision_config": {"depth": LAYERS, "embed_dim": 32, "hidden_size": 32, "num_heads": 4},
        },
        "Gemma3Config": {
            "text_config": {**text, "head_dim": 8, "query_pre_attn_scalar": 8, "sliding_window": 16},
            "vision_config": tower,
            "image_token_index": 90,
            "mm_tokens_per_image": 4,
        },
        "Idefics3Config": {
            "text_config": {"model_type": "llama", **text},
            "vision_config": tower,
            "image_token_id": 90,
            "scale_factor": 1,
        },
    }
    torch.manual_seed(0)
    return transformers.AutoModelForImageTextToText.from_config(getattr(transformers, name)(**settings[name])).eval()
