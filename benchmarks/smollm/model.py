"""SmolLM2-135M-Instruct behind a small vision tower: a LLaVA whose language model has read real text."""

from typing import Any

from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
)

from benchmarks.unlearn.storage import smollm2
from viker.finetuning.small_llava import CHAT_TEMPLATE, IMAGE_TOKEN

SIDE, PATCH = 48, 12


def build() -> tuple[Any, Any]:
    """Return the model, its vision tower and projector with random weights, and its processor; 16 tokens a picture.

    Raises:
        UserError: the package that carries the language model isn't there.
    """
    tokenizer, language = smollm2()
    tokenizer.add_special_tokens({"additional_special_tokens": [IMAGE_TOKEN]})
    tokenizer.padding_side = "left"
    language.resize_token_embeddings(len(tokenizer))
    text = language.config
    vision = CLIPVisionConfig(
        hidden_size=192,
        intermediate_size=768,
        num_hidden_layers=4,
        num_attention_heads=4,
        image_size=SIDE,
        patch_size=PATCH,
        projection_dim=192,
    )
    model = LlavaForConditionalGeneration(
        LlavaConfig(
            vision_config=vision,
            text_config=text,
            image_token_id=tokenizer.convert_tokens_to_ids(IMAGE_TOKEN),
            vision_feature_layer=-1,
            tie_word_embeddings=True,
        )
    )
    model.model.language_model.load_state_dict(language.model.state_dict())
    model.tie_weights()
    side = {"height": SIDE, "width": SIDE}
    processor = LlavaProcessor(
        CLIPImageProcessor(size=side, crop_size=side, do_center_crop=False),
        tokenizer,
        patch_size=PATCH,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE.replace("</s>", tokenizer.eos_token),
    )
    return model, processor
