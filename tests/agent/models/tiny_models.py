"""Networks of real architectures with a few random numbers and a tokenizer of bytes, in the hub's layout."""

from importlib import import_module
from pathlib import Path
from typing import Any

from spatial_agent.tools.native_imports import install

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for item in message['content'] %}"
    "{% if item['type'] == 'image' %}IMAGE{% else %}{{ item['text'] }}{% endif %}{% endfor %}{% endif %}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
TEXT = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 2048,
}


def tiny_qwen(folder: Path) -> Path:
    """Qwen2.5-VL with two layers."""
    library = _library()

    marks = ["<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"]
    tokenizer = _byte_tokenizer(marks)
    start, end, image, video = tokenizer.convert_tokens_to_ids(marks)
    config = library.Qwen2_5_VLConfig(
        text_config=TEXT
        | _ends(tokenizer)
        | {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [1, 1, 2]}},
        vision_config={
            "depth": 1,
            "hidden_size": 32,
            "out_hidden_size": 32,
            "intermediate_size": 64,
            "num_heads": 4,
            "fullatt_block_indexes": [0],
        },
        image_token_id=image,
        video_token_id=video,
        vision_start_token_id=start,
        vision_end_token_id=end,
    )
    images = library.Qwen2VLImageProcessorPil(min_pixels=28 * 28, max_pixels=112 * 112)
    template = TEMPLATE.replace("IMAGE", "<|vision_start|><|image_pad|><|vision_end|>")
    processor = library.Qwen2_5_VLProcessor(
        images, tokenizer, library.Qwen2VLVideoProcessor(), chat_template=template
    )
    return _saved(folder, library.Qwen2_5_VLForConditionalGeneration, config, processor)


def tiny_smolvlm(folder: Path) -> Path:
    """SmolVLM with two layers."""
    library = _library()

    rows = [f"<row_{row}_col_{column}>" for row in range(1, 3) for column in range(1, 3)]
    marks = ["<image>", "<fake_token_around_image>", "<global-img>", "<end_of_utterance>", "<video>", *rows]
    tokenizer = _byte_tokenizer(marks)
    config = library.SmolVLMConfig(
        text_config={"model_type": "llama"} | TEXT | _ends(tokenizer),
        vision_config={
            "hidden_size": 32,
            "intermediate_size": 64,
            "num_hidden_layers": 1,
            "num_attention_heads": 4,
            "image_size": 56,
            "patch_size": 14,
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
        pad_token_id=0,
    )
    size = {"longest_edge": 56}
    images = library.SmolVLMImageProcessorPil(size=size, max_image_size=size, do_image_splitting=False)
    videos = library.SmolVLMVideoProcessor(size=size, max_image_size=size)
    processor = library.SmolVLMProcessor(
        images, tokenizer, videos, image_seq_len=4, chat_template=TEMPLATE.replace("IMAGE", "<image>")
    )
    return _saved(folder, library.SmolVLMForConditionalGeneration, config, processor)


def tiny_llama(folder: Path) -> Path:
    """A Llama without eyes, whose template refuses a system message as some do."""
    library = _library()
    tokenizer = _byte_tokenizer([])
    refusal = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('No system role') }}{% endif %}"
    tokenizer.chat_template = refusal + TEMPLATE
    return _saved(
        folder, library.LlamaForCausalLM, library.LlamaConfig(**TEXT, **_ends(tokenizer)), tokenizer
    )


def _library() -> Any:  # noqa: ANN401 - most of it has no types
    install()
    return import_module("transformers")


def _byte_tokenizer(marks: list[str]) -> Any:  # noqa: ANN401 - transformers' tokenizer
    """One token for each byte, and those with a meaning."""
    library = _library()
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokens = Tokenizer(models.BPE({letter: place for place, letter in enumerate(letters)}, []))
    tokens.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokens.decoder = decoders.ByteLevel()
    tokenizer = library.PreTrainedTokenizerFast(
        tokenizer_object=tokens, eos_token=SPECIAL[2], pad_token=SPECIAL[0]
    )
    tokenizer.add_special_tokens({"additional_special_tokens": [SPECIAL[1], *marks]})
    return tokenizer


def _ends(tokenizer: Any) -> dict[str, int]:  # noqa: ANN401 - transformers' tokenizer
    return {
        "vocab_size": len(tokenizer),
        "bos_token_id": tokenizer.pad_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


def _saved(folder: Path, network: Any, config: Any, processor: Any) -> Path:  # noqa: ANN401 - transformers' own
    import torch

    with torch.random.fork_rng():
        torch.manual_seed(1)
        network(config).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder
