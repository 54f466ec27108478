"""Tiny random models of each family, built from configs, with processors that need no torchvision and no network."""

import torch
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoModelForImageTextToText,
    CLIPVisionConfig,
    Gemma3Config,
    Gemma3Processor,
    Idefics3Config,
    Idefics3Processor,
    LlavaConfig,
    LlavaNextConfig,
    LlavaNextProcessor,
    LlavaProcessor,
    PaliGemmaConfig,
    PaliGemmaProcessor,
    PreTrainedTokenizerFast,
    ProcessorMixin,
    Qwen2_5_VLConfig,
    Qwen2VLConfig,
    Qwen2VLProcessor,
)
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.gemma3.image_processing_pil_gemma3 import Gemma3ImageProcessorPil
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil
from transformers.models.llava_next.image_processing_pil_llava_next import LlavaNextImageProcessorPil
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.models.siglip.image_processing_pil_siglip import SiglipImageProcessorPil

TEXT = ["Where was this person born? In Oslo, by the sea.", "USER: \nASSISTANT: user assistant model User: Which?"]
SIZE, PATCH = 32, 8
LLAVA = (
    "{% for m in messages %}{{ m['role'].upper() + ': ' }}"
    "{% for c in m['content'] if c['type'] == 'image' %}{{ '<image>\\n' }}{% endfor %}"
    "{% for c in m['content'] if c['type'] == 'text' %}{{ c['text'] + ' ' }}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
QWEN = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ c['text'] }}{% endif %}"
    "{% endfor %}<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
IDEFICS = (
    "<s>{% for m in messages %}{{ m['role'] | capitalize }}{{ ':' if m['content'][0]['type'] == 'image' else ': ' }}"
    "{% for c in m['content'] %}{{ '<image>' if c['type'] == 'image' else c['text'] }}{% endfor %}"
    "<end_of_utterance>\n{% endfor %}{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
GEMMA = (
    "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ 'model' if m['role'] == 'assistant' else m['role'] }}\n"
    "{% for c in m['content'] %}{{ '<start_of_image>' if c['type'] == 'image' else c['text'] | trim }}{% endfor %}"
    "<end_of_turn>\n{% endfor %}{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}"
)


def tokenizer(*special, bos="<s>", eos="</s>", puts_bos=True, **named):
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    all_special = list(dict.fromkeys(["<pad>", *filter(None, (bos, eos)), *special, *named.values()]))
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    bpe.train_from_iterator(
        TEXT,
        trainers.BpeTrainer(
            vocab_size=400,
            special_tokens=[AddedToken(t, normalized=False, special=True) for t in all_special],
            initial_alphabet=alphabet,
            show_progress=False,
        ),
    )
    if bos and puts_bos:
        bpe.post_processor = processors.TemplateProcessing(f"{bos} $A", special_tokens=[(bos, bpe.token_to_id(bos))])
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe, pad_token="<pad>", bos_token=bos, eos_token=eos, extra_special_tokens=named or None
    )


def text_config(t, **more):
    return {
        "vocab_size": len(t) + 1200, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
        "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "max_position_embeddings": 1024,
        "pad_token_id": t.pad_token_id, "bos_token_id": t.bos_token_id, "eos_token_id": t.eos_token_id, **more,
    }  # fmt: skip


def vision_config(**more):
    return {
        "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
        "image_size": SIZE, "patch_size": PATCH, **more,
    }  # fmt: skip


def llava():
    t = tokenizer("<image>")
    side = {"height": SIZE, "width": SIZE}
    images = CLIPImageProcessorPil(size=side, crop_size=side)
    processor = LlavaProcessor(images, t, PATCH, "default", chat_template=LLAVA, num_additional_image_tokens=1)
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**vision_config()), text_config={"model_type": "llama", **text_config(t)},
        image_token_id=t.convert_tokens_to_ids("<image>"), vision_feature_layer=-1,
    )  # fmt: skip
    return processor, config


def llava_next():
    t = tokenizer("<image>")
    grid = [[SIZE, 2 * SIZE], [2 * SIZE, SIZE], [2 * SIZE, 2 * SIZE]]
    side = {"height": SIZE, "width": SIZE}
    images = LlavaNextImageProcessorPil(size={"shortest_edge": SIZE}, crop_size=side, image_grid_pinpoints=grid)
    processor = LlavaNextProcessor(images, t, PATCH, "default", chat_template=LLAVA, num_additional_image_tokens=1)
    config = LlavaNextConfig(
        vision_config=CLIPVisionConfig(**vision_config()), text_config={"model_type": "llama", **text_config(t)},
        image_token_id=t.convert_tokens_to_ids("<image>"), vision_feature_layer=-1, image_grid_pinpoints=grid,
    )  # fmt: skip
    return processor, config


