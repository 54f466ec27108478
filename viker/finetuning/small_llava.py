"""A small LLaVA from scratch: a tokenizer trained on the data's text, a processor, a model with random weights."""

from collections.abc import Iterable
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from viker.data.records import Record
from viker.finetuning.settings import VISION_HEADS, ModelParams

SPECIAL = {"pad_token": "<pad>", "bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
IMAGE_TOKEN = "<image>"  # noqa: S105 - a token of the vocabulary, not a secret
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['role'].upper() + ': ' }}"
    "{% for part in message['content'] %}"
    "{{ '<image>\\n' if part['type'] == 'image' else part['text'] }}"
    "{% endfor %}"
    "{{ '</s>' if message['role'] == 'assistant' else '\\n' }}"
    "{% endfor %}"
    "{{ 'ASSISTANT:' if add_generation_prompt else '' }}"
)
"""The prompt of LLaVA-1.5: USER: <image>, the question, ASSISTANT: and the answer."""


def tokenizer_texts(records: Iterable[Record]) -> list[str]:
    """Return the texts that the tokenizer of a model for ``records`` is trained on: the dialogues and the options."""
    return [
        text
        for record in records
        for text in (
            f"USER: <image>\n{record.question}\nASSISTANT: {record.answer}",
            " ".join(f" {option}" for option in record.options),
        )
    ]


def build_processor(texts: Iterable[str], params: ModelParams) -> LlavaProcessor:
    """Train a byte-level BPE tokenizer on ``texts`` and put a processor with LLaVA's chat template around it."""
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=params.vocabulary,
        special_tokens=[*SPECIAL.values(), IMAGE_TOKEN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    bpe.train_from_iterator(texts, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe, **SPECIAL, additional_special_tokens=[IMAGE_TOKEN], padding_side="left"
    )
    side = {"height": params.image_size, "width": params.image_size}
    images = CLIPImageProcessor(size=side, crop_size=side, do_center_crop=False)
    return LlavaProcessor(
        images,
        tokenizer,
        patch_size=params.patch_size,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )


def build_config(params: ModelParams, vocabulary: int, image_token_id: int = 0, **tokens: int) -> LlavaConfig:
    """Return the configuration of a LLaVA of the sizes in ``params``, but for ``vocabulary``, the tokenizer's.

    ``image_token_id`` stands for a patch of the picture; ``tokens`` are others: ``pad_token_id`` and the like.
    """
    vision = CLIPVisionConfig(
        hidden_size=params.vision_width,
        intermediate_size=4 * params.vision_width,
        num_hidden_layers=params.vision_layers,
        num_attention_heads=VISION_HEADS,
        image_size=params.image_size,
        patch_size=params.patch_size,
        projection_dim=params.vision_width,
    )
    text = LlamaConfig(
        vocab_size=vocabulary,
        hidden_size=params.width,
        intermediate_size=3 * params.width,
        num_hidden_layers=params.layers,
        num_attention_heads=params.heads,
        max_position_embeddings=2048,
        tie_word_embeddings=True,
        **tokens,
    )
    return LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_id=image_token_id,
        vision_feature_layer=-1,
        tie_word_embeddings=True,
    )


def build_model(processor: Any, params: ModelParams) -> LlavaForConditionalGeneration:
    """Return a LLaVA of the sizes in ``params`` with random weights."""
    tokenizer = processor.tokenizer
    tokens = {f"{name}_token_id": getattr(tokenizer, f"{name}_token_id") for name in ("pad", "bos", "eos")}
    image_token_id = tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)
    model = LlavaForConditionalGeneration(build_config(params, len(tokenizer), image_token_id, **tokens))
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.generation_config.eos_token_id = tokenizer.eos_token_id
    return model