class PicturesOnly(Qwen2VLProcessor):
    """Qwen2-VL's processor without the part for videos, which needs torchvision."""

    def __init__(self, image_processor=None, tokenizer=None, chat_template=None):
        self.image_token, self.video_token = "<|image_pad|>", None
        self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
        ProcessorMixin.__init__(self, image_processor, tokenizer, chat_template=chat_template)


def qwen2_vl():
    return _qwen(Qwen2VLConfig, {"depth": 2, "embed_dim": 32, "hidden_size": 32, "num_heads": 4, "mlp_ratio": 2})


def qwen2_5_vl():
    vision = {"depth": 2, "hidden_size": 32, "out_hidden_size": 32, "num_heads": 4, "intermediate_size": 64}
    return _qwen(Qwen2_5_VLConfig, vision | {"fullatt_block_indexes": [1], "window_size": 32})


def _qwen(kind, vision):
    names = ("<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>")
    t = tokenizer(*names, bos=None, eos="<|endoftext|>")
    images = Qwen2VLImageProcessorPil(patch_size=PATCH, merge_size=2, min_pixels=256, max_pixels=2048)
    number = dict(zip(names, t.convert_tokens_to_ids(list(names)), strict=True))
    config = kind(
        vision_config=vision | {"patch_size": PATCH, "spatial_merge_size": 2, "temporal_patch_size": 2},
        text_config=text_config(t) | {"rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2]}},
        image_token_id=number["<|image_pad|>"], video_token_id=number["<|video_pad|>"],
        vision_start_token_id=number["<|vision_start|>"], vision_end_token_id=number["<|vision_end|>"],
    )  # fmt: skip
    return PicturesOnly(images, t, chat_template=QWEN), config


def idefics3():
    tags = [f"<row_{i}_col_{j}>" for i in range(1, 7) for j in range(1, 7)]
    t = tokenizer("<image>", "<fake_token_around_image>", "<end_of_utterance>", "<global-img>", *tags)
    images = Idefics3ImageProcessorPil(size={"longest_edge": 2 * SIZE}, max_image_size={"longest_edge": SIZE})
    config = Idefics3Config(
        vision_config=vision_config(), text_config={"model_type": "llama", **text_config(t)},
        image_token_id=t.convert_tokens_to_ids("<image>"), scale_factor=2, pad_token_id=t.pad_token_id,
    )  # fmt: skip
    return Idefics3Processor(images, t, image_seq_len=(SIZE // PATCH) ** 2 // 4, chat_template=IDEFICS), config


def paligemma():
    t = tokenizer(bos="<bos>", eos="<eos>", image_token="<image>", puts_bos=False)
    images = SiglipImageProcessorPil(size={"height": SIZE, "width": SIZE})
    images.image_seq_length = (SIZE // PATCH) ** 2
    processor = PaliGemmaProcessor(images, t)
    config = PaliGemmaConfig(
        vision_config={"model_type": "siglip_vision_model", "vision_use_head": False, **vision_config()},
        text_config={"model_type": "gemma", **text_config(t)}, projection_dim=32, hidden_size=32,
        image_token_id=processor.image_token_id,
    )  # fmt: skip
    return processor, config


def gemma3():
    t = tokenizer(
        "<start_of_turn>", "<end_of_turn>", bos="<bos>", eos="<eos>", image_token="<image_soft_token>",
        boi_token="<start_of_image>", eoi_token="<end_of_image>",
    )  # fmt: skip
    images = Gemma3ImageProcessorPil(size={"height": SIZE, "width": SIZE})
    config = Gemma3Config(
        vision_config={"vision_use_head": False, **vision_config()}, text_config=text_config(t, sliding_window=64),
        mm_tokens_per_image=4, image_token_index=t.image_token_id, image_token_id=t.image_token_id,
        boi_token_index=t.boi_token_id, eoi_token_index=t.eoi_token_id,
    )  # fmt: skip
    return Gemma3Processor(images, t, chat_template=GEMMA, image_seq_length=4), config


FAMILIES = {f.__name__: f for f in (llava, llava_next, qwen2_vl, qwen2_5_vl, idefics3, paligemma, gemma3)}
END = {"llava": "</s>", "llava_next": "</s>", "qwen2_vl": "<|im_end|>", "qwen2_5_vl": "<|im_end|>",
       "idefics3": "<end_of_utterance>", "paligemma": "<eos>", "gemma3": "<end_of_turn>"}  # fmt: skip


def build(name):
    """A model of the family with random weights, always the same, in evaluation mode, and its processor."""
    processor, config = FAMILIES[name]()
    torch.manual_seed(3)
    return AutoModelForImageTextToText.from_config(config).eval(), processor
